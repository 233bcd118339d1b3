//! The config of the stage `http`: what may be set, and what is wrong with it.

use std::ops::RangeInclusive;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::domain::object::Object;
use crate::error::Problem;
use crate::stage::address::parse_url;

/// Headers of one request: twice what webhook receivers ask for at most.
const HEADERS_MAX: usize = 50;

/// Names and values of all headers together; common servers take 8 KiB in all.
const HEADER_BYTES_MAX: usize = 6 * 1_024;

/// Entries of `expectedStatus`.
const EXPECTED_MAX: usize = 50;

/// What a final answer may have as its status.
const STATUSES: RangeInclusive<u16> = 200..=599;

/// The methods that may be asked for.
const METHODS: [Method; 6] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::PATCH, Method::POST, Method::PUT];

/// Headers that the connection or the signature owns (RFC 9110 section 7.6.1, RFC 9113), besides
/// all that begin with `webhook-`.
const OWNED_HEADERS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A config that can be run.
#[derive(Debug)]
pub(super) struct Config {
    /// Where to.
    pub url: Url,
    /// `POST` when nothing is said.
    pub method: Method,
    /// What the user adds.
    pub headers: HeaderMap,
    /// What replaces the input, as JSON text.
    body: Option<String>,
    /// What counts as success; 2xx when nothing is said.
    expected: Vec<RangeInclusive<u16>>,
    /// Whether `webhook-signature` is sent.
    pub is_signed: bool,
}

impl Config {
    /// Reads a config; `judge` has the last word on the URL.
    pub(super) fn read(
        value: &Value,
        judge: &dyn Fn(&Url) -> Result<(), String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut object = Object::new(value);
        let url = object.required_text("url").and_then(|text| {
            let judged = parse_url(text).and_then(|url| judge(&url).map(|()| url));
            judged.map_err(|message| object.problem("url", message)).ok()
        });
        let method = read_method(&mut object);
        let headers = read_headers(&mut object);
        let body = object.value("body").map(Value::to_string);
        if body.is_some() && matches!(method, Method::GET | Method::HEAD) {
            object.problem("body", format!("a {method} request has no body"));
        }
        let expected = read_expected(&mut object);
        let is_signed = object.flag("sign").unwrap_or(true);
        match (url, object.finish()) {
            (Some(url), problems) if problems.is_empty() => {
                Ok(Self { url, method, headers, body, expected, is_signed })
            }
            (_, problems) => Err(problems),
        }
    }

    /// The bytes to send: those of the config, else the input. GET and HEAD have none, and DELETE
    /// only what the config says, as many servers refuse one (RFC 9110 section 9.3.5).
    pub(super) fn body(&self, input: &str) -> Option<String> {
        let takes_input = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        self.body.clone().or_else(|| takes_input.then(|| input.to_owned()))
    }

    /// Whether `status` counts as success.
    pub(super) fn expects(&self, status: StatusCode) -> bool {
        self.expected.iter().any(|range| range.contains(&status.as_u16()))
    }
}

fn read_method(object: &mut Object<'_>) -> Method {
    let Some(text) = object.text("method") else { return Method::POST };
    let found = METHODS.into_iter().find(|method| method.as_str() == text);
    found.unwrap_or_else(|| {
        object.problem("method", "expected DELETE, GET, HEAD, PATCH, POST or PUT");
        Method::POST
    })
}

fn read_headers(object: &mut Object<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(value) = object.value("headers") else { return headers };
    let Some(map) = value.as_object() else {
        object.problem("headers", "expected an object of names and texts");
        return headers;
    };
    if HEADERS_MAX < map.len() {
        object.problem("headers", format!("expected at most {HEADERS_MAX} headers"));
        return headers;
    }
    let mut bytes = 0;
    for (name, value) in map {
        match read_header(name, value) {
            Ok((key, value)) => {
                bytes += name.len() + value.len();
                if headers.insert(key, value).is_some() {
                    object.problem(format!("headers.{name}"), "this header is there twice");
                }
            }
            Err(message) => object.problem(format!("headers.{name}"), message),
        }
    }
    if HEADER_BYTES_MAX < bytes {
        object.problem("headers", format!("expected at most {HEADER_BYTES_MAX} bytes in all"));
    }
    headers
}

fn read_header(name: &str, value: &Value) -> Result<(HeaderName, HeaderValue), String> {
    let key: HeaderName = name.parse().map_err(|_| "expected the name of a header".to_owned())?;
    if OWNED_HEADERS.contains(&key.as_str()) || key.as_str().starts_with("webhook-") {
        return Err("this header is set by Belfry".to_owned());
    }
    let expected = "expected a text of visible ASCII characters and blanks";
    let mut value: HeaderValue =
        value.as_str().and_then(|text| text.parse().ok()).ok_or(expected)?;
    value.set_sensitive(true);
    Ok((key, value))
}

fn read_expected(object: &mut Object<'_>) -> Vec<RangeInclusive<u16>> {
    let Some(items) = object.list("expectedStatus") else { return vec![200..=299] };
    if items.is_empty() || EXPECTED_MAX < items.len() {
        object.problem("expectedStatus", format!("expected 1 to {EXPECTED_MAX} entries"));
        return Vec::new();
    }
    let mut ranges = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match read_range(item) {
            Some(range) => ranges.push(range),
            None => object.problem(
                format!("expectedStatus.{index}"),
                "expected a number from 200 to 599 or a range such as \"200-299\"",
            ),
        }
    }
    ranges
}

fn read_range(item: &Value) -> Option<RangeInclusive<u16>> {
    let status = |number: u16| STATUSES.contains(&number).then_some(number);
    if let Some(number) = item.as_u64() {
        let number = status(u16::try_from(number).ok()?)?;
        return Some(number..=number);
    }
    let (first, last) = item.as_str()?.split_once('-')?;
    let read = |text: &str| {
        let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse().ok().and_then(status)).flatten()
    };
    let (first, last) = (read(first)?, read(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Config, Vec<Problem>> {
        Config::read(&value, &|_| Ok(()))
    }

    fn problems(value: Value) -> Vec<String> {
        let problems = read(value).expect_err("it is refused");
        problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect()
    }

    #[test]
    fn a_url_alone_is_enough() {
        let config = read(json!({ "url": "https://example.com/hook" })).expect("a config");
        assert_eq!(config.method, Method::POST);
        assert_eq!(config.body("{\"a\": 1}").as_deref(), Some("{\"a\": 1}"));
        assert!(config.is_signed);
        let expected = [200, 204, 299].map(|status| StatusCode::from_u16(status).expect("one"));
        assert!(expected.into_iter().all(|status| config.expects(status)));
        assert!(!config.expects(StatusCode::MULTIPLE_CHOICES));
    }

    #[test]
    fn every_problem_is_listed() {
        let found = problems(json!({
            "url": "ftp://example.com",
            "method": "post",
            "headers": {
                "Host": "a", "Webhook-Id": "b", "X-A": "c", "x-a": "d", "e f": "g", "x-b": 1,
                "x-c": "line\nbreak", "Transfer-Encoding": "chunked",
            },
            "expectedStatus": [200, "200-299", 199, 600, "299-200", "200", "+20-299", -1, 200.5],
            "sign": "yes",
            "expectStatus": [200],
        }));
        let text = "expected a text of visible ASCII characters and blanks";
        let range = "expected a number from 200 to 599 or a range such as \"200-299\"";
        let mut expected = vec![
            "url: expected an absolute URL such as https://example.com/hook: only http and https"
                .to_owned(),
            "method: expected DELETE, GET, HEAD, PATCH, POST or PUT".to_owned(),
            "headers.Host: this header is set by Belfry".to_owned(),
            "headers.Webhook-Id: this header is set by Belfry".to_owned(),
            "headers.x-a: this header is there twice".to_owned(),
            "headers.e f: expected the name of a header".to_owned(),
            format!("headers.x-b: {text}"),
            format!("headers.x-c: {text}"),
            "headers.Transfer-Encoding: this header is set by Belfry".to_owned(),
        ];
        expected.extend((2..9).map(|index| format!("expectedStatus.{index}: {range}")));
        expected.push("sign: expected true or false".to_owned());
        expected.push(
            "expectStatus: unknown field; the fields are url, method, headers, body, \
             expectedStatus, sign"
                .to_owned(),
        );
        assert_eq!(found, expected);
    }

    #[test]
    fn a_body_goes_with_the_methods_that_take_one() {
        let with = |method: &str, body: Value| {
            read(json!({ "url": "http://a.example", "method": method, "body": body }))
        };
        for method in ["GET", "HEAD"] {
            assert_eq!(with(method, json!(1)).expect_err("no body").len(), 1, "{method}");
            assert_eq!(with(method, Value::Null).expect("a config").body("{}"), None);
        }
        let delete = with("DELETE", Value::Null).expect("a config");
        assert_eq!(delete.body("{}"), None);
        let delete = with("DELETE", json!({ "b": 1, "a": 2 })).expect("a config");
        assert_eq!(delete.body("{}").as_deref(), Some("{\"b\":1,\"a\":2}"));
    }

    #[test]
    fn headers_and_expectations_end_at_their_limits() {
        let headers = |count: usize| -> Value {
            (0..count).map(|i| (format!("x-{i}"), json!("v"))).collect()
        };
        let read = |headers: Value| read(json!({ "url": "http://a.example", "headers": headers }));
        assert!(read(headers(HEADERS_MAX)).is_ok());
        assert!(read(headers(HEADERS_MAX + 1)).is_err());
        assert!(read(json!({ "x": "v".repeat(HEADER_BYTES_MAX - 1) })).is_ok());
        assert!(read(json!({ "x": "v".repeat(HEADER_BYTES_MAX) })).is_err());
        let expects = |count: usize| {
            let value = json!({ "url": "http://a.example", "expectedStatus": vec![200; count] });
            Config::read(&value, &|_| Ok(()))
        };
        assert!(expects(1).is_ok() && expects(EXPECTED_MAX).is_ok());
        assert!(expects(0).is_err() && expects(EXPECTED_MAX + 1).is_err());
    }
}
