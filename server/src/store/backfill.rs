//! Ranges of backfills: consecutive instants of a schedule that one backfill did not fire for, for
//! one reason, are one SKIPPED row.
//!
//! The claim leaves each skipped instant as a range of one, marked by its `blocked_by`, as it does
//! for schedules (`range.rs`). A step of the operation, which holds its row, joins them: [`fold`].
//! It looks no further than the first firing that still waits, so that what lies before is decided.
//! Which range of a schedule is open is kept with the operation's position, and a range has its one
//! event when it is closed. What was skipped after its operation had ended the sweeper finds:
//! [`left_over`].

use std::collections::{BTreeMap, BTreeSet};

use entity::firing::{Column, Entity, Status};
use entity::{FiringId, Instant, ScheduleId, TypedId, operation, trigger};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

use super::operation::GONE;
use super::{Change, Store, bulk, page, range};
use crate::clock::Ids;
use crate::error::Result;

/// The open range of each schedule that has one.
pub type Open = BTreeMap<ScheduleId, FiringId>;

/// An instant that the claim skipped.
#[derive(Clone, Debug, FromQueryResult)]
struct Skipped {
    id: FiringId,
    schedule_id: ScheduleId,
    nominal_at: Instant,
    reason: Option<String>,
    finished_at: Option<Instant>,
}

/// A range, as far as it is known.
#[derive(Clone, Debug)]
struct Run {
    id: FiringId,
    until: Instant,
    reason: Option<String>,
    finished_at: Option<Instant>,
    joined: Vec<FiringId>,
}

/// Joins what the claim skipped of an operation into ranges, and ends those that another instant
/// followed; which are open then.
pub async fn fold(
    change: &Change,
    ids: &Ids,
    operation: &operation::Model,
    schedules: &[ScheduleId],
    open: &Open,
) -> Result<Open> {
    let rows = marked()
        .filter(Column::ScheduleId.is_in(page::uuids(schedules)))
        .filter(Column::OperationId.eq(operation.id))
        .order_by_asc(Column::NominalAt)
        .into_model::<Skipped>()
        .all(change.tx())
        .await?;
    let touched: BTreeSet<ScheduleId> =
        rows.iter().map(|row| row.schedule_id).chain(open.keys().copied()).collect();
    let mut still_open = Open::new();
    for schedule in touched {
        let rows: Vec<&Skipped> = rows.iter().filter(|row| row.schedule_id == schedule).collect();
        let before = open.get(&schedule).copied();
        if let Some(id) = fold_one(change, ids, operation, schedule, &rows, before).await? {
            still_open.insert(schedule, id);
        }
    }
    Ok(still_open)
}

/// Ends ranges, each with its event.
pub async fn close(
    change: &Change,
    ids: &Ids,
    operation: &operation::Model,
    ranges: &[FiringId],
) -> Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    let trigger = trigger_of(change, operation).await?;
    for id in ranges {
        range::close(change, ids, *id, trigger.as_ref()).await?;
    }
    Ok(())
}

/// Instants that were skipped and whose operation joins nothing any more, `rows_max` at most.
pub async fn left_over(store: &Store, rows_max: u64) -> Result<Vec<FiringId>> {
    let goes_on = "NOT EXISTS (SELECT 1 FROM operation \
                   WHERE operation.id = firing.operation_id AND operation.status = 'RUNNING')";
    let rows = marked()
        .filter(Expr::cust("firing.cause = 'BACKFILL'"))
        .filter(Expr::cust(goes_on))
        .limit(rows_max)
        .into_model::<Skipped>()
        .all(store.readers())
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Ends each of what [`left_over`] found as a range of its own.
pub async fn end_left_over(change: &Change, ids: &Ids, firings: &[FiringId]) -> Result<()> {
    for id in firings {
        let sql = "UPDATE firing SET blocked_by = NULL \
                   WHERE id = ? AND blocked_by IS NOT NULL AND status = 'SKIPPED'";
        let done = change.tx().execute_raw(change.statement(sql, [id.uuid().into()])).await?;
        if done.rows_affected() == 0 {
            continue;
        }
        let row = Entity::find_by_id(*id).one(change.tx()).await?;
        let trigger = match row.and_then(|row| row.trigger_id) {
            Some(id) => trigger::Entity::find_by_id(id).one(change.tx()).await?,
            None => None,
        };
        range::close(change, ids, *id, trigger.as_ref()).await?;
    }
    Ok(())
}

async fn fold_one(
    change: &Change,
    ids: &Ids,
    operation: &operation::Model,
    schedule: ScheduleId,
    rows: &[&Skipped],
    open: Option<FiringId>,
) -> Result<Option<FiringId>> {
    let decided_until = first_waiting(change, operation, schedule).await?;
    let is_decided = |row: &&&Skipped| row.nominal_at < decided_until;
    let rows: Vec<&Skipped> = rows.iter().filter(is_decided).copied().collect();
    let range = match open {
        Some(id) => Entity::find_by_id(id).one(change.tx()).await?,
        None => None,
    };
    let range = range.map(|row| Run {
        id: row.id,
        until: row.range_until.unwrap_or(row.nominal_at),
        reason: row.reason,
        finished_at: row.finished_at,
        joined: Vec::new(),
    });
    let first = range.as_ref().map(|run| run.until).or(rows.first().map(|row| row.nominal_at));
    let Some(first) = first else { return Ok(None) };
    let others = others(change, operation, schedule, (first, decided_until), &rows).await?;
    let mut runs: Vec<Run> = range.into_iter().collect();
    for row in rows {
        let is_next = |run: &&mut Run| {
            let is_between = |other: &Instant| run.until < *other && *other < row.nominal_at;
            run.reason == row.reason && !others.iter().any(is_between)
        };
        if let Some(run) = runs.last_mut().filter(is_next) {
            run.until = row.nominal_at;
            run.finished_at = run.finished_at.max(row.finished_at);
            run.joined.push(row.id);
            continue;
        }
        let (until, reason, finished_at) = (row.nominal_at, row.reason.clone(), row.finished_at);
        runs.push(Run { id: row.id, until, reason, finished_at, joined: Vec::new() });
    }
    // An open range that nothing was joined to is as it was.
    for run in runs.iter().filter(|run| !run.joined.is_empty() || Some(run.id) != open) {
        join(change, run).await?;
    }
    let is_followed = |run: &Run| others.iter().any(|other| run.until < *other);
    let last = runs.pop_if(|run| !is_followed(run));
    let over: Vec<FiringId> = runs.iter().map(|run| run.id).collect();
    close(change, ids, operation, &over).await?;
    Ok(last.map(|run| run.id))
}

/// Gives a range what was joined to it, and removes that.
async fn join(change: &Change, run: &Run) -> Result<()> {
    // It is as old as its last instant, for whoever deletes by age.
    let sql = "UPDATE firing SET range_until = ?, range_count = range_count + ?, finished_at = ?, \
               blocked_by = NULL WHERE id = ?";
    let values: [Value; 4] = [
        run.until.millis().into(),
        i64::try_from(run.joined.len()).unwrap_or(i64::MAX).into(),
        run.finished_at.map(Instant::millis).into(),
        run.id.uuid().into(),
    ];
    change.tx().execute_raw(change.statement(sql, values)).await?;
    for part in bulk::runs(&run.joined) {
        let joined = Entity::delete_many().filter(Column::Id.is_in(page::uuids(part)));
        joined.exec(change.tx()).await?;
    }
    Ok(())
}

/// The first instant of a schedule whose firing nobody decided about yet.
async fn first_waiting(
    change: &Change,
    operation: &operation::Model,
    schedule: ScheduleId,
) -> Result<Instant> {
    let first = of(operation, schedule)
        .filter(Column::Status.eq(Status::Scheduled))
        .filter(Column::Epoch.eq(0))
        .order_by_asc(Column::NominalAt)
        .limit(1)
        .into_tuple::<Instant>();
    Ok(first.one(change.tx()).await?.unwrap_or(Instant::MAX))
}

/// The instants that no range may enclose: those that the operation fired for, and those that it
/// left out because they had fired.
async fn others(
    change: &Change,
    operation: &operation::Model,
    schedule: ScheduleId,
    (after, until): (Instant, Instant),
    skipped: &[&Skipped],
) -> Result<BTreeSet<Instant>> {
    let own = of(operation, schedule)
        .filter(Column::BlockedBy.is_null())
        .filter(Column::NominalAt.gt(after))
        .filter(Column::NominalAt.lt(until))
        .into_tuple::<Instant>();
    let mut others: BTreeSet<Instant> = own.all(change.tx()).await?.into_iter().collect();
    let Some(last) = skipped.last() else { return Ok(others) };
    let fired = Entity::find()
        .select_only()
        .column(Column::NominalAt)
        .filter(Column::ScheduleId.eq(schedule))
        // In the words of the index `firing_instant`.
        .filter(Expr::cust("firing.cause = 'SCHEDULE'"))
        .filter(Column::NominalAt.gt(after))
        .filter(Column::NominalAt.lt(last.nominal_at))
        .filter(Column::Status.is_not_in(GONE))
        .into_tuple::<Instant>();
    let own: BTreeSet<Instant> = skipped.iter().map(|row| row.nominal_at).collect();
    let fired = fired.all(change.tx()).await?.into_iter();
    others.extend(fired.filter(|at| !own.contains(at)));
    Ok(others)
}

async fn trigger_of(
    change: &Change,
    operation: &operation::Model,
) -> Result<Option<trigger::Model>> {
    let Some(id) = operation.trigger_id else { return Ok(None) };
    Ok(trigger::Entity::find_by_id(id).one(change.tx()).await?)
}

/// Instants of the firings that an operation made for a schedule.
fn of(operation: &operation::Model, schedule: ScheduleId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::NominalAt)
        .filter(Column::OperationId.eq(operation.id))
        .filter(Column::ScheduleId.eq(schedule))
        // In the words of the index `firing_backfill`.
        .filter(Expr::cust("firing.cause = 'BACKFILL'"))
}

/// In the words of the index `firing_unfolded`.
fn marked() -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::ScheduleId, Column::NominalAt])
        .columns([Column::Reason, Column::FinishedAt])
        .filter(Expr::cust("firing.blocked_by IS NOT NULL"))
        .filter(Expr::cust("firing.status = 'SKIPPED'"))
}
