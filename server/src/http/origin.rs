//! Which pages may speak to the server from another origin: CORS, off unless origins are allowed.
//!
//! No credentials of the browser's own are ever allowed: a page sends the key itself, in a header,
//! so that what it may do is what its key may do. Source: the Fetch standard, section 3.3.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

/// How long a browser may remember the answer to its question.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// The layer that answers for `origins`; `None` when there are none.
#[must_use]
pub fn layer(origins: &[String]) -> Option<CorsLayer> {
    let values: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if values.is_empty() {
        return None;
    }
    // Beyond those that need no question.
    let sent = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("x-api-key"),
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("last-event-id"),
    ];
    // Beyond those that a page may always read.
    let read = [header::RETRY_AFTER, header::LINK];
    let layer = CorsLayer::new().allow_origin(values).allow_methods([Method::GET, Method::POST]);
    Some(layer.allow_headers(sent).expose_headers(read).max_age(REMEMBERED))
}
