//! How the metrics are made: their names, what they say, their labels and their buckets.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::{Described, Engine, Metrics, Sampled, Tails, Wire};

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

type Made<T> = Result<T, prometheus::Error>;

/// All of them, at zero.
pub(super) fn all() -> Made<Metrics> {
    let commits = Described::new(COMMIT_SECONDS, "histogram", &[]);
    Maker { registry: Registry::new(), described: vec![commits] }.build()
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

struct Maker {
    registry: Registry,
    described: Vec<Described>,
}

impl Maker {
    fn build(mut self) -> Made<Metrics> {
        let engine = self.engine()?;
        let wire = self.wire()?;
        let sampled = self.sampled()?;
        let info = self.int_gauge_vec("belfry_build_info", "Always 1.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Metrics { registry: self.registry, described: self.described, engine, wire, sampled })
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
            streams: self
                .int_gauge("belfry_streams", "Answers over HTTP that go on: SSE, multipart.")?,
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

impl Described {
    fn new(name: &str, kind: &'static str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self { name: name.to_owned(), kind, labels }
    }
}
