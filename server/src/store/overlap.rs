//! Overlap in SQL: the second step of the claim, and what follows when a slot is free again.
//!
//! The claim takes everything that may overlap in one statement. What remains of a batch is asked
//! about here, in a change of its own: planned firings that nobody claimed yet, under a policy
//! other than ALLOW. The decision is [`decide`]'s; this file knows who holds which slot and does
//! what was decided.
//!
//! **Nobody decides about one trigger at the same time.** SQLite has one writer. On PostgreSQL a
//! lock by name is taken for each trigger, in one order; then the holders' rows, in the order of
//! their ids, so that a result that is being recorded is waited for and then seen; then the
//! candidates, passing over those that somebody has in hand. Nothing is waited for after that, so
//! that an edit that holds candidates cannot be what this waits for.
//!
//! **A slot that is left is given on in the same transaction** ([`release`], by the record and by
//! cancel). Whoever buffers behind a holder holds that one's row, so that the end of the holder
//! comes before, and is seen here, or after, and sees what was buffered. What falls through (a
//! deleted row, an edited policy) the sweeper finds: [`stuck`].

use std::collections::HashMap;

use entity::firing::{Cause, Model, Status};
use entity::schedule::Kind;
use entity::trigger::Overlap;
use entity::{EventId, FiringId, Instant, ProjectId, ScheduleId, TriggerId, TypedId, event};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::claim::{self, Claimed, Lease};
use super::{Change, Lock, Store, due_of, sql};
use crate::clock::{Ids, stamped_at};
use crate::domain::event::{Stamp, ended};
use crate::domain::outbox::Notice;
use crate::domain::overlap::{Verdict, decide};
use crate::domain::planning::{Reason, missed_before};
use crate::error::Result;

/// Who did what Belfry did by itself.
const BELFRY: &str = "belfry";

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Decided {
    /// What runs.
    pub claimed: Vec<Claimed>,
    /// Instants of schedules that were skipped, to be folded into ranges.
    pub skipped: Vec<Candidate>,
}

/// A planned firing that nobody claimed yet.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Candidate {
    /// Which.
    pub id: FiringId,
    /// Whose.
    pub project_id: ProjectId,
    /// Of which trigger.
    pub trigger_id: TriggerId,
    /// Of which schedule.
    pub schedule_id: Option<ScheduleId>,
    /// Of which kind that is.
    pub schedule_kind: Option<Kind>,
    /// A schedule or a backfill.
    pub cause: Cause,
    /// The instant that it stands for.
    pub nominal_at: Instant,
    /// Its own policy, else its trigger's.
    pub policy: Overlap,
}

/// Decides about those of `firings` that may not overlap, and claims what may run.
pub async fn claim(
    change: &Change,
    ids: &Ids,
    firings: &[FiringId],
    lease: Lease,
) -> Result<Decided> {
    change.lock(Lock::ClaimsShared).await?;
    let mut candidates = candidates(change, firings, lease.now, "").await?;
    if candidates.is_empty() {
        return Ok(Decided::default());
    }
    let mut triggers: Vec<TriggerId> = candidates.iter().map(|one| one.trigger_id).collect();
    triggers.dedup();
    lock(change, &triggers).await?;
    let mut slots = slots(change, &triggers).await?;
    if change.backend() == DbBackend::Postgres {
        let lock = "FOR UPDATE OF firing SKIP LOCKED";
        candidates = self::candidates(change, firings, lease.now, lock).await?;
    }
    let verdicts = Verdicts::of(&candidates, &mut slots);
    cancel(change, ids, &verdicts.cancel, lease.now).await?;
    buffer(change, &verdicts.buffer).await?;
    skip(change, &verdicts.skip, lease.now).await?;
    let is_planned = |one: &&(Candidate, Reason)| one.0.cause == Cause::Schedule;
    let skipped = verdicts.skip.iter().filter(is_planned).map(|(one, _)| *one).collect();
    let claimed = claim::claim_decided(change, &verdicts.run, lease).await?;
    Ok(Decided { claimed, skipped })
}

/// Gives the slots of `triggers` on, as far as nobody holds them: the next that waits for each is
/// due now, and so is all that waits under the policy of a trigger that may overlap by now.
pub async fn release(change: &Change, triggers: &[TriggerId], now: Instant) -> Result<usize> {
    if triggers.is_empty() {
        return Ok(0);
    }
    let (among, ids) = among(change.backend(), triggers);
    // Whoever has what waits in hand ends it, or claims it.
    let lock = if change.backend() == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = include_str!("overlap_release.sql");
    let sql = indexed(change.backend(), sql).replace("{ids}", &among).replace("{lock}", lock);
    let values = ids.clone().into_iter().chain(ids).chain([now.millis().into()]);
    let rows = change.tx().query_all_raw(change.statement(&sql, values)).await?;
    for row in &rows {
        let limit: Option<i32> = row.try_get("", "trigger_limit")?;
        let firing = Model::from_query_result(row, "")?;
        change.due(due_of(&firing, limit));
        change.notify(Notice::Changed(firing.project_id, firing.id));
    }
    Ok(rows.len())
}

/// The triggers of which something waits although their slots are free, or although it may overlap.
pub async fn stuck(store: &Store, now: Instant) -> Result<Vec<TriggerId>> {
    let sql = indexed(store.backend(), include_str!("overlap_stuck.sql"));
    let statement = sql::statement(store.backend(), &sql, [now.millis().into()]);
    let rows = store.readers().query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(row.try_get("", "trigger_id")?)).collect()
}

/// Who has the slot of one trigger, and how many wait for it.
#[derive(Debug, Default)]
struct Slot {
    holders: Vec<FiringId>,
    buffered: HashMap<Cause, usize>,
}

/// What is to be done about a batch.
#[derive(Debug, Default)]
struct Verdicts {
    run: Vec<FiringId>,
    skip: Vec<(Candidate, Reason)>,
    buffer: Vec<(Candidate, FiringId)>,
    cancel: Vec<FiringId>,
}

impl Verdicts {
    /// `candidates` are in the order of their triggers and instants.
    fn of(candidates: &[Candidate], slots: &mut HashMap<TriggerId, Slot>) -> Self {
        let mut all = Self::default();
        for one in candidates {
            let slot = slots.entry(one.trigger_id).or_default();
            let holder = slot.holders.last().copied();
            let buffered = slot.buffered.entry(one.cause).or_default();
            // What a backfill has open is bounded there.
            let is_bounded = one.cause != Cause::Backfill || one.policy != Overlap::BufferAll;
            let counted = if is_bounded { *buffered } else { 0 };
            match (decide(one.policy, holder, counted), holder) {
                (Verdict::Buffer, Some(holder)) => {
                    *buffered += 1;
                    all.buffer.push((*one, holder));
                    continue;
                }
                (Verdict::Skip(reason), _) => {
                    all.skip.push((*one, reason));
                    continue;
                }
                (Verdict::CancelOther, _) => {
                    all.run.retain(|id| !slot.holders.contains(id));
                    all.cancel.append(&mut slot.holders);
                }
                (Verdict::Run | Verdict::Buffer, _) => {}
            }
            all.run.push(one.id);
            // What may overlap is in nobody's way either.
            if one.policy != Overlap::Allow {
                slot.holders.push(one.id);
            }
        }
        all
    }
}

async fn candidates(
    change: &Change,
    firings: &[FiringId],
    now: Instant,
    lock: &str,
) -> Result<Vec<Candidate>> {
    let (among, ids) = among(change.backend(), firings);
    let sql = include_str!("overlap_candidates.sql");
    let sql = sql.replace("{ids}", &among).replace("{lock}", lock);
    let bounds = [now.millis().into(), missed_before(now).millis().into()];
    let statement = change.statement(&sql, ids.into_iter().chain(bounds));
    Ok(Candidate::find_by_statement(statement).all(change.tx()).await?)
}

/// Waits until nobody else decides about `triggers`.
async fn lock(change: &Change, triggers: &[TriggerId]) -> Result<()> {
    if change.backend() != DbBackend::Postgres {
        return Ok(());
    }
    let sql = "SELECT pg_advisory_xact_lock(name) FROM (\
               SELECT DISTINCT hashtextextended('slot ' || id::text, 0) AS name \
               FROM unnest(?::uuid[]) AS wanted (id) ORDER BY name) AS names";
    change.tx().execute_raw(change.statement(sql, [sql::array(triggers)])).await?;
    Ok(())
}

async fn slots(change: &Change, triggers: &[TriggerId]) -> Result<HashMap<TriggerId, Slot>> {
    #[derive(FromQueryResult)]
    struct Holder {
        id: FiringId,
        trigger_id: TriggerId,
    }
    #[derive(FromQueryResult)]
    struct Buffered {
        trigger_id: TriggerId,
        cause: Cause,
        count: i64,
    }
    let (among, ids) = among(change.backend(), triggers);
    let lock = if change.backend() == DbBackend::Postgres { "FOR UPDATE" } else { "" };
    // In the words of the indexes.
    let holders = format!(
        "SELECT id, trigger_id FROM firing {{slot}} WHERE trigger_id {among} \
         AND cause IN ('SCHEDULE', 'BACKFILL') AND status IN ('SCHEDULED', 'EXECUTING') \
         AND epoch > 0 AND COALESCE(overlap, \
         (SELECT overlap FROM trigger WHERE trigger.id = firing.trigger_id)) <> 'ALLOW' \
         ORDER BY id {lock}"
    );
    let buffered = format!(
        "SELECT trigger_id, cause, COUNT(*) AS count FROM firing {{blocked}} \
         WHERE trigger_id {among} \
         AND blocked_by IS NOT NULL AND status = 'SCHEDULED' GROUP BY trigger_id, cause"
    );
    let mut slots: HashMap<TriggerId, Slot> = HashMap::new();
    let (holders, buffered) =
        (indexed(change.backend(), &holders), indexed(change.backend(), &buffered));
    let statement = change.statement(&holders, ids.clone());
    for row in Holder::find_by_statement(statement).all(change.tx()).await? {
        slots.entry(row.trigger_id).or_default().holders.push(row.id);
    }
    let statement = change.statement(&buffered, ids);
    for row in Buffered::find_by_statement(statement).all(change.tx()).await? {
        let count = usize::try_from(row.count).unwrap_or(usize::MAX);
        slots.entry(row.trigger_id).or_default().buffered.insert(row.cause, count);
    }
    Ok(slots)
}

/// Cancels who holds slots that others take, as a person would.
async fn cancel(change: &Change, ids: &Ids, firings: &[FiringId], now: Instant) -> Result<()> {
    if firings.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE firing SET status = 'CANCELLED', reason = 'OVERLAP', epoch = epoch + 1, \
               lease_owner = NULL, lease_until = NULL, finished_at = ? WHERE id {ids} \
               RETURNING *, (SELECT name FROM trigger WHERE trigger.id = firing.trigger_id) \
               AS trigger_name";
    let rows = change.tx().query_all_raw(over(change, sql, [now.millis().into()], firings)).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let trigger: Option<String> = row.try_get("", "trigger_name")?;
        let firing = Model::from_query_result(row, "")?;
        change.notify(Notice::Cancelled(firing.id));
        change.notify(Notice::Changed(firing.project_id, firing.id));
        events.push(end_event(ids, &firing, Status::Cancelled, trigger.as_deref()));
    }
    super::event::insert(change, events).await
}

async fn buffer(change: &Change, buffered: &[(Candidate, FiringId)]) -> Result<()> {
    let mut by_holder: HashMap<FiringId, Vec<FiringId>> = HashMap::new();
    for (one, holder) in buffered {
        by_holder.entry(*holder).or_default().push(one.id);
        change.notify(Notice::Changed(one.project_id, one.id));
    }
    for (holder, firings) in by_holder {
        let sql = "UPDATE firing SET blocked_by = ? WHERE id {ids}";
        change.tx().execute_raw(over(change, sql, [holder.uuid().into()], &firings)).await?;
    }
    Ok(())
}

/// Skips. Each instant is a range of its own until it is folded, with its event then, and marked as
/// such by its `blocked_by`.
async fn skip(change: &Change, skipped: &[(Candidate, Reason)], now: Instant) -> Result<()> {
    for reason in [Reason::Overlap, Reason::BufferFull] {
        let firings: Vec<FiringId> =
            skipped.iter().filter(|(_, why)| *why == reason).map(|(one, _)| one.id).collect();
        if firings.is_empty() {
            continue;
        }
        let sql = "UPDATE firing SET status = 'SKIPPED', reason = ?, finished_at = ?, \
                   range_from = nominal_at, range_until = nominal_at, range_count = 1, \
                   blocked_by = id WHERE id {ids} RETURNING id, project_id";
        let values = [reason.as_str().into(), now.millis().into()];
        let rows = change.tx().query_all_raw(over(change, sql, values, &firings)).await?;
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        change.count(|tally| tally.skipped.push((reason.as_str(), count)));
        for row in &rows {
            let (project, id) = (row.try_get("", "project_id")?, row.try_get("", "id")?);
            change.notify(Notice::Changed(project, id));
        }
    }
    Ok(())
}

fn end_event(ids: &Ids, firing: &Model, status: Status, trigger: Option<&str>) -> event::Model {
    let id: EventId = ids.make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project: firing.project_id };
    event::Model {
        actor: Some(BELFRY.to_owned()),
        message: firing.reason.clone(),
        ..ended(stamp, firing, status, trigger)
    }
}

/// A statement with `{ids}` after its other parameters.
fn over<const N: usize>(
    change: &Change,
    sql: &str,
    values: [Value; N],
    firings: &[FiringId],
) -> Statement {
    let (among, ids) = among(change.backend(), firings);
    change.statement(&sql.replace("{ids}", &among), values.into_iter().chain(ids))
}

/// Names the partial indexes. SQLite keeps no statistics here, and would as soon read all firings
/// that a trigger ever had; PostgreSQL knows how small they are.
fn indexed(backend: DbBackend, sql: &str) -> String {
    let named = |sql: String, name: &str| {
        let index = match backend {
            DbBackend::Postgres => String::new(),
            _ => format!("INDEXED BY firing_{name}"),
        };
        sql.replace(&format!("{{{name}}}"), &index)
    };
    ["slot", "blocked", "ahead"].into_iter().fold(sql.to_owned(), named)
}

/// The condition that a column is one of `ids`, and its parameters.
fn among<T: TypedId>(backend: DbBackend, ids: &[T]) -> (String, Vec<Value>) {
    if backend == DbBackend::Postgres {
        return ("= ANY(?)".to_owned(), vec![sql::array(ids)]);
    }
    let places = vec!["?"; ids.len()].join(", ");
    (format!("IN ({places})"), ids.iter().map(|id| id.uuid().into()).collect())
}
