//! The dialect: from the text of a cron expression to the sets of numbers that it allows.
//!
//! ```text
//! expression = nickname | [second] minute hour day-of-month month day-of-week
//! field      = item {"," item}              "?" stands for "*" as a whole day field
//! item       = ("*" | value "-" value) ["/" step] | value
//! value      = number | JAN … DEC | SUN … SAT (any case)
//! nickname   = @hourly | @daily | @midnight | @weekly | @monthly | @yearly | @annually
//!
//! day-of-month, items besides:  "L" | "L-" days | "LW" | day "W"
//! day-of-week, items besides:   weekday "L" | weekday "#" nth
//! ```
//!
//! As in POSIX, with names inside ranges and lists, steps, and 7 for Sunday. `day.rs` says what
//! the extensions mean. Two restricted day fields are joined with OR, extensions or not; a field
//! that begins with `*`, or is `?`, does not restrict and is joined with AND.
//!
//! What other dialects add is refused with a sentence that names it rather than read in a sense
//! that the author may not have meant: `5/15` (a step after a single number), ranges that run
//! backwards, steps larger than the field, `L` alone as a weekday, time zones inside the
//! expression.
//!
//! # The worst case
//!
//! An expression that no date can satisfy (31 February, the 29th as a second Monday) is refused
//! here, by looking at every shape that its months can have, of which there are 91. So a search
//! always ends: a day comes back within 8 years if it is a 29 February, within 40 if that must be
//! a certain weekday, and a search looks at one number for each month on the way. Where every match
//! falls into a gap that is skipped (02:30 on the second Sunday of March in New York), it steps
//! over one gap a year, as far as the zone database goes, which is 2099. Text is bounded by
//! [`EXPRESSION_BYTES_MAX`], and reading it takes time in proportion. `benches/next_instant.rs`
//! measures all of these.

use super::day::{Dates, Weekdays};
use super::field::{HOUR, MINUTE, MONTH, SECOND, field};
use super::month::Month;
use super::piece::{CronError, Piece, pieces};
use super::set::Set;

/// Longest expression, in bytes. Lists of every minute and hour fit; it bounds the work of parsing.
pub const EXPRESSION_BYTES_MAX: usize = 256;

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What an expression says, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
    pub(super) dates: Dates,
    pub(super) months: Set,
    pub(super) weekdays: Weekdays,
    pub(super) day_rule: DayRule,
    pub(super) timing: Timing,
}

/// How the two day fields go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayRule {
    /// A day must be in both sets: at least one of the fields begins with `*` (or is `?`).
    Both,
    /// A day must be in one of the sets: both fields restrict.
    Either,
}

/// What the author had in mind, for the days on which clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Certain times of the day: second, minute and hour are numbers or lists of numbers.
    Fixed,
    /// A beat: one of them holds `*`, `-` or `/`.
    Interval,
}

/// Reads an expression, nicknames included.
pub(super) fn parse(expression: &str) -> Result<Fields, CronError> {
    let strange = |byte: u8| !byte.is_ascii_graphic() && byte != b' ' && byte != b'\t';
    if let Some(offset) = expression.bytes().take(EXPRESSION_BYTES_MAX).position(strange) {
        let expected = "ASCII letters, digits and blanks only".to_owned();
        return Err(CronError { offset, expected });
    }
    if EXPRESSION_BYTES_MAX < expression.len() {
        let expected = format!("at most {EXPRESSION_BYTES_MAX} characters");
        return Err(CronError { offset: EXPRESSION_BYTES_MAX, expected });
    }
    let pieces = pieces(expression, 0, |c| c == ' ' || c == '\t');
    let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.text.is_empty()).collect();
    match pieces.as_slice() {
        [first, rest @ ..] if first.text.starts_with('@') => nickname(*first, rest.first()),
        [first, ..] if first.text.contains('=') => {
            Err(first.refuse("a field of numbers (the time zone is given beside the expression)"))
        }
        [minute, hour, day, month, weekday] => {
            let second = Piece { offset: minute.offset, text: "0" };
            fields([second, *minute, *hour, *day, *month, *weekday])
        }
        [second, minute, hour, day, month, weekday] => {
            fields([*second, *minute, *hour, *day, *month, *weekday])
        }
        found => Err(CronError {
            offset: found.get(6).map_or(expression.len(), |piece| piece.offset),
            expected: format!(
                "5 fields (minute, hour, day of the month, month, day of the week) or 6 with \
                 leading seconds, not {}",
                found.len()
            ),
        }),
    }
}

fn nickname(word: Piece<'_>, next: Option<&Piece<'_>>) -> Result<Fields, CronError> {
    let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.text));
    match (known, next) {
        (Some((_, fields)), None) => parse(fields),
        (Some((name, _)), Some(next)) => Err(next.refuse(format!("nothing after {name}"))),
        (None, _) => Err(word.refuse(
            "@hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually \
             (an interval is a schedule of the kind `every`)",
        )),
    }
}

fn fields(pieces: [Piece<'_>; 6]) -> Result<Fields, CronError> {
    let [second, minute, hour, day, month, weekday] = pieces;
    let beat = [second, minute, hour].iter().any(|piece| piece.text.contains(['*', '-', '/']));
    let fields = Fields {
        seconds: field(second, &SECOND)?,
        minutes: field(minute, &MINUTE)?,
        hours: field(hour, &HOUR)?,
        dates: Dates::read(day)?,
        months: field(month, &MONTH)?,
        weekdays: Weekdays::read(weekday)?,
        day_rule: if day.begins_with_star() || weekday.begins_with_star() {
            DayRule::Both
        } else {
            DayRule::Either
        },
        timing: if beat { Timing::Interval } else { Timing::Fixed },
    };
    if fields.exist(Fields::days) {
        return Ok(fields);
    }
    if fields.exist(|fields, month| fields.dates.days(month)) {
        return Err(weekday.refuse("a weekday on which one of the dates falls"));
    }
    Err(day.refuse("a day that exists in one of the months"))
}

impl Fields {
    /// The allowed days of a month, whether or not the month itself is allowed.
    pub(super) fn days(&self, month: Month) -> Set {
        let (dates, weekdays) = (self.dates.days(month), self.weekdays.days(month));
        match self.day_rule {
            DayRule::Both => dates.intersection(weekdays),
            DayRule::Either => dates.union(weekdays),
        }
    }

    /// Whether there are such days in any month that is allowed and of any shape that it can have.
    fn exist(&self, days: impl Fn(&Self, Month) -> Set) -> bool {
        let mut months = self.months.iter().flat_map(Month::shapes);
        months.any(|month| !days(self, month).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{DayRule, EXPRESSION_BYTES_MAX, Timing, parse};

    fn refusal(expression: &str) -> String {
        parse(expression).expect_err(expression).to_string()
    }

    #[test]
    fn fields_are_read_with_names_ranges_lists_and_steps() {
        let fields = parse(" 5,10-20/5  */6 1 jan-MAR,12 fri-sun ").expect("it is cron");
        assert_eq!(fields.seconds.iter().collect::<Vec<_>>(), [0]);
        assert_eq!(fields.minutes.iter().collect::<Vec<_>>(), [5, 10, 15, 20]);
        assert_eq!(fields.hours.iter().collect::<Vec<_>>(), [0, 6, 12, 18]);
        assert_eq!(fields.months.iter().collect::<Vec<_>>(), [1, 2, 3, 12]);
        assert_eq!(fields.weekdays.each.iter().collect::<Vec<_>>(), [0, 5, 6]);
        assert_eq!(fields.day_rule, DayRule::Either);
    }

    #[test]
    fn a_day_field_that_begins_with_a_star_does_not_restrict() {
        let rule = |text| parse(text).expect(text).day_rule;
        assert_eq!(rule("0 0 1 * */2"), DayRule::Both);
        assert_eq!(rule("0 0 ? * MON"), DayRule::Both);
        assert_eq!(rule("0 0 1-31 * 0-7"), DayRule::Either);
    }

    #[test]
    fn fixed_times_are_numbers_and_lists_of_numbers() {
        let timing = |text| parse(text).expect(text).timing;
        assert_eq!(timing("0,30 9,17 */2 * 1-5"), Timing::Fixed);
        assert_eq!(timing("@daily"), Timing::Fixed);
        assert_eq!(timing("@HOURLY"), Timing::Interval);
        assert_eq!(timing("0 9-17 * * *"), Timing::Interval);
        assert_eq!(timing("*/5 0 0 * * *"), Timing::Interval);
    }

    #[test]
    fn a_refusal_says_where_and_what_was_expected() {
        for (expression, expected) in [
            ("60 * * * *", "character 1: expected a minute from 0 to 59, not `60`"),
            ("0 0 * * 1,8", "character 11: expected a day of the week from 0 to 7 or SUN to SAT"),
            ("0 0 * *", "character 8: expected 5 fields"),
            ("0 0 0 * * * *", "character 13: expected 5 fields"),
            ("0 0 31 2 *", "character 5: expected a day that exists"),
            ("0 0 30,31 2 */2", "character 5: expected a day that exists"),
            ("5/15 * * * *", "a range before the step, such as 5-59/15, not `5/15`"),
            ("0 0 1,L/2 * *", "character 7: expected a day of the month from 1 to 31, L, L-1 to"),
            ("0 0 L-31 * *", "L-1 to L-30, 1W to 31W or LW, not `L-31`"),
            ("0 0 32W * *", "1W to 31W or LW, not `32W`"),
            ("0 0 1-5W * *", "not `1-5W`"),
            ("0 0 * * FRI#6", "a weekday, # and 1 to 5, such as FRI#2, not `FRI#6`"),
            ("0 0 * * 1#2#3", "a weekday, # and 1 to 5"),
            ("0 0 * * #2", "a day of the week from 0 to 7 or SUN to SAT, not nothing"),
            ("0 0 * * 1-5#2", "SUN to SAT, not `1-5`"),
            ("0 0 * * L", "a weekday before the L, such as FRIL, not `L`"),
            ("0 0 * * 8L", "SUN to SAT, not `8`"),
            ("0 0 30W 2 *", "character 5: expected a day that exists"),
            ("0 0 */29 * 1#2", "character 12: expected a weekday on which one of the dates falls"),
            ("0 0 15W * */6", "a weekday on which one of the dates falls"),
            ("0 22-6 * * *", "character 3: expected a range that does not run backwards"),
            ("TZ=UTC * * * * *", "the time zone is given beside the expression"),
            ("1,,2 * * * *", "character 3: expected a minute from 0 to 59, not nothing"),
            ("@every 5m", "schedule of the kind `every`"),
            ("@daily 0", "character 8: expected nothing after @daily"),
            ("0 0 * * ſun", "character 9: expected ASCII"),
        ] {
            let refusal = refusal(expression);
            assert!(refusal.contains(expected), "{expression}: {refusal}");
        }
    }

    #[test]
    fn the_longest_expression_has_a_length() {
        let padded = |length: usize| format!("{:length$}", "0 0 * * *");
        assert!(parse(&padded(EXPRESSION_BYTES_MAX)).is_ok());
        assert!(refusal(&padded(EXPRESSION_BYTES_MAX + 1)).contains("at most 256"));
    }
}
