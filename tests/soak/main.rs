//! The long form of the tests of time. Prints what it came to; ends with 1 when anything differed.
//!
//! - every distinct zone, every change of its clocks from 2000 to 2040, expressions of every shape,
//!   under every policy, against an evaluator that walks the clock
//! - a thousand random schedules, simulated and played by the engine on a clock of its own

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;
use tests::played::{self, Compared};
use tests::wall::{SHAPES, Tally, YEARS, distinct_zones};

/// Random schedules that one Belfry plays at once.
const AT_ONCE: usize = 20;

#[derive(Parser)]
struct Arguments {
    /// Only one of: zones, simulation.
    #[arg(long)]
    only: Option<String>,
    /// Random schedules that are simulated and played.
    #[arg(long, default_value_t = 1_000)]
    schedules: usize,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wants = |part: &str| arguments.only.as_deref().is_none_or(|only| only == part);
    let mut is_right = true;
    if wants("zones") {
        is_right &= zones();
    }
    if wants("simulation") {
        simulation(arguments.seed, arguments.schedules);
    }
    u8::from(!is_right).into()
}

/// Panics at the first difference.
fn simulation(seed: u64, schedules: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut sum = Compared::default();
    for seed in (seed..).take(schedules.div_ceil(AT_ONCE)) {
        let compared = runtime.block_on(played::compare(seed, AT_ONCE));
        sum.schedules += compared.schedules;
        sum.instants += compared.instants;
        sum.skipped += compared.skipped;
    }
    let Compared { schedules, instants, skipped } = sum;
    println!(
        "{schedules} random schedules from seed {seed}: {instants} instants ({skipped} skipped or \
         cancelled) simulated and played, 0 differences"
    );
}

/// Whether nothing differed.
fn zones() -> bool {
    let zones = distinct_zones(YEARS);
    let count = zones.len();
    let names = chrono_tz::TZ_VARIANTS.len();
    println!("{names} names of zones, {count} distinct in {YEARS:?}, {SHAPES} shapes");
    let left = Mutex::new(zones);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let work = || {
            let mut tally = Tally::default();
            loop {
                let next = left.lock().ok().and_then(|mut zones| zones.pop());
                let Some((zone, changes)) = next else { return tally };
                changes.iter().for_each(|change| tally.change(zone, change));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    tallies.iter().flat_map(|tally| &tally.described).for_each(|line| println!("{line}"));
    let is_whole = tallies.len() == workers;
    let differences = sum(|tally| tally.differences);
    println!(
        "{} changes of clocks, {} expressions under a policy, {} comparisons, {differences} differences",
        sum(|tally| tally.changes),
        sum(|tally| tally.expressions),
        sum(|tally| tally.comparisons),
    );
    is_whole && differences == 0
}
