//! A walk along real time, looking at the wall at each step.

use belfry::domain::zone::{Gap, Overlap};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use super::rule::Rule;

/// A stretch of real time and what the wall shows at each step of it.
pub struct Walk {
    first_secs: i64,
    step_secs: i64,
    civil: Vec<NaiveDateTime>,
}

/// What an expression allows of what a walk has seen.
pub struct Seen<'a> {
    walk: &'a Walk,
    /// Whether it allows what the wall shows at each step.
    allowed: Vec<bool>,
    /// Whether the wall jumped over something allowed just before each step.
    skipped: Vec<bool>,
}

impl Walk {
    /// From `first_secs` to `last_secs`; all offsets must be multiples of `step_secs`.
    pub fn new(zone: Tz, first_secs: i64, last_secs: i64, step_secs: i64) -> Self {
        let first_secs = first_secs.div_euclid(step_secs) * step_secs;
        let instants = (first_secs..=last_secs).step_by(usize::try_from(step_secs).unwrap());
        let civil = |at_secs| {
            let utc = DateTime::from_timestamp(at_secs, 0).unwrap_or_default().naive_utc();
            zone.from_utc_datetime(&utc).naive_local()
        };
        Self { first_secs, step_secs, civil: instants.map(civil).collect() }
    }

    /// The instant of a step.
    pub fn at(&self, step: usize) -> i64 {
        self.first_secs + i64::try_from(step).unwrap() * self.step_secs
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.civil.len()
    }

    /// The last instant.
    pub fn last_secs(&self) -> i64 {
        self.at(self.steps() - 1)
    }

    /// Judges each step by `rule`.
    pub fn look(&self, rule: &Rule) -> Seen<'_> {
        let tick = TimeDelta::seconds(self.step_secs);
        let skipped = |step: usize| {
            let Some(before) = step.checked_sub(1).map(|before| self.civil[before]) else {
                return false;
            };
            let ticks = std::iter::successors(Some(before + tick), |civil| Some(*civil + tick));
            ticks.take_while(|civil| *civil < self.civil[step]).any(|civil| rule.allows(civil))
        };
        Seen {
            walk: self,
            allowed: self.civil.iter().map(|civil| rule.allows(*civil)).collect(),
            skipped: (0..self.steps()).map(skipped).collect(),
        }
    }
}

impl Seen<'_> {
    /// The instants at which the expression fires under a policy, by the policy's definition: of
    /// two passes, the first is the one that shows times for the first time.
    pub fn fires(&self, gap: Gap, overlap: Overlap) -> Vec<i64> {
        let civil = &self.walk.civil;
        let mut is_last_pass = vec![true; civil.len()];
        let mut lowest = NaiveDateTime::MAX;
        for (step, civil) in civil.iter().enumerate().rev() {
            is_last_pass[step] = *civil < lowest;
            lowest = lowest.min(*civil);
        }
        let mut highest = NaiveDateTime::MIN;
        let mut found = Vec::new();
        for (step, civil) in civil.iter().enumerate() {
            let counts = match overlap {
                Overlap::First => highest < *civil,
                Overlap::Last => is_last_pass[step],
                Overlap::Both => true,
            };
            let is_moved = gap == Gap::Shift && self.skipped[step];
            if is_moved || counts && self.allowed[step] {
                found.push(self.walk.at(step));
            }
            highest = highest.max(*civil);
        }
        found
    }
}
