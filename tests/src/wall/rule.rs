//! What an expression allows, in the plainest words: each field is read again for each civil time,
//! item by item. Slow, and for well-formed expressions of five or six fields only.

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, Timelike as _, Weekday};

/// An expression as its six fields.
pub struct Rule {
    fields: Vec<String>,
}

impl Rule {
    /// Cuts the expression into fields; a missing second is 0.
    pub fn new(expression: &str) -> Self {
        let mut fields: Vec<String> = expression.split(' ').map(str::to_owned).collect();
        if fields.len() == 5 {
            fields.insert(0, "0".to_owned());
        }
        assert_eq!(fields.len(), 6, "{expression}");
        Self { fields }
    }

    /// Whether second, minute or hour are more than numbers and lists of numbers.
    pub fn is_beat(&self) -> bool {
        self.fields[..3].iter().any(|field| field.contains(['*', '-', '/']))
    }

    /// Whether the expression allows what the wall shows.
    pub fn allows(&self, civil: NaiveDateTime) -> bool {
        let [second, minute, hour, day, month, weekday] =
            [0, 1, 2, 3, 4, 5].map(|index| self.fields[index].as_str());
        let any = |field: &str, number, max| items(field).any(|item| plain(item, number, 0, max));
        if !any(minute, civil.minute(), 59) || !any(hour, civil.hour(), 23) {
            return false;
        }
        let is_month = items(month).any(|item| plain(item, civil.month(), 1, 12));
        if !any(second, civil.second(), 59) || !is_month {
            return false;
        }
        let is_date = day == "?" || items(day).any(|item| date(item, civil.date()));
        let is_weekday =
            weekday == "?" || items(weekday).any(|item| on_weekday(item, civil.date()));
        if day.starts_with(['*', '?']) || weekday.starts_with(['*', '?']) {
            return is_date && is_weekday;
        }
        is_date || is_weekday
    }
}

fn items(field: &str) -> std::str::Split<'_, char> {
    field.split(',')
}

fn parsed(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// A number, a range or `*`, with or without a step.
fn plain(item: &str, number: u32, min: u32, max: u32) -> bool {
    let (base, step) = item.split_once('/').unwrap_or((item, "1"));
    let (first, last) = match base.split_once('-') {
        Some((first, last)) => (parsed(first), parsed(last)),
        None if base == "*" => (min, max),
        None => (parsed(base), parsed(base)),
    };
    (first..=last).contains(&number) && (number - first).is_multiple_of(parsed(step))
}

fn date(item: &str, date: NaiveDate) -> bool {
    if let Some(before) = item.strip_prefix("L-") {
        return is_last(date + Days::new(parsed(before).into()))
            && (date + Days::new(parsed(before).into())).month() == date.month();
    }
    if item == "L" {
        return is_last(date);
    }
    let mut workdays = month_of(date).into_iter().filter(|day| is_workday(*day));
    if item == "LW" {
        return workdays.next_back() == Some(date);
    }
    let Some(number) = item.strip_suffix('W').map(parsed) else {
        return plain(item, date.day(), 1, 31);
    };
    let exists = month_of(date).iter().any(|day| day.day() == number);
    exists && workdays.min_by_key(|day| day.day().abs_diff(number)) == Some(date)
}

fn on_weekday(item: &str, date: NaiveDate) -> bool {
    let number = date.weekday().num_days_from_sunday();
    let same = |weekday: &str| parsed(weekday) % 7 == number;
    if let Some((weekday, nth)) = item.split_once('#') {
        let earlier = month_of(date).into_iter().filter(|day| *day <= date);
        let count = earlier.filter(|day| day.weekday() == date.weekday()).count();
        return same(weekday) && count == parsed(nth) as usize;
    }
    if let Some(weekday) = item.strip_suffix('L') {
        return same(weekday) && (date + Days::new(7)).month() != date.month();
    }
    plain(item, number, 0, 6) || number == 0 && item.contains('7') && plain(item, 7, 0, 7)
}

fn is_last(date: NaiveDate) -> bool {
    (date + Days::new(1)).month() != date.month()
}

fn is_workday(date: NaiveDate) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// All days of its month.
fn month_of(date: NaiveDate) -> Vec<NaiveDate> {
    let first = date.with_day(1).unwrap_or_else(|| panic!("{date} has a first"));
    first.iter_days().take_while(|day| day.month() == date.month()).collect()
}
