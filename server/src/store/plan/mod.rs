//! Planning and re-planning: what the planner and the edits of schedules do to rows.
//!
//! All of it happens inside one change with the schedule's cursor, so that an instant is either
//! planned and behind `planned_until`, or neither. The decision itself is
//! [`crate::domain::planning::step`]; `known.rs` reads what it is made from, `skip.rs` records what
//! does not fire.

use std::collections::BTreeSet;

use entity::firing::{self, Cause};
use entity::schedule::{self, Model, State};
use entity::{FiringId, Instant, ScheduleId, trigger};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{Change, Store, bulk, due_of, page, range, schedule as schedules, zone};
use crate::clock::Ids;
use crate::domain::firing::{Times, scheduled};
use crate::domain::planning::{self, Cursor, Planned, Reason, Step, missed_before};
use crate::domain::timetable::Timetable;
use crate::error::Result;
use crate::limits::{
    CATCH_UP_GRACE_MS, PLAN_BYTES_MAX, PLAN_FAULT_MS, PLAN_PASS_WORK_MAX, PLAN_ROWS_MAX,
};

mod known;
mod skip;

use known::Known;
use skip::Whose;
pub use skip::close_range;

/// In the words of the index `firing_ahead`: parameters would not lead to it.
const UNCLAIMED: &str =
    "firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE' AND firing.epoch = 0";

/// What one planning pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Schedules of which anything moved: what is zero now would be zero again.
    pub schedules: usize,
    /// Firings that were planned.
    pub planned: usize,
    /// Instants that were folded into SKIPPED ranges.
    pub skipped: i64,
}

/// When the planner has to look next; `None` when no schedule will need it.
pub async fn next_look(store: &Store) -> Result<Option<Instant>> {
    #[derive(FromQueryResult)]
    struct Row {
        first: Option<Instant>,
    }
    let row = schedule::Entity::find()
        .select_only()
        .column_as(schedule::Column::PlanAt.min(), "first")
        .filter(schedule::Column::PlanAt.is_not_null())
        .into_model::<Row>()
        .one(store.readers())
        .await?;
    Ok(row.and_then(|row| row.first))
}

/// Schedules with planned firings that nobody took within the grace: the planner must look at them
/// whatever their `plan_at` says.
pub async fn missed(store: &Store, now: Instant, limit: u64) -> Result<Vec<ScheduleId>> {
    #[derive(FromQueryResult)]
    struct Row {
        schedule_id: ScheduleId,
    }
    let rows = firing::Entity::find()
        .select_only()
        .column(firing::Column::ScheduleId)
        // Written out, and in the order of the due queue's index: parameters would not lead to it,
        // and every pass of the planner would read all that is planned.
        .filter(super::health::waits())
        .filter(Expr::cust("status = 'SCHEDULED' AND cause = 'SCHEDULE' AND epoch = 0"))
        .filter(firing::Column::DueAt.lt(missed_before(now)))
        .order_by_asc(firing::Column::DueAt)
        .limit(limit)
        .into_model::<Row>()
        .all(store.readers())
        .await?;
    let ids: BTreeSet<ScheduleId> = rows.into_iter().map(|row| row.schedule_id).collect();
    Ok(ids.into_iter().collect())
}

/// Advances the schedules that are due for planning, `limit` at most, and those in `also`; those
/// that another planner or an edit has in hand are left to it.
pub async fn advance_due(
    change: &Change,
    ids: &Ids,
    now: Instant,
    also: &[ScheduleId],
    limit: u64,
) -> Result<Report> {
    // What is deleted has nothing to plan. Nothing else is said, so that no other index is in the way.
    let due = schedule::Entity::find()
        .filter(schedule::Column::PlanAt.lte(now))
        .order_by_asc(schedule::Column::PlanAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(change.tx())
        .await?;
    let known: BTreeSet<ScheduleId> = due.iter().map(|row| row.id).collect();
    let missing: Vec<_> = also.iter().filter(|id| !known.contains(id)).copied().collect();
    let mut rows = due;
    if !missing.is_empty() {
        let select = schedule::Entity::find()
            .filter(schedule::Column::Id.is_in(page::uuids(&missing)))
            .filter(schedule::Column::DeletedAt.is_null())
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        rows.extend(select.all(change.tx()).await?);
    }
    advance(change, ids, now, rows).await
}

/// Advances `rows`, which live: plans ahead, catches up, folds.
pub async fn advance(change: &Change, ids: &Ids, now: Instant, rows: Vec<Model>) -> Result<Report> {
    decide(change, ids, now, rows, |table, cursor| planning::step(table, cursor, now)).await
}

/// Folds what is due and unclaimed of a schedule for `reason`, also what its policy would catch up:
/// its plan is about to be replaced.
pub async fn give_up(
    change: &Change,
    ids: &Ids,
    now: Instant,
    row: Model,
    reason: Reason,
) -> Result<Report> {
    let step = |table: &Timetable, cursor: &Cursor| planning::give_up(table, cursor, reason, now);
    decide(change, ids, now, vec![row], step).await
}

/// Ends what is planned and unclaimed: what lies ahead is deleted and will be planned anew, what
/// was due folds into one range. Raises `plan_version`, so that nobody claims under the old plan.
/// The caller stores `row`.
pub async fn cut(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
    reason: Reason,
    now: Instant,
) -> Result<()> {
    range::close_overlap(change, ids, row, trigger).await?;
    let planned = remove_planned(change, row).await?;
    let was_due: Vec<Instant> = planned.into_iter().filter(|instant| *instant <= now).collect();
    skip::write(change, ids, Whose { row, trigger }, (&was_due, reason), &[], now).await?;
    row.plan_version += 1;
    // Never back behind now: what passed under another plan, or after the end of this one, is over.
    // What has a record after it all the same is found by the next step.
    row.planned_until = now;
    row.next_at = None;
    row.plan_at = Some(now);
    Ok(())
}

/// Gives what is planned and unclaimed the payload that the schedule has now.
pub async fn set_payload(change: &Change, row: &Model) -> Result<()> {
    use firing::{Column, Entity};
    Entity::update_many()
        .col_expr(Column::Payload, Expr::value(&*row.payload))
        .filter(unclaimed(row.id))
        .exec(change.tx())
        .await?;
    Ok(())
}

/// Removes what is planned and unclaimed of a schedule; which instants that was, oldest first.
pub async fn remove_planned(change: &Change, row: &mut Model) -> Result<Vec<Instant>> {
    let removed = remove(change, unclaimed(row.id)).await?;
    row.firings -= i64::try_from(removed.len()).unwrap_or(i64::MAX);
    Ok(removed)
}

/// Does what `step` decides about each of `rows`.
async fn decide(
    change: &Change,
    ids: &Ids,
    now: Instant,
    rows: Vec<Model>,
    step: impl Fn(&Timetable, &Cursor) -> Step + Send,
) -> Result<Report> {
    let rows = zone::ours(change, rows, now).await?;
    let mut report = Report::default();
    if rows.is_empty() {
        return Ok(report);
    }
    let mut known = Known::of(change, &rows, now).await?;
    let tables = std::mem::take(&mut known.tables);
    let mut made = Vec::new();
    let mut moved = Vec::with_capacity(rows.len());
    let (mut work, mut bytes) = (0, 0);
    for (mut row, table) in rows.into_iter().zip(tables) {
        // The others are due at the next pass.
        if PLAN_PASS_WORK_MAX <= work || PLAN_ROWS_MAX <= made.len() || PLAN_BYTES_MAX <= bytes {
            break;
        }
        let Some(trigger) = known.trigger(&row) else { continue };
        let before = standing(&row, now);
        let table = match table {
            Ok(table) => table,
            Err(error) => {
                put_off(&mut row, &error.to_string(), now);
                moved.extend((standing(&row, now) != before).then_some(row));
                continue;
            }
        };
        let cursor = known.cursor(&row, trigger, &table);
        let step = step(&table, &cursor);
        work += step.work;
        bytes += step.plan.len() * row.payload.len();
        report.planned += step.plan.len();
        report.skipped += i64::try_from(step.skipped.len()).unwrap_or(i64::MAX);
        let has_rows = !step.plan.is_empty() || !step.revived.is_empty();
        let limit = trigger.concurrency;
        made.extend(step.plan.iter().map(|planned| {
            let made = planned_row(ids, &row, trigger, *planned, now);
            change.due(due_of(&made, limit));
            made
        }));
        let whose = Whose { row: &mut row, trigger };
        apply(change, ids, whose, (&table, &cursor), step, now).await?;
        if has_rows || standing(&row, now) != before {
            moved.push(row);
        }
    }
    report.schedules = moved.len();
    super::firing::insert(change, made).await?;
    schedules::set_cursors(change, &moved).await?;
    Ok(report)
}

/// What a step may move, but for when to look again, of which only matters whether that is now.
fn standing(
    row: &Model,
    now: Instant,
) -> (State, Instant, Option<Instant>, Option<FiringId>, i64, bool) {
    let is_due = row.plan_at.is_some_and(|at| at <= now);
    (row.state, row.planned_until, row.next_at, row.open_range_id, row.firings, is_due)
}

/// What cannot be read stops nothing but itself.
fn put_off(row: &mut Model, why: &str, now: Instant) {
    let id = row.id;
    tracing::error!(schedule = %id, why, "{id} cannot be planned; it will be tried again");
    if row.plan_at.is_some() {
        row.plan_at = Some(now.plus_ms(PLAN_FAULT_MS));
    }
}

async fn apply(
    change: &Change,
    ids: &Ids,
    Whose { row, trigger }: Whose<'_>,
    (table, cursor): (&Timetable, &Cursor),
    step: Step,
    now: Instant,
) -> Result<()> {
    for run in bulk::runs(&step.folded) {
        let of_run = firing::Column::NominalAt.is_in(run.iter().copied());
        remove(change, unclaimed(row.id).add(is_free()).add(of_run)).await?;
    }
    let fires: Vec<Instant> = step.plan.iter().map(|planned| planned.nominal_at).collect();
    let skipped = (&*step.skipped, step.reason);
    skip::write(change, ids, Whose { row, trigger }, skipped, &fires, now).await?;
    if !step.revived.is_empty() {
        set_due(change, row.id, trigger.concurrency, &step.revived, now).await?;
    }
    let goes_on = !cursor.is_paused && step.skipped.is_empty();
    let mut plan_at = step.plan_at;
    if may_grow(change, row, table, cursor, &step, now).await? {
        // By then somebody took it, or it is missed too.
        plan_at = plan_at.min(Some(now.plus_ms(CATCH_UP_GRACE_MS)));
    } else if goes_on || !step.plan.is_empty() || step.plan_at.is_none() {
        close_range(change, ids, row, trigger).await?;
    }
    let lies_ahead = step.plan_at.is_some()
        || !step.plan.is_empty()
        || 0 < cursor.ahead
        || step.folded.len() < cursor.waiting.len();
    if row.state != State::Paused {
        row.state = if lies_ahead { State::Scheduled } else { State::Processed };
    }
    let count = |instants: usize| i64::try_from(instants).unwrap_or(i64::MAX);
    row.firings += count(step.plan.len()) - count(step.folded.len());
    row.planned_until = step.planned_until;
    row.next_at = step.next_at;
    row.plan_at = plan_at;
    Ok(())
}

/// Whether the next instant after what was skipped may still become a part of the same range: it is
/// due, and nobody took it yet.
async fn may_grow(
    change: &Change,
    row: &Model,
    table: &Timetable,
    cursor: &Cursor,
    step: &Step,
    now: Instant,
) -> Result<bool> {
    let Some(open) = row.open_range_id else { return Ok(false) };
    let waits = cursor.waiting.iter().filter(|planned| !step.folded.contains(&planned.nominal_at));
    let waits: BTreeSet<Instant> = waits.map(|planned| planned.nominal_at).collect();
    if waits.is_empty() || step.plan_at.is_none() {
        return Ok(false);
    }
    let until = match step.skipped.last() {
        Some(last) => Some(*last),
        None => range::until(change, open).await?,
    };
    let next = until.and_then(|until| table.next_after(until));
    Ok(next.is_some_and(|next| next <= now && waits.contains(&next)))
}

fn planned_row(
    ids: &Ids,
    row: &Model,
    trigger: &trigger::Model,
    planned: Planned,
    now: Instant,
) -> firing::Model {
    let id: FiringId = ids.make();
    let times = Times { created: now, due: planned.due_at };
    firing::Model {
        nominal_at: planned.nominal_at,
        trigger_id: Some(trigger.id),
        trigger_version: Some(trigger.definition),
        schedule_id: Some(row.id),
        schedule_kind: Some(row.kind),
        plan_version: Some(row.plan_version),
        is_test: trigger.is_test,
        payload: row.payload.clone(),
        ..scheduled(id, row.project_id, Cause::Schedule, times)
    }
}

/// Lets missed firings that wait already be claimed from `now` on.
async fn set_due(
    change: &Change,
    id: ScheduleId,
    limit: Option<i32>,
    instants: &[Instant],
    now: Instant,
) -> Result<()> {
    use firing::{Column, Entity};
    for run in bulk::runs(instants) {
        let rows = Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(now.millis()))
            .filter(unclaimed(id))
            .filter(Column::NominalAt.is_in(run.iter().copied()))
            .exec_with_returning(change.tx())
            .await?;
        for row in rows {
            change.due(due_of(&row, limit));
        }
    }
    Ok(())
}

/// Removes `which` of what is planned and unclaimed; which instants that was, oldest first.
async fn remove(change: &Change, which: Condition) -> Result<Vec<Instant>> {
    let removed = Query::delete()
        .from_table(firing::Entity)
        .cond_where(which)
        .returning_col(firing::Column::NominalAt)
        .to_owned();
    let removed = change.tx().query_all(&removed).await?;
    let mut instants = Vec::with_capacity(removed.len());
    for row in removed {
        instants.push(row.try_get("", "nominal_at")?);
    }
    instants.sort_unstable();
    Ok(instants)
}

/// What waits for another firing is late for that reason, not missed. Written so that it does not
/// lead PostgreSQL to the indexes of what is due, which hold the rows of all schedules.
fn is_free() -> Expr {
    Expr::cust("COALESCE(firing.blocked_by, firing.id) = firing.id")
}

/// What is planned and unclaimed of one schedule.
fn unclaimed(id: ScheduleId) -> Condition {
    Condition::all().add(firing::Column::ScheduleId.eq(id)).add(Expr::cust(UNCLAIMED))
}
