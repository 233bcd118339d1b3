//! Projects, the tenants. First start makes one; further ones are made by whoever can reach the
//! database.

use entity::{ProjectId, project};
use futures_util::FutureExt as _;

use super::api_key::{self, Made};
use super::{Scope, Scopes};
use crate::app::App;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::NAME_CHARS_MAX;
use crate::store::{Lock, Origin, project as store};

/// The name of the project that first start makes.
pub const DEFAULT_NAME: &str = "default";

/// The project that the command line works on.
///
/// # Errors
/// The database's own; a fault when first start did not happen yet.
pub async fn only(app: &App) -> Result<project::Model> {
    let missing = || Error::Internal("there is no project: run belfry migrate".to_owned());
    store::first(app.store()).await?.ok_or_else(missing)
}

/// The project of that name; without a name the one that first start made.
///
/// # Errors
/// A problem of `project` when there is none of that name; the database's own.
pub async fn named(app: &App, name: Option<&str>) -> Result<project::Model> {
    let Some(name) = name else { return only(app).await };
    let found = store::list(app.store()).await?.into_iter().find(|row| row.name == name);
    found.ok_or_else(|| Error::invalid("project", format!("no project is named {name:?}")))
}

/// Every project, oldest first.
///
/// # Errors
/// The database's own.
pub async fn list(app: &App) -> Result<Vec<project::Model>> {
    store::list(app.store()).await
}

/// Makes a project and its first admin key.
///
/// # Errors
/// Problems of the name, such as that it is taken; the database's own.
pub async fn create(app: &App, name: &str) -> Result<Made> {
    let mut check = Check::new();
    check.name("name", name, NAME_CHARS_MAX);
    refuse_if_any(check.problems)?;
    let row = project::Model {
        id: app.ids().make(),
        name: name.to_owned(),
        signing_generation: 1,
        created_at: app.clock().now(),
    };
    let scopes = Scopes::new(vec![Scope::Admin]);
    let made = api_key::make(app, row.id, "admin", scopes, None)?;
    let (own, key) = (app.clone(), made.clone());
    app.store()
        .change(Origin::Api, |change| {
            async move {
                store::insert(change, row).await?;
                api_key::insert(change, &own, &key).await
            }
            .boxed()
        })
        .await?;
    Ok(made)
}

/// First start: makes the project and its admin key in one change. Later starts find them and make
/// nothing; of several processes that start at once on an empty database one makes the key.
///
/// # Errors
/// The database's own.
pub async fn bootstrap(app: &App, admin_key: Option<String>) -> Result<Option<Made>> {
    let project = project::Model {
        id: app.ids().make(),
        name: DEFAULT_NAME.to_owned(),
        signing_generation: 1,
        created_at: app.clock().now(),
    };
    let own = app.clone();
    app.store()
        .change(Origin::Api, |change| {
            async move {
                change.lock(Lock::FirstStart).await?;
                let project = store::insert_first(change, project).await?.id;
                if crate::store::api_key::exists(change, project).await? {
                    return Ok(None);
                }
                let scopes = Scopes::new(vec![Scope::Admin]);
                let made = api_key::make(&own, project, "admin", scopes, admin_key)?;
                api_key::insert(change, &own, &made).await?;
                Ok(Some(made))
            }
            .boxed()
        })
        .await
}

/// The `whsec_` that signs the webhooks of a project.
///
/// # Errors
/// The database's own.
pub async fn signing_secret(app: &App, id: ProjectId) -> Result<String> {
    let row = store::find(app.store(), id).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "project", id))?;
    Ok(app.signing_key(row.id, row.signing_generation).secret())
}
