//! Time zones: from an instant to what the clock on the wall shows, and back.
//!
//! The way back is where clocks change. A wall-clock time exists once, or never (it lies in the gap
//! that opens when clocks go forward), or twice (clocks go back). [`Zone::read`] says which, and
//! which transition is to blame; what a schedule does then is its [`DstPolicy`]. Asked by
//! `cron` and `plan` only; inputs name zones and policies.
//!
//! Inside this module and its callers an instant is a count of whole seconds since the epoch
//! (`*_secs: i64`), because cron has no finer unit and clamping near 1970 or 9999 would break the
//! arithmetic; civil time is a `NaiveDateTime`, so that the two cannot be mixed up.
//!
//! Zones come from the IANA database that was compiled in. It lists transitions up to 2099; later
//! years keep the last offset. Since 1970 no two transitions of one zone lie closer than 167 hours
//! and offsets stay within ±`OFFSET_SECS_MAX`, so that at most one transition is near any time.

use std::ops::Range;
use std::str::FromStr as _;

use chrono::{
    DateTime, Datelike as _, FixedOffset, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta,
    TimeZone as _,
};
use chrono_tz::{GapInfo, Tz, TzOffset};
use entity::Instant;
use serde::{Deserialize, Serialize};

/// Farthest that a wall clock is from UTC (Kiritimati is 14 hours ahead), with an hour to spare.
const OFFSET_SECS_MAX: i64 = 15 * 3600;
/// Shorter than any time between two transitions, so that offsets this far apart differ when there
/// was one.
const PROBE_SECS: i64 = 120 * 3600;
/// Names in the IANA database are below 40 characters; an error quotes no more than this.
const NAME_CHARS_MAX: usize = 64;

/// What a schedule does where clocks change. What is left open follows from the expression: one for
/// fixed times is SHIFT and FIRST (once per civil day), one for a beat SKIP and BOTH (it follows the
/// wall clock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DstPolicy {
    /// For times that do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// For times that exist twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// What happens to a time that does not exist because clocks went forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Gap {
    /// It moves to the first instant after the gap; times that meet there fire once.
    Shift,
    /// It does not fire.
    Skip,
}

/// Which of the two passes counts when clocks went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Overlap {
    /// The first.
    First,
    /// The second.
    Last,
    /// Each.
    Both,
}

/// A zone of the IANA time zone database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// Where a wall-clock time lies on the line of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is this instant.
    Once(i64),
    /// It is repeated by this transition.
    Twice(Transition),
    /// It is jumped over by this transition.
    Never(Transition),
}

/// An instant at which a zone's offset from UTC changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The first instant with the new offset.
    pub at_secs: i64,
    /// Local time minus UTC just before.
    pub before_secs: i64,
    /// Local time minus UTC from then on.
    pub after_secs: i64,
}

impl DstPolicy {
    /// All follows from the expression.
    pub const AUTO: Self = Self { gap: None, overlap: None };

    /// As said, whatever the expression.
    #[must_use]
    pub const fn new(gap: Gap, overlap: Overlap) -> Self {
        Self { gap: Some(gap), overlap: Some(overlap) }
    }
}

/// Version of the IANA time zone database that was compiled in, such as `2025b`.
#[must_use]
pub fn tzdata_version() -> &'static str {
    chrono_tz::IANA_TZDB_VERSION
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Reads a name of the IANA database, spelt as there: `Europe/Berlin`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(name: &str) -> Result<Self, String> {
        Tz::from_str(name).map(Self).map_err(|_| {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            format!("expected an IANA time zone such as Europe/Berlin, not `{shown}`")
        })
    }

    /// The name in the IANA database.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Local time minus UTC at an instant, in seconds.
    #[must_use]
    pub fn offset_secs(&self, at_secs: i64) -> i64 {
        i64::from(self.0.offset_from_utc_datetime(&as_utc(at_secs)).fix().local_minus_utc())
    }

    /// What the clock on the wall shows at an instant.
    #[must_use]
    pub fn civil(&self, at_secs: i64) -> NaiveDateTime {
        as_utc(at_secs + self.offset_secs(at_secs))
    }

    /// Which instants, if any, show `civil` on the wall.
    #[must_use]
    pub fn read(&self, civil: NaiveDateTime) -> Reading {
        let civil_secs = civil.and_utc().timestamp();
        let with = |offset: TzOffset| civil_secs - i64::from(offset.fix().local_minus_utc());
        match self.0.offset_from_local_datetime(&civil) {
            MappedLocalTime::Single(offset) => Reading::Once(with(offset)),
            MappedLocalTime::Ambiguous(first, second) => {
                Reading::Twice(self.transition_in(with(first)..with(second)))
            }
            MappedLocalTime::None => Reading::Never(self.gap_around(civil)),
        }
    }

    /// The transition that happens exactly at an instant.
    #[must_use]
    pub fn transition_at(&self, at_secs: i64) -> Option<Transition> {
        let before_secs = self.offset_secs(at_secs - 1);
        let after_secs = self.offset_secs(at_secs);
        (before_secs != after_secs).then_some(Transition { at_secs, before_secs, after_secs })
    }

    /// The first transition after `after_secs`, up to and including `until_secs`.
    #[must_use]
    pub fn next_transition(&self, after_secs: i64, until_secs: i64) -> Option<Transition> {
        let mut low = after_secs;
        while low < until_secs {
            let high = until_secs.min(low + PROBE_SECS);
            if self.offset_secs(low) != self.offset_secs(high) {
                return Some(self.transition_in(low..high));
            }
            low = high;
        }
        None
    }

    /// The time in a gap that an instant would show under the offset of the gap's other side: what
    /// somebody means who asks for a time that does not exist.
    #[must_use]
    pub fn jumped_over(&self, at_secs: i64) -> Option<(NaiveDateTime, Transition)> {
        let near = self.next_transition(at_secs - OFFSET_SECS_MAX, at_secs + OFFSET_SECS_MAX)?;
        let forward = near.before_secs < near.after_secs;
        let other = if at_secs < near.at_secs { near.after_secs } else { near.before_secs };
        let civil = as_utc(at_secs + other);
        (forward && near.civil_range().contains(&civil)).then_some((civil, near))
    }

    /// RFC 3339 with the zone's offset at that instant.
    ///
    /// Two cases that RFC 3339 cannot write give the same instant in other words: an offset with
    /// seconds (Monrovia before 1972) is cut to minutes, and a local year 10000 becomes UTC.
    #[must_use]
    pub fn format(&self, instant: Instant) -> String {
        let whole_minutes = self.offset_secs(instant.millis().div_euclid(1000)) / 60 * 60;
        let local = i32::try_from(whole_minutes)
            .ok()
            .and_then(FixedOffset::east_opt)
            .map(|offset| instant.to_utc().with_timezone(&offset))
            .filter(|local| local.year() <= 9999);
        local.unwrap_or_else(|| instant.to_utc().fixed_offset()).to_rfc3339()
    }

    /// The transition that jumps over `civil`.
    fn gap_around(&self, civil: NaiveDateTime) -> Transition {
        let begin = GapInfo::new(&civil, &self.0).and_then(|gap| gap.begin);
        let Some((start, before)) = begin else {
            let civil_secs = civil.and_utc().timestamp();
            return self.transition_in(civil_secs - OFFSET_SECS_MAX..civil_secs + OFFSET_SECS_MAX);
        };
        let before_secs = i64::from(before.fix().local_minus_utc());
        let at_secs = start.and_utc().timestamp() - before_secs;
        Transition { at_secs, before_secs, after_secs: self.offset_secs(at_secs) }
    }

    /// Halves `window` until the one transition in it is found.
    fn transition_in(&self, window: Range<i64>) -> Transition {
        let (mut low, mut high) = (window.start, window.end);
        let before_secs = self.offset_secs(low);
        while 1 < high - low {
            let middle = low + (high - low) / 2;
            if self.offset_secs(middle) == before_secs {
                low = middle;
            } else {
                high = middle;
            }
        }
        Transition { at_secs: high, before_secs, after_secs: self.offset_secs(high) }
    }
}

impl Transition {
    /// The wall-clock times that it repeats or jumps over.
    #[must_use]
    pub fn civil_range(&self) -> Range<NaiveDateTime> {
        let start_secs = self.at_secs + self.before_secs.min(self.after_secs);
        as_utc(start_secs)..as_utc(self.at_secs + self.before_secs.max(self.after_secs))
    }

    /// The instant at which `civil` is shown in the first pass of a repeated stretch.
    #[must_use]
    pub fn first_pass(&self, civil: NaiveDateTime) -> i64 {
        civil.and_utc().timestamp() - self.before_secs
    }

    /// The instant at which `civil` is shown in the second pass of a repeated stretch.
    #[must_use]
    pub fn second_pass(&self, civil: NaiveDateTime) -> i64 {
        civil.and_utc().timestamp() - self.after_secs
    }

    /// The last civil second before those that it repeats or jumps over.
    #[must_use]
    pub fn just_before(&self) -> NaiveDateTime {
        self.civil_range().start - TimeDelta::seconds(1)
    }

    /// The last of the civil seconds that it repeats or jumps over.
    #[must_use]
    pub fn last_within(&self) -> NaiveDateTime {
        self.civil_range().end - TimeDelta::seconds(1)
    }
}

fn as_utc(at_secs: i64) -> NaiveDateTime {
    DateTime::from_timestamp(at_secs, 0).unwrap_or_default().naive_utc()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use entity::Instant;

    use super::{Reading, Zone};

    fn zone(name: &str) -> Zone {
        Zone::parse(name).expect(name)
    }

    fn read(name: &str, civil: &str) -> Reading {
        zone(name).read(civil.parse::<NaiveDateTime>().expect(civil))
    }

    #[test]
    fn a_time_exists_once_twice_or_never() {
        for (name, civil, expected) in [
            ("America/New_York", "2026-03-08T01:59:59", "once"),
            ("America/New_York", "2026-03-08T02:00:00", "never 02:00:00..03:00:00"),
            ("America/New_York", "2026-03-08T02:59:59", "never 02:00:00..03:00:00"),
            ("America/New_York", "2026-03-08T03:00:00", "once"),
            ("America/New_York", "2026-11-01T00:59:59", "once"),
            ("America/New_York", "2026-11-01T01:00:00", "twice 01:00:00..02:00:00"),
            ("America/New_York", "2026-11-01T02:00:00", "once"),
            ("Australia/Lord_Howe", "2024-10-06T02:15:00", "never 02:00:00..02:30:00"),
            ("Australia/Lord_Howe", "2024-04-07T01:45:00", "twice 01:30:00..02:00:00"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "never 00:00:00..00:00:00"),
            ("Antarctica/Vostok", "1994-01-31T20:00:00", "twice 17:00:00..00:00:00"),
        ] {
            let range = |transition: super::Transition| {
                let range = transition.civil_range();
                format!("{}..{}", range.start.time(), range.end.time())
            };
            let found = match read(name, civil) {
                Reading::Once(_) => "once".to_owned(),
                Reading::Twice(transition) => format!("twice {}", range(transition)),
                Reading::Never(transition) => format!("never {}", range(transition)),
            };
            assert_eq!(found, expected, "{name} {civil}");
        }
    }

    #[test]
    fn a_skipped_day_ends_at_the_midnight_after_it() {
        let Reading::Never(transition) = read("Pacific/Apia", "2011-12-30T12:00:00") else {
            panic!("30 December 2011 did not happen in Apia");
        };
        let resumes = Instant::from_millis(transition.at_secs * 1000);
        assert_eq!(zone("Pacific/Apia").format(resumes), "2011-12-31T00:00:00+14:00");
        assert_eq!(zone("Pacific/Apia").transition_at(transition.at_secs), Some(transition));
    }

    #[test]
    fn the_edges_of_time_are_written_as_the_same_instant() {
        for (name, text) in [
            ("Africa/Monrovia", "1970-06-01T12:00:00Z"),
            ("Pacific/Kiritimati", "9999-12-31T23:59:59.999Z"),
            ("Pacific/Kiritimati", "1970-01-01T00:00:00Z"),
            ("America/Adak", "1970-01-01T00:00:00Z"),
        ] {
            let instant = Instant::parse(text).expect(text);
            let local = chrono::DateTime::parse_from_rfc3339(&zone(name).format(instant));
            assert_eq!(local.map(|local| local.timestamp_millis()), Ok(instant.millis()), "{name}");
        }
    }

    #[test]
    fn only_names_of_the_database_are_zones() {
        for name in ["", "europe/berlin", "Europe/Berlin ", "localtime", "../etc/passwd", "UTC+1"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
        assert!(Zone::parse(&"A".repeat(10_000)).expect_err("too long").len() < 200);
    }
}
