//! One field of an expression: from its text to the set of numbers that it allows.

use std::fmt;

use super::piece::{CronError, Piece, pieces};
use super::set::Set;

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field may hold.
pub(super) struct Rule {
    noun: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    names: &'static [&'static str],
}

pub(super) const SECOND: Rule = Rule { noun: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Rule = Rule { noun: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Rule = Rule { noun: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Rule = Rule { noun: "day of the month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Rule = Rule { noun: "month", min: 1, max: 12, names: MONTHS };
pub(super) const WEEKDAY: Rule = Rule { noun: "day of the week", min: 0, max: 7, names: WEEKDAYS };

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

/// Reads a field: a list of values, ranges and steps.
pub(super) fn field(piece: Piece<'_>, rule: &Rule) -> Result<Set, CronError> {
    let mut set = Set::EMPTY;
    for piece in pieces(piece.text, piece.offset, |c| c == ',') {
        set = set.union(item(piece, rule)?);
    }
    Ok(set)
}

/// Reads one item of a list: a value, a range, or `*`, the latter two with a step.
pub(super) fn item(item: Piece<'_>, rule: &Rule) -> Result<Set, CronError> {
    let slash = pieces(item.text, item.offset, |c| c == '/');
    let (base, every) = match slash.as_slice() {
        [base] => (*base, 1),
        [base, every] => (*base, step(*every, rule)?),
        _ => return Err(item.refuse(format!("{rule}, with at most one step"))),
    };
    if base.text == "*" {
        return Ok(Set::stepped(rule.min, rule.max, every));
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
    Ok(Set::stepped(first, last, every))
}

/// Reads a number, or a name where the field has names.
pub(super) fn value(piece: Piece<'_>, rule: &Rule) -> Result<u32, CronError> {
    let named = rule.names.iter().position(|name| name.eq_ignore_ascii_case(piece.text));
    let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + rule.min);
    let value = named.or_else(|| number(piece.text));
    let value = value.filter(|value| (rule.min..=rule.max).contains(value));
    value.ok_or_else(|| piece.refuse(rule))
}

/// Reads digits, and nothing else.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The end of a range; Sunday by name ends a week that began after it (`MON-SUN`).
fn range_end(first: Piece<'_>, last: Piece<'_>, rule: &Rule) -> Result<u32, CronError> {
    let end = value(last, rule)?;
    let sunday = rule.max == WEEKDAY.max && last.text.eq_ignore_ascii_case(WEEKDAYS[0]);
    Ok(if sunday && 0 < value(first, rule)? { rule.max } else { end })
}

fn step(piece: Piece<'_>, rule: &Rule) -> Result<usize, CronError> {
    let number = number(piece.text).filter(|step| (1..=rule.max).contains(step));
    let step = number.and_then(|step| usize::try_from(step).ok());
    step.ok_or_else(|| piece.refuse(format!("a step from 1 to {}", rule.max)))
}
