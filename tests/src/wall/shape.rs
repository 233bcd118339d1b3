//! Expressions of every shape, aimed at one change of clocks.

use chrono::{DateTime, Datelike as _, Timelike as _};

use super::change::Change;

/// How many shapes there are.
pub const SHAPES: usize = 18;

/// The expressions, and the length in seconds of the steps that show all their instants.
pub fn shapes(change: &Change) -> [(String, i64); SHAPES] {
    let civil = |offset_secs| {
        let utc = DateTime::from_timestamp(change.at_secs + offset_secs, 0);
        utc.unwrap_or_default().naive_utc()
    };
    let (start, end) = (
        civil(change.before_secs.min(change.after_secs)),
        civil(change.before_secs.max(change.after_secs)),
    );
    // In the midst of what is jumped over or repeated.
    let middle = start + (end - start) / 2;
    let (m, h) = (middle.minute(), middle.hour());
    let (day, month) = (middle.day(), middle.month());
    let weekday = middle.weekday().num_days_from_sunday();
    let nth = day.div_ceil(7);
    let last = (start - chrono::TimeDelta::minutes(1)).hour();
    let minutely = |expression: String| (expression, 60);
    let finer = |expression: String| (expression, 20);
    [
        minutely("* * * * *".to_owned()),
        minutely("*/15 * * * *".to_owned()),
        minutely(format!("{m} {h} * * *")),
        minutely("0 0 * * *".to_owned()),
        minutely(format!("{} {} * * *", start.minute(), start.hour())),
        minutely(format!("{} {} * * *", end.minute(), end.hour())),
        minutely(format!("59,{m} {last},{h},{} * * *", end.hour())),
        minutely("7 */2 * * *".to_owned()),
        minutely(format!("*/10 {h} * * *")),
        minutely(format!("{m} {h} {day} {month} *")),
        minutely(format!("{m} {h} * * {weekday}")),
        minutely(format!("{m} {h} * * {weekday}#{nth}")),
        minutely(format!("{m} {h} * {month} {weekday}L")),
        minutely(format!("{m} {h} L,{day}W * *")),
        minutely(format!("{m} {h} {day} * {}", (weekday + 1) % 7)),
        minutely("30 0-5 */2 * *".to_owned()),
        finer("*/20 * * * * *".to_owned()),
        finer(format!("40 {m} {h} * * *")),
    ]
}
