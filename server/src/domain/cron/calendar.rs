//! The calendar walk: from one civil second to the next that an expression allows.
//!
//! The `cron` crate holds the sets (which seconds, minutes, hours, days, months, weekdays); the
//! walk over them is ours, because the crate joins the two day fields with AND where POSIX says
//! OR, ends in 2100, and fires in the past or not at all around clock changes. Here is no time
//! zone: civil time runs evenly, and `mod.rs` maps it to instants.

use std::str::FromStr as _;

use ::cron::{Schedule, TimeUnitSpec};
use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};

use super::field::Set;
use super::parse::{DayRule, Fields};

/// The last year of RFC 3339 and so of Belfry.
const YEAR_MAX: i32 = 9999;
/// The end of a day.
const LAST_SECOND: NaiveTime = match NaiveTime::from_hms_opt(23, 59, 59) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

/// The civil seconds that an expression allows.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    sets: Schedule,
    day_rule: DayRule,
}

impl Calendar {
    /// Puts the fields into the crate's sets.
    ///
    /// # Errors
    /// The crate's message, should it refuse a list that our dialect has made.
    pub(super) fn new(fields: &Fields) -> Result<Self, String> {
        // The crate counts weekdays from 1, Sunday.
        let weekdays = listed(fields.weekdays.iter().map(|day| day + 1), Set::range(1, 7).len());
        let expression = [
            listed(fields.seconds.iter(), 60),
            listed(fields.minutes.iter(), 60),
            listed(fields.hours.iter(), 24),
            listed(fields.days.iter(), 31),
            listed(fields.months.iter(), 12),
            weekdays,
        ];
        let sets = Schedule::from_str(&expression.join(" ")).map_err(|error| error.to_string())?;
        Ok(Self { sets, day_rule: fields.day_rule })
    }

    /// The first allowed second strictly after `after`, up to the end of the year 9999.
    pub(super) fn next_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let start = after + TimeDelta::seconds(1);
        let today = start.date();
        if self.day_from(today) == Some(today)
            && let Some(time) = self.time_from(start.time())
        {
            return Some(today.and_time(time));
        }
        let date = self.day_from(today.succ_opt()?)?;
        Some(date.and_time(self.time_from(NaiveTime::MIN)?))
    }

    /// How many allowed seconds lie after `after`, up to and including `until`.
    pub(super) fn count(&self, after: NaiveDateTime, until: NaiveDateTime) -> u64 {
        let (first, last) = (after.date(), until.date());
        let is_allowed = |date| self.day_from(date) == Some(date);
        let up_to = |civil: NaiveDateTime| {
            if is_allowed(civil.date()) { self.times_until(civil.time()) } else { 0 }
        };
        if first == last {
            return up_to(until) - up_to(after);
        }
        let a_day = self.times_until(LAST_SECOND);
        let rest_of_first = if is_allowed(first) { a_day - up_to(after) } else { 0 };
        let next = |date: NaiveDate| self.day_from(date.succ_opt()?).filter(|date| *date < last);
        let between = std::iter::successors(next(first), |date| next(*date)).count() as u64;
        rest_of_first + a_day * between + up_to(until)
    }

    /// How many allowed times a day has up to and including `time`.
    fn times_until(&self, time: NaiveTime) -> u64 {
        let (hours, minutes, seconds) =
            (self.sets.hours(), self.sets.minutes(), self.sets.seconds());
        let (an_hour, a_minute) =
            (u64::from(minutes.count() * seconds.count()), u64::from(seconds.count()));
        let mut total = hours.range(..time.hour()).count() as u64 * an_hour;
        if hours.includes(time.hour()) {
            total += minutes.range(..time.minute()).count() as u64 * a_minute;
            if minutes.includes(time.minute()) {
                total += seconds.range(..=time.second()).count() as u64;
            }
        }
        total
    }

    /// The first allowed date at or after `date`.
    fn day_from(&self, date: NaiveDate) -> Option<NaiveDate> {
        let mut month_first = date.month();
        let mut day_first = date.day();
        for year in date.year()..=YEAR_MAX {
            for month in self.sets.months().range(month_first..=12) {
                let start = if month == month_first { day_first } else { 1 };
                if let Some(found) = self.day_in_month(year, month, start) {
                    return Some(found);
                }
            }
            (month_first, day_first) = (1, 1);
        }
        None
    }

    fn day_in_month(&self, year: i32, month: u32, start: u32) -> Option<NaiveDate> {
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        let before_first = first.weekday().num_days_from_sunday() + 6;
        let on_weekday =
            |day: &u32| self.sets.days_of_week().includes((before_first + day) % 7 + 1);
        let mut days = start..=u32::from(first.num_days_in_month());
        // A range that runs backwards would make the crate's sets panic.
        if days.is_empty() {
            return None;
        }
        let day = match self.day_rule {
            DayRule::Both => self.sets.days_of_month().range(days).find(on_weekday),
            DayRule::Either => {
                days.find(|day| self.sets.days_of_month().includes(*day) || on_weekday(day))
            }
        };
        first.with_day(day?)
    }

    /// The first allowed time of day at or after `time`.
    fn time_from(&self, time: NaiveTime) -> Option<NaiveTime> {
        let (hours, minutes, seconds) =
            (self.sets.hours(), self.sets.minutes(), self.sets.seconds());
        let (hour, minute) = (time.hour(), time.minute());
        if hours.includes(hour) {
            if minutes.includes(minute)
                && let Some(second) = seconds.range(time.second()..).next()
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = minutes.range(minute + 1..).next() {
                return NaiveTime::from_hms_opt(hour, minute, seconds.iter().next()?);
            }
        }
        let hour = hours.range(hour + 1..).next()?;
        NaiveTime::from_hms_opt(hour, minutes.iter().next()?, seconds.iter().next()?)
    }
}

/// A field for the crate: a list of numbers, or `*` for all (which it keeps in shared memory).
fn listed(numbers: impl Iterator<Item = u32>, all: u32) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    if numbers.len() == all as usize { "*".to_owned() } else { numbers.join(",") }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::Calendar;
    use crate::domain::cron::parse::parse;

    fn walk(expression: &str, from: &str, steps: usize) -> Vec<String> {
        let calendar = Calendar::new(&parse(expression).expect(expression)).expect(expression);
        let from = from.parse::<NaiveDateTime>().expect(from);
        let next = |civil: &NaiveDateTime| calendar.next_after(*civil);
        std::iter::successors(next(&from), next).take(steps).map(|c| c.to_string()).collect()
    }

    #[test]
    fn both_restricted_day_fields_are_joined_with_or() {
        let days = walk("0 0 13 * 5", "2024-09-06T00:00:00", 3);
        assert_eq!(days, ["2024-09-13 00:00:00", "2024-09-20 00:00:00", "2024-09-27 00:00:00"]);
        let days = walk("0 0 13 * 1", "2024-09-09T00:00:00", 2);
        assert_eq!(days, ["2024-09-13 00:00:00", "2024-09-16 00:00:00"]);
    }

    #[test]
    fn a_starred_day_field_is_joined_with_and() {
        let days = walk("0 0 */31 * SUN", "2026-01-01T00:00:00", 2);
        assert_eq!(days, ["2026-02-01 00:00:00", "2026-03-01 00:00:00"]);
    }

    #[test]
    fn rare_days_are_found_and_years_after_2100_too() {
        let days = walk("0 12 29 2 */7", "2072-01-01T00:00:00", 3);
        assert_eq!(days, ["2088-02-29 12:00:00", "2128-02-29 12:00:00", "2156-02-29 12:00:00"]);
        assert_eq!(walk("0 0 29 2 *", "2096-03-01T00:00:00", 1), ["2104-02-29 00:00:00"]);
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        let last = walk("* * * * * *", "9999-12-31T23:59:57", 9);
        assert_eq!(last, ["9999-12-31 23:59:58", "9999-12-31 23:59:59"]);
        assert!(walk("0 0 29 2 *", "9996-02-29T00:00:00", 1).is_empty());
    }
}
