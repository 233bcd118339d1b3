//! Sets of small numbers: a bit for each.

/// The numbers that a field allows, each below 64: bit n stands for n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) const EMPTY: Self = Self(0);

    /// Every number from `first` to `last`.
    pub(super) const fn range(first: u32, last: u32) -> Self {
        Self(u64::MAX >> (63 - last) & (u64::MAX << first))
    }

    /// Every `step`th number from `first` to `last`.
    pub(super) fn stepped(first: u32, last: u32, step: usize) -> Self {
        (first..=last).step_by(step).map(Self::one).fold(Self::EMPTY, Self::union)
    }

    /// Seven days as bits 0 (Sunday) to 6, laid out over the days 1 to 35 of a month whose first
    /// day is `first_weekday`.
    pub(super) fn weekly(weekdays: Self, first_weekday: u32) -> Self {
        /// Multiplying by it repeats seven bits five times.
        const FIVE_WEEKS: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;
        let from_first = weekdays.0 >> first_weekday | weekdays.0 << (7 - first_weekday);
        Self(((from_first & 0x7f) * FIVE_WEEKS) << 1)
    }

    /// One number.
    pub(super) const fn one(number: u32) -> Self {
        Self(1 << number)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        let rest = |bits: &u64| Some(bits & (bits - 1)).filter(|bits| *bits != 0);
        std::iter::successors(Some(self.0).filter(|bits| *bits != 0), rest).map(u64::trailing_zeros)
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn contains(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The smallest number.
    pub(super) fn first(self) -> Option<u32> {
        (!self.is_empty()).then(|| self.0.trailing_zeros())
    }

    /// The largest number.
    pub(super) fn last(self) -> Option<u32> {
        (!self.is_empty()).then(|| self.0.ilog2())
    }

    /// Its numbers from `first` on.
    pub(super) fn from(self, first: u32) -> Self {
        Self(self.0 & (u64::MAX << first))
    }

    /// Its numbers up to and including `last`.
    pub(super) fn up_to(self, last: u32) -> Self {
        Self(self.0 & (u64::MAX >> (63 - last)))
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Weekdays with Sunday as 0 only.
    pub(super) fn fold_sunday(self) -> Self {
        Self((self.0 | self.0 >> 7 & 1) & 0x7f)
    }

    /// Weekdays with Sunday as 7 only, so that a weekend has no hole.
    pub(super) fn sunday_last(self) -> Self {
        Self((self.0 | (self.0 & 1) << 7) & 0xfe)
    }
}

#[cfg(test)]
mod tests {
    use super::Set;

    fn list(set: Set) -> Vec<u32> {
        set.iter().collect()
    }

    #[test]
    fn a_set_holds_numbers_up_to_63() {
        assert_eq!(list(Set::range(0, 63)).len(), 64);
        assert_eq!(list(Set::range(5, 5)), [5]);
        assert_eq!(list(Set::stepped(3, 20, 7)), [3, 10, 17]);
        assert_eq!(list(Set::range(58, 59).from(59)), [59]);
        assert_eq!(list(Set::range(58, 59).from(60)), [0; 0]);
        assert_eq!(list(Set::range(0, 3).up_to(0)), [0]);
        assert_eq!((Set::EMPTY.first(), Set::EMPTY.last()), (None, None));
        assert_eq!((Set::range(4, 9).first(), Set::range(4, 9).last()), (Some(4), Some(9)));
    }

    #[test]
    fn weekdays_repeat_from_the_first_of_the_month_on() {
        // A month that begins on a Wednesday has Sundays on the 5th, the 12th …
        assert_eq!(list(Set::weekly(Set::one(0), 3).up_to(31)), [5, 12, 19, 26]);
        assert_eq!(list(Set::weekly(Set::one(3), 3).up_to(31)), [1, 8, 15, 22, 29]);
        assert_eq!(Set::weekly(Set::range(0, 6), 5).up_to(31), Set::range(1, 31));
    }
}
