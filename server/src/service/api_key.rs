//! API keys: made, shown once, checked on every request, revoked.
//!
//! Stored is the SHA-256 of the whole text (a secret of 192 random bits needs no slow hash); the
//! operator's own key is found the same way.

use std::sync::Arc;

use entity::{Instant, KeyId, ProjectId, api_key, event};
use futures_util::FutureExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::audit::{self, What};
use super::firing::check_delay;
use super::once::Once;
use super::{Actor, Caller, Scope, Scopes, quota};
use crate::app::{App, Credential};
use crate::domain::page::{Page, Slice};
use crate::domain::quota::Quotas;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{KEY_CACHE_MS, KEYS_PER_PROJECT_MAX, NAME_CHARS_MAX};
use crate::store::{Change, Lock, Origin, api_key as store, installation, project};

mod text;

use text::{has_valid_checksum, new_text};

/// A credential longer than this is refused unread.
const CREDENTIAL_BYTES_MAX: usize = 1_024;

const REFUSED: Error = Error::Unauthenticated("the API key is not valid");
const MISSING: Error =
    Error::Unauthenticated("an API key is required: Authorization: Bearer <key>");

/// A key to make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Create {
    /// What a person calls it; several may have one name, as when one takes another's place.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends by itself; never when not said.
    pub ends: Option<Ends>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// When a key ends by itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Ends {
    /// At an instant.
    At(Instant),
    /// So many milliseconds from now.
    In(i64),
}

/// A key that was just made: the only time that its text exists outside of the client.
#[derive(Clone)]
pub struct Made {
    /// The row.
    pub row: api_key::Model,
    /// The whole key.
    pub text: String,
}

/// What [`create`] came to.
#[derive(Clone)]
pub struct Created {
    /// The row.
    pub row: api_key::Model,
    /// The whole key; none on a repeat, as it is not stored.
    pub text: Option<String>,
}

/// Whom `credential` stands for.
///
/// # Errors
/// [`Error::Unauthenticated`], the same for every key that does not hold.
pub async fn authenticate(app: &App, credential: Option<&str>) -> Result<Caller> {
    let credential = credential.map(str::trim).filter(|text| !text.is_empty()).ok_or(MISSING)?;
    if CREDENTIAL_BYTES_MAX < credential.len() || !has_valid_checksum(credential) {
        return Err(REFUSED);
    }
    let now = app.clock().now();
    let hash = Sha256::digest(credential.as_bytes()).to_vec();
    let found = match app.keys().get(&hash, now.plus_ms(-KEY_CACHE_MS)) {
        Some(found) => found,
        None => {
            let found = Arc::new(look_up(app, &hash).await?.ok_or(REFUSED)?);
            app.keys().put(hash.clone(), now, found.clone());
            found
        }
    };
    let row = &found.key;
    let is_same = bool::from(row.hash.ct_eq(&hash));
    let is_expired = row.expires_at.is_some_and(|expires_at| expires_at <= now);
    if !is_same || is_expired || row.revoked_at.is_some() {
        return Err(REFUSED);
    }
    app.uses().note(row.project_id, row.id, now);
    Ok(Caller {
        project: row.project_id,
        by: Actor::Key(row.id, row.name.clone()),
        scopes: Scopes::parse(&row.scopes),
        expires_at: row.expires_at,
        is_operator: found.is_operator,
        quotas: found.quotas,
    })
}

/// The key that the caller uses.
///
/// # Errors
/// The database's own.
pub async fn current(app: &App, caller: &Caller) -> Result<Option<api_key::Model>> {
    let Some(id) = caller.key() else { return Ok(None) };
    store::find(app.store(), caller.project, id).await
}

/// One key, also one that was revoked.
///
/// # Errors
/// When the caller's key lacks ADMIN.
pub async fn find(app: &App, caller: &Caller, id: KeyId) -> Result<Option<api_key::Model>> {
    caller.require(Scope::Admin)?;
    store::find(app.store(), caller.project, id).await
}

/// Every key of the caller's project, oldest first.
///
/// # Errors
/// When the caller's key lacks ADMIN.
pub async fn all(app: &App, caller: &Caller) -> Result<Vec<api_key::Model>> {
    caller.require(Scope::Admin)?;
    store::all(app.store(), caller.project).await
}

/// A page of keys, newest first.
///
/// # Errors
/// When the caller's key lacks ADMIN.
pub async fn list(app: &App, caller: &Caller, page: &Page) -> Result<Slice<api_key::Model>> {
    caller.require(Scope::Admin)?;
    store::list(app.store(), caller.project, page).await
}

/// How many keys there are, revoked ones included.
///
/// # Errors
/// When the caller's key lacks ADMIN.
pub async fn count(app: &App, caller: &Caller) -> Result<u64> {
    caller.require(Scope::Admin)?;
    store::count(app.store(), caller.project).await
}

/// Makes a key. None may do more, or hold longer, than the one that makes it.
///
/// # Errors
/// Every problem of the input; a quota.
pub async fn create(app: &App, caller: &Caller, input: Create) -> Result<Created> {
    caller.require(Scope::Admin)?;
    let once = Once::new(input.idempotency_key.clone(), "apiKeyCreate", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        let row = row.ok_or_else(|| Error::not_found("idempotencyKey", "API key", ids[0]))?;
        return Ok(Created { row, text: None });
    }
    let made = checked(app, caller, &input, now)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            change.lock(Lock::Definitions(caller.project)).await?;
            if let Some(ids) = once.repeated(change, caller.project, now).await? {
                let row = get(change, caller.project, ids[0]).await?;
                return Ok(Created { row, text: None });
            }
            admit(change, caller.project, now).await?;
            insert(change, &app, &caller, &made.row).await?;
            once.remember(change, caller.project, &[made.row.id], now).await?;
            Ok(Created { row: made.row, text: Some(made.text) })
        }
        .boxed()
    })
    .await
}

/// A key of `project` that is not stored yet; `text` is the operator's own, else one is made.
pub(super) fn make(
    app: &App,
    project: ProjectId,
    name: &str,
    scopes: Vec<Scope>,
    text: Option<String>,
) -> Made {
    let id: KeyId = app.ids().make();
    let text = text.unwrap_or_else(|| new_text(id));
    let row = api_key::Model {
        id,
        project_id: project,
        name: name.to_owned(),
        hash: Sha256::digest(text.as_bytes()).to_vec(),
        scopes: Scopes::new(scopes).to_string(),
        created_at: app.clock().now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    Made { row, text }
}

/// Stores a key, and that it was made.
pub(super) async fn insert(
    change: &Change,
    app: &App,
    caller: &Caller,
    row: &api_key::Model,
) -> Result<()> {
    store::insert(change, row.clone()).await?;
    let event = changed(app, caller, "key.created", row);
    crate::store::event::insert(change, vec![event]).await
}

/// Revokes a key: within a second it opens nothing any more. The last key with ADMIN that holds
/// stays: nobody could make another one but who reaches the database, and that one may revoke it.
///
/// # Errors
/// Not found; a conflict when it was revoked before, or when it is that last one.
pub async fn revoke(app: &App, caller: &Caller, id: KeyId) -> Result<api_key::Model> {
    caller.require(Scope::Admin)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            change.lock(Lock::Definitions(caller.project)).await?;
            let row = get(change, caller.project, id).await?;
            let now = app.clock().now();
            if caller.by != Actor::CommandLine {
                keep_an_admin(change, &row, now).await?;
            }
            if !store::set_revoked(change, caller.project, id, now).await? {
                return Err(Error::conflict("id", "expected a key that was not revoked before"));
            }
            let row = api_key::Model { revoked_at: Some(now), ..row };
            let event = changed(&app, &caller, "key.revoked", &row);
            crate::store::event::insert(change, vec![event]).await?;
            Ok(row)
        }
        .boxed()
    })
    .await
}

/// The key with this hash and what is to be known of its project.
async fn look_up(app: &App, hash: &[u8]) -> Result<Option<Credential>> {
    let Some(key) = store::find_by_hash(app.store(), hash).await? else { return Ok(None) };
    let row = project::find(app.store(), key.project_id).await?;
    let operator = installation::operator(app.store()).await?;
    let quotas = row.as_ref().map(Quotas::from).unwrap_or_default();
    Ok(Some(Credential { is_operator: operator == Some(key.project_id), quotas, key }))
}

fn checked(app: &App, caller: &Caller, input: &Create, now: Instant) -> Result<Made> {
    let mut check = Check::new();
    check.name("name", &input.name, NAME_CHARS_MAX);
    if input.scopes.is_empty() {
        check.problem("scopes", "expected at least one scope");
    }
    for scope in input.scopes.iter().filter(|scope| caller.require(**scope).is_err()) {
        let message = format!("a key cannot grant what it lacks: {}", scope.as_str());
        check.problem("scopes", message);
    }
    let (field, ends_at) = match input.ends {
        None => ("expiresAt", None),
        Some(Ends::At(at)) => ("expiresAt", Some(at)),
        Some(Ends::In(ms)) => {
            check_delay(&mut check, "expiresIn", ms);
            ("expiresIn", Some(now.plus_ms(ms.clamp(0, crate::limits::DELAY_MS_MAX))))
        }
    };
    if ends_at.is_some_and(|at| at <= now) {
        check.problem(field, format!("expected an instant in the future, after {now}"));
    }
    if let Some(own) = caller.expires_at
        && ends_at.is_none_or(|at| own < at)
    {
        check.problem(field, format!("a key cannot make one that outlives it: {own} at most"));
    }
    refuse_if_any(check.problems)?;
    let mut scopes = input.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let mut made = make(app, caller.project, &input.name, scopes, None);
    made.row.expires_at = ends_at;
    Ok(made)
}

/// Whether one more key that holds fits.
async fn admit(change: &Change, project: ProjectId, now: Instant) -> Result<()> {
    let count = store::get_holding(change, project, now).await?.len() + 1;
    if KEYS_PER_PROJECT_MAX < count {
        let message =
            format!("expected at most {KEYS_PER_PROJECT_MAX} keys of a project that hold");
        return Err(Error::conflict("", message));
    }
    let quotas = quota::of(change, project).await?;
    quota::check("", "API keys", quotas.api_keys, count as u64)
}

async fn keep_an_admin(change: &Change, row: &api_key::Model, now: Instant) -> Result<()> {
    let is_admin = |row: &api_key::Model| Scopes::parse(&row.scopes).list().contains(&Scope::Admin);
    let holding = store::get_holding(change, row.project_id, now).await?;
    let is_among = holding.iter().any(|other| other.id == row.id);
    let is_last = !holding.iter().any(|other| other.id != row.id && is_admin(other));
    if is_among && is_admin(row) && is_last {
        let message = "the last key with ADMIN stays: make another one first, or revoke it on the \
                       command line";
        return Err(Error::conflict("id", message));
    }
    Ok(())
}

async fn get(change: &Change, project: ProjectId, id: KeyId) -> Result<api_key::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "API key", id))
}

fn changed(app: &App, caller: &Caller, kind: &str, row: &api_key::Model) -> event::Model {
    let what = What { noun: "API key", id: &row.id, name: &row.name };
    audit::entry_of(app, caller, row.project_id, kind, &what)
}
