//! The load harness: real servers, databases, Redis, a real receiver and real clients, all started
//! here on free ports. `make load` runs it and prints one table.
//!
//! Each scenario checks the promises (everything accepted is recorded once with its attempt and
//! its event, delivered, never early) and measures. The figures are of this machine at this
//! moment, so each stands beside the *raw ceiling* of the same run: the HTTP client of the stages
//! posting to the same receiver with no queue and no database. The exit code is 1 when a promise
//! was broken or a bar missed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::home::Kind;
use crate::scenario::Scenario;
use crate::table::Row;

mod ceiling;
mod client;
mod home;
mod machine;
mod pace;
mod process;
mod receiver;
mod record;
mod scenario;
mod table;

/// Measures Belfry beside the raw ceiling of the same run.
#[derive(Parser)]
struct Args {
    /// Only these scenarios, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Scenario>,
    /// Only this home
    #[arg(long)]
    home: Option<Kind>,
    /// A small part of each load: shows that the harness works, and its figures mean nothing
    #[arg(long)]
    short: bool,
}

/// How much of each load is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What the bars are for.
    Full,
    /// Enough to see that every part works.
    Short,
}

impl Scale {
    /// The figure of this scale.
    pub fn of(self, full: i64, short: i64) -> i64 {
        match self {
            Scale::Full => full,
            Scale::Short => short,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let scale = if args.short { Scale::Short } else { Scale::Full };
    let mut rows: Vec<Row> = Vec::new();
    for scenario in Scenario::value_variants() {
        if !args.only.is_empty() && !args.only.contains(scenario) {
            continue;
        }
        for kind in Kind::value_variants() {
            if args.home.is_none_or(|home| home == *kind) && scenario.runs_on(*kind) {
                eprintln!("{} on {} …", scenario.name(), kind.name());
                let new = scenario.run(*kind, scale).await;
                new.iter().for_each(|row| eprintln!("{}", row.line()));
                rows.extend(new);
            }
        }
    }
    print!("{}", table::text(&rows, &machine::description()));
    // The bars are for the full load.
    let is_bad = |row: &Row| row.is_broken() || (scale == Scale::Full && row.is_missed());
    if rows.is_empty() || rows.iter().any(is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
