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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Again and again in elapsed time: at `anchor + k × interval` for k = 1, 2, 3 …
    Every {
        /// The interval, in milliseconds; whole seconds, at least [`INTERVAL_MS_MIN`].
        interval_ms: i64,
        /// Where counting starts; not itself an instant of the schedule.
        anchor: Instant,
    },
    /// By the calendar and the clock on the wall.
    Cron {
        /// The expression, in the dialect of `domain/cron`.
        expression: String,
        /// Name of the IANA time zone of that wall.
        zone: String,
    },
}

/// A [`Spec`] that has been understood: cheap to ask.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Shape,
    zone: Zone,
}

#[derive(Clone, Debug)]
enum Shape {
    Once { at: Instant, delay_ms: Option<i64> },
    Every { interval_ms: i64, anchor: Instant },
    Cron { cron: Box<Cron>, policy: DstPolicy },
}

impl Spec {
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
            Self::Every { interval_ms, anchor } => {
                let interval_ms = checked_interval(*interval_ms, *anchor)?;
                (Shape::Every { interval_ms, anchor: *anchor }, Zone::UTC)
            }
            Self::Cron { expression, zone } => {
                let cron = Cron::parse(expression)
                    .map_err(|error| Problem::new("expression", error.to_string()))?;
                let zone = Zone::parse(zone).map_err(|error| Problem::new("zone", error))?;
                (Shape::Cron { cron: Box::new(cron), policy: DstPolicy::Auto }, zone)
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
            Shape::Every { interval_ms, anchor } => {
                let passed = after.ms_since(*anchor).max(0) / interval_ms;
                let next_ms =
                    anchor.millis().checked_add((passed + 1).checked_mul(*interval_ms)?)?;
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
            Shape::Every { interval_ms, anchor } => {
                let before = |end: Instant| (end.ms_since(*anchor) - 1).max(0) / interval_ms;
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

    /// The plan in words: `at 14:00 every Monday, Europe/Berlin`.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.shape {
            Shape::Once { at, delay_ms: None } => format!("once at {at}"),
            Shape::Once { at, delay_ms: Some(delay_ms) } => {
                format!("once, after {}, at {at}", duration::words(*delay_ms))
            }
            Shape::Every { interval_ms, anchor } => {
                format!("every {}, counted from {anchor}", duration::words(*interval_ms))
            }
            Shape::Cron { cron, .. } => format!("{}, {}", cron.words(), self.zone.name()),
        }
    }
}

fn checked_interval(interval_ms: i64, anchor: Instant) -> Result<i64, Problem> {
    if interval_ms < INTERVAL_MS_MIN || interval_ms % INTERVAL_MS_MIN != 0 {
        return Err(Problem::new("interval", "expected whole seconds, at least 1"));
    }
    if Instant::MAX.ms_since(anchor) < interval_ms {
        return Err(Problem::new("interval", "expected a first firing before the year 10000"));
    }
    Ok(interval_ms)
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
mod tests {
    use entity::Instant;

    use super::{Kind, Plan, Spec};

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn cron(expression: &str, zone: &str) -> Plan {
        let spec = Spec::Cron { expression: expression.to_owned(), zone: zone.to_owned() };
        spec.compile().expect(expression)
    }

    #[test]
    fn a_spec_is_stored_as_json_with_its_kind() {
        let spec = Spec::Every { interval_ms: 4_800_000, anchor: at("2026-11-21T09:00:00Z") };
        let json = serde_json::to_string(&spec).expect("it is plain data");
        let expected = r#"{"kind":"EVERY","interval_ms":4800000,"anchor":1795251600000}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Spec>(&json).expect("it was just written"), spec);
        assert_eq!(spec.kind(), Kind::Every);
    }

    #[test]
    fn one_time_plans_fire_once() {
        let plan = Spec::In { delay_ms: 300_000, at: at("2026-11-21T09:05:00Z") }.compile();
        let plan = plan.expect("it is plain");
        assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T09:05:00Z")));
        assert_eq!(plan.next_after(at("2026-11-21T09:05:00Z")), None);
        assert_eq!(plan.summary(), "once, after 5 minutes, at 2026-11-21T09:05:00Z");
        assert!(Spec::In { delay_ms: -1, at: Instant::MIN }.compile().is_err());
    }

    #[test]
    fn every_counts_from_its_anchor_and_does_not_drift() {
        let anchor = at("2026-11-21T09:00:00.250Z");
        let plan = Spec::Every { interval_ms: 4_800_000, anchor }.compile().expect("it is plain");
        assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T10:20:00.250Z")));
        assert_eq!(plan.next_after(anchor), Some(at("2026-11-21T10:20:00.250Z")));
        let tenth = at("2026-11-21T22:20:00.250Z");
        assert_eq!(plan.next_after(tenth.plus_ms(-1)), Some(tenth));
        assert_eq!(plan.next_after(tenth), Some(tenth.plus_ms(4_800_000)));
        assert_eq!(plan.next_after(Instant::MAX), None);
        assert_eq!(
            plan.summary(),
            "every 1 hour 20 minutes, counted from 2026-11-21T09:00:00.250Z"
        );
    }

    #[test]
    fn an_interval_is_whole_seconds_and_fires_before_the_end_of_time() {
        let compiles = |interval_ms, anchor| Spec::Every { interval_ms, anchor }.compile().is_ok();
        assert!(compiles(1000, Instant::MIN));
        assert!(!compiles(999, Instant::MIN) && !compiles(1500, Instant::MIN));
        assert!(!compiles(0, Instant::MIN) && !compiles(i64::MIN, Instant::MIN));
        assert!(compiles(1000, Instant::MAX.plus_ms(-1000)));
        assert!(!compiles(1000, Instant::MAX.plus_ms(-999)) && !compiles(i64::MAX, Instant::MIN));
    }

    #[test]
    fn a_cron_plan_speaks_of_its_zone_and_of_what_the_clocks_did() {
        let plan = cron("30 2 * * *", "America/New_York");
        assert_eq!(plan.summary(), "at 02:30 every day, America/New_York");
        let moved = plan.next_after(at("2026-03-08T05:00:00Z")).expect("it goes on");
        assert_eq!(plan.local(moved), "2026-03-08T03:00:00-04:00");
        let note = "moved from 02:30, which does not exist on 2026-03-08: clocks go forward from \
                    02:00 to 03:00";
        assert_eq!(plan.note_at(moved).as_deref(), Some(note));
        assert_eq!(plan.note_at(at("2026-03-09T06:30:00Z")), None);
        assert_eq!(cron("*/7 * * * *", "UTC").summary(), "by the expression `*/7 * * * *`, UTC");
    }

    #[test]
    fn a_repeated_time_is_noted_with_its_pass() {
        let note = |expression, instant| cron(expression, "Europe/Berlin").note_at(at(instant));
        let first = note("30 2 * * *", "2026-10-25T00:30:00Z").expect("it is repeated");
        assert_eq!(
            first,
            "02:30 comes twice on 2026-10-25, because clocks go back from 03:00 to 02:00: this \
             is the first pass, the only one that fires"
        );
        let second = note("30 * * * *", "2026-10-25T01:30:00Z").expect("it is repeated");
        assert!(second.ends_with("this is the second pass"), "{second}");
        let merged = note("0 2,3 * * *", "2026-03-29T01:00:00Z").expect("two meet");
        let day = cron("0 12 * * *", "Pacific/Apia").note_at(at("2011-12-30T10:00:00Z"));
        assert!(day.expect("a day is lost").ends_with("from 00:00 to 00:00 on 2011-12-31"));
        assert!(merged.starts_with("stands also for 02:00,"), "{merged}");
    }

    #[test]
    fn a_bad_spec_is_refused_by_the_name_of_its_field() {
        for (expression, zone, field, reason) in [
            ("60 * * * *", "UTC", "expression", "at character 1"),
            ("0 0 31 2 *", "UTC", "expression", "a day that exists"),
            ("0 0 * * *", "Mars/Phobos", "zone", "IANA time zone"),
        ] {
            let spec = Spec::Cron { expression: expression.into(), zone: zone.into() };
            let problem = spec.compile().expect_err(expression);
            assert_eq!(problem.field, field);
            assert!(problem.message.contains(reason), "{}", problem.message);
        }
    }
}
