//! Projects, the tenants. The first start makes the operator's, whose ADMIN keys make the others;
//! a key of any other project sees its own alone.

use entity::{ProjectId, project};
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::json;

use super::action::expect_version;
use super::api_key::{self, Made};
use super::audit::{self, What};
use super::once::Once;
use super::trigger::Secret;
use super::{Caller, Scope};
use crate::app::App;
use crate::domain::page::{Page, Slice};
use crate::domain::quota::Quotas;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{NAME_CHARS_MAX, QUOTA_MAX};
use crate::store::{Change, Lock, Origin, event, installation, project as store};

/// The name of the project that first start makes.
pub const DEFAULT_NAME: &str = "default";

/// What a key of another project lacks.
const OPERATOR: Error = Error::Forbidden("ADMIN of the operator's project");

/// A project to make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Create {
    /// Unique among projects.
    pub name: String,
    /// What it may take up.
    pub quotas: QuotaChange,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// A change of a project; what is `None` stays.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub id: ProjectId,
    /// The version that the client saw.
    pub expected_version: Option<i32>,
    /// A new name.
    pub name: Option<String>,
    /// Other quotas.
    pub quotas: QuotaChange,
    /// What becomes of the secret that signs its webhooks.
    pub signing_secret: Secret,
}

/// A change of quotas: what is `None` stays, `Some(None)` is a quota no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QuotaChange {
    /// Triggers.
    pub triggers: Option<Option<i32>>,
    /// Schedules.
    pub schedules: Option<Option<i32>>,
    /// API keys that hold.
    pub api_keys: Option<Option<i32>>,
    /// Firings that wait.
    pub waiting_firings: Option<Option<i32>>,
    /// Cost of requests in a second.
    pub cost_per_second: Option<Option<i32>>,
}

/// What [`create`] came to.
pub struct Created {
    /// The project.
    pub row: project::Model,
    /// Its first key, with ADMIN; none on a repeat, as its text is not stored.
    pub key: Option<Made>,
}

/// The project of whoever runs the server, which the command line works on.
///
/// # Errors
/// The database's own; a fault when first start did not happen yet.
pub async fn only(app: &App) -> Result<project::Model> {
    let missing = || Error::Internal("there is no project: run belfry migrate".to_owned());
    let id = installation::operator(app.store()).await?.ok_or_else(missing)?;
    store::find(app.store(), id).await?.ok_or_else(missing)
}

/// The project of that name; without a name the operator's.
///
/// # Errors
/// A problem of `project` when there is none of that name; the database's own.
pub async fn named(app: &App, name: Option<&str>) -> Result<project::Model> {
    let Some(name) = name else { return only(app).await };
    let found = store::all(app.store()).await?.into_iter().find(|row| row.name == name);
    found.ok_or_else(|| Error::invalid("project", format!("no project is named {name:?}")))
}

/// Every project, oldest first, for the command line.
///
/// # Errors
/// The database's own.
pub async fn all(app: &App) -> Result<Vec<project::Model>> {
    store::all(app.store()).await
}

/// The caller's own project.
///
/// # Errors
/// The database's own.
pub async fn current(app: &App, caller: &Caller) -> Result<project::Model> {
    let found = store::find(app.store(), caller.project).await?;
    found.ok_or_else(|| Error::Internal(format!("{} has keys and is not there", caller.project)))
}

/// One project that the caller may see.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: ProjectId) -> Result<Option<project::Model>> {
    if may_see(caller, id) { store::find(app.store(), id).await } else { Ok(None) }
}

/// A page of the projects that the caller may see, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(app: &App, caller: &Caller, page: &Page) -> Result<Slice<project::Model>> {
    store::list(app.store(), seen_by(caller), page).await
}

/// How many the caller may see.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller) -> Result<u64> {
    store::count(app.store(), seen_by(caller)).await
}

/// Whether it is the project of whoever runs the server.
///
/// # Errors
/// The database's own.
pub async fn is_operator(app: &App, id: ProjectId) -> Result<bool> {
    Ok(installation::operator(app.store()).await? == Some(id))
}

/// Makes a project and its first key, which has ADMIN.
///
/// # Errors
/// When the key is none of the operator's; problems of the input, such as a name that is taken.
pub async fn create(app: &App, caller: &Caller, input: Create) -> Result<Created> {
    if !caller.is_over_projects() {
        return Err(OPERATOR);
    }
    let once = Once::new(input.idempotency_key.clone(), "projectCreate", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), ids[0]).await?;
        let row = row.ok_or_else(|| Error::not_found("idempotencyKey", "project", ids[0]))?;
        return Ok(Created { row, key: None });
    }
    let mut check = Check::new();
    check.name("name", &input.name, NAME_CHARS_MAX);
    check_quotas(&mut check, &input.quotas);
    refuse_if_any(check.problems)?;
    let mut row = project::Model::new(app.ids().make(), input.name, now);
    input.quotas.applied_to(Quotas::default()).apply_to(&mut row);
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            change.lock(Lock::Definitions(caller.project)).await?;
            if let Some(ids) = once.repeated(change, caller.project, now).await? {
                return Ok(Created { row: get(change, ids[0]).await?, key: None });
            }
            store::insert(change, row.clone()).await?;
            once.remember(change, caller.project, &[row.id], now).await?;
            tell(change, &app, &caller, "project.created", &row).await?;
            let made = api_key::make(&app, row.id, "admin", vec![Scope::Admin], None);
            api_key::insert(change, &app, &caller, &made.row).await?;
            Ok(Created { row, key: Some(made) })
        }
        .boxed()
    })
    .await
}

/// Changes a project. Its own ADMIN keys may rename it and rotate its secret; what it may take up
/// is the operator's to say.
///
/// # Errors
/// Every problem of the input; not found; a conflict with somebody else's change; when quotas are
/// not the caller's to set.
pub async fn update(app: &App, caller: &Caller, input: Update) -> Result<project::Model> {
    caller.require(Scope::Admin)?;
    if !may_see(caller, input.id) {
        return Err(Error::not_found("id", "project", input.id));
    }
    if input.quotas != QuotaChange::default() && !caller.is_over_projects() {
        return Err(OPERATOR);
    }
    let mut check = Check::new();
    if let Some(name) = &input.name {
        check.name("name", name, NAME_CHARS_MAX);
    }
    check_quotas(&mut check, &input.quotas);
    refuse_if_any(check.problems)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            change.lock(Lock::Definitions(input.id)).await?;
            let mut row = get(change, input.id).await?;
            expect_version(input.expected_version, row.version)?;
            row.name = input.name.unwrap_or(row.name);
            input.quotas.applied_to(Quotas::from(&row)).apply_to(&mut row);
            row.signing_generation += i32::from(input.signing_secret == Secret::Rotate);
            row.version += 1;
            row.updated_at = app.clock().now();
            store::set(change, &row).await?;
            tell(change, &app, &caller, "project.updated", &row).await?;
            Ok(row)
        }
        .boxed()
    })
    .await
}

/// First start: makes the operator's project and its admin key in one change. It happens once for
/// a database, whatever becomes of the key; of several processes that start at once on an empty
/// database one makes the key. A project that was imported before becomes the operator's.
///
/// # Errors
/// The database's own.
pub async fn bootstrap(app: &App, admin_key: Option<String>) -> Result<Option<Made>> {
    if installation::operator(app.store()).await?.is_some() {
        return Ok(None);
    }
    let own = app.clone();
    app.store()
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::FirstStart).await?;
                let now = own.clock().now();
                let installed = installation::get_or_insert(change, own.ids().uuid(), now).await?;
                if installed.operator_id.is_some() {
                    return Ok(None);
                }
                let project = oldest_or_new(change, &own).await?;
                installation::set_operator(change, project.id).await?;
                if crate::store::api_key::exists(change, project.id).await? {
                    return Ok(None);
                }
                let scopes = vec![Scope::Admin];
                let made = api_key::make(&own, project.id, "admin", scopes, admin_key);
                let caller = Caller::command_line(&project);
                api_key::insert(change, &own, &caller, &made.row).await?;
                Ok(Some(made))
            }
            .boxed()
        })
        .await
}

/// The `whsec_` that signs the webhooks of a project; none for a key that lacks ADMIN, or that is
/// another project's, were it the operator's.
#[must_use]
pub fn signing_secret(app: &App, caller: &Caller, row: &project::Model) -> Option<String> {
    caller.require(Scope::Admin).ok()?;
    let is_own = caller.project == row.id;
    is_own.then(|| app.signing_key(row.id, row.signing_generation).secret())
}

impl QuotaChange {
    fn applied_to(self, old: Quotas) -> Quotas {
        Quotas {
            triggers: self.triggers.unwrap_or(old.triggers),
            schedules: self.schedules.unwrap_or(old.schedules),
            api_keys: self.api_keys.unwrap_or(old.api_keys),
            waiting_firings: self.waiting_firings.unwrap_or(old.waiting_firings),
            cost_per_second: self.cost_per_second.unwrap_or(old.cost_per_second),
        }
    }
}

fn may_see(caller: &Caller, id: ProjectId) -> bool {
    caller.project == id || caller.is_over_projects()
}

/// The one project that the caller sees; none when it sees all.
fn seen_by(caller: &Caller) -> Option<ProjectId> {
    if caller.is_over_projects() { None } else { Some(caller.project) }
}

fn check_quotas(check: &mut Check, quotas: &QuotaChange) {
    let mut within = |field: &str, quota: Option<Option<i32>>, least: i32| {
        if quota.flatten().is_some_and(|number| !(least..=QUOTA_MAX).contains(&number)) {
            let message = format!("expected a number from {least} to {QUOTA_MAX}, or null for any");
            check.problem(&format!("quotas.{field}"), message);
        }
    };
    within("triggers", quotas.triggers, 0);
    within("schedules", quotas.schedules, 0);
    within("apiKeys", quotas.api_keys, 0);
    within("waitingFirings", quotas.waiting_firings, 0);
    within("costPerSecond", quotas.cost_per_second, 1);
}

async fn oldest_or_new(change: &Change, app: &App) -> Result<project::Model> {
    if let Some(row) = store::get_oldest(change).await? {
        return Ok(row);
    }
    let now = app.clock().now();
    let row = project::Model::new(app.ids().make(), DEFAULT_NAME.to_owned(), now);
    store::insert(change, row.clone()).await?;
    Ok(row)
}

async fn get(change: &Change, id: ProjectId) -> Result<project::Model> {
    let row = store::get(change, id).await?;
    row.ok_or_else(|| Error::not_found("id", "project", id))
}

/// Writes what happened to a project into its log, and into that of whoever did it.
async fn tell(
    change: &Change,
    app: &App,
    caller: &Caller,
    kind: &str,
    row: &project::Model,
) -> Result<()> {
    let quotas = Quotas::from(row);
    let quotas = json!({
        "triggers": quotas.triggers,
        "schedules": quotas.schedules,
        "apiKeys": quotas.api_keys,
        "waitingFirings": quotas.waiting_firings,
        "costPerSecond": quotas.cost_per_second,
    });
    let what = What { noun: "project", id: &row.id, name: &row.name };
    let mut logs = vec![row.id, caller.project];
    logs.dedup();
    let entry = |project| {
        let entry = audit::entry_of(app, caller, project, kind, &what);
        audit::with(entry, "quotas", quotas.clone())
    };
    event::insert(change, logs.into_iter().map(entry).collect()).await
}
