//! `POST` and `GET /graphql`: GraphQL over HTTP as `graphql-http` audits it, and the door to the
//! streams and to the WebSocket on the same path. Mounted by `http/mod.rs`.
//!
//! The order of the checks is the order of what a stranger can make the server do: media type,
//! shutdown, key, content type, body, parameters, guard, and only then the execution. Status codes
//! are those of `status.rs`.

use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{RawQuery, State as FromState};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::get;
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::graphql::LastEventId;
use crate::graphql::guard::GuardError;
use crate::http::execute::{NotBegun, Prepared};
use crate::http::negotiate::{Media, negotiate};
use crate::http::params::Params;
use crate::http::status::{self, Outcome, Refusal};
use crate::http::stream::{self, Framing, Opened};
use crate::http::{State, credential, execute, websocket};
use crate::limits::{BODY_BYTES_MAX, EXECUTION_SECS_MAX};
use crate::service::{Caller, api_key};

/// A body that is too long is read on up to this, and thrown away: a client that still writes when
/// the connection closes would see a reset instead of the 413.
const BODY_BYTES_DRAINED_MAX: usize = 8 * BODY_BYTES_MAX;

/// By which a reader of events says where it was.
const LAST_EVENT_ID: &str = "last-event-id";

/// The routes `/graphql` and `/graphql/ws`.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/graphql", get(on_get).post(on_post).fallback(on_other))
        .route("/graphql/ws", get(on_socket).fallback(on_other))
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn on_socket(
    FromState(state): FromState<State>,
    upgrade: Upgrade,
    headers: HeaderMap,
) -> Response {
    websocket::open(state, upgrade, &headers)
}

async fn on_get(
    FromState(state): FromState<State>,
    upgrade: Upgrade,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if headers.contains_key(header::UPGRADE) {
        return websocket::open(state, upgrade, &headers);
    }
    match negotiate(&headers, &Media::OF_GET) {
        None => Refusal::NotAcceptable.respond(Media::Json),
        Some(Media::Html) => status::to_playground(),
        Some(media) => {
            let query = query.unwrap_or_default();
            answer(&state, &headers, media, Source::Get(&query)).await
        }
    }
}

async fn on_post(FromState(state): FromState<State>, headers: HeaderMap, body: Body) -> Response {
    let Some(media) = negotiate(&headers, &Media::OF_POST) else {
        return Refusal::NotAcceptable.respond(Media::Json);
    };
    answer(&state, &headers, media, Source::Post(body)).await
}

async fn on_other() -> Response {
    let message = "GraphQL is served by GET and POST.";
    Refusal::MethodNotAllowed { allow: "GET, POST", message }.respond(Media::Json)
}

/// Where the parameters are.
enum Source<'a> {
    Get(&'a str),
    Post(Body),
}

/// An answer in `media`, whatever becomes of the request.
async fn answer(state: &State, headers: &HeaderMap, media: Media, source: Source<'_>) -> Response {
    let answered = match stream::framing(media) {
        None => one(state, headers, source).await.map(|outcome| status::executed(media, outcome)),
        Some(framing) => streamed(state, headers, framing, source).await,
    };
    answered.unwrap_or_else(|refusal| refusal.respond(media))
}

/// A stream of results; what is wrong with the request itself is one of them.
async fn streamed(
    state: &State,
    headers: &HeaderMap,
    framing: &'static dyn Framing,
    source: Source<'_>,
) -> Result<Response, Refusal> {
    let prepared = match prepare(state, headers, source).await {
        Ok(prepared) => Ok(resume(headers, prepared)),
        Err(NotBegun::Request(error)) => Err(error),
        Err(NotBegun::Refused(refusal)) => return Err(refusal),
    };
    stream::open(state, Opened { framing, credential: credential::of_headers(headers), prepared })
}

/// The outcome of a query or a mutation.
async fn one(state: &State, headers: &HeaderMap, source: Source<'_>) -> Result<Outcome, Refusal> {
    match prepare(state, headers, source).await {
        Err(NotBegun::Refused(refusal)) => Err(refusal),
        Err(NotBegun::Request(error)) => Ok(Outcome::RequestError(vec![error])),
        Ok(prepared) if prepared.kind == OperationType::Subscription => {
            Ok(Outcome::RequestError(vec![no_subscription()]))
        }
        Ok(prepared) => execute::once(state, prepared).await,
    }
}

/// Every check before the execution.
async fn prepare(
    state: &State,
    headers: &HeaderMap,
    source: Source<'_>,
) -> Result<Prepared, NotBegun> {
    if state.app.shutdown().is_begun() {
        let refusal = Refusal::Unavailable("The server is shutting down.".to_owned());
        return Err(NotBegun::Refused(refusal));
    }
    let caller = authenticate(state, headers).await.map_err(NotBegun::Refused)?;
    let is_get = matches!(source, Source::Get(_));
    let params = match source {
        Source::Get(query) => Params::from_query_string(query).map_err(Refusal::BadRequest),
        Source::Post(body) => read_params(headers, body).await,
    };
    let prepared = execute::prepare(state, params.map_err(NotBegun::Refused)?, caller)?;
    if is_get && prepared.kind == OperationType::Mutation {
        let message = "A mutation needs POST.";
        return Err(NotBegun::Refused(Refusal::MethodNotAllowed { allow: "POST", message }));
    }
    Ok(prepared)
}

/// Lets the live log go on where the client says that it was.
fn resume(headers: &HeaderMap, mut prepared: Prepared) -> Prepared {
    let id = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        prepared.request = prepared.request.data(LastEventId(id.to_owned()));
    }
    prepared
}

async fn authenticate(state: &State, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let credential = credential::of_headers(headers);
    Ok(api_key::authenticate(&state.app, credential.as_deref()).await?)
}

async fn read_params(headers: &HeaderMap, body: Body) -> Result<Params, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Refusal::UnsupportedMediaType);
    }
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    let bytes = timeout(limit, read(body)).await.map_err(|_| Refusal::BodyTimeout)??;
    let json = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::BadRequest(format!("The body is not JSON: {error}.")))?;
    Params::from_json(json).map_err(Refusal::BadRequest)
}

/// Whether a `Content-Type` declares JSON; its charset, if any, must be UTF-8. What browsers send
/// across origins without asking first (forms, `text/plain`) does not.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_type = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    is_type
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// The whole body, when it is no longer than [`BODY_BYTES_MAX`].
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|n| n > BODY_BYTES_DRAINED_MAX) {
        return Err(Refusal::BodyTooLarge);
    }
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Refusal::BadRequest(format!("The body: {error}.")))?;
        total += chunk.len();
        if BODY_BYTES_DRAINED_MAX < total {
            break;
        }
        if total <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        }
    }
    if BODY_BYTES_MAX < total { Err(Refusal::BodyTooLarge) } else { Ok(bytes) }
}

fn no_subscription() -> ServerError {
    let message = "A subscription needs the WebSocket (graphql-transport-ws) of this path, or \
                   Accept: text/event-stream.";
    GuardError::Invalid(message.to_owned(), Vec::new()).into()
}

#[cfg(test)]
mod tests {
    use super::{is_json, read};
    use crate::http::status::Refusal;
    use crate::limits::BODY_BYTES_MAX;
    use axum::body::Body;

    #[test]
    fn only_json_in_utf_8_is_json() {
        for yes in
            ["application/json", "Application/JSON ; charset=\"UTF-8\"", "application/json;x=y"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["", "text/plain", "application/jsonp", "application/json; charset=utf-16"] {
            assert!(!is_json(no), "{no}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let body = |bytes: usize| Body::from(vec![b' '; bytes]);
        assert_eq!(read(body(BODY_BYTES_MAX)).await.map(|bytes| bytes.len()), Ok(BODY_BYTES_MAX));
        assert_eq!(read(body(BODY_BYTES_MAX + 1)).await, Err(Refusal::BodyTooLarge));
    }
}
