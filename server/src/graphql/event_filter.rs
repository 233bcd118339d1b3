//! The typed form of the log's filter language: the same AST as the text form, through the same
//! checks.

use async_graphql::{Enum, ID, InputObject};

use super::comparator::{DateTimeComparator, Flag, IdComparator, StringComparator};
use super::firing::FiringCause;
use super::schedule::ScheduleKind;
use crate::domain::filter::{Field, Filter, FilterError, Op, Severity, Value};
use crate::error::{Error, Problem};

/// How bad an event is; ordered.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Severity", name = "EventSeverity")]
pub enum EventSeverity {
    /// For whoever looks for a fault.
    Debug,
    /// The normal course of things.
    Info,
    /// Something may need a look.
    Warn,
    /// Something needs a person.
    Error,
}

/// Conditions on a severity; all that are set must hold.
#[derive(InputObject, Clone, Debug, Default)]
pub struct EventSeverityComparator {
    /// Equal to this.
    eq: Option<EventSeverity>,
    /// Not equal to this.
    neq: Option<EventSeverity>,
    /// One of these.
    #[graphql(name = "in")]
    is_in: Option<Vec<EventSeverity>>,
    /// Worse than this.
    gt: Option<EventSeverity>,
    /// This, or worse.
    gte: Option<EventSeverity>,
    /// Less bad than this.
    lt: Option<EventSeverity>,
    /// This, or less bad.
    lte: Option<EventSeverity>,
}

/// Conditions on the cause of an event's firing; all that are set must hold.
#[derive(InputObject, Clone, Debug, Default)]
pub struct EventCauseComparator {
    /// Equal to this.
    eq: Option<FiringCause>,
    /// There, and not equal to this.
    neq: Option<FiringCause>,
    /// One of these.
    #[graphql(name = "in")]
    is_in: Option<Vec<FiringCause>>,
    /// Missing (true) or there (false).
    is_null: Option<bool>,
}

/// Conditions on the kind of schedule that planned an event's firing; all that are set must hold.
#[derive(InputObject, Clone, Debug, Default)]
pub struct EventScheduleKindComparator {
    /// Equal to this.
    eq: Option<ScheduleKind>,
    /// There, and not equal to this.
    neq: Option<ScheduleKind>,
    /// One of these.
    #[graphql(name = "in")]
    is_in: Option<Vec<ScheduleKind>>,
    /// Missing (true) or there (false).
    is_null: Option<bool>,
}

/// Which events; every set condition must hold. A condition on a field that an event lacks is
/// false, but for `isNull`; `not` is the exact complement.
#[derive(InputObject, Clone, Default)]
pub struct EventFilter {
    /// By id.
    id: Option<IdComparator>,
    /// By type, such as `firing.completed` or `app.event`.
    #[graphql(name = "type")]
    kind: Option<StringComparator>,
    /// By severity.
    severity: Option<EventSeverityComparator>,
    /// By component.
    component: Option<StringComparator>,
    /// By environment.
    environment: Option<StringComparator>,
    /// By e-mail address.
    email: Option<StringComparator>,
    /// By message.
    message: Option<StringComparator>,
    /// By when it was written.
    created_at: Option<DateTimeComparator>,
    /// By the id of the trigger.
    trigger_id: Option<IdComparator>,
    /// By the trigger's name at the time.
    trigger_name: Option<StringComparator>,
    /// By the id of the firing.
    firing_id: Option<IdComparator>,
    /// By what made the firing.
    cause: Option<EventCauseComparator>,
    /// By the kind of schedule that planned the firing.
    schedule_kind: Option<EventScheduleKindComparator>,
    /// By the status that the firing reached, such as `FAILED`.
    outcome: Option<StringComparator>,
    /// By the client's word for what belongs together.
    correlation_id: Option<StringComparator>,
    /// Events of test triggers; EXCLUDE when the whole filter does not speak of them.
    is_test: Option<Flag>,
    /// Belfry's own events of a certain age (2 h by default); on `Query.events` EXCLUDE when the
    /// whole filter does not speak of them, on the live log INCLUDE.
    is_archived: Option<Flag>,
    /// All of these must hold as well.
    and: Option<Vec<EventFilter>>,
    /// One of these must hold as well.
    or: Option<Vec<EventFilter>>,
    /// This must not hold.
    not: Option<Box<EventFilter>>,
}

impl EventFilter {
    /// The AST; `None` when there is no condition at all.
    ///
    /// # Errors
    /// What cannot be meant, with the path of the field.
    pub fn checked(self) -> crate::error::Result<Option<Filter>> {
        let mut parts = Vec::new();
        put_ids(&mut parts, Field::Id, self.id)?;
        put_text(&mut parts, Field::Type, self.kind)?;
        put_severity(&mut parts, self.severity)?;
        put_text(&mut parts, Field::Component, self.component)?;
        put_text(&mut parts, Field::Environment, self.environment)?;
        put_text(&mut parts, Field::Email, self.email)?;
        put_text(&mut parts, Field::Message, self.message)?;
        put_instant(&mut parts, self.created_at)?;
        put_ids(&mut parts, Field::TriggerId, self.trigger_id)?;
        put_text(&mut parts, Field::TriggerName, self.trigger_name)?;
        put_ids(&mut parts, Field::FiringId, self.firing_id)?;
        put_cause(&mut parts, self.cause)?;
        put_schedule_kind(&mut parts, self.schedule_kind)?;
        put_text(&mut parts, Field::Outcome, self.outcome)?;
        put_text(&mut parts, Field::CorrelationId, self.correlation_id)?;
        put_flag(&mut parts, Field::IsTest, self.is_test)?;
        put_flag(&mut parts, Field::IsArchived, self.is_archived)?;
        for part in self.and.unwrap_or_default() {
            parts.extend(part.checked()?);
        }
        if let Some(list) = self.or {
            let any: crate::error::Result<Vec<Filter>> = list
                .into_iter()
                .map(|part| part.checked().map(|part| part.unwrap_or(Filter::And(Vec::new()))))
                .collect();
            parts.push(Filter::any(any?).map_err(|error| refused("filter.or", &error))?);
        }
        if let Some(part) = self.not {
            let part = part.checked()?.unwrap_or(Filter::And(Vec::new()));
            parts.push(Filter::negate(part).map_err(|error| refused("filter.not", &error))?);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Filter::all(parts).map(Some).map_err(|error| refused("filter", &error))
    }
}

/// A problem of the text or the typed form.
pub fn refused(field: &str, error: &FilterError) -> Error {
    Error::Refused(vec![Problem::new(field, error.to_string())])
}

fn put(
    parts: &mut Vec<Filter>,
    field: Field,
    op: Op,
    value: Option<impl Into<Value>>,
) -> crate::error::Result<()> {
    let Some(value) = value else { return Ok(()) };
    let compared = Filter::compare(field, op, value);
    parts.push(compared.map_err(|error| refused(&format!("filter.{field}"), &error))?);
    Ok(())
}

fn put_text(
    parts: &mut Vec<Filter>,
    field: Field,
    comparator: Option<StringComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    put(parts, field, Op::Eq, comparator.eq)?;
    put(parts, field, Op::Neq, comparator.neq)?;
    put(parts, field, Op::In, comparator.is_in)?;
    put(parts, field, Op::Nin, comparator.nin)?;
    put(parts, field, Op::Contains, comparator.contains)?;
    put(parts, field, Op::StartsWith, comparator.starts_with)?;
    put(parts, field, Op::Gt, comparator.gt)?;
    put(parts, field, Op::Gte, comparator.gte)?;
    put(parts, field, Op::Lt, comparator.lt)?;
    put(parts, field, Op::Lte, comparator.lte)?;
    put(parts, field, Op::IsNull, comparator.is_null)
}

fn put_ids(
    parts: &mut Vec<Filter>,
    field: Field,
    comparator: Option<IdComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    let one = |id: Option<ID>| id.map(|id| id.0);
    let many = |ids: Option<Vec<ID>>| {
        ids.map(|ids| ids.into_iter().map(|id| id.0).collect::<Vec<String>>())
    };
    put(parts, field, Op::Eq, one(comparator.eq))?;
    put(parts, field, Op::Neq, one(comparator.neq))?;
    put(parts, field, Op::In, many(comparator.is_in))?;
    put(parts, field, Op::Nin, many(comparator.nin))?;
    put(parts, field, Op::IsNull, comparator.is_null)
}

fn put_instant(
    parts: &mut Vec<Filter>,
    comparator: Option<DateTimeComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    let field = Field::CreatedAt;
    put(parts, field, Op::Eq, comparator.eq.map(|at| at.0))?;
    put(parts, field, Op::Neq, comparator.neq.map(|at| at.0))?;
    put(parts, field, Op::Gt, comparator.gt.map(|at| at.0))?;
    put(parts, field, Op::Gte, comparator.gte.map(|at| at.0))?;
    put(parts, field, Op::Lt, comparator.lt.map(|at| at.0))?;
    put(parts, field, Op::Lte, comparator.lte.map(|at| at.0))
}

fn put_severity(
    parts: &mut Vec<Filter>,
    comparator: Option<EventSeverityComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    let field = Field::Severity;
    let one = |severity: Option<EventSeverity>| severity.map(Severity::from);
    let list = comparator.is_in.map(|list| list.into_iter().map(Severity::from).collect());
    put(parts, field, Op::Eq, one(comparator.eq))?;
    put(parts, field, Op::Neq, one(comparator.neq))?;
    put(parts, field, Op::In, list.map(|list: Vec<Severity>| list))?;
    put(parts, field, Op::Gt, one(comparator.gt))?;
    put(parts, field, Op::Gte, one(comparator.gte))?;
    put(parts, field, Op::Lt, one(comparator.lt))?;
    put(parts, field, Op::Lte, one(comparator.lte))
}

fn put_cause(
    parts: &mut Vec<Filter>,
    comparator: Option<EventCauseComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    let field = Field::Cause;
    let list = comparator.is_in.map(|list| list.into_iter().map(word).collect::<Vec<_>>());
    put(parts, field, Op::Eq, comparator.eq.map(word))?;
    put(parts, field, Op::Neq, comparator.neq.map(word))?;
    put(parts, field, Op::In, list)?;
    put(parts, field, Op::IsNull, comparator.is_null)
}

fn put_schedule_kind(
    parts: &mut Vec<Filter>,
    comparator: Option<EventScheduleKindComparator>,
) -> crate::error::Result<()> {
    let Some(comparator) = comparator else { return Ok(()) };
    let field = Field::ScheduleKind;
    let list = comparator.is_in.map(|list| list.into_iter().map(word).collect::<Vec<_>>());
    put(parts, field, Op::Eq, comparator.eq.map(word))?;
    put(parts, field, Op::Neq, comparator.neq.map(word))?;
    put(parts, field, Op::In, list)?;
    put(parts, field, Op::IsNull, comparator.is_null)
}

/// Either is a condition that always holds and yet speaks of the field, so that no default is
/// added.
fn put_flag(parts: &mut Vec<Filter>, field: Field, flag: Option<Flag>) -> crate::error::Result<()> {
    match flag.map(Flag::wanted) {
        None => Ok(()),
        Some(Some(wanted)) => put(parts, field, Op::Eq, Some(wanted)),
        Some(None) => put(parts, field, Op::In, Some(vec![true, false])),
    }
}

/// The word of an enum value on the wire.
fn word(value: impl async_graphql::resolver_utils::EnumType) -> String {
    match async_graphql::resolver_utils::enum_value(value) {
        async_graphql::Value::Enum(name) => name.to_string(),
        _ => String::new(),
    }
}
