//! Ranges: consecutive instants of a schedule that did not fire for one reason are one SKIPPED row.
//!
//! The planner's range (missed, paused, superseded) is `schedule.open_range_id`; the claim's
//! (overlap) is `schedule.open_overlap_id`, so that neither closes the other's. A range has its one
//! event when it is closed, because only then its length is known.
//!
//! The claim never waits for a schedule that somebody edits: it leaves each skipped instant as a
//! range of one, marked by its `blocked_by`, and [`fold`] joins them in a change of its own right
//! after. What a crash leaves marked the sweeper finds: [`unfolded`].

use entity::firing::{self, Column, Entity, Status};
use entity::schedule::{self, Model};
use entity::{EventId, FiringId, Instant, ScheduleId, TypedId, event, trigger};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

use super::{Change, Store, page};
use crate::clock::{Ids, stamped_at};
use crate::domain::event::{Stamp, ended};
use crate::domain::planning::Skip;
use crate::error::Result;

/// An instant of a schedule that the claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// Whose.
    pub schedule: ScheduleId,
    /// Which.
    pub at: Instant,
    /// The row, when it was skipped; none when it runs and ends the range before it.
    pub skipped: Option<FiringId>,
}

/// Adds `skip` to the range `open`, when that is for the same reason and no instant in between has a
/// record of its own; whether it was.
pub async fn extend(change: &Change, open: FiringId, skip: &Skip, now: Instant) -> Result<bool> {
    // It is as old as its last instant, for whoever deletes by age.
    let sql = "UPDATE firing SET range_until = ?, range_count = range_count + ?, finished_at = ? \
               WHERE id = ? AND reason = ? AND NOT EXISTS (SELECT 1 FROM firing AS other \
               WHERE other.schedule_id = firing.schedule_id AND other.cause = 'SCHEDULE' \
               AND firing.range_until < other.nominal_at AND other.nominal_at < ?)";
    let values: [Value; 6] = [
        skip.until.millis().into(),
        skip.count.into(),
        now.millis().into(),
        open.uuid().into(),
        skip.reason.as_str().into(),
        skip.from.millis().into(),
    ];
    let done = change.tx().execute_raw(change.statement(sql, values)).await?;
    Ok(done.rows_affected() == 1)
}

/// The last instant of a range.
pub async fn until(change: &Change, open: FiringId) -> Result<Option<Instant>> {
    Ok(Entity::find_by_id(open).one(change.tx()).await?.and_then(|range| range.range_until))
}

/// Ends a range, with its one event.
pub async fn close(
    change: &Change,
    ids: &Ids,
    open: FiringId,
    trigger: Option<&trigger::Model>,
) -> Result<()> {
    let Some(range) = Entity::find_by_id(open).one(change.tx()).await? else { return Ok(()) };
    let id: EventId = ids.make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project: range.project_id };
    let name = trigger.map(|trigger| trigger.name.as_str());
    let mut event: event::Model = ended(stamp, &range, Status::Skipped, name);
    event.message = range.reason.clone().map(|reason| match range.range_count.unwrap_or(0) {
        1 => format!("1 instant was skipped: {reason}"),
        count => format!("{count} instants were skipped: {reason}"),
    });
    event.data = Some(json(&range));
    super::event::insert(change, vec![event]).await
}

/// Ends the claim's range of a schedule that is cut or deleted. The caller stores `row`.
pub async fn close_overlap(
    change: &Change,
    ids: &Ids,
    row: &mut Model,
    trigger: &trigger::Model,
) -> Result<()> {
    let Some(open) = row.open_overlap_id.take() else { return Ok(()) };
    close(change, ids, open, Some(trigger)).await
}

/// Joins what the claim skipped into ranges, and ends those that a later instant ended. What others
/// skipped of the same schedules and did not fold yet is folded too.
pub async fn fold(change: &Change, ids: &Ids, reached: &[Reached]) -> Result<()> {
    if reached.is_empty() {
        return Ok(());
    }
    let wanted: Vec<ScheduleId> = reached.iter().map(|one| one.schedule).collect();
    let schedules = schedule::Entity::find()
        .filter(schedule::Column::Id.is_in(page::uuids(&wanted)))
        .order_by_asc(schedule::Column::Id)
        .lock_exclusive()
        .all(change.tx())
        .await?;
    for row in schedules {
        let trigger = trigger::Entity::find_by_id(row.trigger_id).one(change.tx()).await?;
        let mut open = row.open_overlap_id;
        let mut steps = marked(change, &row).await?;
        steps.extend(reached.iter().filter(|one| one.schedule == row.id && one.skipped.is_none()));
        steps.sort_unstable();
        for one in &steps {
            open = step(change, ids, one, open, trigger.as_ref()).await?;
        }
        // No later instant will end it.
        if let Some(last) = open
            && is_over(change, &row).await?
        {
            open = None;
            close(change, ids, last, trigger.as_ref()).await?;
        }
        if open != row.open_overlap_id {
            schedule::Entity::update_many()
                .col_expr(schedule::Column::OpenOverlapId, Expr::value(open.map(TypedId::uuid)))
                .filter(schedule::Column::Id.eq(row.id))
                .exec(change.tx())
                .await?;
        }
    }
    Ok(())
}

/// Skipped instants that nobody folded yet, `rows_max` at most.
pub async fn unfolded(store: &Store, rows_max: u64) -> Result<Vec<Reached>> {
    let rows = skipped_by_claim().limit(rows_max).all(store.readers()).await?;
    Ok(rows.into_iter().filter_map(reached_by).collect())
}

async fn marked(change: &Change, row: &Model) -> Result<Vec<Reached>> {
    let select = skipped_by_claim().filter(Column::ScheduleId.eq(row.id));
    Ok(select.all(change.tx()).await?.into_iter().filter_map(reached_by).collect())
}

/// In the words of the index `firing_unfolded`. Those of backfills are `backfill.rs`'s.
fn skipped_by_claim() -> Select<Entity> {
    Entity::find()
        .filter(Expr::cust("firing.blocked_by IS NOT NULL"))
        .filter(Expr::cust("firing.status = 'SKIPPED'"))
        .filter(Expr::cust("firing.cause = 'SCHEDULE'"))
}

fn reached_by(row: firing::Model) -> Option<Reached> {
    Some(Reached { schedule: row.schedule_id?, at: row.nominal_at, skipped: Some(row.id) })
}

/// One instant; returns which range is open after it.
async fn step(
    change: &Change,
    ids: &Ids,
    one: &Reached,
    open: Option<FiringId>,
    trigger: Option<&trigger::Model>,
) -> Result<Option<FiringId>> {
    let range = match open {
        Some(id) => Entity::find_by_id(id).one(change.tx()).await?,
        None => None,
    };
    let Some(skipped) = one.skipped else {
        let Some(range) = range.filter(|range| range.range_until < Some(one.at)) else {
            return Ok(open);
        };
        close(change, ids, range.id, trigger).await?;
        return Ok(None);
    };
    let row = Entity::find_by_id(skipped).one(change.tx()).await?;
    let Some(row) = row else { return Ok(open) };
    let Some(range) = range else {
        unmark(change, row.id).await?;
        return Ok(Some(row.id));
    };
    if one.at < range.nominal_at {
        unmark(change, row.id).await?;
        close(change, ids, row.id, trigger).await?;
        return Ok(open);
    }
    let is_next = range.reason == row.reason && is_adjacent(change, &range, &row).await?;
    if !is_next {
        close(change, ids, range.id, trigger).await?;
        unmark(change, row.id).await?;
        return Ok(Some(row.id));
    }
    Entity::delete_by_id(row.id).exec(change.tx()).await?;
    Entity::update_many()
        .col_expr(Column::RangeUntil, Expr::value(one.at.millis()))
        .col_expr(Column::FinishedAt, Expr::value(row.finished_at.map(Instant::millis)))
        .col_expr(Column::RangeCount, Expr::col(Column::RangeCount).add(1_i64))
        .filter(Column::Id.eq(range.id))
        .exec(change.tx())
        .await?;
    Ok(open)
}

/// Whether nothing lies ahead of a schedule.
async fn is_over(change: &Change, row: &Model) -> Result<bool> {
    if row.deleted_at.is_some() || row.plan_at.is_some() {
        return Ok(row.deleted_at.is_some());
    }
    let ahead = Entity::find()
        .filter(Column::ScheduleId.eq(row.id))
        // In the words of the index `firing_ahead`.
        .filter(Expr::cust("firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE'"));
    Ok(ahead.count(change.tx()).await? == 0)
}

/// Whether no instant of the schedule between a range and `row` has a row of its own.
async fn is_adjacent(change: &Change, range: &firing::Model, row: &firing::Model) -> Result<bool> {
    let last = range.range_until.unwrap_or(range.nominal_at);
    let between = Entity::find()
        .filter(Column::ScheduleId.eq(row.schedule_id))
        .filter(Expr::cust("firing.cause = 'SCHEDULE'"))
        .filter(Column::NominalAt.gt(last))
        .filter(Column::NominalAt.lt(row.nominal_at));
    Ok(between.count(change.tx()).await? == 0)
}

async fn unmark(change: &Change, id: FiringId) -> Result<()> {
    let sql = "UPDATE firing SET blocked_by = NULL WHERE id = ?";
    change.tx().execute_raw(change.statement(sql, [id.uuid().into()])).await?;
    Ok(())
}

fn json(range: &firing::Model) -> String {
    serde_json::json!({
        "from": range.range_from.map(|at| at.to_string()),
        "until": range.range_until.map(|at| at.to_string()),
        "count": range.range_count,
        "reason": range.reason,
    })
    .to_string()
}
