//! The claim: an executor takes firings that are due, in one statement per batch.
//!
//! The queue only proposes; this statement decides. It takes a firing when it is still waiting, is
//! due, and, if a schedule planned it, when the plan is still the one that it was planned under
//! (the fence of edits). A planned firing runs the definition that its trigger has now; every other
//! one runs the definition that it was accepted with.

use entity::firing::{Cause, Model};
use entity::schedule;
use entity::{FiringId, Instant, ScheduleId, TypedId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Statement, Value,
};
use uuid::Uuid;

use super::{Change, Lock, Store, bulk, page, sql, trigger};
use crate::domain::outbox::Notice;
use crate::domain::planning::missed_before;
use crate::error::Result;

/// Who claims, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// The process.
    pub owner: Uuid,
    /// When the claim is made; nothing that is due later is taken.
    pub now: Instant,
    /// When it ends unless renewed.
    pub until: Instant,
}

/// A firing that is this process's to execute.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row after the claim.
    pub firing: Model,
    /// Name of its trigger.
    pub trigger_name: Option<String>,
    /// How many firings of its trigger a process may execute at a time.
    pub trigger_limit: Option<u32>,
    /// Which signing secret its project uses.
    pub signing_generation: i32,
    /// Whether the failures of its trigger are counted.
    pub is_counted: bool,
    /// Whether a range of instants skipped by overlap is open before it.
    pub is_after_range: bool,
    /// Whether its schedule plans nothing after it.
    pub is_last: bool,
}

/// What may be claimed without asking who runs; `overlap.rs` asks about the rest. A test trigger
/// fires once, however many of its instants come together.
const FREE: &str = "(firing.cause NOT IN ('SCHEDULE', 'BACKFILL') OR firing.epoch > 0 \
    OR firing.is_test \
    OR COALESCE(firing.overlap, \
        (SELECT trigger.overlap FROM trigger WHERE trigger.id = firing.trigger_id)) = 'ALLOW')";
/// Of a deleted trigger nothing begins, while what was accepted for it is being cancelled.
const NOT_ENDING: &str = "NOT EXISTS (SELECT 1 FROM trigger \
    WHERE trigger.id = firing.trigger_id AND trigger.state = 'ENDING')";
/// What was asked about already.
const DECIDED: &str = "1 = 1";

/// Takes those of `ids` that may run now and beside anything, in the order of their instants.
pub async fn claim(change: &Change, ids: &[FiringId], lease: Lease) -> Result<Vec<Claimed>> {
    // In a statement of its own, so that the next one sees what whoever had the lock did.
    change.lock(Lock::ClaimsShared).await?;
    take(change, ids, lease, FREE).await
}

/// Takes those of `ids`, of which it was decided that they run.
pub(super) async fn claim_decided(
    change: &Change,
    ids: &[FiringId],
    lease: Lease,
) -> Result<Vec<Claimed>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    take(change, ids, lease, DECIDED).await
}

async fn take(change: &Change, ids: &[FiringId], lease: Lease, free: &str) -> Result<Vec<Claimed>> {
    let mut claimed = Vec::with_capacity(ids.len());
    for statement in statements(change, ids, lease, free) {
        for row in change.tx().query_all_raw(statement).await? {
            let limit: Option<i32> = row.try_get("", "trigger_limit")?;
            let pause_after: Option<i32> = row.try_get("", "pause_after_failures")?;
            let open: Option<FiringId> = row.try_get("", "open_overlap_id")?;
            claimed.push(Claimed {
                trigger_limit: limit.map(i32::unsigned_abs),
                trigger_name: row.try_get("", "trigger_name")?,
                signing_generation: row.try_get("", "signing_generation")?,
                is_counted: pause_after.is_some(),
                is_after_range: open.is_some(),
                is_last: row.try_get::<Option<i32>>("", "is_last")?.is_some(),
                firing: Model::from_query_result(&row, "")?,
            });
        }
    }
    claimed.sort_by_key(|claimed| (claimed.firing.due_at, claimed.firing.id));
    let claimed = use_up_tests(change, claimed, lease.now).await?;
    for Claimed { firing, .. } in &claimed {
        change.notify(Notice::Changed(firing.project_id, firing.id));
    }
    Ok(claimed)
}

/// Prolongs the leases of `ids` that `owner` still has; returns those. On a shared database a lease
/// whose row another transaction holds is the owner's still, though not prolonged this time.
pub async fn renew(
    change: &Change,
    ids: &[FiringId],
    owner: Uuid,
    until: Instant,
) -> Result<Vec<FiringId>> {
    let mut owned = Vec::with_capacity(ids.len());
    if change.backend() == DbBackend::Postgres {
        let values = [sql::array(ids), owner.into(), until.millis().into()];
        let renewed = change.statement(include_str!("renew_postgres.sql"), values);
        let still = "SELECT id FROM firing WHERE id = ANY(?) AND status || '' = 'EXECUTING' AND lease_owner = ?";
        let still = change.statement(still, [sql::array(ids), owner.into()]);
        for statement in [renewed, still] {
            for row in change.tx().query_all_raw(statement).await? {
                owned.push(row.try_get("", "id")?);
            }
        }
        return Ok(owned);
    }
    for run in bulk::runs(ids) {
        let sql = format!(
            "UPDATE firing SET lease_until = ? WHERE id IN ({}) \
             AND status = 'EXECUTING' AND lease_owner = ? RETURNING id",
            vec!["?"; run.len()].join(", ")
        );
        let mut values: Vec<Value> = vec![until.millis().into()];
        values.extend(run.iter().map(|id| Value::from(id.uuid())));
        values.push(owner.into());
        for row in change.tx().query_all_raw(change.statement(&sql, values)).await? {
            owned.push(row.try_get("", "id")?);
        }
    }
    Ok(owned)
}

/// Gives everything back that a process still owns: it is due again at once.
pub async fn release(change: &Change, owner: Uuid) -> Result<u64> {
    let sql = "UPDATE firing SET status = 'SCHEDULED', attempts = attempts - 1, lease_owner = NULL, \
               lease_until = NULL WHERE status = 'EXECUTING' AND lease_owner = ?";
    let statement = change.statement(sql, [owner.into()]);
    Ok(change.tx().execute_raw(statement).await?.rows_affected())
}

fn statements(change: &Change, ids: &[FiringId], lease: Lease, free: &str) -> Vec<Statement> {
    let (owner, until) = (Value::from(lease.owner), Value::from(lease.until.millis()));
    let now = || Value::from(lease.now.millis());
    let missed = || Value::from(missed_before(lease.now).millis());
    if change.backend() == DbBackend::Postgres {
        let values = [sql::array(ids), now(), missed(), owner, until, now()];
        let sql = include_str!("claim_postgres.sql").replace("{free}", free);
        return vec![change.statement(&sql, values)];
    }
    let statement = |run: &[FiringId]| {
        let places = vec!["?"; run.len()].join(", ");
        let sql = format!(include_str!("claim.sql"), ids = places, free = free);
        let mut values = vec![owner.clone(), until.clone(), now()];
        values.extend(run.iter().map(|id| Value::from(id.uuid())));
        values.extend([now(), missed()]);
        change.statement(&sql, values)
    };
    bulk::runs(ids).map(statement).collect()
}

/// A planned firing of a test trigger uses it up here, and with it all others that are planned: one
/// that was claimed at the same time is removed too.
async fn use_up_tests(
    change: &Change,
    claimed: Vec<Claimed>,
    now: Instant,
) -> Result<Vec<Claimed>> {
    let mut kept = Vec::with_capacity(claimed.len());
    for claimed in claimed {
        let row = &claimed.firing;
        let is_planned_test = row.is_test && row.cause == Cause::Schedule && row.epoch == 1;
        if let Some(id) = row.trigger_id.filter(|_| is_planned_test)
            && !trigger::set_consumed(change, row.project_id, id, now).await?
        {
            entity::firing::Entity::delete_by_id(row.id).exec(change.tx()).await?;
            continue;
        }
        kept.push(claimed);
    }
    Ok(kept)
}

/// Marks those of `schedules` as PROCESSED for which nothing lies ahead any more. A change of its
/// own, after the claim: a claim never waits for a schedule that somebody edits.
pub async fn set_processed(change: &Change, schedules: Vec<ScheduleId>) -> Result<()> {
    use schedule::{Column, Entity, State};
    if schedules.is_empty() {
        return Ok(());
    }
    // In the words of the index `firing_ahead`.
    let waits = "EXISTS (SELECT 1 FROM firing WHERE firing.schedule_id = schedule.id \
                 AND firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE')";
    Entity::update_many()
        .col_expr(Column::State, Expr::value(State::Processed))
        .filter(Column::Id.is_in(page::uuids(&schedules)))
        .filter(Column::State.eq(State::Scheduled))
        .filter(Expr::col(Column::PlanAt).is_null())
        .filter(Expr::cust(waits).not())
        .exec(change.tx())
        .await?;
    Ok(())
}

/// Those of `ids` that wait and are due by `now`, as a reader sees them.
pub async fn still_due(store: &Store, ids: &[FiringId], now: Instant) -> Result<Vec<FiringId>> {
    use entity::firing::{Column, Entity, Status};
    let waits = [Status::Scheduled, Status::Retrying];
    Ok(Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(page::uuids(ids)))
        .filter(Column::Status.is_in(waits))
        .filter(Column::BlockedBy.is_null())
        .filter(Column::DueAt.lte(now))
        .filter(Expr::cust(NOT_ENDING))
        .into_tuple()
        .all(store.readers())
        .await?)
}
