//! Actions: created, changed, deleted; every change of stages is a new immutable version.

use entity::{ActionId, action as row, action_version as version};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::Value;

use super::audit::{self, What};
use super::once::Once;
use super::{Caller, Scope};
use crate::app::App;
use crate::domain::action::Action;
use crate::domain::page::{Page, Slice};
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use crate::store::{Change, Lock, Origin, action as store, event, trigger};

/// An action to make.
#[derive(Clone, Debug, Serialize)]
pub struct Create {
    /// Unique in the project.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// `{stages: […]}`.
    pub body: Value,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// A change of an action; what is `None` stays.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub id: ActionId,
    /// The version that the client saw.
    pub expected_version: Option<i32>,
    /// A new name.
    pub name: Option<String>,
    /// A new description, or none any more.
    pub description: Option<Option<String>>,
    /// New stages: firings from now on run them.
    pub body: Option<Value>,
}

/// Makes an action.
///
/// # Errors
/// Every problem of the input; a conflict when the name is taken.
pub async fn create(app: &App, caller: &Caller, input: Create) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let once = Once::new(input.idempotency_key.clone(), "actionCreate", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| Error::not_found("idempotencyKey", "action", ids[0]));
    }
    let mut check = Check::new();
    check.name("name", &input.name, NAME_CHARS_MAX);
    check_description(&mut check, input.description.as_deref());
    let action = check_body(app, &mut check, "", &input.body);
    refuse_if_any(check.problems)?;
    let body = action.map(|action| action.to_text()).unwrap_or_default();
    let row = row::Model {
        id: app.ids().make(),
        project_id: caller.project,
        name: input.name,
        description: input.description,
        version: 1,
        definition: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let version = version::Model { action_id: row.id, number: 1, body, created_at: now };
    let event = changed(app, caller, "action.created", &row);
    app.store()
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(row.project_id)).await?;
                if let Some(ids) = once.repeated(change, row.project_id, now).await? {
                    return get(change, row.project_id, ids[0]).await;
                }
                store::insert(change, row.clone(), version).await?;
                once.remember(change, row.project_id, &[row.id], now).await?;
                event::insert(change, vec![event]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await
}

/// Changes an action.
///
/// # Errors
/// Every problem of the input; not found; a conflict with somebody else's change.
pub async fn update(app: &App, caller: &Caller, input: Update) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let mut check = Check::new();
    if let Some(name) = &input.name {
        check.name("name", name, NAME_CHARS_MAX);
    }
    check_description(&mut check, input.description.as_ref().and_then(|text| text.as_deref()));
    let body = input.body.as_ref().and_then(|body| check_body(app, &mut check, "", body));
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
                row.version += 1;
                row.updated_at = now;
                if let Some(action) = body {
                    row.definition += 1;
                    let (action_id, number) = (row.id, row.definition);
                    let body = action.to_text();
                    let version = version::Model { action_id, number, body, created_at: now };
                    store::insert_version(change, version).await?;
                }
                store::set(change, row.clone()).await?;
                let event = changed(&app, &caller, "action.updated", &row);
                event::insert(change, vec![event]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await
}

/// Deletes an action. Firings that were accepted with it still run it.
///
/// # Errors
/// Not found; a conflict while triggers name it, stating how many.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: ActionId,
    expected_version: Option<i32>,
) -> Result<ActionId> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, id).await?;
                expect_version(expected_version, row.version)?;
                let triggers = trigger::count_naming(change, caller.project, id).await?;
                if 0 < triggers {
                    let message = match triggers {
                        1 => "1 trigger runs this action; change it first".to_owned(),
                        more => format!("{more} triggers run this action; change them first"),
                    };
                    return Err(Error::conflict("id", message));
                }
                row.deleted_at = Some(app.clock().now());
                row.version += 1;
                let event = changed(&app, &caller, "action.deleted", &row);
                store::set(change, row).await?;
                event::insert(change, vec![event]).await?;
                Ok(id)
            }
            .boxed()
        })
        .await
}

/// One action.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: ActionId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// One action by name.
///
/// # Errors
/// The database's own.
pub async fn find_by_name(app: &App, caller: &Caller, name: &str) -> Result<Option<row::Model>> {
    store::find_by_name(app.store(), caller.project, name).await
}

/// A page of actions, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(app: &App, caller: &Caller, page: &Page) -> Result<Slice<row::Model>> {
    store::list(app.store(), caller.project, page).await
}

/// How many actions there are.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller) -> Result<u64> {
    store::count(app.store(), caller.project).await
}

/// The stages of one version of an action.
///
/// # Errors
/// A fault when the version is missing.
pub async fn stages(app: &App, caller: &Caller, id: ActionId, number: i32) -> Result<Action> {
    let body = store::find_body(app.store(), caller.project, id, number).await?;
    let body = body.ok_or_else(|| Error::Internal(format!("{id} has no version {number}")))?;
    Action::parse(&body).map_err(Error::Internal)
}

/// Checks `{stages: […]}` and notes its problems under `field`.
pub(super) fn check_body(
    app: &App,
    check: &mut Check,
    field: &str,
    body: &Value,
) -> Option<Action> {
    let config = |kind: &str, config: &Value| app.stages().check(kind, config);
    match Action::check(body, &config) {
        Ok(action) => Some(action),
        Err(problems) => {
            check.under(field, problems);
            None
        }
    }
}

pub(super) fn check_description(check: &mut Check, text: Option<&str>) {
    if let Some(text) = text {
        check.text("description", text, DESCRIPTION_CHARS_MAX);
    }
}

/// The number that a client saw must be the one that is there.
pub(super) fn expect_version(expected: Option<i32>, actual: i32) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => {
            let message = format!("expected version {expected}, but it is at version {actual}");
            Err(Error::conflict("expectedVersion", message))
        }
        _ => Ok(()),
    }
}

async fn get(change: &Change, project: entity::ProjectId, id: ActionId) -> Result<row::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "action", id))
}

fn changed(app: &App, caller: &Caller, kind: &str, row: &row::Model) -> entity::event::Model {
    audit::entry(app, caller, kind, &What { noun: "action", id: &row.id, name: &row.name })
}
