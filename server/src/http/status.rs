//! THE table of status codes: what `/graphql` answers when it does not answer with an execution,
//! and with which headers. Nothing else in the HTTP floor names a status.
//!
//! | refusal | status | `extensions.code` | header |
//! |---|---|---|---|
//! | not JSON, wrong or missing parameter | 400 | `BAD_REQUEST` | |
//! | no key, or one that does not hold | 401 | `UNAUTHENTICATED` | `WWW-Authenticate: Bearer` |
//! | key without the scope, foreign `Origin` | 403 | `FORBIDDEN` | |
//! | other method, mutation over GET | 405 | `BAD_REQUEST` | `Allow` |
//! | `Accept` names nothing that is offered | 406 | `BAD_REQUEST` | |
//! | body does not arrive | 408 | `BAD_REQUEST` | |
//! | body too long | 413 | `BAD_REQUEST` | |
//! | `Content-Type` is not JSON | 415 | `BAD_REQUEST` | |
//! | the key has used its share | 429 | `RATE_LIMITED` | `Retry-After` |
//! | fault of Belfry | 500 | `INTERNAL_SERVER_ERROR` | |
//! | overload, shutdown, time is up | 503 | `SERVICE_UNAVAILABLE` | `Retry-After` |
//!
//! Whatever the status, the body has the shape of a GraphQL answer.

use async_graphql::{ErrorExtensionValues, ServerError};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{Code, Error};
use crate::http::negotiate::Media;

/// What a client is asked to wait after a 503.
const RETRY_AFTER_SECS: &str = "2";

/// The code of a request that is wrong as HTTP; the status says how.
const BAD_REQUEST: &str = "BAD_REQUEST";

/// Why a request is not executed, or its execution has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The parameters cannot be read; the text says what was expected.
    BadRequest(String),
    /// No key, or one that does not hold.
    Unauthenticated(String),
    /// The key may not do this, or the page may not connect.
    Forbidden(String),
    /// The resource has other methods, or the operation needs another one.
    MethodNotAllowed {
        /// The methods that would do.
        allow: &'static str,
        /// Which rule it is.
        message: &'static str,
    },
    /// The client accepts none of the media types.
    NotAcceptable,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body exceeds its limit.
    BodyTooLarge,
    /// The body is not declared to be JSON in UTF-8.
    UnsupportedMediaType,
    /// The key has used its share.
    RateLimited {
        /// What the client is told.
        message: String,
        /// When it may go on.
        retry_secs: u64,
    },
    /// Overload, shutdown, or an execution that took too long.
    Unavailable(String),
    /// A fault of Belfry; the details are in the server's log.
    Internal,
}

impl Refusal {
    /// The status, the code of the error, and the header that the status calls for.
    fn row(&self) -> (StatusCode, &'static str, Option<(HeaderName, HeaderValue)>) {
        let header = |name, value| Some((name, HeaderValue::from_static(value)));
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, BAD_REQUEST, None),
            Self::Unauthenticated(_) => (
                StatusCode::UNAUTHORIZED,
                Code::Unauthenticated.as_str(),
                header(header::WWW_AUTHENTICATE, "Bearer"),
            ),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, Code::Forbidden.as_str(), None),
            Self::MethodNotAllowed { allow, .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, BAD_REQUEST, header(header::ALLOW, allow))
            }
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, BAD_REQUEST, None),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, BAD_REQUEST, None),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, BAD_REQUEST, None),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST, None),
            Self::RateLimited { retry_secs, .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                Code::RateLimited.as_str(),
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_secs))),
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal.as_str(), None),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable.as_str(),
                header(header::RETRY_AFTER, RETRY_AFTER_SECS),
            ),
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::BadRequest(message)
            | Self::Unauthenticated(message)
            | Self::Forbidden(message)
            | Self::RateLimited { message, .. }
            | Self::Unavailable(message) => message,
            Self::MethodNotAllowed { message, .. } => message,
            Self::NotAcceptable => {
                "Accept must allow application/json, application/graphql-response+json, \
                 text/event-stream, or multipart/mixed with subscriptionSpec=1.0."
            }
            Self::BodyTimeout => "The body did not arrive in time.",
            Self::BodyTooLarge => "The body is longer than 1 MiB.",
            Self::UnsupportedMediaType => "Content-Type must be application/json, in UTF-8.",
            Self::Internal => "Internal server error.",
        }
    }

    /// The refusal as the GraphQL error that stands in the body or in a WebSocket message.
    #[must_use]
    pub fn to_server_error(&self) -> ServerError {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.row().1);
        let mut error = ServerError::new(self.message(), None);
        error.extensions = Some(extensions);
        error
    }

    /// The HTTP answer, in the media type that was negotiated.
    #[must_use]
    pub fn respond(&self, media: Media) -> Response {
        let (status, _, header) = self.row();
        let mut response = json(status, media, &Errors { errors: &[self.to_server_error()] });
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What a failure of Belfry's own kind means to an HTTP client. Faults are logged here, once.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.code() {
            Code::Unauthenticated => Self::Unauthenticated(error.to_string()),
            Code::Forbidden => Self::Forbidden(error.to_string()),
            Code::Unavailable => Self::Unavailable(error.to_string()),
            Code::RateLimited => {
                let retry_secs = if let Error::RateLimited(secs) = error { secs } else { 1 };
                Self::RateLimited { message: error.to_string(), retry_secs }
            }
            Code::Validation | Code::NotFound | Code::Conflict | Code::Quota => {
                Self::BadRequest(error.to_string())
            }
            Code::Internal => {
                tracing::error!(%error, "a request failed before its execution: {error}");
                Self::Internal
            }
        }
    }
}

/// The answer to an operation that was executed, or refused as a GraphQL request error.
#[must_use]
pub fn executed(media: Media, outcome: Outcome) -> Response {
    match outcome {
        Outcome::Result(mut result) => {
            let headers = std::mem::take(&mut result.http_headers);
            let mut response = json(StatusCode::OK, media, &result);
            response.headers_mut().extend(headers);
            response
        }
        Outcome::RequestError(errors) => {
            // A legacy client reads no body of a 4xx; one that asks for the newer type knows why.
            let status = match media {
                Media::GraphqlResponse => StatusCode::BAD_REQUEST,
                _ => StatusCode::OK,
            };
            json(status, media, &Errors { errors: &errors })
        }
    }
}

/// Sends a browser that opened `/graphql` to the playground.
#[must_use]
pub fn to_playground() -> Response {
    (StatusCode::FOUND, [(header::LOCATION, "/playground")]).into_response()
}

/// How the execution of one operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran; `data` is present, perhaps partial, perhaps null.
    Result(async_graphql::Response),
    /// It did not begin (parse, validation, coercion); there is no `data`.
    RequestError(Vec<ServerError>),
}

/// A body without a `data` member.
#[derive(Serialize)]
struct Errors<'a> {
    errors: &'a [ServerError],
}

fn json(status: StatusCode, media: Media, body: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(body) else {
        tracing::error!("an answer could not be written as JSON");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Answers depend on a header that caches do not know (X-API-Key).
    let headers =
        [(header::CONTENT_TYPE, media.of_one_answer()), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Body::from(bytes)).into_response()
}
