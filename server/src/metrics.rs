//! What Belfry counts and measures about itself: the handles of every metric, and the registry that
//! `/metrics` is written from.
//!
//! Counters and histograms are raised where things happen. Gauges that need SQL lie in
//! [`Sampled`]; `service/sample.rs` sets them when somebody asks. Each [`Metrics`] has a registry of
//! its own, so that several apps may live in one process. Names carry their base unit, as
//! Prometheus wants it, and no label has a tenant's, a trigger's or a client's word for its value:
//! the number of series is bounded, and `/metrics` names nobody.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::tails::Tails;

mod tails;

pub use self::tails::TailPlace;

/// Lateness: the budget is 25 ms, recovery from a fault 30 s.
const LATENESS_SECS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 3600.0,
];
/// Stages and requests: from a log line to the longest timeout.
const DURATION_SECS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Commits: from an fsync of a good disk to a database that struggles.
const COMMIT_SECS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const COMMIT_SECONDS: &str = "belfry_database_commit_seconds";

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
        let commits = Described::new(COMMIT_SECONDS, "histogram", &[]);
        let mut maker = Maker { registry: Registry::new(), described: vec![commits] };
        maker.build().map_err(|error| format!("the metrics could not be registered: {error}"))
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

impl Described {
    fn new(name: &str, kind: &'static str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self { name: name.to_owned(), kind, labels }
    }
}

struct Maker {
    registry: Registry,
    described: Vec<Described>,
}

type Made<T> = Result<T, prometheus::Error>;

impl Maker {
    fn build(&mut self) -> Made<Metrics> {
        let engine = self.engine()?;
        let wire = self.wire()?;
        let sampled = self.sampled()?;
        let info = self.int_gauge_vec("belfry_build_info", "Always 1.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Metrics {
            registry: self.registry.clone(),
            described: std::mem::take(&mut self.described),
            engine,
            wire,
            sampled,
        })
    }

    fn engine(&mut self) -> Made<Engine> {
        Ok(Engine {
            firing_lateness: self.histogram(
                "belfry_firing_lateness_seconds",
                "From the instant that a firing was due to the beginning of its execution.",
                LATENESS_SECS,
            )?,
            firings: self.counters(
                "belfry_firings_total",
                "Firings that reached a terminal status.",
                &["cause", "status"],
            )?,
            attempts: self.counters(
                "belfry_attempts_total",
                "Attempts that were recorded.",
                &["kind", "outcome"],
            )?,
            stage_duration: self.histograms(
                "belfry_stage_duration_seconds",
                "How long recorded attempts took.",
                "kind",
            )?,
            skipped: self.counters(
                "belfry_skipped_total",
                "Planned instants that were not run.",
                &["reason"],
            )?,
            executor_slots: self.int_gauge_vec(
                "belfry_executor_slots",
                "Firings that this process may execute at a time: free, or busy.",
                &["state"],
            )?,
        })
    }

    fn wire(&mut self) -> Made<Wire> {
        Ok(Wire {
            http_requests: self.counters(
                "belfry_http_requests_total",
                "Requests that were answered.",
                &["route", "method", "status"],
            )?,
            http_request_duration: self.histograms(
                "belfry_http_request_duration_seconds",
                "From a request's head to the head of its answer.",
                "route",
            )?,
            websockets: self.int_gauge("belfry_websockets", "WebSockets that are open.")?,
            tails: Tails::new(
                self.int_gauge("belfry_tails", "Readers of the live log that are there.")?,
            ),
        })
    }

    fn sampled(&mut self) -> Made<Sampled> {
        Ok(Sampled {
            database_up: self.int_gauge("belfry_database_up", "Whether the database answers.")?,
            database_connections: self.int_gauge_vec(
                "belfry_database_connections",
                "Connections to the database: idle, or busy.",
                &["pool", "state"],
            )?,
            redis_up: self.int_gauge_vec("belfry_redis_up", "Whether Redis answers.", &[])?,
            queue_entries: self
                .int_gauge("belfry_queue_entries", "Firings that the due queue holds.")?,
            overdue: self.gauge_vec(
                "belfry_overdue_seconds",
                "How long the firing that waits longest is overdue; 0 when none is.",
                &[],
            )?,
            schedules_unarmed: self.int_gauge_vec(
                "belfry_schedules_unarmed",
                "Schedules that should fire but have nothing ahead; anything but 0 is a fault.",
                &[],
            )?,
            tail_lag: self.int_gauge_vec(
                "belfry_tail_lag_entries",
                "Entries of the log that the slowest reader of this process has not read.",
                &[],
            )?,
            forecast_firings: self.int_gauge_vec(
                "belfry_forecast_firings",
                "Firings of all projects that are expected from now to the end of the window.",
                &["window"],
            )?,
            forecast_executors: self.gauge_vec(
                "belfry_forecast_executors",
                "Processes set like this one that these firings keep busy through the window.",
                &["window"],
            )?,
        })
    }

    fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
        let made = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(name, "histogram", &[], Histogram::with_opts(made)?)
    }

    fn histograms(&mut self, name: &str, help: &str, label: &str) -> Made<HistogramVec> {
        let made = HistogramOpts::new(name, help).buckets(DURATION_SECS.to_vec());
        self.keep(name, "histogram", &[label], HistogramVec::new(made, &[label])?)
    }

    fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.keep(name, "counter", labels, IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn int_gauge(&mut self, name: &str, help: &str) -> Made<IntGauge> {
        self.keep(name, "gauge", &[], IntGauge::new(name, help)?)
    }

    fn int_gauge_vec(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.keep(name, "gauge", labels, IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge_vec(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.keep(name, "gauge", labels, GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn keep<C>(&mut self, name: &str, kind: &'static str, labels: &[&str], made: C) -> Made<C>
    where
        C: Collector + Clone + 'static,
    {
        self.registry.register(Box::new(made.clone()))?;
        self.described.push(Described::new(name, kind, labels));
        Ok(made)
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

/// What the writer of the store measures: it is there before the app is.
///
/// # Errors
/// A sentence when it could not be made.
pub fn commit_seconds() -> Result<Histogram, String> {
    let help = "How long one transaction of the writer takes, from its beginning to its commit.";
    let made = HistogramOpts::new(COMMIT_SECONDS, help).buckets(COMMIT_SECS.to_vec());
    Histogram::with_opts(made).map_err(|error| error.to_string())
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
