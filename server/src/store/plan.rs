//! Planning and re-planning: what the planner and the edits of schedules do to rows.
//!
//! All of it happens inside one change with the schedule's cursor, so that an instant is either
//! planned and behind `planned_until`, or neither. The decision itself is
//! [`crate::domain::planning::step`].

use std::collections::{BTreeSet, HashMap};

use entity::firing::{self, Cause, Status};
use entity::schedule::{self, Model, State};
use entity::{FiringId, Instant, ScheduleId, TypedId, trigger};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Change, Store, bulk, due_of, page, range, schedule as schedules, timetable};
use crate::clock::Ids;
use crate::domain::firing::{Times, scheduled};
use crate::domain::planning::{Cursor, Planned, Reason, Skip, Step, missed_before, ranges, step};
use crate::domain::timetable::Timetable;
use crate::error::Result;
use crate::limits::PLAN_SPENT_MAX;

/// In the words of the index `firing_ahead`: parameters would not lead to it.
const UNCLAIMED: &str =
    "firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE' AND firing.epoch = 0";
/// In the words of the index `firing_instant`.
const PLANNED: &str = "firing.cause = 'SCHEDULE'";

/// What one planning pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Schedules that were advanced.
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
    let known: Vec<ScheduleId> = due.iter().map(|row| row.id).collect();
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
    let mut report = Report::default();
    if rows.is_empty() {
        return Ok(report);
    }
    let triggers = triggers_of(change, &rows).await?;
    let texts: Vec<timetable::Text<'_>> = rows.iter().map(Into::into).collect();
    let tables = timetable::get_many(change, &texts).await?;
    let mut waiting = waiting_of(change, &rows, now).await?;
    let mut recorded = recorded_of(change, &rows).await?;
    let mut made = Vec::new();
    let mut advanced = Vec::with_capacity(rows.len());
    let mut spent = 0;
    for (mut row, table) in rows.into_iter().zip(tables) {
        // The others are due at the next pass, and these only a second later.
        if PLAN_SPENT_MAX <= spent {
            break;
        }
        let Some(trigger) = triggers.get(&row.trigger_id) else { continue };
        let planned = waiting.remove(&row.id).unwrap_or_default();
        let recorded = recorded.remove(&row.id).unwrap_or_default();
        let cursor = cursor(&row, &table, trigger, planned, recorded, now);
        let step = step(&table, &cursor, now);
        report.schedules += 1;
        spent += usize::from(step.is_spent);
        report.planned += step.plan.len();
        report.skipped += i64::try_from(step.skipped.len()).unwrap_or(i64::MAX);
        let limit = trigger.concurrency;
        made.extend(step.plan.iter().map(|planned| {
            let made = planned_row(ids, &row, trigger, *planned, now);
            change.due(due_of(&made, limit));
            made
        }));
        apply(change, ids, &mut row, trigger, &cursor, step, now).await?;
        advanced.push(row);
    }
    super::firing::insert(change, made).await?;
    schedules::set_cursors(change, &advanced).await?;
    Ok(report)
}

fn cursor(
    row: &Model,
    table: &Timetable,
    trigger: &trigger::Model,
    planned: Vec<Planned>,
    recorded: Vec<Instant>,
    now: Instant,
) -> Cursor {
    let left = table.policy().max_firings.map(|max| Ord::max(max - row.firings, 0));
    let is_over = |planned: &Planned| planned.nominal_at <= now;
    Cursor {
        planned_until: row.planned_until,
        ahead: planned.iter().filter(|planned| !is_over(planned)).count(),
        waiting: planned.into_iter().filter(is_over).collect(),
        recorded,
        left: left.map(|left| usize::try_from(left).unwrap_or(usize::MAX)),
        is_paused: row.state == State::Paused || trigger.state == trigger::State::Paused,
    }
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
    write_skips(change, ids, (row, trigger), (&was_due, reason), &[], now).await?;
    row.plan_version += 1;
    let skipped_until = skipped_until(change, row.id).await?.unwrap_or(now);
    // Never back behind now: what passed under another plan, or after the end of this one, is over.
    row.planned_until = Ord::min(row.planned_until, Ord::max(now, skipped_until)).max(now);
    let tables = timetable::get_many(change, &[(&*row).into()]).await?;
    row.next_at = tables.first().and_then(|table| table.next_after(row.planned_until));
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

/// Ends the range that the next skipped instants would have extended, with its one event.
pub async fn close_range(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
) -> Result<()> {
    let Some(id) = row.open_range_id.take() else { return Ok(()) };
    range::close(change, ids, id, Some(trigger)).await
}

async fn apply(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
    cursor: &Cursor,
    step: Step,
    now: Instant,
) -> Result<()> {
    for run in bulk::runs(&step.folded) {
        let of_run = firing::Column::NominalAt.is_in(run.iter().copied());
        remove(change, unclaimed(row.id).add(is_free()).add(of_run)).await?;
    }
    let fires: Vec<Instant> = step.plan.iter().map(|planned| planned.nominal_at).collect();
    let skipped = (&*step.skipped, step.reason);
    write_skips(change, ids, (row, trigger), skipped, &fires, now).await?;
    if !step.revived.is_empty() {
        set_due(change, row.id, trigger.concurrency, &step.revived, now).await?;
    }
    let is_resumed = !cursor.is_paused && step.skipped.is_empty();
    if is_resumed || !step.plan.is_empty() || step.plan_at.is_none() {
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
    row.plan_at = step.plan_at;
    Ok(())
}

/// Records instants that do not fire as ranges, none of which encloses an instant that has a record
/// of its own, or is about to get one.
async fn write_skips(
    change: &Change,
    ids: &Ids,
    (row, trigger): (&mut Model, &trigger::Model),
    (skipped, reason): (&[Instant], Reason),
    fires: &[Instant],
    now: Instant,
) -> Result<()> {
    let (Some(first), Some(last)) = (skipped.first(), skipped.last()) else { return Ok(()) };
    let mut others = fires.to_vec();
    if first < last {
        let between = firing::Entity::find()
            .select_only()
            .column(firing::Column::NominalAt)
            .filter(firing::Column::ScheduleId.eq(row.id))
            .filter(Expr::cust(PLANNED))
            .filter(firing::Column::NominalAt.gt(*first))
            .filter(firing::Column::NominalAt.lt(*last))
            .into_tuple::<Instant>();
        others.extend(between.all(change.tx()).await?);
    }
    for skip in ranges(skipped, &others, reason) {
        write_skip(change, ids, row, trigger, &skip, now).await?;
    }
    Ok(())
}

/// Extends the open range when that is for the same reason and nothing lies between, else begins a
/// new one.
async fn write_skip(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
    skip: &Skip,
    now: Instant,
) -> Result<()> {
    change.count(|tally| tally.skipped.push((skip.reason.as_str(), skip.count)));
    if let Some(open) = row.open_range_id {
        if range::extend(change, open, skip, now).await? {
            return Ok(());
        }
        close_range(change, ids, row, trigger).await?;
    }
    let first = Planned { nominal_at: skip.from, due_at: skip.from };
    let mut range = planned_row(ids, row, trigger, first, now);
    range.status = Status::Skipped;
    range.reason = Some(skip.reason.as_str().to_owned());
    range.finished_at = Some(now);
    range.range_from = Some(skip.from);
    range.range_until = Some(skip.until);
    range.range_count = Some(skip.count);
    row.open_range_id = Some(range.id);
    super::firing::insert(change, vec![range]).await
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

async fn triggers_of(
    change: &Change,
    rows: &[Model],
) -> Result<HashMap<entity::TriggerId, trigger::Model>> {
    let ids: Vec<_> = rows.iter().map(|row| row.trigger_id).collect();
    let triggers = trigger::Entity::find()
        .filter(trigger::Column::Id.is_in(page::uuids(&ids)))
        .all(change.tx())
        .await?;
    Ok(triggers.into_iter().map(|row| (row.id, row)).collect())
}

/// The planned and unclaimed instants of several schedules, oldest first. Those that are due are
/// locked, so that nobody claims what is folded here; one that is being claimed is not among them.
async fn waiting_of(
    change: &Change,
    rows: &[Model],
    now: Instant,
) -> Result<HashMap<ScheduleId, Vec<Planned>>> {
    #[derive(FromQueryResult)]
    struct Row {
        schedule_id: ScheduleId,
        nominal_at: Instant,
        due_at: Instant,
    }
    use firing::Column;
    let ids: Vec<_> = rows.iter().map(|row| row.id.uuid()).collect();
    let mut found: HashMap<ScheduleId, Vec<Planned>> = HashMap::new();
    for run in bulk::runs(&ids) {
        let select = || {
            firing::Entity::find()
                .select_only()
                .columns([Column::ScheduleId, Column::NominalAt, Column::DueAt])
                .filter(Column::ScheduleId.is_in(run.iter().copied()))
                .filter(Expr::cust(UNCLAIMED))
                .filter(is_free())
                .order_by_asc(Column::NominalAt)
        };
        let over = select()
            .filter(Column::NominalAt.lte(now))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let ahead = select().filter(Column::NominalAt.gt(now));
        for select in [over, ahead] {
            for row in select.into_model::<Row>().all(change.tx()).await? {
                let Row { schedule_id, nominal_at, due_at } = row;
                found.entry(schedule_id).or_default().push(Planned { nominal_at, due_at });
            }
        }
    }
    Ok(found)
}

/// The instants behind the cursor that have a firing already. Only an edit puts a cursor back, and
/// an edit raises `plan_version`, so that most schedules need not be asked.
async fn recorded_of(change: &Change, rows: &[Model]) -> Result<HashMap<ScheduleId, Vec<Instant>>> {
    use firing::{Column, Entity};
    let edited = || rows.iter().filter(|row| 1 < row.plan_version);
    let Some(first) = edited().map(|row| row.planned_until).min() else {
        return Ok(HashMap::new());
    };
    let ids: Vec<_> = edited().map(|row| row.id.uuid()).collect();
    let mut found: HashMap<ScheduleId, Vec<Instant>> = HashMap::new();
    for run in bulk::runs(&ids) {
        let recorded = Entity::find()
            .select_only()
            .columns([Column::ScheduleId, Column::NominalAt])
            .filter(Column::ScheduleId.is_in(run.iter().copied()))
            .filter(Expr::cust(PLANNED))
            .filter(Column::NominalAt.gt(first))
            .into_tuple::<(ScheduleId, Instant)>()
            .all(change.tx())
            .await?;
        for (id, instant) in recorded {
            found.entry(id).or_default().push(instant);
        }
    }
    Ok(found)
}

/// The end of the newest record of a schedule, when that is a range: what a cursor may not be put
/// back behind, because ranges record no single instants.
async fn skipped_until(change: &Change, id: ScheduleId) -> Result<Option<Instant>> {
    use firing::{Column, Entity};
    let newest = Entity::find()
        .filter(Column::ScheduleId.eq(id))
        .filter(Expr::cust(PLANNED))
        .order_by_desc(Column::NominalAt)
        .limit(1)
        .one(change.tx())
        .await?;
    Ok(newest.and_then(|newest| newest.range_until))
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
    let removed =
        firing::Entity::delete_many().filter(which).exec_with_returning(change.tx()).await?;
    let mut instants: Vec<Instant> = removed.into_iter().map(|row| row.nominal_at).collect();
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
