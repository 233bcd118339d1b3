//! A second opinion about time: an evaluator that knows nothing clever, to compare `domain/cron`
//! with. It shares no code with it.
//!
//! It walks real time in even steps around a change of clocks, asks the zone database what the wall
//! shows at each, judges that by reading the expression anew ([`Rule`]), and applies a policy by its
//! definition ([`Seen::fires`]). What it finds must be what `Cron::next_after` says:
//!
//! - the next instant is later than the one asked from;
//! - from every step up to the next instant, that same one is the next;
//! - instants strictly increase;
//! - none is missing and none is extra.
//!
//! `make soak` does this for every zone and every change of clocks from 2000 to 2040, `make test`
//! for some of them.

mod change;
mod rule;
mod shape;
mod walk;

use belfry::domain::cron::Cron;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use chrono_tz::Tz;
use entity::Instant;

pub use change::{Change, changes, distinct_zones};
pub use rule::Rule;
pub use shape::SHAPES;
pub use walk::{Seen, Walk};

/// The years whose changes of clocks are looked at.
pub const YEARS: std::ops::Range<i32> = 2000..2041;
/// What is looked at on either side of a change, beyond what it repeats or jumps over.
const REACH_SECS: i64 = 3 * 3600;
/// More differences than this are counted but not described.
const DESCRIBED_MAX: usize = 20;

/// Every policy, and the one that follows from the expression.
pub const POLICIES: [DstPolicy; 7] = [
    DstPolicy::AUTO,
    DstPolicy::new(Gap::Skip, Overlap::Both),
    DstPolicy::new(Gap::Skip, Overlap::First),
    DstPolicy::new(Gap::Skip, Overlap::Last),
    DstPolicy::new(Gap::Shift, Overlap::Both),
    DstPolicy::new(Gap::Shift, Overlap::First),
    DstPolicy::new(Gap::Shift, Overlap::Last),
];

/// What was compared.
#[derive(Debug, Default)]
pub struct Tally {
    /// Changes of clocks.
    pub changes: usize,
    /// Expressions under a policy, each around one change.
    pub expressions: usize,
    /// Questions for the next instant.
    pub comparisons: usize,
    /// Answers that were not the same.
    pub differences: usize,
    /// The first of them.
    pub described: Vec<String>,
}

impl Tally {
    /// Compares expressions of every shape under every policy around one change of clocks.
    pub fn change(&mut self, zone: Tz, change: &Change) {
        self.changes += 1;
        let reach = change.moved_secs() + REACH_SECS;
        let walk =
            |step_secs| Walk::new(zone, change.at_secs - reach, change.at_secs + reach, step_secs);
        let (minutes, finer) = (walk(60), walk(20));
        for (expression, step_secs) in shape::shapes(change) {
            let walk = if step_secs == 60 { &minutes } else { &finer };
            self.expression(zone, &expression, walk);
        }
    }

    /// Compares one expression under every policy with what a walk has seen.
    pub fn expression(&mut self, zone: Tz, expression: &str, walk: &Walk) {
        let rule = Rule::new(expression);
        let seen = walk.look(&rule);
        let cron = Cron::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let named = Zone::parse(zone.name()).unwrap_or_else(|error| panic!("{error}"));
        for policy in POLICIES {
            let (gap, overlap) = settled(&rule, policy);
            let expected = seen.fires(gap, overlap);
            self.expressions += 1;
            let next = |after_ms| {
                let found = cron.next_after(named, policy, Instant::from_millis(after_ms));
                found.map_or(i64::MAX, Instant::millis)
            };
            let what = || format!("`{expression}` in {zone}, {policy:?}");
            self.compare(walk, &expected, next, what);
        }
    }

    fn compare(
        &mut self,
        walk: &Walk,
        expected: &[i64],
        next: impl Fn(i64) -> i64,
        what: impl Fn() -> String,
    ) {
        let end_ms = walk.last_secs() * 1000;
        let mut ahead = expected.iter().map(|secs| secs * 1000).peekable();
        for step in 0..walk.steps() {
            let at_ms = walk.at(step) * 1000;
            // Just before an instant, that is the next; at the instant, the one after it.
            if ahead.peek() == Some(&at_ms) {
                self.judge(at_ms - 1, next(at_ms - 1), Some(at_ms), end_ms, &what);
                ahead.next();
            }
            self.judge(at_ms, next(at_ms), ahead.peek().copied(), end_ms, &what);
        }
    }

    fn judge(
        &mut self,
        after_ms: i64,
        found_ms: i64,
        expected_ms: Option<i64>,
        end_ms: i64,
        what: impl Fn() -> String,
    ) {
        self.comparisons += 1;
        let within = (found_ms <= end_ms).then_some(found_ms);
        if after_ms < found_ms && within == expected_ms {
            return;
        }
        self.differences += 1;
        if self.described.len() < DESCRIBED_MAX {
            let (after, found) = (Instant::from_millis(after_ms), Instant::from_millis(found_ms));
            let expected = expected_ms.map(|ms| Instant::from_millis(ms).to_string());
            let expected = expected.unwrap_or_else(|| "nothing near".to_owned());
            let what = what();
            self.described.push(format!("{what} after {after}: {found}, expected {expected}"));
        }
    }
}

/// What a policy comes to, as the documentation says it.
fn settled(rule: &Rule, policy: DstPolicy) -> (Gap, Overlap) {
    let (gap, overlap) = match rule.is_beat() {
        true => (Gap::Skip, Overlap::Both),
        false => (Gap::Shift, Overlap::First),
    };
    (policy.gap.unwrap_or(gap), policy.overlap.unwrap_or(overlap))
}
