//! API keys: made, shown once, checked on every request, revoked.
//!
//! A key that Belfry makes reads `blf_<id>_<secret>`: the id says which row it is in a list, the
//! secret has 192 random bits and ends in a checksum, so that a mistyped key is told from a wrong
//! one without a look-up and scanners can find leaked ones. Stored is the SHA-256 of the whole text
//! (a secret of that entropy needs no slow hash); the operator's own key is found the same way.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{KeyId, ProjectId, TypedId, api_key, event};
use futures_util::FutureExt as _;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Caller, Scopes};
use crate::app::App;
use crate::clock::stamped_at;
use crate::domain::event::{Stamp, definition};
use crate::error::{Error, Result};
use crate::limits::{KEY_CACHE_MS, NAME_CHARS_MAX};
use crate::store::{Change, Origin, api_key as store};

/// Random bytes of a secret: 192 bits.
const SECRET_BYTES: usize = 24;
/// Bytes of the checksum.
const CHECK_BYTES: usize = 3;
/// A credential longer than this is refused unread.
const CREDENTIAL_BYTES_MAX: usize = 1_024;

const REFUSED: Error = Error::Unauthenticated("the API key is not valid");
const MISSING: Error =
    Error::Unauthenticated("an API key is required: Authorization: Bearer <key>");

/// A key that was just made: the only time that its text exists outside of the client.
#[derive(Clone)]
pub struct Made {
    /// The row.
    pub row: api_key::Model,
    /// The whole key.
    pub text: String,
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
    let row = match app.keys().get(&hash, now.plus_ms(-KEY_CACHE_MS)) {
        Some(row) => row,
        None => {
            let row =
                store::find_by_hash(app.store(), &hash).await?.map(Arc::new).ok_or(REFUSED)?;
            app.keys().put(hash.clone(), now, row.clone());
            row
        }
    };
    let is_same = bool::from(row.hash.ct_eq(&hash));
    let is_expired = row.expires_at.is_some_and(|expires_at| expires_at <= now);
    if !is_same || is_expired || row.revoked_at.is_some() {
        return Err(REFUSED);
    }
    Ok(Caller { project: row.project_id, key: row.id, scopes: Scopes::parse(&row.scopes) })
}

/// The key that the caller uses.
///
/// # Errors
/// The database's own.
pub async fn current(app: &App, caller: &Caller) -> Result<Option<api_key::Model>> {
    store::find(app.store(), caller.project, caller.key).await
}

/// Every key of a project.
///
/// # Errors
/// The database's own.
pub async fn list(app: &App, project: ProjectId) -> Result<Vec<api_key::Model>> {
    store::list(app.store(), project).await
}

/// Makes a key; `text` is the operator's own, else one is made.
///
/// # Errors
/// Problems of the name; the database's own.
pub async fn create(
    app: &App,
    project: ProjectId,
    name: &str,
    scopes: Scopes,
    text: Option<String>,
) -> Result<Made> {
    let made = make(app, project, name, scopes, text)?;
    let (stored, own) = (made.clone(), app.clone());
    app.store()
        .change(Origin::Api, move |change| {
            async move { insert(change, &own, &stored).await }.boxed()
        })
        .await?;
    Ok(made)
}

/// A key that is not stored yet.
pub(super) fn make(
    app: &App,
    project: ProjectId,
    name: &str,
    scopes: Scopes,
    text: Option<String>,
) -> Result<Made> {
    let mut check = crate::domain::text::Check::new();
    check.name("name", name, NAME_CHARS_MAX);
    crate::error::refuse_if_any(check.problems)?;
    let id: KeyId = app.ids().make();
    let text = text.unwrap_or_else(|| new_text(id));
    let row = api_key::Model {
        id,
        project_id: project,
        name: name.to_owned(),
        hash: Sha256::digest(text.as_bytes()).to_vec(),
        scopes: scopes.to_string(),
        created_at: app.clock().now(),
        expires_at: None,
        revoked_at: None,
    };
    Ok(Made { row, text })
}

/// Stores a key, and that it was made.
pub(super) async fn insert(change: &Change, app: &App, made: &Made) -> Result<()> {
    store::insert(change, made.row.clone()).await?;
    let event = changed(app, made.row.project_id, "key.created", &made.row.name);
    crate::store::event::insert(change, vec![event]).await
}

/// Revokes a key: within a second it opens nothing any more.
///
/// # Errors
/// Not found when there is no such key, or it was revoked before.
pub async fn revoke(app: &App, project: ProjectId, id: KeyId) -> Result<()> {
    let now = app.clock().now();
    let event = changed(app, project, "key.revoked", &id.to_string());
    app.store()
        .change(Origin::Edit, move |change| {
            async move {
                if !store::set_revoked(change, project, id, now).await? {
                    return Err(Error::not_found("id", "API key", id));
                }
                crate::store::event::insert(change, vec![event]).await
            }
            .boxed()
        })
        .await
}

fn changed(app: &App, project: ProjectId, kind: &str, what: &str) -> event::Model {
    let id: entity::EventId = app.ids().make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project };
    definition(stamp, kind, "command line", format!("API key {what}"))
}

fn new_text(id: KeyId) -> String {
    let mut secret = [0_u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    let id = id.to_string().replacen("key_", "", 1);
    let body = format!("blf_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let check = checksum(&body);
    format!("{body}{check}")
}

/// A key of Belfry's form must end in its checksum; the operator's own form has none.
fn has_valid_checksum(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("blf_") else { return true };
    let check_chars = CHECK_BYTES * 4 / 3;
    let Some(split) = rest.len().checked_sub(check_chars) else { return false };
    if !text.is_ascii() {
        return false;
    }
    let body = &text[..split + 4];
    checksum(body) == text[split + 4..]
}

fn checksum(body: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(body.as_bytes())[..CHECK_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_carries_its_id_and_a_checksum() {
        let id = KeyId(uuid::Uuid::from_u128(7));
        let text = new_text(id);
        assert!(text.starts_with("blf_00000000000000000000000007_"));
        assert!(has_valid_checksum(&text));
        let mut mistyped = text.into_bytes();
        mistyped[40] = if mistyped[40] == b'a' { b'b' } else { b'a' };
        assert!(!has_valid_checksum(&String::from_utf8(mistyped).expect("ASCII")));
        assert!(!has_valid_checksum("blf_"));
    }
}
