//! What clients say about firings.

use async_graphql::{Enum, ID, InputObject, MaybeUndefined};

use crate::graphql::comparator::{DateTimeComparator, Flag, IdComparator, StringComparator};
use crate::graphql::scalar::Json;
use crate::store::firing::{Filter, SortKey};

use super::{FiringCauseComparator, FiringStatusComparator};

/// Which firings a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct FiringFilter {
    /// By the id of the trigger.
    pub trigger_id: Option<IdComparator>,
    /// By the id of the schedule.
    pub schedule_id: Option<IdComparator>,
    /// By the id of the operation that made it.
    pub operation_id: Option<IdComparator>,
    /// By status.
    pub status: Option<FiringStatusComparator>,
    /// By cause.
    pub cause: Option<FiringCauseComparator>,
    /// By when it was accepted or planned.
    pub created_at: Option<DateTimeComparator>,
    /// By when it is or was due.
    pub due_at: Option<DateTimeComparator>,
    /// By the instant that it stands for.
    pub nominal_at: Option<DateTimeComparator>,
    /// By the client's word for what belongs together.
    pub correlation_id: Option<StringComparator>,
    /// Firings of test triggers; EXCLUDE when not said.
    pub is_test: Option<Flag>,
    /// All of these must hold as well.
    pub and: Option<Vec<FiringFilter>>,
    /// One of these must hold as well.
    pub or: Option<Vec<FiringFilter>>,
    /// This must not hold.
    pub not: Option<Box<FiringFilter>>,
}

/// The order of a list of firings.
#[derive(InputObject)]
pub struct FiringOrder {
    /// What it is sorted by.
    pub field: FiringOrderField,
    /// Which way.
    pub direction: OrderDirection,
}

/// What firings are sorted by.
#[expect(clippy::enum_variant_names, reason = "each is the name of a field of a firing")]
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum FiringOrderField {
    /// When it was accepted or planned.
    CreatedAt,
    /// When it is or was due.
    DueAt,
    /// The instant that it stands for.
    NominalAt,
}

/// Which way a list is sorted.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum OrderDirection {
    /// Smallest or oldest first.
    Asc,
    /// Greatest or newest first.
    Desc,
}

/// A firing to cancel.
#[derive(InputObject)]
pub struct FiringCancelInput {
    /// Which.
    pub id: ID,
}

/// A firing to run again.
#[derive(InputObject)]
pub struct FiringReplayInput {
    /// Which; FAILED or COMPLETED.
    pub id: ID,
    /// Another payload; the old one when not said.
    pub payload: MaybeUndefined<Json>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    pub idempotency_key: Option<String>,
}

/// A failed firing to give up.
#[derive(InputObject)]
pub struct FiringSkipInput {
    /// Which; FAILED.
    pub id: ID,
}

impl From<FiringOrderField> for SortKey {
    fn from(field: FiringOrderField) -> Self {
        match field {
            FiringOrderField::CreatedAt => Self::CreatedAt,
            FiringOrderField::DueAt => Self::DueAt,
            FiringOrderField::NominalAt => Self::NominalAt,
        }
    }
}

/// The filter as the store takes it. The depth is bounded by the guard of requests.
pub fn checked(filter: FiringFilter) -> crate::error::Result<Filter> {
    let many = |list: Option<Vec<FiringFilter>>| -> crate::error::Result<Vec<Filter>> {
        list.unwrap_or_default().into_iter().map(checked).collect()
    };
    Ok(Filter {
        trigger: filter.trigger_id.map(|ids| ids.check("filter.triggerId")).transpose()?,
        schedule: filter.schedule_id.map(|ids| ids.check("filter.scheduleId")).transpose()?,
        operation: filter.operation_id.map(|ids| ids.check("filter.operationId")).transpose()?,
        status: filter.status.map(Into::into),
        cause: filter.cause.map(Into::into),
        created_at: filter.created_at.map(Into::into),
        due_at: filter.due_at.map(Into::into),
        nominal_at: filter.nominal_at.map(Into::into),
        correlation_id: filter.correlation_id.map(Into::into),
        is_test: filter.is_test.and_then(Flag::wanted),
        and: many(filter.and)?,
        or: many(filter.or)?,
        not: filter.not.map(|part| checked(*part).map(Box::new)).transpose()?,
    })
}
