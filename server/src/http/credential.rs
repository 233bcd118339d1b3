//! Where a request carries its API key, and which pages may connect.
//!
//! Called by both transports. There are no cookies: nothing that a browser adds by itself
//! authenticates, so a foreign page can do nothing in a visitor's name. A credential is never
//! logged.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use url::Url;

const API_KEY: &str = "x-api-key";

/// The key of the headers: `Authorization: Bearer`, else `X-API-Key`.
#[must_use]
pub fn of_headers(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(bearer);
    bearer.or_else(|| text(API_KEY)).map(str::to_owned)
}

/// The key of a `connection_init` payload: `authorization`, `apiKey` or `x-api-key`, in any case,
/// at the top or under `headers`.
#[must_use]
pub fn of_payload(payload: &Map<String, Value>) -> Option<String> {
    let nested = payload.get("headers").and_then(Value::as_object);
    of_map(payload).or_else(|| nested.and_then(of_map))
}

fn of_map(map: &Map<String, Value>) -> Option<String> {
    let text = |wanted: &str| {
        let found = map.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str())
    };
    // Clients differ in whether they write the scheme here.
    let authorization = text("authorization").map(|value| bearer(value).unwrap_or(value));
    authorization.or_else(|| text("apiKey")).or_else(|| text(API_KEY)).map(str::to_owned)
}

/// What follows the scheme `Bearer`, which is written in any case (RFC 9110, 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Whether a page of this `Origin` may open a WebSocket: the server's own pages and those of
/// `allowed` may, and so may what sends no `Origin` because it is not a browser.
#[must_use]
pub fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|one| one.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_own(origin, host))
}

/// Whether `origin` names the authority that the request was sent to. The scheme is the page's: a
/// proxy may have ended TLS.
fn is_own(origin: &str, host: &str) -> bool {
    let Ok(page) = Url::parse(origin) else { return false };
    let Ok(own) = Url::parse(&format!("{}://{host}", page.scheme())) else { return false };
    page.host().is_some()
        && page.host() == own.host()
        && page.port_or_known_default() == own.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::{of_headers, of_payload, origin_allowed};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_first_header_that_matches_is_the_key() {
        let key = |pairs: &[_]| of_headers(&headers(pairs));
        assert_eq!(key(&[]), None);
        assert_eq!(key(&[("authorization", "Basic abc")]), None);
        assert_eq!(key(&[("authorization", "bearer  abc ")]).as_deref(), Some("abc"));
        assert_eq!(key(&[("x-api-key", "xyz")]).as_deref(), Some("xyz"));
        let both = [("x-api-key", "xyz"), ("authorization", "Bearer abc")];
        assert_eq!(key(&both).as_deref(), Some("abc"));
        let basic = [("x-api-key", "xyz"), ("authorization", "Basic abc")];
        assert_eq!(key(&basic).as_deref(), Some("xyz"));
    }

    #[test]
    fn a_payload_carries_the_key_under_any_of_its_names() {
        for payload in [
            json!({"authorization": "Bearer abc"}),
            json!({"Authorization": "bearer abc"}),
            json!({"authorization": "abc"}),
            json!({"apiKey": "abc"}),
            json!({"x-api-key": "abc"}),
            json!({"X-API-Key": "abc"}),
            json!({"headers": {"Authorization": "Bearer abc"}}),
            json!({"headers": {"x-api-key": "abc"}}),
        ] {
            let map = payload.as_object().expect("an object");
            assert_eq!(of_payload(map).as_deref(), Some("abc"), "{payload}");
        }
        for payload in [json!({}), json!({"apiKey": 1}), json!({"headers": "abc"})] {
            assert_eq!(of_payload(payload.as_object().expect("an object")), None, "{payload}");
        }
    }

    #[test]
    fn a_page_must_be_the_servers_own_or_allowed() {
        let allowed = ["https://console.example/".to_owned()];
        let may = |pairs: &[_]| origin_allowed(&headers(pairs), &allowed);
        assert!(may(&[("host", "belfry.example")]));
        assert!(may(&[("host", "belfry.example"), ("origin", "https://belfry.example")]));
        assert!(may(&[("host", "BELFRY.example:443"), ("origin", "https://belfry.example")]));
        assert!(may(&[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")]));
        assert!(may(&[("host", "belfry.example"), ("origin", "https://console.example")]));
        assert!(!may(&[("host", "belfry.example"), ("origin", "https://evil.example")]));
        assert!(!may(&[("host", "belfry.example"), ("origin", "https://belfry.example.evil")]));
        assert!(!may(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:3000")]));
        assert!(!may(&[("host", "belfry.example"), ("origin", "null")]));
        assert!(!may(&[("origin", "https://belfry.example")]));
    }
}
