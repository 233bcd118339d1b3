//! What a receiver answered: read up to a bound, as output, as record, and its `Retry-After`.

use chrono::{DateTime, NaiveDateTime};
use entity::Instant;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};

use crate::domain::object::{has_nul, is_within};
use crate::domain::retry::RETRY_AFTER_MS_MAX;
use crate::stage::kept::{self, Extent, KEPT_HEADER_BYTES_MAX, header_map, lossy};

/// How much of a body is read; the rest is dropped with the connection. Four times what is kept,
/// so that an output can be worked with although it is not stored whole.
pub(super) const RESPONSE_BYTES_MAX: usize = 64 * 1_024;

/// Headers in an output, in bytes before escaping: what common servers send at most.
const OUTPUT_HEADER_BYTES_MAX: usize = 8 * 1_024;

/// Nesting of a JSON body; a deeper one is passed on as text, so that every reader of an output,
/// whose parser allows 128 levels, can read it.
const BODY_NESTING_MAX: usize = 64;

/// An answer, or as much of it as has arrived.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status line's number.
    pub status: StatusCode,
    /// The headers, trailers not included.
    pub headers: HeaderMap,
    body: Vec<u8>,
    extent: Extent,
}

impl Answer {
    /// Status and headers; the body follows.
    pub(super) fn begin(response: &reqwest::Response) -> Self {
        let headers = response.headers().clone();
        Self { status: response.status(), headers, body: Vec::new(), extent: Extent::Whole }
    }

    /// Takes a piece of the body; `true` when there was more than [`RESPONSE_BYTES_MAX`].
    pub(super) fn is_full_after(&mut self, chunk: &[u8]) -> bool {
        let room = RESPONSE_BYTES_MAX - self.body.len();
        self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room < chunk.len() {
            self.extent = Extent::Cut;
        }
        self.extent == Extent::Cut
    }

    /// The number and its usual words; a redirect says that it is none.
    pub(super) fn status_line(&self) -> String {
        let note = if self.status.is_redirection() { "; redirects are not followed" } else { "" };
        format!("{}{note}", self.status)
    }

    /// The stage's output: `{status, headers, body}`, and `isCut` when something is missing.
    pub(super) fn output(&self) -> String {
        let (headers, extent) = header_map(&self.headers, OUTPUT_HEADER_BYTES_MAX, show);
        let (status, headers) = (self.status.as_u16(), Value::Object(headers));
        let flag = if self.extent.and(extent) == Extent::Cut { r#","isCut":true"# } else { "" };
        // The body is put in as it came: parsing and writing it would change its numbers.
        let body = self.body_json();
        format!(r#"{{"status":{status},"headers":{headers}{flag},"body":{body}}}"#)
    }

    /// What the attempt keeps.
    pub(super) fn record(&self) -> String {
        let (headers, extent) = header_map(&self.headers, KEPT_HEADER_BYTES_MAX, show);
        let fields = Map::from_iter([
            ("status".to_owned(), json!(self.status.as_u16())),
            ("headers".to_owned(), Value::Object(headers)),
        ]);
        kept::record(fields, &self.body, self.extent.and(extent))
    }

    /// The body as JSON text: itself when it is JSON and says so, `null` when there is none, else a
    /// string.
    fn body_json(&self) -> String {
        if self.body.is_empty() {
            return "null".to_owned();
        }
        let json = self.is_json().then(|| std::str::from_utf8(&self.body).ok()).flatten();
        match json {
            Some(text) if is_passable(text) => text.trim().to_owned(),
            _ => Value::String(lossy(&self.body)).to_string(),
        }
    }

    fn is_json(&self) -> bool {
        let media_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }
}

/// How long the receiver wants to be left alone, in milliseconds from `now`, at most
/// [`RETRY_AFTER_MS_MAX`]: seconds or an HTTP date (RFC 9110 sections 10.2.3 and 5.6.7). `None`
/// when it does not say, or nothing that can be read.
pub(super) fn retry_after_ms(headers: &HeaderMap, now: Instant) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        let secs: i64 = text.parse().unwrap_or(i64::MAX);
        return Some(secs.saturating_mul(1_000).min(RETRY_AFTER_MS_MAX));
    }
    let until_ms = http_date_ms(text)?;
    Some(until_ms.saturating_sub(now.millis()).clamp(0, RETRY_AFTER_MS_MAX))
}

/// The three forms of RFC 9110 section 5.6.7: today's, RFC 850's and that of `asctime`.
fn http_date_ms(text: &str) -> Option<i64> {
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.timestamp_millis());
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let mut read = obsolete.iter().map(|form| NaiveDateTime::parse_from_str(text, form));
    read.find_map(Result::ok).map(|date| date.and_utc().timestamp_millis())
}

fn show(_: &HeaderName, value: &HeaderValue) -> String {
    lossy(value.as_bytes())
}

fn is_passable(text: &str) -> bool {
    let parsed: Result<Value, _> = serde_json::from_str(text);
    parsed.is_ok_and(|value| !has_nul(&value) && is_within(&value, BODY_NESTING_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(media_type: &'static str, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        let body = body.as_bytes().to_vec();
        Answer { status: StatusCode::OK, headers, body, extent: Extent::Whole }
    }

    fn body(media_type: &'static str, body: &str) -> String {
        answer(media_type, body).body_json()
    }

    fn after(text: &str) -> Option<i64> {
        let now = Instant::parse("1994-11-06T08:49:30Z").expect("an instant");
        let value = HeaderValue::from_str(text).expect("a header");
        retry_after_ms(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
    }

    #[test]
    fn a_body_is_json_when_it_says_so_and_is() {
        assert_eq!(body("application/json", " {\"n\": 1.0e2} "), "{\"n\": 1.0e2}");
        assert_eq!(body("application/problem+json; charset=utf-8", "[1]"), "[1]");
        assert_eq!(body("text/plain", "[1]"), "\"[1]\"");
        assert_eq!(body("application/json", "[1"), "\"[1\"");
        assert_eq!(body("application/json", ""), "null");
        assert_eq!(body("application/json", "[\"\\u0000\"]"), "\"[\\\"\\\\u0000\\\"]\"");
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let deepest = nested(BODY_NESTING_MAX);
        assert_eq!(body("application/json", &deepest), deepest);
        let deeper = nested(BODY_NESTING_MAX + 1);
        assert_eq!(body("application/json", &deeper), format!("\"{deeper}\""));
    }

    #[test]
    fn a_body_is_read_up_to_its_limit() {
        let mut answer = answer("text/plain", "");
        assert!(!answer.is_full_after(&vec![b'x'; RESPONSE_BYTES_MAX - 1]));
        assert!(!answer.is_full_after(b"x"));
        assert!(!answer.output().contains("isCut"));
        assert!(answer.is_full_after(b"x"));
        assert_eq!(answer.body.len(), RESPONSE_BYTES_MAX);
        assert!(answer.output().contains(r#","isCut":true,"#));
    }

    #[test]
    fn retry_after_is_seconds_or_any_http_date() {
        assert_eq!(after("120"), Some(120_000));
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7_000));
        assert_eq!(after("Sunday, 06-Nov-94 08:49:37 GMT"), Some(7_000));
        assert_eq!(after("Sun Nov  6 08:49:37 1994"), Some(7_000));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:29 GMT"), Some(0));
        for unreadable in ["", "-1", "1.5", "soon", "2026-11-21T09:00:00Z"] {
            assert_eq!(after(unreadable), None, "{unreadable:?}");
        }
    }

    #[test]
    fn retry_after_ends_at_a_day() {
        assert_eq!(after("86400"), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(after("86401"), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(after("99999999999999999999999999"), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(after("Mon, 07 Nov 1994 08:49:31 GMT"), Some(RETRY_AFTER_MS_MAX));
    }
}
