//! What the process says about itself: `tracing` lines on standard error, and spans to a collector
//! when one is named.
//!
//! Spans are made under the one target [`SPANS`] and go to the collector alone. Without one nobody
//! wants that target, which `tracing` remembers at each place that makes a span: a comparison.
//!
//! **Below `info` only Belfry speaks**, whatever the filter says: libraries that carry requests print
//! what they carry, keys and payloads included.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::config::LogFormat;

mod otlp;

/// The target of every span.
pub const SPANS: &str = "belfry::spans";

/// What has to be ended with the process.
#[derive(Default)]
pub struct Telemetry {
    traces: Option<otlp::Traces>,
}

/// Starts logging; `filter` is a `tracing` directive such as `info` or `belfry=debug`. Spans are
/// sent to the OTLP collector at `collector`, such as `http://127.0.0.1:4318`.
///
/// # Errors
/// A sentence when the filter does not parse, the collector's client cannot be made, or logging
/// was started before.
pub fn start(
    format: LogFormat,
    filter: &str,
    collector: Option<&str>,
) -> Result<Telemetry, String> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| format!("--log: log filter {filter:?}: {error}"))?;
    let no_spans = format!("{SPANS}=off").parse();
    let no_spans = no_spans.map_err(|error| format!("--log: {error}"))?;
    let lines = tracing_subscriber::fmt::layer()
        // They would go to standard error, which is what could not be written: a closed pipe must
        // not panic a task that logs.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // The hint lets the level that the filter asks for be the most that is looked at.
    let harmless = filter_fn(is_harmless).with_max_level_hint(LevelFilter::TRACE);
    let wanted = parsed.add_directive(no_spans).and(harmless);
    let lines = lines.with_filter(wanted);
    let traces = collector.map(otlp::Traces::start).transpose()?;
    let spans = traces.as_ref().map(|traces| {
        let wanted = Targets::new().with_target(SPANS, tracing::Level::INFO);
        traces.layer::<Registry>().with_filter(wanted)
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .try_init()
        .map_err(|error| format!("logging could not start: {error}"))?;
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what was not sent yet.
    pub async fn end(self) {
        if let Some(traces) = self.traces {
            traces.end().await;
        }
    }
}

/// Whether a line may be printed, by who says it how.
fn is_harmless(said: &Metadata<'_>) -> bool {
    *said.level() <= Level::INFO || said.target().starts_with("belfry")
}
