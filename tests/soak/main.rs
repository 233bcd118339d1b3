//! The long form of the tests of time: every distinct zone, every change of its clocks from 2000 to
//! 2040, expressions of every shape, under every policy, against an evaluator that walks the clock.
//! Prints what it came to; ends with 1 when anything differed.

use std::sync::Mutex;
use std::thread;

use tests::wall::{SHAPES, Tally, YEARS, distinct_zones};

fn main() -> std::process::ExitCode {
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
    u8::from(!is_whole || 0 < differences).into()
}
