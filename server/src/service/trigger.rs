//! Triggers: created with their schedules, changed, paused, deleted.

use entity::trigger::{self as row, Overlap, State};
use entity::{ActionId, Instant, ProjectId, TriggerId, trigger_version as version};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::Value;

use super::action::{check_description, expect_version};
use super::audit::{self, What};
use super::once::Once;
use super::schedule::{self, Draft, check_count, check_draft};
use super::{Caller, Scope, quota};
use crate::app::App;
use crate::domain::page::{Page, Slice};
use crate::domain::schema::Schema;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::NAME_CHARS_MAX;
use crate::store::{
    Change, Lock, Origin, action as actions, event, overlap, schedule as schedules,
    trigger as store,
};

mod check;
mod ending;
mod pause;

pub use ending::{end_some, ending};
pub use pause::{disable, pause, pause_failing, resume};

use check::{CheckedRuns, check_concurrency, check_failures, check_runs, check_schema};

/// What a trigger runs.
#[derive(Clone, Debug, Serialize)]
pub enum Runs {
    /// A named action, in its version at the time of each firing.
    Action(ActionId),
    /// Its own `{stages: […]}`.
    Inline(Value),
}

/// A trigger to make.
#[derive(Clone, Debug, Serialize)]
pub struct Create {
    /// Unique in the project.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its payloads; none accepts every payload.
    pub payload_schema: Option<Value>,
    /// What it runs; nothing when not said: firings are only recorded.
    pub runs: Option<Runs>,
    /// Fires exactly once and then goes.
    pub is_test: bool,
    /// How many of its firings one process executes at a time.
    pub concurrency: Option<i32>,
    /// What becomes of a planned firing while an earlier one runs.
    pub overlap: Overlap,
    /// After how many failures in a row it is paused; never when not said.
    pub pause_after_failures: Option<i32>,
    /// When it fires by itself.
    pub schedules: Vec<Draft>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// A change of a trigger; what is `None` stays.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub id: TriggerId,
    /// The version that the client saw.
    pub expected_version: Option<i32>,
    /// A new name.
    pub name: Option<String>,
    /// A new description, or none any more.
    pub description: Option<Option<String>>,
    /// A new schema, or none any more; schedules' payloads are checked again.
    pub payload_schema: Option<Option<Value>>,
    /// What it runs from now on, or nothing any more.
    pub runs: Option<Option<Runs>>,
    /// A new bound of what one process executes at a time, or none any more.
    pub concurrency: Option<Option<i32>>,
    /// What becomes from now on of a planned firing while an earlier one runs.
    pub overlap: Option<Overlap>,
    /// After how many failures in a row it is paused from now on, or never any more.
    pub pause_after_failures: Option<Option<i32>>,
    /// What becomes of the secret of those who fire it with a signature.
    pub inbound_secret: Secret,
}

/// What becomes of a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secret {
    /// It stays.
    #[default]
    Keep,
    /// Another takes its place at once.
    Rotate,
}

/// Makes a trigger with its schedules, in one transaction.
///
/// # Errors
/// Every problem of the input; a conflict when the name is taken.
pub async fn create(app: &App, caller: &Caller, input: Create) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let once = Once::new(input.idempotency_key.clone(), "triggerCreate", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| Error::not_found("idempotencyKey", "trigger", ids[0]));
    }
    let mut check = Check::new();
    check.name("name", &input.name, NAME_CHARS_MAX);
    check_description(&mut check, input.description.as_deref());
    check_concurrency(&mut check, input.concurrency);
    check_failures(&mut check, input.pause_after_failures);
    let schema = check_schema(&mut check, input.payload_schema.as_ref());
    let runs = check_runs(app, &mut check, input.runs.as_ref());
    if let Err(Error::Refused(problems)) = check_count(input.schedules.len()) {
        check.problems.extend(problems);
    }
    let mut drafts = Vec::with_capacity(input.schedules.len());
    for (index, draft) in input.schedules.iter().enumerate() {
        let field = format!("schedules.{index}");
        if let Some(checked) = check_draft(&mut check, &field, draft, now) {
            if let Some((schema, _)) = &schema {
                check.under(&field, schedule::payload_problems(schema, &checked));
            }
            drafts.push(checked);
        }
    }
    refuse_if_any(check.problems)?;
    let schema_text = schema.map(|(_, text)| text);
    let row = row_of(app, caller, &input, &runs, now);
    let version = definition_row(&row, schema_text, runs, now);
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                if let Some(ids) = once.repeated(change, caller.project, now).await? {
                    return get(change, caller.project, ids[0]).await;
                }
                require_action(change, caller.project, row.action_id).await?;
                quota::admit_trigger(change, caller.project, drafts.len()).await?;
                store::insert(change, row.clone(), version).await?;
                schedule::insert(&app, change, &row, drafts, now).await?;
                once.remember(change, caller.project, &[row.id], now).await?;
                let event = changed(&app, &caller, "trigger.created", &row);
                event::insert(change, vec![event]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await
}

/// Changes a trigger. Renaming re-plans nothing; a new definition applies to firings from now on,
/// planned ones included.
///
/// # Errors
/// Every problem of the input; not found; a conflict with somebody else's change.
pub async fn update(app: &App, caller: &Caller, input: Update) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    if input.inbound_secret == Secret::Rotate {
        caller.require(Scope::Admin)?;
    }
    let mut check = Check::new();
    if let Some(name) = &input.name {
        check.name("name", name, NAME_CHARS_MAX);
    }
    check_description(&mut check, input.description.as_ref().and_then(|text| text.as_deref()));
    check_concurrency(&mut check, input.concurrency.flatten());
    check_failures(&mut check, input.pause_after_failures.flatten());
    let schema = check_schema(&mut check, input.payload_schema.as_ref().and_then(Option::as_ref));
    let runs = check_runs(app, &mut check, input.runs.as_ref().and_then(Option::as_ref));
    refuse_if_any(check.problems)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, input.id).await?;
                expect_version(input.expected_version, row.version)?;
                let now = app.clock().now();
                row.name = input.name.unwrap_or(row.name);
                row.description = input.description.unwrap_or(row.description);
                row.concurrency = input.concurrency.unwrap_or(row.concurrency);
                row.overlap = input.overlap.unwrap_or(row.overlap);
                if let Some(most) = input.pause_after_failures {
                    row.pause_after_failures = most;
                    store::set_failures(change, caller.project, row.id, 0).await?;
                }
                row.inbound_generation += i32::from(input.inbound_secret == Secret::Rotate);
                row.version += 1;
                row.updated_at = now;
                if input.payload_schema.is_some() || input.runs.is_some() {
                    let (project, number) = (row.project_id, row.definition);
                    let old = store::get_version(change, project, row.id, number).await?;
                    let schema_text = match (&input.payload_schema, schema) {
                        (Some(_), Some((schema, text))) => {
                            recheck_schedules(change, &row, &schema).await?;
                            Some(text)
                        }
                        (Some(_), None) => None,
                        (None, _) => old.payload_schema,
                    };
                    let kept = CheckedRuns { action: old.action_id, inline: old.inline_action };
                    let runs = if input.runs.is_some() { runs } else { kept };
                    require_action(change, caller.project, runs.action).await?;
                    row.definition += 1;
                    row.action_id = runs.action;
                    let version = definition_row(&row, schema_text, runs, now);
                    store::insert_version(change, version).await?;
                }
                store::set(change, &row).await?;
                if input.overlap.is_some() {
                    // Whoever runs now may be in nobody's way under the new policy.
                    overlap::release(change, &[row.id], now).await?;
                }
                let event = changed(&app, &caller, "trigger.updated", &row);
                event::insert(change, vec![event]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await
}

/// Deletes a trigger: what its schedules planned is gone, what was accepted is cancelled, or will be
/// if it is much. Nothing of it begins any more. Its events and finished firings stay.
///
/// # Errors
/// Not found; a conflict with somebody else's change.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: TriggerId,
    expected_version: Option<i32>,
) -> Result<TriggerId> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, id).await?;
                expect_version(expected_version, row.version)?;
                let now = app.clock().now();
                let extent = ending::prepare(change, &row).await?;
                for mut plan in schedules::get_of_trigger(change, caller.project, id).await? {
                    schedule::remove(&app, change, &mut plan, &row, now).await?;
                }
                ending::begin(&app, change, &caller, &mut row, extent, now).await?;
                row.deleted_at = Some(now);
                row.version += 1;
                store::set(change, &row).await?;
                let event = changed(&app, &caller, "trigger.deleted", &row);
                event::insert(change, vec![event]).await?;
                Ok(id)
            }
            .boxed()
        })
        .await
}

/// One trigger.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: TriggerId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// One trigger by name.
///
/// # Errors
/// The database's own.
pub async fn find_by_name(app: &App, caller: &Caller, name: &str) -> Result<Option<row::Model>> {
    store::find_by_name(app.store(), caller.project, name).await
}

/// What whoever fires a trigger with a signature signs with; none for a key that lacks ADMIN.
#[must_use]
pub fn inbound_secret(app: &App, caller: &Caller, row: &row::Model) -> Option<String> {
    caller.require(Scope::Admin).ok()?;
    Some(app.inbound_key(row.id, row.inbound_generation).secret())
}

/// A page of triggers, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: &store::Filter,
    page: &Page,
) -> Result<Slice<row::Model>> {
    store::list(app.store(), caller.project, filter, page).await
}

/// How many triggers match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, filter: &store::Filter) -> Result<u64> {
    store::count(app.store(), caller.project, filter).await
}

/// The schema of a stored definition; it was checked when it was saved.
pub(super) fn compile_stored(version: &version::Model) -> Result<Option<Schema>> {
    let Some(text) = &version.payload_schema else { return Ok(None) };
    let fault = |why: String| {
        Error::Internal(format!("the stored schema of {}: {why}", version.trigger_id))
    };
    let value: Value = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    Schema::compile(&value).map(Some).map_err(|problem| fault(problem.message))
}

fn row_of(
    app: &App,
    caller: &Caller,
    input: &Create,
    runs: &CheckedRuns,
    now: Instant,
) -> row::Model {
    row::Model {
        id: app.ids().make(),
        project_id: caller.project,
        name: input.name.clone(),
        description: input.description.clone(),
        version: 1,
        definition: 1,
        action_id: runs.action,
        state: State::Active,
        pause_reason: None,
        paused_by: None,
        is_test: input.is_test,
        concurrency: input.concurrency,
        overlap: input.overlap,
        pause_after_failures: input.pause_after_failures,
        failures: 0,
        inbound_generation: 1,
        consumed_at: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

fn definition_row(
    row: &row::Model,
    payload_schema: Option<String>,
    runs: CheckedRuns,
    now: Instant,
) -> version::Model {
    version::Model {
        trigger_id: row.id,
        number: row.definition,
        payload_schema,
        action_id: runs.action,
        inline_action: runs.inline,
        created_at: now,
    }
}

async fn recheck_schedules(change: &Change, row: &row::Model, schema: &Schema) -> Result<()> {
    let mut check = Check::new();
    for plan in schedules::get_of_trigger(change, row.project_id, row.id).await? {
        // What will not fire again is checked when it is revived.
        if plan.state == entity::schedule::State::Processed {
            continue;
        }
        let payload = serde_json::from_str(&plan.payload).unwrap_or(Value::Null);
        for mut problem in schema.violations(&payload) {
            problem.message = format!("the payload of {}: {}", plan.id, problem.message);
            check.under(
                "payloadSchema",
                vec![crate::error::Problem { field: String::new(), ..problem }],
            );
        }
    }
    refuse_if_any(check.problems)
}

async fn require_action(change: &Change, project: ProjectId, id: Option<ActionId>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    let found = actions::get(change, project, id).await?;
    found.map(drop).ok_or_else(|| Error::not_found("action.id", "action", id))
}

async fn get(change: &Change, project: ProjectId, id: TriggerId) -> Result<row::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "trigger", id))
}

fn changed(app: &App, caller: &Caller, kind: &str, row: &row::Model) -> entity::event::Model {
    let what = What { noun: "trigger", id: &row.id, name: &row.name };
    let mut event = audit::entry(app, caller, kind, &what);
    event.trigger_id = Some(row.id);
    event.trigger_name = Some(row.name.clone());
    event.is_test = row.is_test;
    event
}
