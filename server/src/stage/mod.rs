//! Stages: what an action can do, one file per kind, under one trait.
//!
//! The engine looks a kind up in [`Stages`] and calls [`Stage::run`]; the services call
//! [`Stage::check`] on save. A stage reaches the world but never the store: what it wants recorded
//! it returns as an [`Effect`], and the recorder commits that with the result. To add a kind, write
//! `stage/<kind>.rs` and add its line to the list in [`Stages::with_client`].

pub mod address;
pub mod client;
pub mod http;
pub mod kept;
pub mod log;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use entity::{Instant, ProjectId};
use ipnet::IpNet;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::address::Addresses;
use self::client::Client;
use self::http::Http;
use self::log::Log;
use crate::clock::Clock;
use crate::domain::circuit::Turn;
use crate::domain::signature::SigningKey;
use crate::error::Problem;

/// One kind of stage.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The word by which actions name it, such as `http`.
    fn kind(&self) -> &'static str;

    /// Everything that is wrong with a config, with fields relative to it; called on save.
    fn check(&self, config: &Value) -> Vec<Problem>;

    /// Does it once. Ends within the call's timeout, and at once when the call is cancelled.
    async fn run(&self, call: Call) -> Outcome;
}

/// One attempt of one stage.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose firing.
    pub project: ProjectId,
    /// The firing, `frg_…`.
    pub firing_id: String,
    /// What tells repetitions apart for a receiver: `<root firing>_<stage name>`, the same on every
    /// attempt.
    pub webhook_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// The name of the trigger, when there is one.
    pub trigger: Option<String>,
    /// What was checked on save.
    pub config: Value,
    /// JSON text; a body is these bytes exactly.
    pub input: Arc<str>,
    /// How long the attempt may take.
    pub timeout_ms: u64,
    /// When it starts.
    pub now: Instant,
    /// Cancelled when the firing is.
    pub cancel: CancellationToken,
    /// The project's key; nothing is signed without one.
    pub signing: Option<SigningKey>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The output as JSON text, or why there is none.
    pub result: Result<String, Failure>,
    /// What was sent, as JSON text of at most
    /// [`KEPT_BYTES_MAX`](crate::limits::KEPT_BYTES_MAX), without credentials.
    pub request: Option<String>,
    /// What came back, as JSON text of at most
    /// [`KEPT_BYTES_MAX`](crate::limits::KEPT_BYTES_MAX).
    pub response: Option<String>,
    /// What is to be recorded with the result.
    pub effects: Vec<Effect>,
}

/// Why an attempt failed, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, for machines.
    pub code: FailureCode,
    /// Why, for people; never with credentials.
    pub message: String,
    /// Whether another attempt makes sense.
    pub retry: Retry,
    /// The output in spite of the failure, as JSON text: what failure routes read.
    pub output: Option<String>,
}

impl Failure {
    /// A failure that no further attempt would mend, without an output.
    #[must_use]
    pub fn never(code: FailureCode, message: String) -> Self {
        Self { code, message, retry: Retry::Never, output: None }
    }
}

impl Outcome {
    /// An attempt that failed before anything was sent.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), request: None, response: None, effects: Vec::new() }
    }
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may succeed, no sooner than `after_ms` from now when the receiver said so.
    Later {
        /// What the receiver asked for, in milliseconds.
        after_ms: Option<i64>,
    },
}

/// The machine-readable kind of a failure; its texts never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCode {
    /// The SSRF guard forbids the address.
    AddressRefused,
    /// The firing was cancelled.
    Cancelled,
    /// Nothing was sent: the host failed too often and is left alone for a while.
    CircuitOpen,
    /// The stored config cannot be run.
    Config,
    /// No connection, or it broke before the response was read.
    Connect,
    /// The receiver answered 410: the target will not come back.
    Gone,
    /// The receiver answered with 5xx, which was not expected.
    HttpServerError,
    /// The receiver answered with another status that is not expected.
    HttpStatus,
    /// The attempt took longer than its timeout.
    Timeout,
}

impl FailureCode {
    /// The text in attempts, events and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddressRefused => "ADDRESS_REFUSED",
            Self::Cancelled => "CANCELLED",
            Self::CircuitOpen => "CIRCUIT_OPEN",
            Self::Config => "CONFIG",
            Self::Connect => "CONNECT",
            Self::Gone => "GONE",
            Self::HttpServerError | Self::HttpStatus => "HTTP_STATUS",
            Self::Timeout => "TIMEOUT",
        }
    }
}

/// What a stage wants recorded with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A circuit breaker opened or closed.
    Circuit {
        /// The host, with its port when that is not the scheme's.
        host: String,
        /// What changed.
        turn: Turn,
    },
    /// An entry of the event log, of the type `app.event`.
    Event(AppEvent),
}

/// An entry of the event log, as a stage words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEvent {
    /// The name of a [`Severity`](crate::domain::filter::Severity).
    pub severity: String,
    /// Which part of the application speaks.
    pub component: String,
    /// What happened.
    pub message: String,
    /// More about it, as JSON text.
    pub data: Option<String>,
}

/// What the stages need of the server's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Networks that stages may reach although the SSRF guard would refuse them.
    pub allow: Vec<IpNet>,
}

/// Every kind of stage, by its word. Cheap to clone.
#[derive(Clone)]
pub struct Stages {
    client: Client,
    kinds: Arc<BTreeMap<&'static str, Arc<dyn Stage>>>,
}

impl Stages {
    /// Builds every kind; once per process, as they share one HTTP client.
    ///
    /// # Errors
    /// A sentence, when the HTTP client cannot be built.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Ok(Self::with_client(Client::new(Addresses::new(settings.allow))?, clock))
    }

    /// Builds every kind over a client.
    #[must_use]
    pub fn with_client(client: Client, clock: Arc<dyn Clock>) -> Self {
        // Alphabetical; one line per kind.
        let list: [Arc<dyn Stage>; _] = [Arc::new(Http::new(client.clone(), clock)), Arc::new(Log)];
        let kinds = list.into_iter().map(|stage| (stage.kind(), stage)).collect();
        Self { client, kinds: Arc::new(kinds) }
    }

    /// The stage of a kind; `None` when there is no such kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Stage>> {
        self.kinds.get(kind)
    }

    /// Every kind, in alphabetical order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// What stages may reach; also checks the URL of a timer on save.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        self.client.addresses()
    }

    /// Everything that is wrong with a config of `kind`; `None` when there is no such kind. Fits
    /// [`CheckConfig`](crate::domain::action::CheckConfig).
    #[must_use]
    pub fn check(&self, kind: &str, config: &Value) -> Option<Vec<Problem>> {
        Some(self.get(kind)?.check(config))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The system's.
    pub(crate) fn clock() -> Arc<dyn Clock> {
        Arc::new(crate::clock::SystemClock::new())
    }

    /// An attempt of a stage with this config and input, of a firing at a fixed time.
    pub(crate) fn call(config: Value, input: &str) -> Call {
        Call {
            project: ProjectId(uuid::Uuid::from_u128(1)),
            firing_id: "frg_01h2xcejqtf2nbrexx3vqjhp41".to_owned(),
            webhook_id: "frg_01h2xcejqtf2nbrexx3vqjhp41_post".to_owned(),
            attempt: 1,
            trigger: None,
            config,
            input: input.into(),
            timeout_ms: 10_000,
            now: Instant::from_millis(1_800_000_000_999),
            cancel: CancellationToken::new(),
            signing: None,
        }
    }

    #[tokio::test]
    async fn the_kinds_are_listed_in_alphabetical_order_and_found_by_their_word() {
        let stages = Stages::new(Settings::default(), clock()).expect("the stages");
        let kinds: Vec<_> = stages.kinds().collect();
        assert_eq!(kinds, ["http", "log"]);
        for kind in kinds {
            assert_eq!(stages.get(kind).map(|stage| stage.kind()), Some(kind));
            assert!(!stages.check(kind, &json!({})).expect("a kind").is_empty());
        }
        assert!(stages.get("HTTP").is_none());
        assert_eq!(stages.check("slack", &json!({})), None);
    }

    #[tokio::test]
    async fn a_private_address_is_refused_on_save_unless_allowed() {
        let config = json!({ "url": "http://127.0.0.1:9000/hook" });
        let check = |allow: Vec<IpNet>| {
            let stages = Stages::new(Settings { allow }, clock()).expect("the stages");
            stages.check("http", &config).expect("a kind")
        };
        let message = "127.0.0.1 is not a public address (loopback); BELFRY_ALLOW_TARGETS may \
                       allow it";
        assert_eq!(check(Vec::new()), [Problem::new("url", message)]);
        assert_eq!(check(vec!["127.0.0.0/8".parse().expect("a network")]), []);
    }
}
