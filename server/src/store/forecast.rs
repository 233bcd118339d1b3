//! What a forecast reads: firings that wait, schedules that go on, and how long firings took.
//!
//! Of one project, or of all: an autoscaler's metrics are about the whole server and name nobody.

use std::collections::HashMap;

use entity::firing::{self, Cause, Status};
use entity::{FiringId, Instant, ProjectId, ScheduleId, TriggerId, attempt, schedule, trigger};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::health::waits;
use super::page::{self, compare};
use super::{Store, bulk};
use crate::domain::comparator::Comparator;
use crate::domain::forecast::Period;
use crate::error::Result;
use crate::limits::{FORECAST_GROUPS_MAX, FORECAST_NEWEST_MAX, FORECAST_SAMPLE_MAX};

/// Which firings and schedules.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this project; of all when not set.
    pub project: Option<ProjectId>,
    /// By trigger; firings without one match no condition but `isNull`.
    pub trigger: Option<Comparator<TriggerId>>,
    /// Of test triggers only, or none; either when not set.
    pub is_test: Option<bool>,
}

/// Some firings that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Waiting {
    /// The bucket that they are due in; -1 when that is before the period.
    pub bucket: i64,
    /// Their trigger.
    pub trigger_id: Option<TriggerId>,
    /// What made them.
    pub cause: Cause,
    /// SCHEDULED or RETRYING.
    pub status: Status,
    /// How many.
    pub count: i64,
}

/// A schedule that goes on.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Ongoing {
    /// Which.
    pub id: ScheduleId,
    /// What it fires.
    pub trigger_id: TriggerId,
    /// When, as JSON.
    pub spec: String,
    /// What it does beyond that, as JSON.
    pub policy: String,
    /// How many of its instants are firings already.
    pub firings: i64,
    /// Up to where its instants are firings already.
    pub planned_until: Instant,
}

/// How long firings were executed, all their attempts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// In milliseconds, summed.
    pub ms: i64,
    /// How many firings.
    pub firings: u64,
}

/// Whose firings are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one trigger.
    Trigger(ProjectId, TriggerId),
    /// Those of one project.
    Project(ProjectId),
}

/// What waits and is due before the end of the period, in groups; one more than
/// `FORECAST_GROUPS_MAX` when there are more.
pub async fn waiting(store: &Store, filter: &Filter, period: &Period) -> Result<Vec<Waiting>> {
    use firing::{Column, Entity};
    // Written out, because PostgreSQL has to see that what is selected is what is grouped by.
    let bucket = format!(
        "CASE WHEN firing.due_at < {from} THEN -1 ELSE (firing.due_at - {from}) / {step} END",
        from = period.from.millis(),
        step = period.step_ms
    );
    let mut condition = Condition::all().add(waits()).add(Column::DueAt.lt(period.until));
    if let Some(project) = filter.project {
        condition = condition.add(Column::ProjectId.eq(project));
    }
    if let Some(trigger) = &filter.trigger {
        condition = condition.add(compare(Column::TriggerId, trigger));
    }
    if let Some(is_test) = filter.is_test {
        condition = condition.add(Column::IsTest.eq(is_test));
    }
    let rows = Entity::find()
        .select_only()
        .column_as(Expr::cust(bucket.clone()), "bucket")
        .columns([Column::TriggerId, Column::Cause, Column::Status])
        .column_as(Column::Id.count(), "count")
        .filter(condition)
        .group_by(Expr::cust(bucket))
        .group_by(Column::TriggerId)
        .group_by(Column::Cause)
        .group_by(Column::Status)
        .limit(FORECAST_GROUPS_MAX as u64 + 1)
        .into_model::<Waiting>()
        .all(store.readers());
    Ok(rows.await?)
}

/// How many firings of all projects wait and are due before `until`.
pub async fn count_waiting(store: &Store, until: Instant) -> Result<u64> {
    use firing::{Column, Entity};
    // Of a column of the index, so that no row has to be read.
    let select = Entity::find()
        .select_only()
        .column_as(Column::DueAt.count(), "count")
        .filter(waits())
        .filter(Column::DueAt.lt(until));
    let count = select.into_tuple::<i64>().one(store.readers()).await?;
    Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
}

/// Schedules that will plan something before `until`, those that begin first, `rows_max` at most.
pub async fn ongoing(
    store: &Store,
    filter: &Filter,
    until: Instant,
    rows_max: usize,
) -> Result<Vec<Ongoing>> {
    use schedule::{Column, Entity, State};
    let mut condition = Condition::all()
        .add(Column::DeletedAt.is_null())
        .add(Column::State.is_in([State::Pending, State::Scheduled]))
        .add(Column::NextAt.lt(until))
        .add(Column::TriggerId.in_subquery(active_triggers(filter)));
    if let Some(project) = filter.project {
        condition = condition.add(Column::ProjectId.eq(project));
    }
    if let Some(trigger) = &filter.trigger {
        condition = condition.add(compare(Column::TriggerId, trigger));
    }
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::TriggerId, Column::Spec, Column::Policy])
        .columns([Column::Firings, Column::PlannedUntil])
        .filter(condition)
        .order_by_asc(Column::NextAt)
        .order_by_asc(Column::Id)
        .limit(rows_max as u64)
        .into_model::<Ongoing>()
        .all(store.readers());
    Ok(rows.await?)
}

/// How long the newest firings that are over were executed.
pub async fn measured(store: &Store, whose: Whose) -> Result<Measured> {
    use firing::{Column, Entity};
    let of = match whose {
        Whose::Trigger(project, id) => Column::TriggerId.eq(id).and(Column::ProjectId.eq(project)),
        Whose::Project(id) => Column::ProjectId.eq(id),
    };
    let newest = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Status])
        .filter(of)
        .order_by_desc(Column::Id)
        .limit(FORECAST_NEWEST_MAX as u64)
        .into_tuple::<(FiringId, Status)>()
        .all(store.readers())
        .await?;
    let is_over = |status| matches!(status, Status::Completed | Status::Failed | Status::Replayed);
    let over = newest.into_iter().filter(|(_, status)| is_over(*status)).map(|(id, _)| id);
    let over: Vec<FiringId> = over.take(FORECAST_SAMPLE_MAX).collect();
    let mut ms = 0;
    for run in bulk::runs(&over) {
        let tries = attempt::Entity::find()
            .select_only()
            .columns([attempt::Column::StartedAt, attempt::Column::FinishedAt])
            .filter(attempt::Column::FiringId.is_in(page::uuids(run)))
            .into_tuple::<(Instant, Instant)>()
            .all(store.readers())
            .await?;
        ms += tries.iter().map(|(start, end)| Ord::max(end.ms_since(*start), 0)).sum::<i64>();
    }
    Ok(Measured { ms, firings: over.len() as u64 })
}

/// The same for the newest attempts of all projects.
pub async fn measured_by_all(store: &Store) -> Result<Measured> {
    use attempt::{Column, Entity};
    let tries = Entity::find()
        .select_only()
        .columns([Column::FiringId, Column::StartedAt, Column::FinishedAt])
        .order_by_desc(Column::Id)
        .limit(FORECAST_NEWEST_MAX as u64)
        .into_tuple::<(FiringId, Instant, Instant)>()
        .all(store.readers())
        .await?;
    let mut firings: HashMap<FiringId, i64> = HashMap::new();
    for (firing, start, end) in tries {
        *firings.entry(firing).or_default() += Ord::max(end.ms_since(start), 0);
    }
    Ok(Measured { ms: firings.values().sum(), firings: firings.len() as u64 })
}

fn active_triggers(filter: &Filter) -> SelectStatement {
    use trigger::{Column, Entity, State};
    let mut condition = Condition::all()
        .add(Expr::col(Column::State).eq(State::Active))
        .add(Expr::col(Column::DeletedAt).is_null());
    if let Some(project) = filter.project {
        condition = condition.add(Expr::col(Column::ProjectId).eq(project));
    }
    if let Some(is_test) = filter.is_test {
        condition = condition.add(Expr::col(Column::IsTest).eq(is_test));
    }
    Query::select().column(Column::Id).from(Entity).cond_where(condition).to_owned()
}
