//! Sets of dates: which stretches of time a schedule leaves out, or keeps to.
//!
//! [`Entry`] is what is stored, as JSON, in `calendar.entries` and in a schedule's policy;
//! [`DateSet`] is the same understood. A date, and the fields of a cron expression, are read on the
//! wall of a time zone: that of the calendar when it has one, else that of the schedule which asks.
//! Called by `timetable` only.
//!
//! Both questions jump: [`DateSet::covered_until`] says how far a stretch goes on, and
//! [`DateSet::next_start`] where the next begins, so that a schedule of every second gets over
//! a year of holidays in one step.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use entity::Instant;
use serde::{Deserialize, Serialize};

use crate::domain::cron::Cron;
use crate::domain::zone::{DstPolicy, Gap, Overlap, Reading, Zone};
use crate::error::Problem;

/// Entries of one calendar, or of one schedule's own list: fifty years of public holidays.
pub const ENTRIES_MAX: usize = 1_000;
/// Cron expressions among them: dates and periods are looked up, but each expression is asked.
pub const EXPRESSIONS_MAX: usize = 20;

/// One stretch of time, or a rule for many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Entry {
    /// Whole civil days, the last included.
    Dates {
        /// The first.
        from: NaiveDate,
        /// The last.
        until: NaiveDate,
    },
    /// From an instant on and before another.
    Period {
        /// The first.
        from: Instant,
        /// The first after it.
        until: Instant,
    },
    /// Each civil minute that an expression of five fields allows, or each civil second for six.
    Cron {
        /// The expression, in the dialect of `domain/cron`.
        expression: String,
    },
}

/// Entries that have been understood: cheap to ask.
#[derive(Clone, Debug, Default)]
pub struct DateSet {
    /// First and last, in order and apart.
    dates: Vec<(NaiveDate, NaiveDate)>,
    /// From and until, in order and apart.
    periods: Vec<(Instant, Instant)>,
    crons: Vec<(Cron, Grain)>,
    zone: Option<Zone>,
}

/// How much of the wall's time one match of an expression covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grain {
    Second,
    Minute,
    /// Every minute of a day matches when one does.
    Day,
}

impl DateSet {
    /// Understands `entries`, which are read on the wall of `zone` when that is given.
    ///
    /// # Errors
    /// Every problem, with fields relative to the list.
    pub fn compile(entries: &[Entry], zone: Option<Zone>) -> Result<Self, Vec<Problem>> {
        if ENTRIES_MAX < entries.len() {
            let message = format!("expected at most {ENTRIES_MAX} entries, not {}", entries.len());
            return Err(vec![Problem::new("", message)]);
        }
        let mut set = Self { zone, ..Self::default() };
        let mut problems = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Err(problem) = set.add(entry) {
                problems.push(problem.under(&index.to_string()));
            }
        }
        if EXPRESSIONS_MAX < set.crons.len() {
            let message = format!("expected at most {EXPRESSIONS_MAX} cron expressions");
            problems.push(Problem::new("", message));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        set.dates = joined(set.dates, |last, next| last.succ_opt().is_some_and(|day| next <= day));
        set.periods = joined(set.periods, |last, next| next <= last);
        Ok(set)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.work() == 0
    }

    /// How many comparisons a question costs.
    #[must_use]
    pub fn work(&self) -> u64 {
        let lists = u64::from(!self.dates.is_empty()) + u64::from(!self.periods.is_empty());
        lists + self.crons.len() as u64
    }

    /// The end of the stretch that covers `at`, for a schedule in `zone`: the first instant at
    /// which to look again, later than `at`. `None` when nothing covers it.
    #[must_use]
    pub fn covered_until(&self, zone: Zone, at: Instant) -> Option<Instant> {
        let zone = self.zone.unwrap_or(zone);
        let civil = zone.civil(at.millis().div_euclid(1000));
        let day = covering(&self.dates, civil.date(), |date, last| date <= last);
        let day = day.map(|(_, last)| day_start(zone, last.succ_opt()));
        let period = covering(&self.periods, at, |at, end| at < end).map(|(_, end)| end);
        let crons = self.crons.iter().filter_map(|(cron, grain)| grain.end(cron, zone, civil, at));
        let end = day.into_iter().chain(period).chain(crons).max();
        end.map(|end| end.max(at.plus_ms(1)))
    }

    /// The first instant after `at` at which a stretch may begin; `None` when none will.
    #[must_use]
    pub fn next_start(&self, zone: Zone, at: Instant) -> Option<Instant> {
        let zone = self.zone.unwrap_or(zone);
        let date = zone.civil(at.millis().div_euclid(1000)).date();
        let day = following(&self.dates, date).map(|from| day_start(zone, Some(from)));
        let day = day.map(|start| start.max(at.plus_ms(1)));
        let period = following(&self.periods, at);
        // A stretch may begin in the middle of a gap, which SHIFT closes.
        let policy = DstPolicy { gap: Some(Gap::Shift), overlap: Some(Overlap::Both) };
        let crons = self.crons.iter().filter_map(|(cron, _)| cron.next_after(zone, policy, at));
        day.into_iter().chain(period).chain(crons).min()
    }

    fn add(&mut self, entry: &Entry) -> Result<(), Problem> {
        match entry {
            Entry::Dates { from, until } if until < from => {
                let message = format!("expected {from} or later, not {until}");
                return Err(Problem::new("until", message));
            }
            Entry::Period { from, until } if until <= from => {
                let message = format!("expected an instant after {from}, not {until}");
                return Err(Problem::new("until", message));
            }
            Entry::Dates { from, until } => self.dates.push((*from, *until)),
            Entry::Period { from, until } => self.periods.push((*from, *until)),
            Entry::Cron { expression } => {
                let cron = Cron::parse(expression)
                    .map_err(|error| Problem::new("cron", error.to_string()))?;
                let grain = Grain::of(&cron);
                self.crons.push((cron, grain));
            }
        }
        Ok(())
    }
}

impl Grain {
    fn of(cron: &Cron) -> Self {
        if !cron.covers_minutes() {
            return Self::Second;
        }
        if cron.has_every_minute() { Self::Day } else { Self::Minute }
    }

    /// The end of the match that covers `civil`, which the wall shows at `at`.
    fn end(self, cron: &Cron, zone: Zone, civil: NaiveDateTime, at: Instant) -> Option<Instant> {
        let second = at.millis().div_euclid(1000);
        match self {
            Self::Second => cron.allows(civil).then(|| Instant::from_millis((second + 1) * 1000)),
            Self::Minute => {
                let passed = i64::from(civil.second());
                let is_within = cron.allows(civil - TimeDelta::seconds(passed));
                is_within.then(|| Instant::from_millis((second + 60 - passed) * 1000))
            }
            Self::Day => {
                let is_within = cron.allows(civil.date().and_time(NaiveTime::MIN));
                is_within.then(|| day_start(zone, civil.date().succ_opt()))
            }
        }
    }
}

/// Stretches in order, those that `touch` as one.
fn joined<T: Copy + Ord>(mut all: Vec<(T, T)>, touch: impl Fn(T, T) -> bool) -> Vec<(T, T)> {
    all.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(all.len());
    for (from, until) in all {
        match joined.last_mut() {
            Some((_, last)) if touch(*last, from) => *last = until.max(*last),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// The stretch that holds `at`.
fn covering<T: Copy + Ord>(all: &[(T, T)], at: T, holds: impl Fn(T, T) -> bool) -> Option<(T, T)> {
    let after = all.partition_point(|(from, _)| *from <= at);
    let last = all[..after].last().copied();
    last.filter(|(_, until)| holds(at, *until))
}

/// Where the first stretch after `at` begins.
fn following<T: Copy + Ord>(all: &[(T, T)], at: T) -> Option<T> {
    all.get(all.partition_point(|(from, _)| *from <= at)).map(|(from, _)| *from)
}

/// The first instant of a civil day, or what comes after a day that a zone left out.
fn day_start(zone: Zone, date: Option<NaiveDate>) -> Instant {
    let Some(date) = date else { return Instant::MAX };
    let midnight = date.and_time(NaiveTime::MIN);
    let secs = match zone.read(midnight) {
        Reading::Once(secs) => secs,
        Reading::Twice(back) => back.first_pass(midnight),
        Reading::Never(forward) => forward.at_secs,
    };
    Instant::from_millis(secs.saturating_mul(1000)).clamp(Instant::MIN, Instant::MAX)
}

#[cfg(test)]
mod tests {
    use entity::Instant;

    use super::{DateSet, ENTRIES_MAX, EXPRESSIONS_MAX, Entry};
    use crate::domain::zone::Zone;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn dates(from: &str, until: &str) -> Entry {
        let date = |text: &str| text.parse().expect(text);
        Entry::Dates { from: date(from), until: date(until) }
    }

    fn cron(expression: &str) -> Entry {
        Entry::Cron { expression: expression.to_owned() }
    }

    fn set(entry: Entry) -> DateSet {
        DateSet::compile(&[entry], None).expect("it is right")
    }

    fn covered(entry: Entry, zone: &str, instant: &str) -> Option<String> {
        let zone = Zone::parse(zone).expect(zone);
        set(entry).covered_until(zone, at(instant)).map(|end| end.to_string())
    }

    #[test]
    fn dates_are_days_on_the_wall_of_the_zone() {
        let holidays = || dates("2026-12-24", "2026-12-26");
        let berlin = |instant| covered(holidays(), "Europe/Berlin", instant);
        assert_eq!(berlin("2026-12-23T22:59:59.999Z"), None);
        assert_eq!(berlin("2026-12-23T23:00:00Z").as_deref(), Some("2026-12-26T23:00:00Z"));
        assert_eq!(berlin("2026-12-26T22:59:59Z").as_deref(), Some("2026-12-26T23:00:00Z"));
        assert_eq!(berlin("2026-12-26T23:00:00Z"), None);
    }

    #[test]
    fn a_day_begins_where_its_midnight_is_or_would_have_been() {
        // Clocks went forward at midnight, and a whole day was left out.
        let asuncion =
            covered(dates("2023-09-30", "2023-09-30"), "America/Asuncion", "2023-09-30T12:00:00Z");
        assert_eq!(asuncion.as_deref(), Some("2023-10-01T04:00:00Z"));
        let apia =
            covered(dates("2011-12-29", "2011-12-29"), "Pacific/Apia", "2011-12-29T12:00:00Z");
        assert_eq!(apia.as_deref(), Some("2011-12-30T10:00:00Z"));
        // Midnight came twice: the day had begun with the first.
        let havana =
            covered(dates("2026-10-31", "2026-10-31"), "America/Havana", "2026-10-31T12:00:00Z");
        assert_eq!(havana.as_deref(), Some("2026-11-01T04:00:00Z"));
    }

    #[test]
    fn an_expression_covers_minutes_seconds_or_whole_days() {
        let utc = |expression, instant| covered(cron(expression), "UTC", instant);
        let saturday = "2026-11-21T09:30:15.250Z";
        assert_eq!(utc("* * * * SAT,SUN", saturday).as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(utc("* 9 * * *", saturday).as_deref(), Some("2026-11-21T09:31:00Z"));
        assert_eq!(utc("30 9 * * *", saturday).as_deref(), Some("2026-11-21T09:31:00Z"));
        assert_eq!(utc("15 30 9 * * *", saturday).as_deref(), Some("2026-11-21T09:30:16Z"));
        assert_eq!(utc("16 30 9 * * *", saturday), None);
        assert_eq!(utc("* * * * * 6-7", saturday).as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(utc("* * 9 * * *", saturday).as_deref(), Some("2026-11-21T09:31:00Z"));
        assert_eq!(utc("1-59 * * * * *", saturday).as_deref(), Some("2026-11-21T09:30:16Z"));
        assert_eq!(utc("31 9 * * *", saturday), None);
    }

    #[test]
    fn the_next_stretch_is_found_without_walking() {
        let next =
            |entry, instant| set(entry).next_start(Zone::UTC, at(instant)).map(|at| at.to_string());
        let later = "2026-11-21T09:30:00Z";
        assert_eq!(
            next(dates("2099-01-02", "2099-01-03"), later).as_deref(),
            Some("2099-01-02T00:00:00Z")
        );
        assert_eq!(next(dates("2026-11-21", "2026-11-30"), later), None);
        assert_eq!(next(cron("0 9 * * MON"), later).as_deref(), Some("2026-11-23T09:00:00Z"));
    }

    #[test]
    fn a_calendar_may_have_a_zone_of_its_own() {
        let tokyo = Zone::parse("Asia/Tokyo").expect("it exists");
        let set =
            DateSet::compile(&[dates("2027-01-01", "2027-01-01")], Some(tokyo)).expect("fine");
        assert!(set.covered_until(Zone::UTC, at("2026-12-31T15:00:00Z")).is_some());
    }

    #[test]
    fn every_wrong_entry_is_named() {
        let period =
            Entry::Period { from: at("2026-01-01T00:00:00Z"), until: at("2026-01-01T00:00:00Z") };
        let wrong = [dates("2026-01-02", "2026-01-01"), cron("* * *"), period];
        let problems = DateSet::compile(&wrong, None).expect_err("all are wrong");
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["0.until", "1.cron", "2.until"]);
        let many = |count| DateSet::compile(&vec![dates("2026-01-01", "2026-01-01"); count], None);
        assert!(many(ENTRIES_MAX).is_ok() && many(ENTRIES_MAX + 1).is_err());
        let many = |count| DateSet::compile(&vec![cron("@daily"); count], None);
        assert!(many(EXPRESSIONS_MAX).is_ok() && many(EXPRESSIONS_MAX + 1).is_err());
    }

    #[test]
    fn stretches_that_touch_are_one() {
        let entries = [
            dates("2026-12-24", "2026-12-24"),
            dates("2026-12-26", "2026-12-31"),
            dates("2026-12-25", "2026-12-28"),
        ];
        let set = DateSet::compile(&entries, None).expect("they are right");
        let until = |text| set.covered_until(Zone::UTC, at(text)).map(|end| end.to_string());
        assert_eq!(until("2026-12-24T12:00:00Z").as_deref(), Some("2027-01-01T00:00:00Z"));
        assert_eq!(until("2027-01-01T00:00:00Z"), None);
        assert_eq!(set.work(), 1);
    }
}
