//! One field of an expression: from its text to the set of numbers that it allows.

use std::fmt;

use super::piece::{CronError, Piece, pieces};

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers that a field allows: bit n stands for n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

/// What a field may hold.
pub(super) struct Rule {
    noun: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

pub(super) const SECOND: Rule = Rule { noun: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Rule = Rule { noun: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Rule = Rule { noun: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Rule = Rule { noun: "day of the month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Rule = Rule { noun: "month", min: 1, max: 12, names: MONTHS };
pub(super) const WEEKDAY: Rule = Rule { noun: "day of the week", min: 0, max: 7, names: WEEKDAYS };

impl Set {
    /// Every number from `first` to `last`.
    pub(super) const fn range(first: u32, last: u32) -> Self {
        Self(u64::MAX >> (63 - last) & (u64::MAX << first))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |number| self.0 >> number & 1 == 1)
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With Sunday as 0 only.
    pub(super) fn fold_sunday(self) -> Self {
        Self((self.0 | self.0 >> 7 & 1) & 0x7f)
    }

    /// With Sunday as 7 only, so that a weekend has no hole.
    pub(super) fn sunday_last(self) -> Self {
        Self((self.0 | (self.0 & 1) << 7) & 0xfe)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.noun == HOUR.noun { "an" } else { "a" };
        write!(f, "{article} {} from {} to {}", self.noun, self.min, self.max)?;
        match self.names {
            [first, .., last] => write!(f, " or {first} to {last}"),
            _ => Ok(()),
        }
    }
}

/// Reads a field of days: as [`field`], and `?` for all.
pub(super) fn day_field(piece: Piece<'_>, rule: &Rule) -> Result<Set, CronError> {
    if piece.text == "?" {
        return Ok(Set::range(rule.min, rule.max));
    }
    for item in pieces(piece.text, piece.offset, |c| c == ',') {
        if let Some(letter) = extension(item.text, rule) {
            return Err(item.refuse(format!("{rule} (`{letter}` is not supported yet)")));
        }
    }
    field(piece, rule)
}

/// The extension of other dialects that an item of a day field uses: `L`, `LW`, `L-3`, `5L`,
/// `15W`, `FRI#2`.
fn extension(item: &str, rule: &Rule) -> Option<&'static str> {
    if item.contains('#') {
        return Some("#");
    }
    let upper = item.to_ascii_uppercase();
    let head = upper.split('-').next()?;
    let tail = rule.names.iter().find_map(|name| head.strip_prefix(name)).unwrap_or(head);
    match tail.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "L" | "LW" | "WL" => Some("L"),
        "W" => Some("W"),
        _ => None,
    }
}

/// Reads a field: a list of values, ranges and steps.
pub(super) fn field(piece: Piece<'_>, rule: &Rule) -> Result<Set, CronError> {
    let mut set = Set(0);
    for item in pieces(piece.text, piece.offset, |c| c == ',') {
        set = set.union(self::item(item, rule)?);
    }
    Ok(set)
}

fn item(item: Piece<'_>, rule: &Rule) -> Result<Set, CronError> {
    let slash = pieces(item.text, item.offset, |c| c == '/');
    let (base, every) = match slash.as_slice() {
        [base] => (*base, 1),
        [base, every] => (*base, step(*every, rule)?),
        _ => return Err(item.refuse(format!("{rule}, with at most one step"))),
    };
    if base.text == "*" {
        return Ok(stepped(rule.min, rule.max, every));
    }
    let dash = pieces(base.text, base.offset, |c| c == '-');
    let (first, last) = match dash.as_slice() {
        [one] => {
            let one = value(*one, rule)?;
            if slash.len() == 2 {
                let advice = format!("a range before the step, such as {one}-{}/{every}", rule.max);
                return Err(item.refuse(advice));
            }
            (one, one)
        }
        [first, last] => (value(*first, rule)?, range_end(*first, *last, rule)?),
        _ => return Err(item.refuse(format!("{rule}, or a range of two"))),
    };
    if last < first {
        return Err(base.refuse("a range that does not run backwards"));
    }
    Ok(stepped(first, last, every))
}

fn stepped(first: u32, last: u32, every: u32) -> Set {
    Set(Set::range(first, last)
        .iter()
        .filter(|number| (number - first).is_multiple_of(every))
        .fold(0, |bits, number| bits | 1 << number))
}

/// The end of a range; Sunday by name ends a week that began after it (`MON-SUN`).
fn range_end(first: Piece<'_>, last: Piece<'_>, rule: &Rule) -> Result<u32, CronError> {
    let end = value(last, rule)?;
    let sunday = rule.max == WEEKDAY.max && last.text.eq_ignore_ascii_case(WEEKDAYS[0]);
    Ok(if sunday && 0 < value(first, rule)? { rule.max } else { end })
}

fn step(piece: Piece<'_>, rule: &Rule) -> Result<u32, CronError> {
    let number = number(piece.text).filter(|step| (1..=rule.max).contains(step));
    number.ok_or_else(|| piece.refuse(format!("a step from 1 to {}", rule.max)))
}

fn value(piece: Piece<'_>, rule: &Rule) -> Result<u32, CronError> {
    let named = rule.names.iter().position(|name| name.eq_ignore_ascii_case(piece.text));
    let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + rule.min);
    let value = named.or_else(|| number(piece.text));
    let value = value.filter(|value| (rule.min..=rule.max).contains(value));
    value.ok_or_else(|| piece.refuse(rule))
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
