//! An expression in English, for previews and lists: `at 14:00 every Monday`.
//!
//! Only what stays short is put into words; the rest is `None`, and the caller quotes the
//! expression. It works on the sets of numbers, so that `*/15` and `0,15,30,45` read alike.

use super::field::Set;
use super::parse::{DayRule, Fields, Timing};

/// More times of day, days or months than this are not listed one by one.
const LISTED_MAX: u32 = 4;
/// From this many neighbours on, a list is written as a range.
const RANGE_MIN: u32 = 3;

const ZERO: Set = Set::range(0, 0);
const MINUTES: Set = Set::range(0, 59);
const HOURS: Set = Set::range(0, 23);
const DAYS: Set = Set::range(1, 31);
const MONTHS: Set = Set::range(1, 12);
const WEEKDAYS: Set = Set::range(0, 6);

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What the fields say, or nothing when it would not be short.
pub(super) fn describe(fields: &Fields) -> Option<String> {
    if let Some(times) = times_of_day(fields) {
        let days = days(fields, "every day")?;
        return Some(format!("at {times} {days}"));
    }
    let beat = beat(fields)?;
    let days = days(fields, "")?;
    Some(format!("{beat} {days}").trim_end().to_owned())
}

/// `09:00 and 17:30`: a few times of the day.
fn times_of_day(fields: &Fields) -> Option<String> {
    let count = fields.seconds.len() * fields.minutes.len() * fields.hours.len();
    if LISTED_MAX < count {
        return None;
    }
    let mut times = Vec::new();
    for hour in fields.hours.iter() {
        for minute in fields.minutes.iter() {
            for second in fields.seconds.iter() {
                times.push(match (fields.seconds, second) {
                    (ZERO, _) => clock(hour, minute),
                    _ => format!("{}:{second:02}", clock(hour, minute)),
                });
            }
        }
    }
    Some(series(&times))
}

/// `every 5 minutes between 09:00 and 17:55`: something that goes on through the day.
fn beat(fields: &Fields) -> Option<String> {
    let Fields { seconds, minutes, hours, .. } = *fields;
    if seconds != ZERO {
        let whole_day = minutes == MINUTES && hours == HOURS;
        return whole_day.then(|| every(pace(seconds, 60)?, "second")).flatten();
    }
    let last_minute = minutes.iter().last()?;
    if minutes.len() != 1 {
        let beat = every(pace(minutes, 60)?, "minute")?;
        return within(beat, hours, last_minute);
    }
    let place = if last_minute == 0 { "" } else { &format!("at minute {last_minute} of ") };
    match pace(hours, 24) {
        Some(pace) if place.is_empty() || pace == 1 => {
            Some(format!("{place}{}", every(pace, "hour")?))
        }
        Some(pace) => Some(format!("{place}every {} hour", ordinal(pace))),
        None => within(format!("{place}every hour"), hours, last_minute),
    }
}

fn within(beat: String, hours: Set, last_minute: u32) -> Option<String> {
    if hours == HOURS {
        return Some(beat);
    }
    let (first, last) = neighbours(hours)?;
    let first_minute = if beat.starts_with("at") { last_minute } else { 0 };
    let (from, until) = (clock(first, first_minute), clock(last, last_minute));
    Some(format!("{beat} between {from} and {until}"))
}

fn every(pace: u32, noun: &str) -> Option<String> {
    match pace {
        0 => None,
        1 => Some(format!("every {noun}")),
        _ => Some(format!("every {pace} {noun}s")),
    }
}

/// On which days; `all` when on all of them.
fn days(fields: &Fields, all: &str) -> Option<String> {
    let months = match fields.months {
        MONTHS => None,
        months => Some(listed(months, |month| MONTH_NAMES[month as usize - 1].to_owned())?),
    };
    let of_month = months.clone().unwrap_or_else(|| "every month".to_owned());
    let in_month = months.map(|months| format!(" in {months}")).unwrap_or_default();
    let daily = match fields.day_rule {
        DayRule::Both => fields.days == DAYS && fields.weekdays == WEEKDAYS,
        DayRule::Either => fields.days == DAYS || fields.weekdays == WEEKDAYS,
    };
    if daily {
        return Some(format!("{all}{in_month}").trim_start().to_owned());
    }
    let week = fields.weekdays.sunday_last();
    let weekdays = || {
        let listed = listed(week, |day| WEEKDAY_NAMES[day as usize % 7].to_owned())?;
        let lead = match (neighbours(week), fields.timing) {
            (Some(_), _) if RANGE_MIN <= week.len() => "from ",
            (_, Timing::Fixed) => "every ",
            (_, Timing::Interval) => "on every ",
        };
        let all = if lead == "from " && !all.is_empty() { "every day " } else { "" };
        Some(format!("{all}{lead}{listed}"))
    };
    let monthdays = || Some(format!("on the {} of {of_month}", listed(fields.days, ordinal)?));
    if fields.days == DAYS {
        return Some(format!("{}{in_month}", weekdays()?));
    }
    if fields.weekdays == WEEKDAYS {
        return monthdays();
    }
    match fields.day_rule {
        DayRule::Either => Some(format!("{} and {}{in_month}", monthdays()?, weekdays()?)),
        DayRule::Both => None,
    }
}

/// The step of a set that divides the whole of its field evenly, starting at 0.
fn pace(set: Set, size: u32) -> Option<u32> {
    let pace = size / set.len();
    let even = size.is_multiple_of(set.len()) && set.iter().all(|number| number % pace == 0);
    even.then_some(pace)
}

/// The ends of a set without holes.
fn neighbours(set: Set) -> Option<(u32, u32)> {
    let (first, last) = (set.iter().next()?, set.iter().last()?);
    (last - first + 1 == set.len()).then_some((first, last))
}

fn listed(set: Set, name: impl Fn(u32) -> String) -> Option<String> {
    if RANGE_MIN <= set.len()
        && let Some((first, last)) = neighbours(set)
    {
        return Some(format!("{} to {}", name(first), name(last)));
    }
    (set.len() <= LISTED_MAX).then(|| series(&set.iter().map(name).collect::<Vec<_>>()))
}

fn series(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.concat(),
    }
}

fn clock(hour: u32, minute: u32) -> String {
    format!("{hour:02}:{minute:02}")
}

fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number / 10) {
        (1, tens) if tens != 1 => "st",
        (2, tens) if tens != 1 => "nd",
        (3, tens) if tens != 1 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::domain::cron::parse::parse;

    #[test]
    fn common_expressions_have_words() {
        for (expression, words) in [
            ("0 14 * * 1", "at 14:00 every Monday"),
            ("0 9 * * 1-5", "at 09:00 every day from Monday to Friday"),
            ("30 9,17 * * *", "at 09:30 and 17:30 every day"),
            ("15 30 6 * * *", "at 06:30:15 every day"),
            ("0 0 * * FRI-SUN", "at 00:00 every day from Friday to Sunday"),
            ("@daily", "at 00:00 every day"),
            ("@weekly", "at 00:00 every Sunday"),
            ("@monthly", "at 00:00 on the 1st of every month"),
            ("@yearly", "at 00:00 on the 1st of January"),
            ("0 0 1,15 * *", "at 00:00 on the 1st and 15th of every month"),
            ("0 0 22-28 6-8 *", "at 00:00 on the 22nd to 28th of June to August"),
            ("0 0 13 * 5", "at 00:00 on the 13th of every month and every Friday"),
            ("0 8 * 12 SUN,SAT", "at 08:00 every Saturday and Sunday in December"),
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("*/10 * * * * *", "every 10 seconds"),
            ("* * * * * *", "every second"),
            ("@hourly", "every hour"),
            ("20 * * * *", "at minute 20 of every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("5 */2 * * *", "at minute 5 of every 2nd hour"),
            ("0 * 5 * * *", "every minute between 05:00 and 05:59"),
            ("*/15 9-17 * * 1-5", "every 15 minutes between 09:00 and 17:45 from Monday to Friday"),
            ("5 9-17 * 7 *", "at minute 5 of every hour between 09:05 and 17:05 in July"),
        ] {
            let fields = parse(expression).expect(expression);
            assert_eq!(describe(&fields).as_deref(), Some(words), "{expression}");
        }
    }

    #[test]
    fn what_would_not_be_short_has_none() {
        for expression in
            ["*/7 * * * *", "1,2,9 1,5 * * *", "0 0 */5 * *", "0 0 */2 * 1", "* 0 5 * * *"]
        {
            assert_eq!(describe(&parse(expression).expect(expression)), None, "{expression}");
        }
    }
}
