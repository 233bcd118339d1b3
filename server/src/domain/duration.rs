//! Lengths of time as people write them: ISO 8601 durations, and days, hours, minutes and seconds
//! apart.
//!
//! Used wherever an input says how long: `every`, `in`, timers, time-outs, retention. Inside Belfry
//! a length is a number of milliseconds (`*_ms: i64`), never negative and never above [`MS_MAX`].
//! A day is exactly 24 hours and a week 7 days: elapsed time, whatever the clocks on the wall do.

use std::fmt::Write as _;

use serde::Serialize;

use crate::error::Problem;

/// The longest length that is read: from the first to the last instant that Belfry can name, so
/// that adding a length to an instant cannot overflow.
pub const MS_MAX: i64 = 253_402_300_799_999;

const MS_PER_SECOND: i64 = 1000;
const MS_PER_MINUTE: i64 = 60 * MS_PER_SECOND;
const MS_PER_HOUR: i64 = 60 * MS_PER_MINUTE;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;
const MS_PER_WEEK: i64 = 7 * MS_PER_DAY;

/// Designators in the order in which ISO 8601 wants them; the last three follow the `T`.
const UNITS: [(char, i64); 5] = [
    ('W', MS_PER_WEEK),
    ('D', MS_PER_DAY),
    ('H', MS_PER_HOUR),
    ('M', MS_PER_MINUTE),
    ('S', MS_PER_SECOND),
];
const FIRST_TIME_UNIT: usize = 2;

/// A length given as separate numbers, which need not be normal: 90 minutes are fine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Days of 24 hours.
    pub days: i64,
    /// Hours of 60 minutes.
    pub hours: i64,
    /// Minutes of 60 seconds.
    pub minutes: i64,
    /// Whole seconds.
    pub seconds: i64,
}

impl Parts {
    /// The length in milliseconds.
    ///
    /// # Errors
    /// One problem for each part that is negative or too large, or one of the whole when only the
    /// sum is too large.
    pub fn to_ms(self) -> Result<i64, Vec<Problem>> {
        let parts = [
            ("days", self.days, MS_PER_DAY),
            ("hours", self.hours, MS_PER_HOUR),
            ("minutes", self.minutes, MS_PER_MINUTE),
            ("seconds", self.seconds, MS_PER_SECOND),
        ];
        let mut problems = Vec::new();
        let mut total_ms = 0_i64;
        for (field, count, unit_ms) in parts {
            let count_max = MS_MAX / unit_ms;
            if !(0..=count_max).contains(&count) {
                problems.push(Problem::new(field, format!("expected 0 to {count_max}")));
                continue;
            }
            total_ms += count * unit_ms;
        }
        if problems.is_empty() && MS_MAX < total_ms {
            problems.push(Problem::new("", too_long()));
        }
        if problems.is_empty() { Ok(total_ms) } else { Err(problems) }
    }
}

/// Reads an ISO 8601 duration such as `PT1H20M`, `P1W`, `P1DT12H` or `PT0.250S` as milliseconds.
///
/// Weeks may stand beside other units, any unit may exceed its usual range (`PT90M`), and letters
/// may be small.
///
/// # Errors
/// A sentence that says what was expected: years and months (their length varies), signs,
/// fractions of anything but a second or finer than a millisecond, and lengths above [`MS_MAX`]
/// are refused.
pub fn parse(text: &str) -> Result<i64, String> {
    let upper = text.to_ascii_uppercase();
    if upper.starts_with(['-', '+']) {
        return Err(expected("a duration is written without a sign"));
    }
    let Some(body) = upper.strip_prefix('P') else {
        return Err(expected("a duration starts with `P`"));
    };
    let (dates, times) = match body.split_once('T') {
        Some((_, "")) => return Err(expected("nothing follows the `T`")),
        Some((dates, times)) => (dates, times),
        None if body.is_empty() => return Err(expected("nothing follows the `P`")),
        None => (body, ""),
    };
    if dates.contains(['Y', 'M']) {
        return Err(expected(
            "years and months are not read, because their length varies (minutes follow a `T`)",
        ));
    }
    let total_ms = sum(dates, &UNITS[..FIRST_TIME_UNIT])? + sum(times, &UNITS[FIRST_TIME_UNIT..])?;
    if MS_MAX < total_ms { Err(too_long()) } else { Ok(total_ms) }
}

/// Writes a length as the shortest ISO 8601 duration of days, hours, minutes and seconds:
/// `P1DT2H`, `PT1H20M`, `PT0.25S`; nothing is `PT0S`. A negative length counts as nothing.
#[must_use]
pub fn format(ms: i64) -> String {
    let split = Split::of(ms);
    let mut text = String::from("P");
    if split.days != 0 {
        let _ = write!(text, "{}D", split.days);
    }
    if split.is_whole_days() && split.days != 0 {
        return text;
    }
    text.push('T');
    for (count, letter) in [(split.hours, 'H'), (split.minutes, 'M')] {
        if count != 0 {
            let _ = write!(text, "{count}{letter}");
        }
    }
    if split.second_ms != 0 || split.is_whole_days() {
        let _ = write!(text, "{}S", seconds(split.second_ms));
    }
    text
}

/// Writes a length in words: `1 hour 20 minutes`, `1 second`, `0.25 seconds`. A negative length
/// counts as nothing, which is `0 seconds`.
#[must_use]
pub fn words(ms: i64) -> String {
    let split = Split::of(ms);
    let mut parts = Vec::new();
    for (count, noun) in [(split.days, "day"), (split.hours, "hour"), (split.minutes, "minute")] {
        if count != 0 {
            parts.push(format!("{count} {noun}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if split.second_ms != 0 || parts.is_empty() {
        let plural = if split.second_ms == MS_PER_SECOND { "" } else { "s" };
        parts.push(format!("{} second{plural}", seconds(split.second_ms)));
    }
    parts.join(" ")
}

struct Split {
    days: i64,
    hours: i64,
    minutes: i64,
    second_ms: i64,
}

impl Split {
    fn of(ms: i64) -> Self {
        let ms = ms.max(0);
        Self {
            days: ms / MS_PER_DAY,
            hours: ms % MS_PER_DAY / MS_PER_HOUR,
            minutes: ms % MS_PER_HOUR / MS_PER_MINUTE,
            second_ms: ms % MS_PER_MINUTE,
        }
    }

    fn is_whole_days(&self) -> bool {
        self.hours == 0 && self.minutes == 0 && self.second_ms == 0
    }
}

fn seconds(ms: i64) -> String {
    let fraction = format!(".{:03}", ms % MS_PER_SECOND);
    format!("{}{}", ms / MS_PER_SECOND, fraction.trim_end_matches('0').trim_end_matches('.'))
}

/// Adds up `text`, a run of number-and-letter pairs whose letters appear in the order of `units`.
/// Cannot overflow: each pair is held below `MS_MAX`, and there are at most five.
fn sum(mut text: &str, mut units: &[(char, i64)]) -> Result<i64, String> {
    let mut total_ms = 0;
    while !text.is_empty() {
        let Some(end) = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',') else {
            return Err(expected(&format!("a unit is missing after `{}`", shorten(text))));
        };
        let (number, rest) = text.split_at(end);
        let mut rest = rest.chars();
        let letter = rest.next().unwrap_or_default();
        let Some(place) = units.iter().position(|(unit, _)| *unit == letter) else {
            return Err(expected(&format!("`{letter}` is not a unit here")));
        };
        total_ms += scaled(number, units[place])?;
        units = &units[place + 1..];
        text = rest.as_str();
    }
    Ok(total_ms)
}

fn scaled(number: &str, (letter, unit_ms): (char, i64)) -> Result<i64, String> {
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, "000"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains(['.', ',']) {
        return Err(expected(&format!("a whole number is missing before `{letter}`")));
    }
    if whole.len() < number.len() && letter != 'S' {
        return Err(expected("only seconds may have a fraction"));
    }
    if 3 < fraction.len() {
        return Err(expected("a fraction has at most three digits (milliseconds)"));
    }
    let whole_ms = whole.parse::<i64>().ok().and_then(|count| count.checked_mul(unit_ms));
    let Some(whole_ms) = whole_ms.filter(|ms| *ms <= MS_MAX) else {
        return Err(too_long());
    };
    let fraction_ms = format!("{fraction:0<3}").parse::<i64>().unwrap_or_default();
    Ok(whole_ms + fraction_ms)
}

fn shorten(text: &str) -> String {
    text.chars().take(20).collect()
}

fn expected(why: &str) -> String {
    format!("expected an ISO 8601 duration such as PT1H20M or P1D: {why}")
}

fn too_long() -> String {
    format!("expected a duration of at most {} days", MS_MAX / MS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::{MS_MAX, Parts, format, parse, words};

    #[test]
    fn durations_are_read_and_written_back_in_their_shortest_form() {
        for (text, ms, canonical, in_words) in [
            ("PT1H20M", 4_800_000, "PT1H20M", "1 hour 20 minutes"),
            ("PT5M", 300_000, "PT5M", "5 minutes"),
            ("PT90S", 90_000, "PT1M30S", "1 minute 30 seconds"),
            ("P1W", 604_800_000, "P7D", "7 days"),
            ("P1W1DT1H", 694_800_000, "P8DT1H", "8 days 1 hour"),
            ("pt0,25s", 250, "PT0.25S", "0.25 seconds"),
            ("PT1.001S", 1001, "PT1.001S", "1.001 seconds"),
            ("PT36H", 129_600_000, "P1DT12H", "1 day 12 hours"),
            ("P0D", 0, "PT0S", "0 seconds"),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
            assert_eq!(format(ms), canonical, "{text}");
            assert_eq!(parse(canonical), Ok(ms), "{text}");
            assert_eq!(words(ms), in_words, "{text}");
        }
    }

    #[test]
    fn what_is_no_fixed_length_is_refused_with_its_reason() {
        for (text, reason) in [
            ("P1Y", "length varies"),
            ("P1M", "length varies"),
            ("-PT1S", "sign"),
            ("PT-1S", "not a unit"),
            ("", "starts with `P`"),
            ("P", "nothing follows the `P`"),
            ("P1DT", "nothing follows the `T`"),
            ("PT5", "unit is missing"),
            ("PTM", "number is missing"),
            ("PT1.5H", "only seconds"),
            ("PT1.S", "number is missing"),
            ("PT.5S", "number is missing"),
            ("PT1.2.3S", "number is missing"),
            ("PT0.0001S", "three digits"),
            ("PT1M1H", "not a unit here"),
            ("PT1S1S", "not a unit here"),
            ("P1H", "not a unit here"),
            ("PT1D", "not a unit here"),
            ("PT1H ", "not a unit here"),
            ("PT1HT1M", "not a unit here"),
            ("PT٣S", "not a unit here"),
            ("PT99999999999999999999H", "at most"),
            ("P99999999999999W", "at most"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_longest_duration_is_the_span_of_all_instants() {
        assert_eq!(parse(&format(MS_MAX)), Ok(MS_MAX));
        assert!(parse("PT253402300800S").is_err());
        assert!(parse("P2932896DT86400S").is_err());
    }

    #[test]
    fn parts_need_not_be_normal_and_each_bad_part_is_named() {
        let ms =
            |hours, minutes, seconds| Parts { hours, minutes, seconds, ..Parts::default() }.to_ms();
        assert_eq!(ms(0, 90, 1), Ok(5_401_000));
        assert_eq!(ms(0, 0, 0), Ok(0));
        let fields = |result: Result<i64, Vec<crate::error::Problem>>| -> Vec<String> {
            result.expect_err("refused").into_iter().map(|problem| problem.field).collect()
        };
        assert_eq!(fields(ms(-1, 0, i64::MAX)), ["hours", "seconds"]);
        assert_eq!(ms(0, 0, MS_MAX / 1000), Ok(MS_MAX - 999));
        assert_eq!(fields(ms(0, 0, MS_MAX / 1000 + 1)), ["seconds"]);
        assert_eq!(fields(ms(0, 1, MS_MAX / 1000)), [""]);
        let days = |days| Parts { days, ..Parts::default() }.to_ms();
        assert_eq!(days(MS_MAX / 86_400_000), Ok(MS_MAX / 86_400_000 * 86_400_000));
        assert_eq!(fields(days(MS_MAX / 86_400_000 + 1)), ["days"]);
    }
}
