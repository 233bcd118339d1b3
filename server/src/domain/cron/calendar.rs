//! The calendar walk: from one civil second to the next that an expression allows.
//!
//! A field is a set of bits, and the next allowed number is the lowest bit that is left. The days
//! of a month are one such set, computed from the two day fields for the month's shape, so that
//! lists, weekdays, extensions and the OR of the fields need no search. Here is no time zone:
//! civil time runs evenly, and `mod.rs` maps it to instants.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};

use super::month::Month;
use super::parse::Fields;
use super::set::Set;

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
    fields: Fields,
}

impl Calendar {
    /// Of what an expression says.
    pub(super) fn new(fields: Fields) -> Self {
        Self { fields }
    }

    /// What the expression says.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The first allowed second strictly after `after`, up to the end of the year 9999.
    pub(super) fn next_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let start = after + TimeDelta::seconds(1);
        let date = self.day_from(start.date())?;
        if date != start.date() {
            return Some(date.and_time(self.time_from(NaiveTime::MIN)?));
        }
        if let Some(time) = self.time_from(start.time()) {
            return Some(date.and_time(time));
        }
        let date = self.day_from(date.succ_opt()?)?;
        Some(date.and_time(self.time_from(NaiveTime::MIN)?))
    }

    /// Whether `civil` is allowed.
    pub(super) fn includes(&self, civil: NaiveDateTime) -> bool {
        let Fields { hours, minutes, seconds, months, .. } = self.fields;
        let is_time = hours.contains(civil.hour())
            && minutes.contains(civil.minute())
            && seconds.contains(civil.second());
        let days =
            || civil.date().with_day(1).map(|first| self.fields.days(Month::beginning(first)));
        let is_day = || days().is_some_and(|days| days.contains(civil.day()));
        is_time && months.contains(civil.month()) && is_day()
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
        let Fields { hours, minutes, seconds, .. } = self.fields;
        let number = |set: Set| u64::from(set.len());
        let below = |set: Set, end: u32| number(set) - number(set.from(end));
        let mut total = below(hours, time.hour()) * number(minutes) * number(seconds);
        if hours.contains(time.hour()) {
            total += below(minutes, time.minute()) * number(seconds);
            if minutes.contains(time.minute()) {
                total += below(seconds, time.second() + 1);
            }
        }
        total
    }

    /// The first allowed date at or after `date`.
    fn day_from(&self, date: NaiveDate) -> Option<NaiveDate> {
        let (mut year, mut month, mut day) = (date.year(), date.month(), date.day());
        while year <= YEAR_MAX {
            let Some(allowed) = self.fields.months.from(month).first() else {
                (year, month, day) = (year + 1, 1, 1);
                continue;
            };
            if allowed != month {
                (month, day) = (allowed, 1);
            }
            let first = NaiveDate::from_ymd_opt(year, month, 1)?;
            let days = self.fields.days(Month::beginning(first));
            if let Some(found) = days.from(day).first() {
                return first.with_day(found);
            }
            (month, day) = (month + 1, 1);
        }
        None
    }

    /// The first allowed time of day at or after `time`.
    fn time_from(&self, time: NaiveTime) -> Option<NaiveTime> {
        let Fields { hours, minutes, seconds, .. } = self.fields;
        let (hour, minute) = (time.hour(), time.minute());
        if hours.contains(hour) {
            if minutes.contains(minute)
                && let Some(second) = seconds.from(time.second()).first()
            {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
            if let Some(minute) = minutes.from(minute + 1).first() {
                return NaiveTime::from_hms_opt(hour, minute, seconds.first()?);
            }
        }
        let hour = hours.from(hour + 1).first()?;
        NaiveTime::from_hms_opt(hour, minutes.first()?, seconds.first()?)
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::Calendar;
    use crate::domain::cron::parse::parse;

    fn walk(expression: &str, from: &str, steps: usize) -> Vec<String> {
        let calendar = Calendar::new(parse(expression).expect(expression));
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
    fn days_are_found_by_their_place_in_the_month() {
        for (expression, expected) in [
            ("0 0 L * *", ["01-31", "02-28", "03-31"]),
            ("0 0 L-3 * *", ["01-28", "02-25", "03-28"]),
            ("0 0 L-29,L-30 * *", ["01-02", "03-01", "03-02"]),
            ("0 0 LW * *", ["01-30", "02-27", "03-31"]),
            // 1 February is a Sunday, 1 August a Saturday: the weekday stays in the month.
            ("0 0 1W 2,8 *", ["02-02", "08-03", "02-01"]),
            ("0 0 31W * *", ["01-30", "03-31", "05-29"]),
            ("0 0 * * FRI#2", ["01-09", "02-13", "03-13"]),
            ("0 0 * * 5#5", ["01-30", "05-29", "07-31"]),
            ("0 0 * * 0L,7#1", ["01-04", "01-25", "02-01"]),
            ("0 0 1,15W,L * *", ["01-15", "01-31", "02-01"]),
            ("0 0 L * MON#1", ["01-05", "01-31", "02-02"]),
        ] {
            let days = walk(expression, "2026-01-01T00:00:00", 3);
            let days: Vec<_> = days.iter().map(|day| &day[5..10]).collect();
            assert_eq!(days, expected, "{expression}");
        }
    }

    #[test]
    fn the_rarest_day_is_found_across_a_century_without_a_leap_year() {
        // 29 February as the fifth of its weekday: each 28 years, but for the year 2100.
        let days = walk("0 0 */28 2 1#5", "2072-03-01T00:00:00", 2);
        assert_eq!(days, ["2112-02-29 00:00:00", "2140-02-29 00:00:00"]);
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        let last = walk("* * * * * *", "9999-12-31T23:59:57", 9);
        assert_eq!(last, ["9999-12-31 23:59:58", "9999-12-31 23:59:59"]);
        assert!(walk("0 0 29 2 *", "9996-02-29T00:00:00", 1).is_empty());
    }
}
