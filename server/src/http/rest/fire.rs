//! `POST /fire/{triggerId}`: a trigger fired by a sender that speaks no GraphQL, with an API key or
//! with a signature. Who may, and what a repeat is, `service/inbound.rs` says.

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as FromState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use entity::TriggerId;
use serde_json::{Value, json};

use super::{Refused, authenticate, idempotency_key, require_json};
use crate::domain::signature::Signed;
use crate::error::Error;
use crate::http::rate::REQUEST;
use crate::http::{State, credential};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::service::{Caller, inbound};

/// Answers 202 with the id of the firing; the body is the payload.
pub(super) async fn post_fire(
    FromState(state): FromState<State>,
    id: std::result::Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> std::result::Result<Response, Refused> {
    let id = id.map(|Path(id)| id).unwrap_or_default().parse::<TriggerId>();
    let (caller, trigger, key, body) = match signed(&headers) {
        Some(signed) if credential::of_headers(&headers).is_none() => {
            super::refuse_when_stopping(&state)?;
            let body = read(&headers, body).await?;
            let trigger = id.as_ref().ok().copied();
            let caller = inbound::sender(&state.app, trigger, &signed, &body).await?;
            state.rates.take(&caller, REQUEST)?;
            let trigger = id.map_err(no_id)?;
            (caller, trigger, Some(inbound::key_of_message(trigger, signed.id)?), body)
        }
        _ => {
            let caller = authenticate(&state, &headers).await?;
            let body = read(&headers, body).await?;
            (caller, id.map_err(no_id)?, idempotency_key(&headers)?, body)
        }
    };
    accept(&state, &caller, trigger, key, &body).await
}

async fn accept(
    state: &State,
    caller: &Caller,
    trigger: TriggerId,
    key: Option<String>,
    body: &[u8],
) -> std::result::Result<Response, Refused> {
    let payload: Value = serde_json::from_slice(body)
        .map_err(|error| Error::invalid("", format!("expected JSON as the body: {error}")))?;
    let id = inbound::accept(&state.app, caller, trigger, payload, key).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id.to_string() }))).into_response())
}

/// The three headers of a signed message, when one of them is there; what is missing matches
/// nothing.
fn signed(headers: &HeaderMap) -> Option<Signed<'_>> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let signature = text("webhook-signature");
    id.or(timestamp).or(signature)?;
    Some(Signed {
        id: id.unwrap_or_default(),
        timestamp: timestamp.unwrap_or_default(),
        signature: signature.unwrap_or_default(),
    })
}

/// The body as it was sent: the signature is over its bytes.
async fn read(headers: &HeaderMap, body: Body) -> std::result::Result<Bytes, Refused> {
    require_json(headers)?;
    let read = to_bytes(body, PAYLOAD_BYTES_MAX).await;
    read.map_err(|_| Refused::too_large(PAYLOAD_BYTES_MAX))
}

fn no_id(error: entity::IdError) -> Error {
    Error::invalid("triggerId", error.to_string())
}
