//! Firing a trigger without GraphQL: with an API key, or with a signature by Standard Webhooks.
//!
//! ```text
//! sender ── webhook-id, webhook-timestamp, webhook-signature ──► the trigger's own secret
//!                   │                  │ 5 minutes either way          │ HMAC-SHA256 of all three
//!                   └── idempotency key of the firing ◄────────────────┘
//! ```
//!
//! A message that is sent again, by its sender or by whoever overheard it, answers with the same
//! firing for 24 hours; after 5 minutes it needs another timestamp, which only the sender can sign.
//! To whoever cannot sign, a trigger that is not there and a signature that does not match are the
//! same, also in the work that they make.

use entity::{FiringId, TriggerId};
use serde_json::Value;

use super::firing::{Fire, Mode, When, fire};
use super::{Actor, Caller, Scope, Scopes};
use crate::app::App;
use crate::domain::quota::Quotas;
use crate::domain::signature::Signed;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::WEBHOOK_ID_CHARS_MAX;
use crate::store::{project, trigger};

const REFUSED: Error = Error::Unauthenticated("the signature is not valid for this trigger");

/// Who signed `body` to fire `trigger`, which may be anything.
///
/// # Errors
/// [`Error::Unauthenticated`], the same whatever does not hold.
pub async fn sender(
    app: &App,
    trigger: Option<TriggerId>,
    signed: &Signed<'_>,
    body: &[u8],
) -> Result<Caller> {
    let id = trigger.unwrap_or(TriggerId(uuid::Uuid::nil()));
    let row = trigger::find_for_sender(app.store(), id).await?;
    let generation = row.as_ref().map_or(0, |row| row.inbound_generation);
    let verified = app.inbound_key(id, generation).verify(signed, body, app.clock().now());
    let (Some(row), Ok(())) = (row, verified) else { return Err(REFUSED) };
    let project = project::find(app.store(), row.project_id).await?;
    Ok(Caller {
        project: row.project_id,
        by: Actor::Sender,
        scopes: Scopes::new(vec![Scope::Fire]),
        expires_at: None,
        is_operator: false,
        quotas: project.as_ref().map(Quotas::from).unwrap_or_default(),
    })
}

/// The idempotency key of a signed message: each trigger has its own ids, and none of them is the
/// key of another request that does not mean it.
///
/// # Errors
/// A problem of `webhook-id`.
pub fn key_of_message(trigger: TriggerId, webhook_id: &str) -> Result<String> {
    let mut check = Check::new();
    check.name("webhook-id", webhook_id, WEBHOOK_ID_CHARS_MAX);
    // What is signed is `id.timestamp.body`: with a full stop in the id it could be read otherwise.
    if webhook_id.contains('.') {
        check.problem("webhook-id", "expected no full stop");
    }
    refuse_if_any(check.problems)?;
    Ok(format!("webhook {trigger} {webhook_id}"))
}

/// Fires a trigger at once; a repeat with the same key and payload answers with the same firing.
///
/// # Errors
/// Those of [`fire`].
pub async fn accept(
    app: &App,
    caller: &Caller,
    trigger: TriggerId,
    payload: Value,
    idempotency_key: Option<String>,
) -> Result<FiringId> {
    let (payload, when, correlation_id) = (Some(payload), When::Now, None);
    let input = Fire { trigger, payload, when, correlation_id, idempotency_key };
    let fired = fire(app, caller, input, Mode::Real).await?;
    let row = fired.row.ok_or_else(|| Error::Internal("a firing was not made".to_owned()))?;
    Ok(row.id)
}
