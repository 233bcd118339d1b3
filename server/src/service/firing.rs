//! Firings: a trigger fired by API, and what a person does about a firing: cancel, replay, skip.

use entity::firing::{self as row, Cause, Status};
use entity::{FiringId, Instant, ProjectId, TriggerId, TypedId, event as log, trigger};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::Value;

use super::once::Once;
use super::{Caller, Scope, quota};
use crate::app::App;
use crate::clock::stamped_at;
use crate::domain::event::{Stamp, ended, of_firing};
use crate::domain::firing::{Times, is_planned, scheduled, status_word};
use crate::domain::outbox::Notice;
use crate::domain::page::{Page, Slice};
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{DELAY_MS_MAX, NAME_CHARS_MAX, PAYLOAD_BYTES_MAX};
use crate::store::firing::SortKey;
use crate::store::page::Sort;
use crate::store::{
    Change, Lock, Origin, action as actions, due_of, event, firing as store, overlap,
    trigger as triggers,
};

/// When a firing asked for is to run.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum When {
    /// At once.
    Now,
    /// At an instant in the future.
    At(Instant),
    /// So many milliseconds from now.
    In(i64),
}

/// A firing to accept.
#[derive(Clone, Debug, Serialize)]
pub struct Fire {
    /// What fires.
    pub trigger: TriggerId,
    /// What it carries; null when not said, unless the trigger has a schema.
    pub payload: Option<Value>,
    /// When it runs.
    pub when: When,
    /// The client's word for what belongs together.
    pub correlation_id: Option<String>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// A firing to run again.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// Which.
    pub id: FiringId,
    /// Replaces the payload; the old one when not said.
    pub payload: Option<Value>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// What a dry run or a real one came to.
#[derive(Clone, Debug)]
pub struct Fired {
    /// The firing; none on a dry run.
    pub row: Option<row::Model>,
    /// When it runs, or would.
    pub due_at: Instant,
}

/// Accepts a firing, or with `is_dry_run` checks only whether it would be.
///
/// # Errors
/// Every problem of the input, each violation of the trigger's schema among them; not found; a
/// conflict when a test trigger is used up.
pub async fn fire(app: &App, caller: &Caller, input: Fire, mode: Mode) -> Result<Fired> {
    caller.require(Scope::Fire)?;
    let once = Once::new(input.idempotency_key.clone(), "triggerFire", &input)?;
    let now = app.clock().now();
    if mode == Mode::Real
        && let Some(ids) = once.answered(app.store(), caller.project, now).await?
    {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        let row = row.ok_or_else(|| Error::not_found("idempotencyKey", "firing", ids[0]))?;
        return Ok(Fired { due_at: row.due_at, row: Some(row) });
    }
    let mut check = Check::new();
    let due_at = check_when(&mut check, input.when, now);
    let value = input.payload.clone().unwrap_or(Value::Null);
    let payload = check.json("payload", &value, PAYLOAD_BYTES_MAX);
    if let Some(text) = &input.correlation_id {
        check.name("correlationId", text, NAME_CHARS_MAX);
    }
    let found = triggers::find(app.store(), caller.project, input.trigger).await?;
    let Some(found) = found else {
        return Err(Error::not_found("triggerId", "trigger", input.trigger));
    };
    check_against_schema(app, &mut check, &found, input.payload.as_ref()).await?;
    refuse_if_any(check.problems)?;
    if found.consumed_at.is_some() {
        return Err(used_up());
    }
    quota::check_waiting(app, caller, "", 1).await?;
    if mode == Mode::DryRun {
        return Ok(Fired { row: None, due_at });
    }
    app.waiting().accepted(caller.project, 1);
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    let row = db
        .change(Origin::Api, move |change| {
            async move {
                if let Some(ids) = once.repeated(change, caller.project, now).await? {
                    return get(change, caller.project, ids[0]).await;
                }
                let mut row = accept(change, &app, &caller, input.trigger, due_at, now).await?;
                row.payload = payload;
                row.correlation_id = input.correlation_id;
                let entry = accepted(&app, &caller, &row, Some(&found.name));
                event::insert(change, vec![entry]).await?;
                once.remember(change, caller.project, &[row.id], now).await?;
                insert(change, caller.project, vec![row.clone()]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await?;
    Ok(Fired { due_at: row.due_at, row: Some(row) })
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Real,
    /// It only checks.
    DryRun,
}

/// Stops a firing that is not over. One that executes is told at once; what it already sent
/// cannot be taken back.
///
/// # Errors
/// Not found; a conflict when it is over.
pub async fn cancel(app: &App, caller: &Caller, id: FiringId) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            let before = get(change, caller.project, id).await?;
            let is_open = matches!(
                before.status,
                Status::Waiting | Status::Scheduled | Status::Retrying | Status::Executing
            );
            if !is_open {
                return Err(wrong_status(&before, "a firing that is not over"));
            }
            let name = trigger_name(change, &before).await?;
            cancel_row(&app, change, &caller, &before, name.as_deref(), app.clock().now()).await
        }
        .boxed()
    })
    .await
}

/// Runs a firing again as a new one. A FAILED one becomes REPLAYED; a COMPLETED one stays so.
///
/// # Errors
/// Every problem of the payload; not found; a conflict when it has another status, so that of two
/// concurrent replays of a failed firing one wins.
pub async fn replay(app: &App, caller: &Caller, input: Replay) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let once = Once::new(input.idempotency_key.clone(), "firingReplay", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| Error::not_found("idempotencyKey", "firing", ids[0]));
    }
    let mut check = Check::new();
    let edited =
        input.payload.as_ref().map(|value| check.json("payload", value, PAYLOAD_BYTES_MAX));
    refuse_if_any(check.problems)?;
    quota::check_waiting(app, caller, "", 1).await?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            if let Some(ids) = once.repeated(change, caller.project, now).await? {
                return get(change, caller.project, ids[0]).await;
            }
            let before = get(change, caller.project, input.id).await?;
            if !matches!(before.status, Status::Failed | Status::Completed) {
                return Err(wrong_status(&before, "a firing that is FAILED or COMPLETED"));
            }
            if let Some(value) = &input.payload {
                violations_of(change, &before, value).await?;
            }
            let new = cloned(app.ids().make(), &before, edited, now);
            if before.status == Status::Failed {
                let status = Status::Replayed;
                // Resolved now: how long it is kept counts from here.
                let after = row::Model { status, finished_at: Some(now), ..before.clone() };
                let name = trigger_name(change, &before).await?;
                finish(&app, change, &caller, &before, &after, name.as_deref()).await?;
            }
            let name = trigger_name(change, &before).await?;
            event::insert(change, vec![accepted(&app, &caller, &new, name.as_deref())]).await?;
            once.remember(change, caller.project, &[new.id], now).await?;
            insert(change, caller.project, vec![new.clone()]).await?;
            app.waiting().accepted(caller.project, 1);
            Ok(new)
        }
        .boxed()
    })
    .await
}

/// Gives a failed firing up: nobody has to look at it any more.
///
/// # Errors
/// Not found; a conflict when it is not FAILED.
pub async fn skip(app: &App, caller: &Caller, id: FiringId) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            let before = get(change, caller.project, id).await?;
            if before.status != Status::Failed {
                return Err(wrong_status(&before, "a firing that is FAILED"));
            }
            let after = row::Model {
                status: Status::Skipped,
                reason: Some("GIVEN_UP".to_owned()),
                finished_at: Some(app.clock().now()),
                ..before.clone()
            };
            let name = trigger_name(change, &before).await?;
            finish(&app, change, &caller, &before, &after, name.as_deref()).await?;
            Ok(after)
        }
        .boxed()
    })
    .await
}

/// One firing.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: FiringId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// A page of firings.
///
/// # Errors
/// The database's own.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: &store::Filter,
    sort: Sort<row::Column>,
    page: &Page,
) -> Result<Slice<row::Model>> {
    store::list(app.store(), caller.project, filter, sort, page).await
}

/// The order of a list of firings.
#[must_use]
pub fn sort(key: SortKey, is_descending: bool) -> Sort<row::Column> {
    store::sort(key, is_descending)
}

/// How many firings match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, filter: &store::Filter) -> Result<u64> {
    store::count(app.store(), caller.project, filter).await
}

/// Adds accepted firings and tells the queue.
pub(super) async fn insert(
    change: &Change,
    project: ProjectId,
    rows: Vec<row::Model>,
) -> Result<()> {
    let named = rows.iter().filter_map(|row| row.trigger_id);
    let limits = triggers::limits(change, project, named).await?;
    for row in &rows {
        let limit = row.trigger_id.and_then(|id| limits.get(&id)).copied();
        change.due(due_of(row, limit));
        change.notify(Notice::Changed(row.project_id, row.id));
    }
    store::insert(change, rows).await
}

/// Cancels a firing that the caller has locked.
pub(super) async fn cancel_one(
    app: &App,
    change: &Change,
    caller: &Caller,
    before: &row::Model,
    now: Instant,
) -> Result<()> {
    let name = trigger_name(change, before).await?;
    cancel_row(app, change, caller, before, name.as_deref(), now).await.map(drop)
}

/// Cancels firings of one trigger that the caller has locked.
pub(super) async fn cancel_all(
    app: &App,
    change: &Change,
    caller: &Caller,
    firings: &[row::Model],
    trigger: &str,
    now: Instant,
) -> Result<()> {
    for before in firings {
        cancel_row(app, change, caller, before, Some(trigger), now).await?;
    }
    Ok(())
}

/// A firing of `trigger` as its definition is now; a test trigger is used up by it.
pub(super) async fn accept(
    change: &Change,
    app: &App,
    caller: &Caller,
    trigger: TriggerId,
    due: Instant,
    now: Instant,
) -> Result<row::Model> {
    // Whoever deletes the trigger sees this firing, or this sees that it is gone.
    change.lock(Lock::DefinitionsShared(caller.project)).await?;
    let found = triggers::get(change, caller.project, trigger).await?;
    let found = found.ok_or_else(|| Error::not_found("triggerId", "trigger", trigger))?;
    if found.is_test && !triggers::set_consumed(change, caller.project, found.id, now).await? {
        return Err(used_up());
    }
    let action = match found.action_id {
        Some(id) => actions::get(change, caller.project, id).await?,
        None => None,
    };
    let times = Times { created: now, due };
    Ok(row::Model {
        trigger_id: Some(found.id),
        trigger_version: Some(found.definition),
        action_id: found.action_id,
        action_version: action.map(|action| action.definition),
        is_test: found.is_test,
        ..scheduled(app.ids().make(), caller.project, Cause::Api, times)
    })
}

/// Notes the violations of the trigger's schema, and a payload that is missing although there is
/// one.
pub(super) async fn check_against_schema(
    app: &App,
    check: &mut Check,
    trigger: &trigger::Model,
    payload: Option<&Value>,
) -> Result<()> {
    let (project, number) = (trigger.project_id, trigger.definition);
    let version = triggers::find_version(app.store(), project, trigger.id, number).await?;
    let Some(version) = version else { return Ok(()) };
    let Some(schema) = super::trigger::compile_stored(&version)? else { return Ok(()) };
    match payload {
        Some(payload) => check.under("payload", schema.violations(payload)),
        None => check.problem("payload", "a payload is required: the trigger has a payloadSchema"),
    }
    Ok(())
}

pub(super) fn check_delay(check: &mut Check, field: &str, delay_ms: i64) {
    if !(0..=DELAY_MS_MAX).contains(&delay_ms) {
        check.problem(field, "expected a duration from 0 to 10 years");
    }
}

fn check_when(check: &mut Check, when: When, now: Instant) -> Instant {
    match when {
        When::Now => now,
        When::At(at) => {
            if at <= now {
                check.problem("at", format!("expected an instant in the future, after {now}"));
            }
            at
        }
        When::In(delay_ms) => {
            check_delay(check, "in", delay_ms);
            now.plus_ms(delay_ms)
        }
    }
}

/// The same work again: the same definition, action and line of replays.
fn cloned(id: FiringId, old: &row::Model, edited: Option<String>, now: Instant) -> row::Model {
    let times = Times { created: now, due: now };
    let is_edited = edited.is_some();
    row::Model {
        trigger_id: old.trigger_id,
        trigger_version: old.trigger_version,
        action_id: old.action_id,
        action_version: old.action_version,
        inline_action: old.inline_action.clone(),
        schedule_id: old.schedule_id,
        schedule_kind: old.schedule_kind,
        replay_of: Some(old.id),
        // Receivers tell repetitions apart by it; another body is another message.
        root_id: if is_edited { id } else { old.root_id },
        is_test: old.is_test,
        correlation_id: old.correlation_id.clone(),
        payload: edited.unwrap_or_else(|| old.payload.clone()),
        nominal_at: old.nominal_at,
        ..scheduled(id, old.project_id, Cause::Replay, times)
    }
}

async fn violations_of(change: &Change, old: &row::Model, payload: &Value) -> Result<()> {
    let (Some(trigger), Some(number)) = (old.trigger_id, old.trigger_version) else {
        return Ok(());
    };
    let version = triggers::get_version(change, old.project_id, trigger, number).await?;
    let Some(schema) = super::trigger::compile_stored(&version)? else { return Ok(()) };
    let problems = schema.violations(payload).into_iter();
    refuse_if_any(problems.map(|problem| problem.under("payload")).collect())
}

async fn cancel_row(
    app: &App,
    change: &Change,
    caller: &Caller,
    before: &row::Model,
    trigger: Option<&str>,
    now: Instant,
) -> Result<row::Model> {
    let after = row::Model {
        status: Status::Cancelled,
        reason: Some("CANCELLED_BY_CLIENT".to_owned()),
        // Whoever executes it loses it: the result of an older epoch is refused.
        epoch: before.epoch + 1,
        blocked_by: None,
        lease_owner: None,
        lease_until: None,
        finished_at: Some(now),
        ..before.clone()
    };
    finish(app, change, caller, before, &after, trigger).await?;
    if before.status == Status::Executing {
        change.notify(Notice::Cancelled(before.id));
    }
    if let Some(id) = before.trigger_id.filter(|_| is_planned(before.cause)) {
        overlap::release(change, &[id], now).await?;
    }
    if let Some(id) = before.trigger_id.filter(|_| before.is_test) {
        triggers::delete_test(change, before.project_id, id, now).await?;
    }
    Ok(after)
}

/// Replaces a row that is still as it was, and writes its event.
async fn finish(
    app: &App,
    change: &Change,
    caller: &Caller,
    before: &row::Model,
    after: &row::Model,
    trigger: Option<&str>,
) -> Result<()> {
    if !store::set(change, before, after).await? {
        return Err(Error::conflict("id", "the firing changed meanwhile"));
    }
    change.notify(Notice::Changed(after.project_id, after.id));
    let id: entity::EventId = app.ids().make();
    let entry = log::Model {
        actor: Some(caller.by.to_string()),
        message: after.reason.clone(),
        ..ended(stamp(id, caller.project), after, after.status, trigger)
    };
    event::insert(change, vec![entry]).await
}

/// What the log says of a firing that a client asked for.
pub(super) fn accepted(
    app: &App,
    caller: &Caller,
    row: &row::Model,
    trigger: Option<&str>,
) -> log::Model {
    let stamp = stamp(app.ids().make(), caller.project);
    let actor = Some(caller.by.to_string());
    log::Model { actor, ..of_firing(stamp, "firing.accepted", row, trigger) }
}

pub(super) async fn trigger_name(change: &Change, row: &row::Model) -> Result<Option<String>> {
    let Some(id) = row.trigger_id else { return Ok(None) };
    Ok(triggers::get(change, row.project_id, id).await?.map(|trigger| trigger.name))
}

fn used_up() -> Error {
    let message = "this test trigger has fired already; it fires exactly once";
    Error::conflict("triggerId", message)
}

fn wrong_status(row: &row::Model, expected: &str) -> Error {
    Error::conflict("id", format!("expected {expected}; this one is {}", status_word(row.status)))
}

async fn get(change: &Change, project: ProjectId, id: FiringId) -> Result<row::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "firing", id))
}

fn stamp(id: entity::EventId, project: ProjectId) -> Stamp {
    Stamp { id, at: stamped_at(id.uuid()), project }
}
