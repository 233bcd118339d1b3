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

    /// RFC 3339 with the offset of the plan's zone at that instant.
    #[must_use]
    pub fn local(&self, instant: Instant) -> String {
        self.zone.format(instant)
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
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
mod tests {
    use entity::Instant;

    use super::{DstPolicy, Gap, Kind, Plan, Spec};

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn cron(expression: &str, zone: &str) -> Plan {
        let spec = Spec::cron(expression, zone);
        spec.compile().expect(expression)
    }

    #[test]
    fn a_spec_is_stored_as_json_with_its_kind() {
        let spec = Spec::every(4_800_000, at("2026-11-21T09:00:00Z"));
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
        let plan = Spec::every(4_800_000, anchor).compile().expect("it is plain");
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
        let compiles = |interval_ms, anchor| Spec::every(interval_ms, anchor).compile().is_ok();
        assert!(compiles(1000, Instant::MIN));
        assert!(!compiles(999, Instant::MIN) && !compiles(1500, Instant::MIN));
        assert!(!compiles(0, Instant::MIN) && !compiles(i64::MIN, Instant::MIN));
        assert!(compiles(1000, Instant::MAX.plus_ms(-1000)));
        assert!(!compiles(1000, Instant::MAX.plus_ms(-999)) && !compiles(i64::MAX, Instant::MIN));
    }

    #[test]
    fn a_phase_shifts_all_instants_and_the_first_is_after_the_anchor() {
        let anchor = at("2026-11-21T09:00:00Z");
        let spec = Spec::Every { interval_ms: 3_600_000, anchor, phase_ms: 300_000 };
        let plan = spec.compile().expect("it is plain");
        assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T09:05:00Z")));
        assert_eq!(plan.next_after(at("2026-11-21T09:05:00Z")), Some(at("2026-11-21T10:05:00Z")));
        assert_eq!(plan.count(Instant::MIN, anchor.plus_ms(3 * 3_600_000)), 3);
        let words = "every hour, offset by 5 minutes, counted from 2026-11-21T09:00:00Z";
        assert_eq!(plan.summary(), words);
        // Aligned to the calendar of UTC: an interval may be longer than the phase lets it begin.
        let spec = Spec::Every { interval_ms: 86_400_000, anchor: Instant::MIN, phase_ms: 1 };
        let plan = spec.compile().expect("it is plain");
        assert_eq!(plan.next_after(anchor), Some(at("2026-11-22T00:00:00.001Z")));
        let phase = |phase_ms| Spec::Every { interval_ms: 1000, anchor, phase_ms }.compile();
        assert!(phase(999).is_ok());
        assert_eq!(phase(1000).expect_err("too long").field, "phase");
        assert_eq!(phase(-1).expect_err("negative").field, "phase");
    }

    #[test]
    fn a_policy_for_changes_of_clocks_is_stored_and_said() {
        let old = r#"{"kind":"CRON","expression":"30 2 * * *","zone":"America/New_York"}"#;
        let spec: Spec = serde_json::from_str(old).expect("rows of old are read");
        assert_eq!(spec, Spec::cron("30 2 * * *", "America/New_York"));
        assert_eq!(serde_json::to_string(&spec).expect("it is plain data"), old);
        let dst = DstPolicy { gap: Some(Gap::Skip), overlap: None };
        let spec = Spec::Cron { expression: "30 2 * * *".into(), zone: "UTC".into(), dst };
        let json = serde_json::to_string(&spec).expect("it is plain data");
        let expected = r#"{"kind":"CRON","expression":"30 2 * * *","zone":"UTC","gap":"SKIP"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Spec>(&json).expect("it was just written"), spec);
        let plan = spec.compile().expect("it is plain");
        assert_eq!(plan.summary(), "every day at 02:30, UTC, times in a gap skipped");
    }

    #[test]
    fn a_cron_plan_speaks_of_its_zone_and_of_what_the_clocks_did() {
        let plan = cron("30 2 * * *", "America/New_York");
        assert_eq!(plan.summary(), "every day at 02:30, America/New_York");
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
            let spec = Spec::cron(expression, zone);
            let problem = spec.compile().expect_err(expression);
            assert_eq!(problem.field, field);
            assert!(problem.message.contains(reason), "{}", problem.message);
        }
    }
}
