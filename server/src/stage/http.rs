//! The stage `http`: sends one request, signed by Standard Webhooks, and reads the answer.
//!
//! The body is the stage's input byte by byte, the same on every attempt, under the same
//! `webhook-id`; only timestamp and signature differ. Succeeds on an expected status. Network
//! errors, timeouts, 408, 425, 429 and 5xx are worth another attempt, no sooner than `Retry-After`;
//! everything else is final; 410 says that the target is gone for good. Redirects are not followed: they count as answers. What is recorded
//! and what is said in errors shows no credential of the URL and no header that might be one.

mod answer;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entity::Instant;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use self::answer::{Answer, retry_after_ms};
use self::config::Config;
use super::address::{URL_CHARS_MAX, host_of, shown};
use super::client::{Client, refused};
use super::kept::{KEPT_HEADER_BYTES_MAX, header_map, lossy, record};
use super::{Call, Effect, Failure, FailureCode, Outcome, Retry, Stage};
use crate::clock::Clock;
use crate::domain::circuit::{Circuits, FAILURES_MAX, Verdict};
use crate::error::Problem;

/// What identifies a message, the same on every attempt.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// When an attempt was made, in seconds since the epoch.
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// What proves that the project sent it.
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Headers whose values a record shows; any other may hold a credential.
const SHOWN_HEADERS: [&str; 5] =
    ["accept", "accept-language", "content-type", "user-agent", "webhook-"];

/// The stage `http`.
pub struct Http {
    client: Client,
    clock: Arc<dyn Clock>,
    circuits: Circuits,
}

impl Http {
    /// The stage over the client that all stages share.
    #[must_use]
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, circuits: Circuits::default() }
    }

    /// Sends unless the host is left alone.
    async fn send_if_closed(&self, call: &Call, request: Request) -> Outcome {
        let (project, host) = (call.project, host_of(&request.config.url));
        let now = self.clock.now();
        let pass = match self.circuits.enter(project, &host, now) {
            Ok(pass) => pass,
            Err(until) => return Outcome::failed(left_alone(&host, until.ms_since(now))),
        };
        let mut outcome = self.send(call, request).await;
        let said = (pass, verdict(&outcome.result));
        let turn = self.circuits.leave(project, &host, said, self.clock.now());
        outcome.effects.extend(turn.map(|turn| Effect::Circuit { host, turn }));
        outcome
    }

    async fn send(&self, call: &Call, request: Request) -> Outcome {
        let Request { config, headers, body } = request;
        let builder = match self.client.request(config.method.clone(), &config.url) {
            Ok(builder) => builder.headers(headers),
            Err(message) => {
                return Outcome::failed(Failure::never(FailureCode::AddressRefused, message));
            }
        };
        let builder = match body {
            Some(body) => builder.body(body),
            None => builder,
        };
        let mut answer = None;
        let limit = Duration::from_millis(call.timeout_ms);
        let end = tokio::select! {
            biased;
            () = call.cancel.cancelled() => End::Cancelled,
            done = timeout(limit, exchange(builder, &mut answer)) => match done {
                Ok(Ok(())) => End::Answered,
                Ok(Err(error)) => End::Broken(error),
                Err(_) => End::TimedOut,
            },
        };
        Outcome {
            result: conclude(call, &config, answer.as_ref(), &end),
            request: None,
            response: answer.as_ref().map(Answer::record),
            effects: Vec::new(),
        }
    }
}

#[async_trait]
impl Stage for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        Config::read(config, &|url| self.client.addresses().judge(url)).err().unwrap_or_default()
    }

    async fn run(&self, call: Call) -> Outcome {
        // The guard judges on sending, so that a refusal is told apart from a broken config.
        let request = match Config::read(&call.config, &|_| Ok(())) {
            Ok(config) => Request::new(config, &call),
            Err(problems) => Err(format!("the config: {}", crate::error::Error::Refused(problems))),
        };
        match request {
            Ok(request) => {
                let record = request.record();
                Outcome { request: Some(record), ..self.send_if_closed(&call, request).await }
            }
            Err(message) => Outcome::failed(Failure::never(FailureCode::Config, message)),
        }
    }
}

/// How an exchange ended.
enum End {
    Answered,
    Broken(reqwest::Error),
    Cancelled,
    TimedOut,
}

/// One request, ready to be sent.
struct Request {
    config: Config,
    headers: HeaderMap,
    body: Option<String>,
}

impl Request {
    fn new(config: Config, call: &Call) -> Result<Self, String> {
        let body = config.body(&call.input);
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(config.headers.clone());
        let timestamp = call.now.millis() / 1_000;
        headers.insert(WEBHOOK_ID, header(&call.webhook_id)?);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
        if let Some(key) = call.signing.as_ref().filter(|_| config.is_signed) {
            let body = body.as_deref().unwrap_or_default().as_bytes();
            let signature = key.sign(&call.webhook_id, timestamp, body);
            headers.insert(WEBHOOK_SIGNATURE, header(&signature)?);
        }
        Ok(Self { config, headers, body })
    }

    /// What the attempt keeps: no credential of the URL, no value that may be one.
    fn record(&self) -> String {
        let show = |name: &HeaderName, value: &HeaderValue| {
            let is_shown = SHOWN_HEADERS.iter().any(|shown| name.as_str().starts_with(shown));
            if is_shown { lossy(value.as_bytes()) } else { "***".to_owned() }
        };
        let (headers, extent) = header_map(&self.headers, KEPT_HEADER_BYTES_MAX, show);
        let url: String = shown(&self.config.url).chars().take(URL_CHARS_MAX).collect();
        let fields = Map::from_iter([
            ("method".to_owned(), json!(self.config.method.as_str())),
            ("url".to_owned(), json!(url)),
            ("headers".to_owned(), Value::Object(headers)),
        ]);
        record(fields, self.body.as_deref().unwrap_or_default().as_bytes(), extent)
    }
}

fn header(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "the webhook id does not fit a header".to_owned())
}

/// Sends and reads; what has arrived stays in `answer` when the future is dropped or fails.
async fn exchange(
    builder: reqwest::RequestBuilder,
    answer: &mut Option<Answer>,
) -> Result<(), reqwest::Error> {
    let mut response = builder.send().await?;
    let answer = answer.insert(Answer::begin(&response));
    while let Some(chunk) = response.chunk().await? {
        if answer.is_full_after(&chunk) {
            break;
        }
    }
    Ok(())
}

/// The one place that decides what an exchange came to.
fn conclude(
    call: &Call,
    config: &Config,
    answer: Option<&Answer>,
    end: &End,
) -> Result<String, Failure> {
    let host = host_of(&config.url);
    let fail = |code, message, retry| {
        let output = answer.map(Answer::output);
        Err(Failure { code, message, retry, output })
    };
    let later = Retry::Later { after_ms: None };
    match (end, answer) {
        (End::Cancelled, _) => {
            fail(FailureCode::Cancelled, "the firing was cancelled".to_owned(), Retry::Never)
        }
        (End::TimedOut, answer) => {
            let what = answer.map_or_else(
                || "no answer".to_owned(),
                |answer| format!("no complete answer (status {})", answer.status.as_u16()),
            );
            let message = format!("{what} from {host} within {} ms", call.timeout_ms);
            fail(FailureCode::Timeout, message, later)
        }
        (End::Broken(error), answer) => match refused(error) {
            Some(refused) => fail(FailureCode::AddressRefused, refused.to_string(), Retry::Never),
            None => {
                let what = if answer.is_some() { "the answer broke off" } else { "no answer" };
                let message = format!("{what} from {host}: {}", cause(error));
                fail(FailureCode::Connect, message, later)
            }
        },
        (End::Answered, Some(answer)) if config.expects(answer.status) => Ok(answer.output()),
        (End::Answered, Some(answer)) => {
            let message = format!("{host} answered {}", answer.status_line());
            let (code, retry) = judged(answer, call.now);
            fail(code, message, retry)
        }
        (End::Answered, None) => {
            fail(FailureCode::Connect, format!("no answer from {host}"), later)
        }
    }
}

/// What an unexpected status means.
fn judged(answer: &Answer, now: Instant) -> (FailureCode, Retry) {
    let later = || Retry::Later { after_ms: retry_after_ms(&answer.headers, now) };
    match answer.status.as_u16() {
        410 => (FailureCode::Gone, Retry::Never),
        408 | 425 | 429 => (FailureCode::HttpStatus, later()),
        500..=599 => (FailureCode::HttpServerError, later()),
        _ => (FailureCode::HttpStatus, Retry::Never),
    }
}

/// What an attempt says about its host.
fn verdict(result: &Result<String, Failure>) -> Verdict {
    match result.as_ref().err().map(|failure| failure.code) {
        None | Some(FailureCode::Gone | FailureCode::HttpStatus) => Verdict::Well,
        Some(FailureCode::Connect | FailureCode::HttpServerError | FailureCode::Timeout) => {
            Verdict::Failing
        }
        Some(_) => Verdict::Unknown,
    }
}

fn left_alone(host: &str, wait_ms: i64) -> Failure {
    let message = format!(
        "nothing was sent: {host} is left alone after {FAILURES_MAX} failures in a row or more"
    );
    let retry = Retry::Later { after_ms: Some(wait_ms) };
    Failure { code: FailureCode::CircuitOpen, message, retry, output: None }
}

/// The innermost reason, which unlike the outer ones repeats no URL.
fn cause(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut text = "the request failed".to_owned();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
