//! What Belfry counts and measures about itself: the handles of every metric, and the registry that
//! `/metrics` is written from.
//!
//! Counters and histograms are raised where things happen. Gauges that need SQL lie in
//! [`Sampled`]; `service/sample.rs` sets them when somebody asks. Each [`Metrics`] has a registry of
//! its own, so that several apps may live in one process. Names carry their base unit, as
//! Prometheus wants it, and no label has a tenant's, a trigger's or a client's word for its value:
//! the number of series is bounded, and `/metrics` names nobody.

use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};

mod make;
mod tails;

pub use self::make::commit_seconds;
pub use self::tails::{TailPlace, Tails};

/// Every metric of one app.
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    /// What the engine does.
    pub engine: Engine,
    /// What clients do.
    pub wire: Wire,
    /// What is looked up when somebody asks.
    pub sampled: Sampled,
}

/// What the engine does.
pub struct Engine {
    /// From the instant that a firing was due to the beginning of its execution.
    pub firing_lateness: Histogram,
    /// Firings that reached a terminal status, by cause and status.
    pub firings: IntCounterVec,
    /// Attempts, by kind of the stage and outcome.
    pub attempts: IntCounterVec,
    /// How long attempts took, by kind of the stage.
    pub stage_duration: HistogramVec,
    /// Planned instants that were not run, by reason.
    pub skipped: IntCounterVec,
    /// Firings that this process may execute at a time, and how many it does, by state.
    pub executor_slots: IntGaugeVec,
}

/// What clients do.
pub struct Wire {
    /// Requests that were answered, by route, method and status.
    pub http_requests: IntCounterVec,
    /// How long answers took, by route.
    pub http_request_duration: HistogramVec,
    /// WebSockets that are open.
    pub websockets: IntGauge,
    /// Answers over HTTP that go on.
    pub streams: IntGauge,
    /// Readers of the live log.
    pub tails: Tails,
}

/// Gauges that `service/sample.rs` sets. One that could not be looked up is left out of the
/// answer: an old number would look like a healthy one.
pub struct Sampled {
    /// Whether the database answers.
    pub database_up: IntGauge,
    /// Connections of the pools, by pool and state.
    pub database_connections: IntGaugeVec,
    /// Whether Redis answers; not there when none is configured.
    pub redis_up: IntGaugeVec,
    /// Entries of the due queue.
    pub queue_entries: IntGauge,
    /// How long the oldest firing that waits is overdue; 0 when none is.
    pub overdue: GaugeVec,
    /// Schedules that should fire but have nothing ahead.
    pub schedules_unarmed: IntGaugeVec,
    /// Entries of the log that the slowest reader was not yet given.
    pub tail_lag: IntGaugeVec,
    /// Firings that are expected within a window.
    pub forecast_firings: IntGaugeVec,
    /// Executors that they keep busy.
    pub forecast_executors: GaugeVec,
}

/// One metric, for the reference in `docs/metrics.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<String>,
}

impl Metrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// A sentence when two have one name.
    pub fn new() -> Result<Self, String> {
        make::all().map_err(|error| format!("the metrics could not be registered: {error}"))
    }

    /// Takes in what [`commit_seconds`] made.
    ///
    /// # Errors
    /// A sentence when there is one already.
    pub fn adopt(&self, commits: &Histogram) -> Result<(), String> {
        self.registry.register(Box::new(commits.clone())).map_err(|error| error.to_string())
    }

    /// What `/metrics` answers, in the text format of Prometheus.
    ///
    /// # Errors
    /// The encoder's own.
    pub fn text(&self) -> Result<String, String> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| error.to_string())?;
        String::from_utf8(text).map_err(|error| error.to_string())
    }

    /// Every metric, also those that have no value yet.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.described
    }
}

/// One more in a gauge, until it is dropped.
pub struct Held(IntGauge);

/// Counts one more until what is returned is dropped.
#[must_use]
pub fn hold(gauge: &IntGauge) -> Held {
    gauge.inc();
    Held(gauge.clone())
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A gauge without labels that may be left out: set, or not there.
pub fn set_or_omit(gauge: &IntGaugeVec, value: Option<i64>) {
    match value {
        Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
        None => gauge.reset(),
    }
}

/// The same for one that is no whole number.
pub fn set_or_omit_secs(gauge: &GaugeVec, secs: Option<f64>) {
    let of = |gauge: &GaugeVec| -> Gauge { gauge.with_label_values::<&str>(&[]) };
    match secs {
        Some(secs) => of(gauge).set(secs),
        None => gauge.reset(),
    }
}
