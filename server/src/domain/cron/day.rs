//! The two day fields with their extensions: dates by their place in the month, and weekdays by
//! which of the month they are. What is read here is turned into days month by month.
//!
//! | item | means |
//! |---|---|
//! | `L` | the last day of the month |
//! | `L-3` | three days before it |
//! | `LW` | the last day from Monday to Friday |
//! | `15W` | the day from Monday to Friday nearest to the 15th, without leaving the month |
//! | `FRI#2` | the second Friday; months without a fifth have no `#5` |
//! | `FRIL` | the last Friday |

use super::field::{DAY, WEEKDAY, item, number, value};
use super::month::Month;
use super::piece::{CronError, Piece, pieces};
use super::set::Set;

/// The first day of the longest month is as many days before its last.
pub(super) const BEFORE_LAST_MAX: u32 = 30;
/// No weekday comes more often in a month.
pub(super) const NTH_MAX: u32 = 5;

/// What the field of the day of the month says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dates {
    /// Plain numbers.
    pub(super) numbers: Set,
    /// `L` is 0, `L-3` is 3.
    pub(super) before_last: Set,
    /// `15W` is 15.
    pub(super) nearest: Set,
    /// `LW`.
    pub(super) last_weekday: bool,
}

/// What the field of the day of the week says; Sunday is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weekdays {
    /// In every week.
    pub(super) each: Set,
    /// `FRI#2` is 5 in the second set.
    pub(super) nth: [Set; NTH_MAX as usize],
    /// `FRIL` is 5.
    pub(super) last: Set,
}

impl Dates {
    /// No date.
    pub(super) const NONE: Self = Self {
        numbers: Set::EMPTY,
        before_last: Set::EMPTY,
        nearest: Set::EMPTY,
        last_weekday: false,
    };

    /// Reads the field.
    pub(super) fn read(field: Piece<'_>) -> Result<Self, CronError> {
        let mut dates = Self::NONE;
        if field.text == "?" {
            return Ok(Self { numbers: Set::range(DAY.min, DAY.max), ..dates });
        }
        for piece in pieces(field.text, field.offset, |c| c == ',') {
            dates.add(piece)?;
        }
        Ok(dates)
    }

    fn add(&mut self, piece: Piece<'_>) -> Result<(), CronError> {
        let upper = piece.text.to_ascii_uppercase();
        if !upper.contains(['L', 'W']) {
            self.numbers = self.numbers.union(item(piece, &DAY)?);
            return Ok(());
        }
        if upper == "LW" {
            self.last_weekday = true;
            return Ok(());
        }
        let within = |text: &str, max: u32| number(text).filter(|day| (1..=max).contains(day));
        if let Some(day) = upper.strip_suffix('W').and_then(|day| within(day, DAY.max)) {
            self.nearest = self.nearest.union(Set::one(day));
            return Ok(());
        }
        let before = upper.strip_prefix("L-").and_then(|days| within(days, BEFORE_LAST_MAX));
        let before = before.or_else(|| (upper == "L").then_some(0));
        let expected = format!("{DAY}, L, L-1 to L-{BEFORE_LAST_MAX}, 1W to {}W or LW", DAY.max);
        let before = before.ok_or_else(|| piece.refuse(expected))?;
        self.before_last = self.before_last.union(Set::one(before));
        Ok(())
    }

    /// Its days in a month.
    pub(super) fn days(&self, month: Month) -> Set {
        let mut days = self.numbers.intersection(month.days());
        let mut add = |day: Option<u32>| days = days.union(day.map_or(Set::EMPTY, Set::one));
        self.before_last.iter().for_each(|before| add(month.before_last(before)));
        self.nearest.iter().for_each(|day| add(month.nearest_weekday(day)));
        if self.last_weekday {
            add(month.last_weekday());
        }
        days
    }

    /// Whether it is every day.
    pub(super) fn is_all(&self) -> bool {
        self.numbers == Set::range(DAY.min, DAY.max)
    }
}

impl Weekdays {
    /// No day.
    pub(super) const NONE: Self =
        Self { each: Set::EMPTY, nth: [Set::EMPTY; NTH_MAX as usize], last: Set::EMPTY };

    /// Reads the field.
    pub(super) fn read(field: Piece<'_>) -> Result<Self, CronError> {
        let mut weekdays = Self::NONE;
        if field.text == "?" {
            return Ok(Self { each: Set::range(0, 6), ..weekdays });
        }
        for piece in pieces(field.text, field.offset, |c| c == ',') {
            weekdays.add(piece)?;
        }
        weekdays.each = weekdays.each.fold_sunday();
        Ok(weekdays)
    }

    fn add(&mut self, piece: Piece<'_>) -> Result<(), CronError> {
        let hash = pieces(piece.text, piece.offset, |c| c == '#');
        if let [day, rest @ ..] = hash.as_slice()
            && let [nth, ..] = rest
        {
            let nth = number(nth.text).filter(|nth| (1..=NTH_MAX).contains(nth));
            let expected = format!("a weekday, # and 1 to {NTH_MAX}, such as FRI#2");
            let nth = nth.filter(|_| rest.len() == 1).ok_or_else(|| piece.refuse(expected))?;
            let set = &mut self.nth[nth as usize - 1];
            *set = set.union(Set::one(value(*day, &WEEKDAY)? % 7));
            return Ok(());
        }
        if let Some(day) = piece.text.strip_suffix(['L', 'l']) {
            let day = Piece { text: day, ..piece };
            if day.text.is_empty() {
                return Err(piece.refuse("a weekday before the L, such as FRIL"));
            }
            self.last = self.last.union(Set::one(value(day, &WEEKDAY)? % 7));
            return Ok(());
        }
        self.each = self.each.union(item(piece, &WEEKDAY)?);
        Ok(())
    }

    /// Its days in a month.
    pub(super) fn days(&self, month: Month) -> Set {
        let nth = (1..=NTH_MAX).zip(self.nth).filter(|(_, weekdays)| !weekdays.is_empty());
        nth.map(|(nth, weekdays)| month.nth(weekdays, nth))
            .fold(month.on(self.each).union(month.last(self.last)), Set::union)
    }

    /// Whether it is every day.
    pub(super) fn is_all(&self) -> bool {
        self.each == Set::range(0, 6)
    }
}
