//! An expression in English, for previews and lists: `every week on Monday at 14:00`.
//!
//! Only what stays short is put into words; the rest is `None`, and the caller quotes the
//! expression. It works on the sets of numbers, so that `*/15` and `0,15,30,45` read alike.
//! `docs/time.md` has a list of examples, which a test reads.

use super::day::{Dates, Weekdays};
use super::parse::{DayRule, Fields};
use super::set::Set;

/// More times of day, days or months than this are not listed one by one.
const LISTED_MAX: u32 = 4;
/// From this many neighbours on, a list is written as a range.
const RANGE_MIN: u32 = 3;

const ZERO: Set = Set::range(0, 0);
const MINUTES: Set = Set::range(0, 59);
const HOURS: Set = Set::range(0, 23);
const MONTHS: Set = Set::range(1, 12);

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
const NTH_NAMES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
const EVERY_DAY: &str = "every day";
const WEEKDAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What the fields say, or nothing when it would not be short.
pub(super) fn describe(fields: &Fields) -> Option<String> {
    if let Some(times) = times_of_day(fields) {
        return Some(format!("{} at {times}", days(fields)?));
    }
    let beat = beat(fields)?;
    match days(fields)?.as_str() {
        EVERY_DAY => Some(beat),
        days => Some(format!("{beat}, {days}")),
    }
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
    let last_minute = minutes.last()?;
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

/// On which days: `every week on Monday`, `every month on the 1st and last day`.
fn days(fields: &Fields) -> Option<String> {
    let months = match fields.months {
        MONTHS => None,
        months => Some(listed(months, |month| MONTH_NAMES[month as usize - 1].to_owned())?),
    };
    let (dates, weekdays) = match fields.day_rule {
        DayRule::Either if fields.dates.is_all() || fields.weekdays.is_all() => (None, None),
        DayRule::Either => (Some(&fields.dates), Some(&fields.weekdays)),
        DayRule::Both => match (fields.dates.is_all(), fields.weekdays.is_all()) {
            (true, true) => (None, None),
            (true, false) => (None, Some(&fields.weekdays)),
            (false, true) => (Some(&fields.dates), None),
            (false, false) => return None,
        },
    };
    let within = |lead: &str| match &months {
        Some(months) => format!("{lead} in {months}"),
        None => lead.to_owned(),
    };
    if dates.is_none() && weekdays.is_none() {
        return Some(within(EVERY_DAY));
    }
    let places = places(dates.unwrap_or(&Dates::NONE), weekdays.unwrap_or(&Weekdays::NONE))?;
    let monthly = (!places.is_empty()).then(|| match &months {
        Some(months) => format!("every year on the {} of {months}", series(&places)),
        None => format!("every month on the {}", series(&places)),
    });
    let each = weekdays.map_or(Set::EMPTY, |weekdays| weekdays.each);
    let weekly = match each.is_empty() {
        true => None,
        false => Some(within(&format!("every week {}", week(each)?))),
    };
    let both: Vec<String> = monthly.into_iter().chain(weekly).collect();
    Some(both.join(" and "))
}

/// `on Monday and Friday`, `from Friday to Sunday`.
fn week(weekdays: Set) -> Option<String> {
    let week = weekdays.sunday_last();
    let is_range = RANGE_MIN <= week.len() && neighbours(week).is_some();
    let listed = listed(week, |day| WEEKDAY_NAMES[day as usize % 7].to_owned())?;
    Some(format!("{} {listed}", if is_range { "from" } else { "on" }))
}

/// Days by their place in the month, each to be read after "the": `15th`, `last day`,
/// `second Friday`.
fn places(dates: &Dates, weekdays: &Weekdays) -> Option<Vec<String>> {
    let mut places = match neighbours(dates.numbers) {
        Some((first, last)) if RANGE_MIN <= dates.numbers.len() => {
            vec![format!("{} to {}", ordinal(first), ordinal(last))]
        }
        _ => dates.numbers.iter().map(ordinal).collect(),
    };
    places.extend(dates.nearest.iter().map(|day| format!("weekday nearest the {}", ordinal(day))));
    places.extend(dates.last_weekday.then(|| "last weekday".to_owned()));
    places.extend(dates.before_last.iter().map(|days| match days {
        0 => "last day".to_owned(),
        days => format!("last day but {days}"),
    }));
    let named = |nth: &'static str, weekdays: Set| {
        weekdays.sunday_last().iter().map(move |day| {
            let weekday = WEEKDAY_NAMES[day as usize % 7];
            format!("{nth} {weekday}")
        })
    };
    for (nth, weekdays) in NTH_NAMES.into_iter().zip(weekdays.nth) {
        places.extend(named(nth, weekdays));
    }
    places.extend(named("last", weekdays.last));
    (places.len() <= LISTED_MAX as usize).then_some(places)
}

/// The step of a set that divides the whole of its field evenly, starting at 0.
fn pace(set: Set, size: u32) -> Option<u32> {
    let pace = size / set.len();
    let even = size.is_multiple_of(set.len()) && set.iter().all(|number| number % pace == 0);
    even.then_some(pace)
}

/// The ends of a set without holes.
fn neighbours(set: Set) -> Option<(u32, u32)> {
    let (first, last) = (set.first()?, set.last()?);
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
            ("0 14 * * *", "every day at 14:00"),
            ("0 14 * * 1", "every week on Monday at 14:00"),
            ("0 9 * * 1-5", "every week from Monday to Friday at 09:00"),
            ("30 9,17 * * *", "every day at 09:30 and 17:30"),
            ("15 30 6 * * *", "every day at 06:30:15"),
            ("0 0 * * FRI-SUN", "every week from Friday to Sunday at 00:00"),
            ("@daily", "every day at 00:00"),
            ("@weekly", "every week on Sunday at 00:00"),
            ("@monthly", "every month on the 1st at 00:00"),
            ("@yearly", "every year on the 1st of January at 00:00"),
            ("0 0 1,15 * *", "every month on the 1st and 15th at 00:00"),
            ("0 0 22-28 6-8 *", "every year on the 22nd to 28th of June to August at 00:00"),
            ("0 0 13 * 5", "every month on the 13th and every week on Friday at 00:00"),
            ("0 8 * 12 SUN,SAT", "every week on Saturday and Sunday in December at 08:00"),
            ("0 8 * 6-8 *", "every day in June to August at 08:00"),
            ("0 0 L * *", "every month on the last day at 00:00"),
            ("0 0 L-3 * *", "every month on the last day but 3 at 00:00"),
            ("0 0 1,L * *", "every month on the 1st and last day at 00:00"),
            ("0 0 L 2 *", "every year on the last day of February at 00:00"),
            (
                "0 9 15W,LW * *",
                "every month on the weekday nearest the 15th and last weekday at 09:00",
            ),
            ("0 9 * * FRI#2", "every month on the second Friday at 09:00"),
            ("0 9 * * 1#1,1#3", "every month on the first Monday and third Monday at 09:00"),
            ("0 9 * 3 SUNL", "every year on the last Sunday of March at 09:00"),
            ("0 9 1 * 5L", "every month on the 1st and last Friday at 09:00"),
            ("0 9 * * 1,5#2", "every month on the second Friday and every week on Monday at 09:00"),
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("*/10 * * * * *", "every 10 seconds"),
            ("* * * * * *", "every second"),
            ("@hourly", "every hour"),
            ("20 * * * *", "at minute 20 of every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("5 */2 * * *", "at minute 5 of every 2nd hour"),
            ("0 * 5 * * *", "every minute between 05:00 and 05:59"),
            (
                "*/15 9-17 * * 1-5",
                "every 15 minutes between 09:00 and 17:45, every week from Monday to Friday",
            ),
            (
                "5 9-17 * 7 *",
                "at minute 5 of every hour between 09:05 and 17:05, every day in July",
            ),
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
