//! The scenarios. Each is a file with a function `run` that starts a home of its own, loads it,
//! and returns what it came to.

use std::panic::AssertUnwindSafe;

use clap::ValueEnum;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::client::{Client, Timer};
use crate::home::Kind;
use crate::table::Row;
use crate::{Scale, pace};

mod day;
mod drain;
mod fair;
mod kill;
mod live;
mod plan;
mod poll;
mod share;
mod steady;

/// What can be run, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 30,000 timers due in one second.
    Drain,
    /// 1,000 firings in each of 30 seconds.
    Steady,
    /// A day of 35,000 firings in a minute.
    Day,
    /// 50,000 due to a target that hangs, and another project.
    Fair,
    /// The SQL poll at 60 s, with Redis and without.
    Poll,
    /// Four processes on one database.
    Share,
    /// The live log under load.
    Live,
    /// kill -9 and a restart.
    Kill,
    /// 100,000 schedules that need planning.
    Plan,
}

/// How long anything may take to settle.
const PATIENCE_MS: i64 = 120_000;
/// Requests of a ceiling that a drain does not need.
const CEILING: i64 = 10_000;

impl Scenario {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Drain => "drain",
            Scenario::Steady => "steady",
            Scenario::Day => "day",
            Scenario::Fair => "fair",
            Scenario::Poll => "poll",
            Scenario::Share => "share",
            Scenario::Live => "live",
            Scenario::Kill => "kill",
            Scenario::Plan => "plan",
        }
    }

    /// Whether it makes sense on a home.
    pub fn runs_on(self, kind: Kind) -> bool {
        kind == Kind::Postgres || !matches!(self, Scenario::Poll | Scenario::Share)
    }

    /// Runs it. When it panics, that is what it came to.
    pub async fn run(self, kind: Kind, scale: Scale) -> Vec<Row> {
        let run = async move {
            match self {
                Scenario::Drain => drain::run(kind, scale).await,
                Scenario::Steady => steady::run(kind, scale).await,
                Scenario::Day => day::run(kind, scale).await,
                Scenario::Fair => fair::run(kind, scale).await,
                Scenario::Poll => poll::run(kind, scale).await,
                Scenario::Share => share::run(kind, scale).await,
                Scenario::Live => live::run(kind).await,
                Scenario::Kill => kill::run(kind).await,
                Scenario::Plan => plan::run(kind, scale).await,
            }
        };
        AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| {
            let mut row = Row::new(self.name(), kind);
            row.promise(false, "it panicked: see above");
            vec![row]
        })
    }
}

/// Starts `count` timers to `url`, due over `span_ms` from when they are all accepted.
async fn accept_ahead(
    row: &mut Row,
    client: &Client,
    url: &str,
    count: i64,
    span_ms: i64,
) -> Vec<Timer> {
    let begun = pace::now_ms();
    // Far more than a bulk of that many should take.
    let ahead_ms = 2_000 + count / 3;
    let timers = client.start_timers(url, count, (begun + ahead_ms, span_ms)).await;
    let took_ms = (pace::now_ms() - begun).max(1);
    let is_ahead = timers.iter().all(|timer| begun + took_ms < timer.due_ms);
    row.promise(is_ahead, format!("the timers were due before all were accepted ({took_ms} ms)"));
    if 1_000 <= count {
        row.note(format!("{}/s accepted in bulk", count * 1_000 / took_ms));
    }
    row.firings = count;
    timers
}

/// Which firings are timers.
fn timers() -> Value {
    json!({ "cause": { "eq": "TIMER" } })
}
