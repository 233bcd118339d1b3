//! One month of the calendar as the day fields see it: how long it is and on which weekday it
//! begins. Its days are a [`Set`] of bits 1 to 31, so that every rule about days is a few
//! operations on one number.

use chrono::{Datelike as _, NaiveDate};

use super::set::Set;

const SUNDAY: u32 = 0;
const SATURDAY: u32 = 6;

/// The shape of a month.
#[derive(Clone, Copy, Debug)]
pub(super) struct Month {
    /// 28 to 31.
    length: u32,
    /// 0 to 6, Sunday is 0.
    first_weekday: u32,
}

impl Month {
    /// The month that begins on `first`.
    pub(super) fn beginning(first: NaiveDate) -> Self {
        let first_weekday = first.weekday().num_days_from_sunday();
        Self { length: u32::from(first.num_days_in_month()), first_weekday }
    }

    /// Every shape that the month of this number has in the 400 years of the calendar: 29 February
    /// falls on each weekday too.
    pub(super) fn shapes(number: u32) -> impl Iterator<Item = Self> {
        let lengths = match number {
            2 => 28..=29,
            4 | 6 | 9 | 11 => 30..=30,
            _ => 31..=31,
        };
        let weekdays = SUNDAY..=SATURDAY;
        lengths.flat_map(move |length| {
            weekdays.clone().map(move |first_weekday| Self { length, first_weekday })
        })
    }

    /// All of its days.
    pub(super) fn days(self) -> Set {
        Set::range(1, self.length)
    }

    /// Its days that fall on one of `weekdays`.
    pub(super) fn on(self, weekdays: Set) -> Set {
        Set::weekly(weekdays, self.first_weekday).up_to(self.length)
    }

    /// Its `nth` such days.
    pub(super) fn nth(self, weekdays: Set, nth: u32) -> Set {
        self.on(weekdays).intersection(Set::range(7 * nth - 6, 7 * nth))
    }

    /// The last such days.
    pub(super) fn last(self, weekdays: Set) -> Set {
        self.on(weekdays).from(self.length - 6)
    }

    /// The day so many days before its last.
    pub(super) fn before_last(self, days: u32) -> Option<u32> {
        self.length.checked_sub(days).filter(|day| 0 < *day)
    }

    /// The day from Monday to Friday nearest to `day`, in this month; none when it has no such day.
    pub(super) fn nearest_weekday(self, day: u32) -> Option<u32> {
        if self.length < day {
            return None;
        }
        Some(match (self.first_weekday + day - 1) % 7 {
            SATURDAY if day == 1 => 3,
            SATURDAY => day - 1,
            SUNDAY if day == self.length => day - 2,
            SUNDAY => day + 1,
            _ => day,
        })
    }

    /// The last day from Monday to Friday.
    pub(super) fn last_weekday(self) -> Option<u32> {
        self.nearest_weekday(self.length)
    }
}
