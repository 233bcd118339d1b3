//! `belfry cron next`: what an expression means, without a server.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use entity::Instant;

use super::{Done, Failure};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::plan::Spec;
use crate::domain::zone::{DstPolicy, Gap, Overlap};

/// Instants of one call: a minutely expression for a week.
const ROWS_MAX: u64 = 10_080;

/// Which instants.
#[derive(Args, Debug)]
pub struct NextArgs {
    /// Five fields, or six with leading seconds, or @daily and the like
    expression: String,
    /// IANA name of the time zone
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    tz: String,
    /// What happens to times that do not exist where clocks go forward [default: by the expression]
    #[arg(long, value_enum, ignore_case = true)]
    gap: Option<GapArg>,
    /// Which of two passes counts where clocks go back [default: by the expression]
    #[arg(long, value_enum, ignore_case = true)]
    overlap: Option<OverlapArg>,
    /// Instants after this, RFC 3339 [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = Instant::parse)]
    from: Option<Instant>,
    /// How many
    #[arg(short, default_value = "5", value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=ROWS_MAX))]
    n: u64,
    /// As a JSON array of RFC 3339 instants
    #[arg(long)]
    json: bool,
}

/// [`Gap`] as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum GapArg {
    /// They move behind the gap, and fire once together
    Shift,
    /// They do not fire
    Skip,
}

/// [`Overlap`] as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OverlapArg {
    /// The first
    First,
    /// The second
    Last,
    /// Each
    Both,
}

impl From<GapArg> for Gap {
    fn from(gap: GapArg) -> Self {
        match gap {
            GapArg::Shift => Self::Shift,
            GapArg::Skip => Self::Skip,
        }
    }
}

impl From<OverlapArg> for Overlap {
    fn from(overlap: OverlapArg) -> Self {
        match overlap {
            OverlapArg::First => Self::First,
            OverlapArg::Last => Self::Last,
            OverlapArg::Both => Self::Both,
        }
    }
}

/// Prints them.
pub(super) fn next(args: &NextArgs) -> Done {
    let dst = DstPolicy { gap: args.gap.map(Into::into), overlap: args.overlap.map(Into::into) };
    let spec = Spec::Cron { expression: args.expression.clone(), zone: args.tz.clone(), dst };
    let plan = spec.compile().map_err(|problem| {
        let flag = if problem.field == "zone" { "--tz" } else { "the expression" };
        Failure::usage(format!("{flag}: {}", problem.message))
    })?;
    let from = args.from.unwrap_or_else(|| SystemClock::new().now());
    let rows = usize::try_from(args.n).unwrap_or(usize::MAX);
    let instants: Vec<Instant> =
        std::iter::successors(plan.next_after(from), |last| plan.next_after(*last))
            .take(rows)
            .collect();
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        let locals: Vec<String> = instants.iter().map(|instant| plan.local(*instant)).collect();
        writeln!(out, "{}", serde_json::json!(locals))
    } else {
        writeln!(out, "{}", plan.summary()).and_then(|()| {
            instants.iter().try_for_each(|instant| {
                let note = plan.note_at(*instant).map(|note| format!("  ({note})"));
                writeln!(out, "{}{}", plan.local(*instant), note.unwrap_or_default())
            })
        })
    };
    written.map_err(|error| Failure::new(format!("standard output: {error}")))
}
