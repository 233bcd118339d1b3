//! Timers: one-shot countdowns. A timer is its firing row; `tmr_X` and `frg_X` share the UUID.

use entity::firing::{self as row, Cause};
use entity::{ActionId, FiringId, Instant, TimerId, TriggerId};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::firing::{accept, check_against_schema, check_delay, insert};
use super::once::Once;
use super::{Caller, Scope, firing, quota};
use crate::app::App;
use crate::domain::action::Action;
use crate::domain::duration::Parts;
use crate::domain::firing::{Times, scheduled};
use crate::domain::page::{Page, Slice};
use crate::domain::text::Check;
use crate::error::{Error, Problem, Result, refuse_if_any};
use crate::limits::{BATCH_ROWS_MAX, BULK_ROWS_MAX, PAYLOAD_BYTES_MAX};
use crate::store::firing::{Filter, SortKey};
use crate::store::{Change, Lock, Origin, action as actions, firing as store, trigger as triggers};

/// How long a timer runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Length {
    /// In milliseconds.
    Ms(i64),
    /// In the seeds' parts; each from 0, no upper bound but that of the sum.
    Parts {
        /// Of 3,600 s.
        hours: i64,
        /// Of 60 s.
        minutes: i64,
        /// Of 1 s.
        seconds: i64,
    },
}

/// What happens at the end.
#[derive(Clone, Debug, Serialize)]
pub enum Target {
    /// The payload is posted there.
    Url(String),
    /// The action runs.
    Action(ActionId),
    /// The trigger fires.
    Trigger(TriggerId),
}

/// A timer to start.
#[derive(Clone, Debug, Serialize)]
pub struct Start {
    /// How long.
    pub length: Length,
    /// What then.
    pub target: Target,
    /// With what; `{"id": "<timer id>"}` when not said.
    pub payload: Option<Value>,
}

/// Starts timers, all or none.
///
/// # Errors
/// Every problem of every timer, with the path `<field>.<index>` when `field` is not empty.
pub async fn start(
    app: &App,
    caller: &Caller,
    field: &str,
    starts: Vec<Start>,
    idempotency_key: Option<String>,
) -> Result<Vec<row::Model>> {
    caller.require(Scope::Fire)?;
    if BULK_ROWS_MAX < starts.len() {
        let message = format!("expected at most {BULK_ROWS_MAX} timers, not {}", starts.len());
        return Err(Error::invalid(field, message));
    }
    let once = Once::new(idempotency_key, "timerStart", &starts)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered::<TimerId>(app.store(), caller.project, now).await? {
        return find_all(app, caller, &ids).await;
    }
    let mut problems = Vec::new();
    let mut made = Vec::with_capacity(starts.len());
    for (index, start) in starts.iter().enumerate() {
        let mut check = Check::new();
        made.push(prepare(app, caller, &mut check, start, now).await?);
        let path = path(field, index);
        problems.extend(check.problems.into_iter().map(|problem| problem.under(&path)));
    }
    refuse_if_any(problems)?;
    quota::check_waiting(app, caller, field, made.len()).await?;
    app.waiting().accepted(caller.project, made.len() as u64);
    let (app, caller, field) = (app.clone(), caller.clone(), field.to_owned());
    let db = app.store().clone();
    db.change(Origin::Api, move |change| {
        async move {
            if let Some(ids) = once.repeated::<TimerId>(change, caller.project, now).await? {
                return get_all(change, &caller, &ids).await;
            }
            let mut rows = Vec::with_capacity(made.len());
            for (index, (row, target)) in made.into_iter().enumerate() {
                let aimed = aim(change, &app, &caller, row, target, now).await;
                rows.push(aimed.map_err(|error| error.under(&path(&field, index)))?);
            }
            let ids: Vec<TimerId> = rows.iter().map(|row| row.id.into()).collect();
            once.remember(change, caller.project, &ids, now).await?;
            insert(change, caller.project, rows.clone()).await?;
            Ok(rows)
        }
        .boxed()
    })
    .await
}

/// Everything that is wrong with a timer; nothing is started.
///
/// # Errors
/// The database's own.
pub async fn problems(app: &App, caller: &Caller, start: &Start) -> Result<Vec<Problem>> {
    caller.require(Scope::Fire)?;
    let mut check = Check::new();
    prepare(app, caller, &mut check, start, app.clock().now()).await?;
    Ok(check.problems)
}

/// Stops a timer before its end.
///
/// # Errors
/// Not found; a conflict when it is over.
pub async fn cancel(app: &App, caller: &Caller, id: TimerId) -> Result<row::Model> {
    caller.require(Scope::Fire)?;
    if find(app, caller, id).await?.is_none() {
        return Err(Error::not_found("id", "timer", id));
    }
    let mut caller = caller.clone();
    caller.scopes = super::Scopes::new(vec![Scope::Write]);
    firing::cancel(app, &caller, id.into()).await
}

/// One timer.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: TimerId) -> Result<Option<row::Model>> {
    let row = store::find(app.store(), caller.project, id.into()).await?;
    Ok(row.filter(|row| row.cause == Cause::Timer))
}

/// A page of timers, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    page: &Page,
) -> Result<Slice<row::Model>> {
    let sort = store::sort(SortKey::CreatedAt, true);
    store::list(app.store(), caller.project, &timers(filter), sort, page).await
}

/// How many timers match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, filter: &Filter) -> Result<u64> {
    store::count(app.store(), caller.project, &timers(filter)).await
}

/// Whole seconds until a timer ends, rounded up, so that 0 means due; 0 once it is over.
#[must_use]
pub fn seconds_left(row: &row::Model, now: Instant) -> i64 {
    if crate::domain::firing::is_terminal(row.status) {
        return 0;
    }
    let left_ms = row.nominal_at.ms_since(now).max(0);
    left_ms / 1_000 + i64::from(left_ms % 1_000 != 0)
}

fn timers(filter: &Filter) -> Filter {
    let eq = Some(Cause::Timer);
    let cause = crate::domain::comparator::Comparator { eq, ..Default::default() };
    Filter { cause: Some(cause), ..filter.clone() }
}

/// Checks one timer and makes its row, but for what only the transaction knows.
async fn prepare(
    app: &App,
    caller: &Caller,
    check: &mut Check,
    start: &Start,
    now: Instant,
) -> Result<(row::Model, Target)> {
    let delay_ms = check_length(check, start.length);
    let id: TimerId = app.ids().make();
    let payload = match &start.payload {
        Some(value) => check.json("payload", value, PAYLOAD_BYTES_MAX),
        None => json!({ "id": id.to_string() }).to_string(),
    };
    let times = Times { created: now, due: now.plus_ms(delay_ms) };
    let mut row = scheduled(id.into(), caller.project, Cause::Timer, times);
    row.payload = payload;
    match &start.target {
        Target::Url(url) => {
            let action = Action::post(url);
            let problems = app.stages().check("http", &action.stages[0].config);
            check.problems.extend(problems.unwrap_or_default());
            row.inline_action = Some(action.to_text());
        }
        Target::Action(_) => {}
        Target::Trigger(id) => match triggers::find(app.store(), caller.project, *id).await? {
            None => check.problems.extend(missing("triggerId", "trigger", id)),
            Some(trigger) => {
                let value: Value = serde_json::from_str(&row.payload).unwrap_or(Value::Null);
                check_against_schema(app, check, &trigger, Some(&value)).await?;
            }
        },
    }
    Ok((row, start.target.clone()))
}

fn check_length(check: &mut Check, length: Length) -> i64 {
    let ms = match length {
        Length::Ms(ms) => {
            check_delay(check, "duration", ms);
            ms
        }
        Length::Parts { hours, minutes, seconds } => {
            match (Parts { days: 0, hours, minutes, seconds }).to_ms() {
                Ok(ms) => {
                    check_delay(check, "hours", ms);
                    ms
                }
                Err(problems) => {
                    check.problems.extend(problems);
                    0
                }
            }
        }
    };
    ms.clamp(0, crate::limits::DELAY_MS_MAX)
}

/// Adds what the transaction knows: the definitions that the timer runs.
async fn aim(
    change: &Change,
    app: &App,
    caller: &Caller,
    row: row::Model,
    target: Target,
    now: Instant,
) -> Result<row::Model> {
    match target {
        Target::Url(_) => Ok(row),
        Target::Action(id) => {
            change.lock(Lock::DefinitionsShared(caller.project)).await?;
            let action = actions::get(change, caller.project, id).await?;
            let action = action.ok_or_else(|| Error::not_found("actionId", "action", id))?;
            let action_version = Some(action.definition);
            Ok(row::Model { action_id: Some(id), action_version, ..row })
        }
        Target::Trigger(id) => {
            let due = row.due_at;
            let accepted = accept(change, app, caller, id, due, now).await?;
            Ok(row::Model {
                id: row.id,
                root_id: row.root_id,
                cause: Cause::Timer,
                payload: row.payload,
                ..accepted
            })
        }
    }
}

/// Where the timer `index` stands in the input; nowhere when it is the input.
fn path(field: &str, index: usize) -> String {
    if field.is_empty() { String::new() } else { format!("{field}.{index}") }
}

async fn find_all(app: &App, caller: &Caller, ids: &[TimerId]) -> Result<Vec<row::Model>> {
    let firings: Vec<FiringId> = ids.iter().map(|id| (*id).into()).collect();
    let mut rows = Vec::with_capacity(ids.len());
    for some in firings.chunks(BATCH_ROWS_MAX) {
        rows.extend(store::find_many(app.store(), caller.project, some).await?);
    }
    // Ids rise in the order of the input.
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

async fn get_all(change: &Change, caller: &Caller, ids: &[TimerId]) -> Result<Vec<row::Model>> {
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        let id = FiringId::from(*id);
        rows.extend(store::get(change, caller.project, id).await?);
    }
    Ok(rows)
}

fn missing(field: &str, noun: &str, id: &TriggerId) -> Vec<Problem> {
    match Error::not_found(field, noun, id) {
        Error::Refused(problems) => problems,
        _ => Vec::new(),
    }
}
