//! Plans: when a schedule fires, from what it says to the next instant.
//!
//! [`Spec`] is what is stored, as JSON, in `schedule.spec`; [`Plan`] is the same understood, ready
//! to be asked. The planner, the preview, backfill, `explain` and `forecast` all ask the same
//! three questions: which instant comes next, how does it read locally, and was it moved. A plan
//! is pure: the same question has the same answer, and an instant that is past can be asked for.
//!
//! Promises of [`Plan::next_after`]: the answer is strictly later than the question, nothing lies
//! between the two, and at the end of the year 9999 there is none.

use chrono::{NaiveDateTime, NaiveTime, Timelike as _};
use entity::Instant;
use entity::schedule::Kind;
use serde::{Deserialize, Serialize};

use crate::domain::cron::Cron;
use crate::domain::duration;
use crate::domain::zone::{DstPolicy, Gap, Overlap, Reading, Transition, Zone};
use crate::error::Problem;

/// Shortest interval, and the unit of all intervals: cron has no finer one either, and what must
/// happen more often than each second is a loop, not a schedule.
pub const INTERVAL_MS_MIN: i64 = 1000;

/// What a schedule says, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Spec {
    /// Once, at an instant.
    At {
        /// The instant.
        at: Instant,
    },
    /// Once, some time after it was said.
    In {
        /// How long after, in milliseconds.
        delay_ms: i64,
        /// The instant that this came to.
        at: Instant,
    },
    /// Again and again in elapsed time: at each `anchor + phase + k × interval` after the anchor.
    Every {
        /// The interval, in milliseconds; whole seconds, at least [`INTERVAL_MS_MIN`].
        interval_ms: i64,
        /// Where counting starts; not itself an instant of the schedule.
        anchor: Instant,
        /// How long after the beginning of each interval, in milliseconds; less than the interval.
        #[serde(default, skip_serializing_if = "is_zero")]
        phase_ms: i64,
    },
    /// By the calendar and the clock on the wall.
    Cron {
        /// The expression, in the dialect of `domain/cron`.
        expression: String,
        /// Name of the IANA time zone of that wall.
        zone: String,
        /// What happens where its clocks change.
        #[serde(flatten)]
        dst: DstPolicy,
    },
}

/// A [`Spec`] that has been understood: cheap to ask.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Shape,
    zone: Zone,
}

/// What a change of clocks did to a time of a plan, so that there is no instant of the plan where
/// somebody would look for it. Each with a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The time comes twice, and the other pass fires.
    OtherPass(String),
    /// The time does not exist, and is skipped.
    Skipped(String),
    /// The time does not exist, and moved to the first instant after the gap.
    Moved(String),
}

#[derive(Clone, Debug)]
enum Shape {
    Once { at: Instant, delay_ms: Option<i64> },
    Every { interval_ms: i64, anchor: Instant, phase_ms: i64 },
    Cron { cron: Box<Cron>, policy: DstPolicy },
}

impl Spec {
    /// At `anchor + k × interval` for k = 1, 2, 3 …
    #[must_use]
    pub fn every(interval_ms: i64, anchor: Instant) -> Self {
        Self::Every { interval_ms, anchor, phase_ms: 0 }
    }

    /// By an expression in a zone; what happens where clocks change follows from the expression.
    #[must_use]
    pub fn cron(expression: impl Into<String>, zone: impl Into<String>) -> Self {
        Self::Cron { expression: expression.into(), zone: zone.into(), dst: DstPolicy::AUTO }
    }

    /// Understands the spec.
    ///
    /// # Errors
    /// The first thing that is wrong with it, named after the field of this type; an expression's
    /// message says at which character.
    pub fn compile(&self) -> Result<Plan, Problem> {
        let (shape, zone) = match self {
            Self::At { at } => (Shape::Once { at: *at, delay_ms: None }, Zone::UTC),
            Self::In { delay_ms, .. } if *delay_ms < 0 => {
                return Err(Problem::new("delay", "expected a duration that is not negative"));
            }
            Self::In { delay_ms, at } => {
                (Shape::Once { at: *at, delay_ms: Some(*delay_ms) }, Zone::UTC)
            }
            Self::Every { interval_ms, anchor, phase_ms } => {
                let (interval_ms, anchor, phase_ms) = (*interval_ms, *anchor, *phase_ms);
                check_interval(interval_ms, anchor, phase_ms)?;
                (Shape::Every { interval_ms, anchor, phase_ms }, Zone::UTC)
            }
            Self::Cron { expression, zone, dst } => {
                let cron = Cron::parse(expression)
                    .map_err(|error| Problem::new("expression", error.to_string()))?;
                let zone = Zone::parse(zone).map_err(|error| Problem::new("zone", error))?;
                (Shape::Cron { cron: Box::new(cron), policy: *dst }, zone)
            }
        };
        Ok(Plan { shape, zone })
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::At { .. } => Kind::At,
            Self::In { .. } => Kind::In,
            Self::Every { .. } => Kind::Every,
            Self::Cron { .. } => Kind::Cron,
        }
    }
}

impl Plan {
    /// The first instant strictly after `after`; none when the plan is over.
    #[must_use]
    pub fn next_after(&self, after: Instant) -> Option<Instant> {
        match &self.shape {
            Shape::Once { at, .. } => (after < *at).then_some(*at),
            Shape::Every { interval_ms, anchor, phase_ms } => {
                let origin_ms = origin_ms(*interval_ms, *anchor, *phase_ms);
                let passed = (after.millis() - origin_ms).max(0) / interval_ms;
                let next_ms = origin_ms.checked_add((passed + 1).checked_mul(*interval_ms)?)?;
                (next_ms <= Instant::MAX.millis()).then(|| Instant::from_millis(next_ms))
            }
            Shape::Cron { cron, policy } => cron.next_after(self.zone, *policy, after),
        }
    }

    /// How many instants lie from `from` on and before `until`; the same that
    /// [`Plan::next_after`] walks over, without walking.
    #[must_use]
    pub fn count(&self, from: Instant, until: Instant) -> u64 {
        if until <= from {
            return 0;
        }
        match &self.shape {
            Shape::Once { at, .. } => u64::from(from <= *at && *at < until),
            Shape::Every { interval_ms, anchor, phase_ms } => {
                let origin_ms = origin_ms(*interval_ms, *anchor, *phase_ms);
                let before = |end: Instant| (end.millis() - origin_ms - 1).max(0) / interval_ms;
                (before(until) - before(from)).unsigned_abs()
            }
            Shape::Cron { cron, policy } => {
                let before = |end: Instant| (end.millis() + 999).div_euclid(1000) - 1;
                cron.count(self.zone, *policy, before(from), before(until))
            }
        }
    }

    /// What a change of clocks did to an instant of this plan, in words: that it was moved there
    /// from a time that does not exist, or which pass it is of a time that comes twice.
    #[must_use]
    pub fn note_at(&self, instant: Instant) -> Option<String> {
        let Shape::Cron { cron, policy } = &self.shape else {
            return None;
        };
        let (gap, overlap) = cron.settle(*policy);
        let at_secs = instant.millis().div_euclid(1000);
        let civil = self.zone.civil(at_secs);
        if gap == Gap::Shift
            && let Some(transition) = self.zone.transition_at(at_secs)
            && let Some(shifted) = cron.shifted_by(transition)
        {
            let verb = if cron.allows(civil) { "stands also for" } else { "moved from" };
            return Some(format!("{verb} {}", gap_words(shifted, transition)));
        }
        match self.zone.read(civil) {
            Reading::Twice(transition) => {
                let only = if overlap == Overlap::Both { "" } else { ", the only one that fires" };
                let pass = if at_secs < transition.at_secs { "first" } else { "second" };
                let words = overlap_words(civil, transition);
                Some(format!("{words}: this is the {pass} pass{only}"))
            }
            Reading::Once(_) | Reading::Never(_) => None,
        }
    }

    /// Whether a change of clocks is why the plan does not have this instant, which it does not.
    #[must_use]
    pub fn absence_at(&self, instant: Instant) -> Option<Absence> {
        let Shape::Cron { cron, policy } = &self.shape else {
            return None;
        };
        let at_secs = instant.millis().div_euclid(1000);
        if at_secs * 1000 != instant.millis() {
            return None;
        }
        let civil = self.zone.civil(at_secs);
        if cron.allows(civil)
            && let Reading::Twice(back) = self.zone.read(civil)
        {
            let is_first = at_secs < back.at_secs;
            let (this, other) = if is_first { ("first", "second") } else { ("second", "first") };
            let words = overlap_words(civil, back);
            let words = format!("{words}: this is the {this} pass, and only the {other} one fires");
            return Some(Absence::OtherPass(words));
        }
        // Whoever asks for the end of the gap asks for what moves there, too.
        let meant = self.zone.jumped_over(at_secs).filter(|(civil, _)| cron.allows(*civil));
        let (civil, forward) = meant.or_else(|| {
            let forward = self.zone.transition_at(at_secs)?;
            Some((cron.shifted_by(forward)?, forward))
        })?;
        let words = gap_words(civil, forward);
        Some(match cron.settle(*policy).0 {
            Gap::Skip => Absence::Skipped(format!("the schedule skips {words}")),
            Gap::Shift => {
                let end = self.local(Instant::from_millis(forward.at_secs * 1000));
                Absence::Moved(format!("the schedule fires at {end} for {words}"))
            }
        })
    }

    /// RFC 3339 with the offset of the plan's zone at that instant.
    #[must_use]
    pub fn local(&self, instant: Instant) -> String {
        self.zone.format(instant)
    }

    /// The zone that the plan is made in; UTC for all kinds but cron.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The IANA name of the zone that the plan is made in; `UTC` for all kinds but cron.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.name()
    }

    /// The plan in words: `every week on Monday at 14:00, Europe/Berlin`.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.shape {
            Shape::Once { at, delay_ms: None } => format!("once at {at}"),
            Shape::Once { at, delay_ms: Some(delay_ms) } => {
                format!("once, after {}, at {at}", duration::words(*delay_ms))
            }
            Shape::Every { interval_ms, anchor, phase_ms } => {
                let phase = match *phase_ms {
                    0 => String::new(),
                    phase_ms => format!(", offset by {}", duration::words(phase_ms)),
                };
                let interval = duration::words(*interval_ms);
                // "every hour", but "every 1 hour 20 minutes".
                let one = interval.strip_prefix("1 ").filter(|unit| !unit.contains(' '));
                let interval = one.unwrap_or(&interval);
                format!("every {interval}{phase}, counted from {anchor}")
            }
            Shape::Cron { cron, policy } => {
                format!("{}, {}{}", cron.words(), self.zone.name(), policy_words(*policy))
            }
        }
    }
}

fn check_interval(interval_ms: i64, anchor: Instant, phase_ms: i64) -> Result<(), Problem> {
    if interval_ms < INTERVAL_MS_MIN || interval_ms % INTERVAL_MS_MIN != 0 {
        return Err(Problem::new("interval", "expected whole seconds, at least 1"));
    }
    if !(0..interval_ms).contains(&phase_ms) {
        return Err(Problem::new("phase", "expected a duration shorter than the interval"));
    }
    let first_ms = origin_ms(interval_ms, anchor, phase_ms).checked_add(interval_ms);
    if first_ms.is_none_or(|first_ms| Instant::MAX.millis() < first_ms) {
        return Err(Problem::new("interval", "expected a first firing before the year 10000"));
    }
    Ok(())
}

/// The instant from which on intervals are counted, which may lie before time begins: one interval
/// before the first firing.
fn origin_ms(interval_ms: i64, anchor: Instant, phase_ms: i64) -> i64 {
    match phase_ms {
        0 => anchor.millis(),
        _ => anchor.millis() + phase_ms - interval_ms,
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What was said about changes of clocks, each led in by a comma.
fn policy_words(policy: DstPolicy) -> String {
    let gap = match policy.gap {
        Some(Gap::Shift) => ", times in a gap moved to its end",
        Some(Gap::Skip) => ", times in a gap skipped",
        None => "",
    };
    let overlap = match policy.overlap {
        Some(Overlap::First) => ", repeated times at the first pass",
        Some(Overlap::Last) => ", repeated times at the second pass",
        Some(Overlap::Both) => ", repeated times at both passes",
        None => "",
    };
    format!("{gap}{overlap}")
}

fn gap_words(shifted: NaiveDateTime, transition: Transition) -> String {
    let gap = transition.civil_range();
    let end = match clock(gap.end.time()) {
        end if gap.start.date() == gap.end.date() => end,
        end => format!("{end} on {}", gap.end.date()),
    };
    let (time, date, start) = (clock(shifted.time()), shifted.date(), clock(gap.start.time()));
    format!("{time}, which does not exist on {date}: clocks go forward from {start} to {end}")
}

fn overlap_words(civil: NaiveDateTime, transition: Transition) -> String {
    let twice = transition.civil_range();
    let (time, date) = (clock(civil.time()), civil.date());
    let (from, back_to) = (clock(twice.end.time()), clock(twice.start.time()));
    format!("{time} comes twice on {date}, because clocks go back from {from} to {back_to}")
}

fn clock(time: NaiveTime) -> String {
    let format = if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    time.format(format).to_string()
}

#[cfg(test)]
mod tests;
