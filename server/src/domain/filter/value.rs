//! The values that a filter compares with, and how a literal becomes one.
//!
//! Both written forms come through [`coerce`], so that a text which the parser refuses is refused
//! in the typed form too, by the same sentence. A literal that no event could ever equal, such as
//! a severity `FOO`, is an error and not an empty page.

use chrono::NaiveDate;
use entity::{EventId, FiringId, Instant, TriggerId, TypedId};

use super::field::{Field, Kind, Op};
use super::{FilterError, TEXT_CHARS_MAX, quoted};

/// How bad an event is; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For whoever looks for a fault.
    Debug,
    /// The normal course of things.
    Info,
    /// Worth a look.
    Warn,
    /// Somebody should act.
    Error,
}

impl Severity {
    /// Every severity, in order.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The name in both written forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The severity of this exact name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// The number that is stored: with gaps, so that a step between fits later.
    #[must_use]
    pub fn level(self) -> i16 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warn => 30,
            Self::Error => 40,
        }
    }

    /// The severity that is stored as `level`.
    #[must_use]
    pub fn from_level(level: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.level() == level)
    }
}

/// What a field is compared with. In a filter that `parse` or `compare` built, it fits the field;
/// a [`Value::Text`] given to `compare` is read as the field's kind wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A severity.
    Severity(Severity),
    /// The id of an event.
    EventId(EventId),
    /// The id of a trigger.
    TriggerId(TriggerId),
    /// The id of a firing.
    FiringId(FiringId),
    /// A point in time.
    Instant(Instant),
    /// True or false; for `isNull` whether the field must be missing.
    Boolean(bool),
    /// The values of `in` and `nin`, one at least.
    List(Vec<Self>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<Instant> for Value {
    fn from(instant: Instant) -> Self {
        Self::Instant(instant)
    }
}

impl From<Severity> for Value {
    fn from(severity: Severity) -> Self {
        Self::Severity(severity)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// Refuses an operator that the field's kind does not take.
pub(super) fn check_operator(field: Field, op: Op) -> Result<(), FilterError> {
    let operators = field.kind().operators();
    if operators.contains(&op) {
        return Ok(());
    }
    let names: Vec<_> = operators.iter().map(|op| op.name()).collect();
    Err(FilterError::new(format!("{field} does not take {op}"), one_of(&names)))
}

/// The single value (for a list: one item) that `given` means in a comparison of `field` by `op`.
pub(super) fn coerce(field: Field, op: Op, given: Value) -> Result<Value, FilterError> {
    let expected = expectation(field, op);
    let wrong = |message: String| FilterError::new(message, expected.clone());
    let text = match given {
        Value::Boolean(_) if op == Op::IsNull => return Ok(given),
        Value::Text(text) if op != Op::IsNull => text,
        Value::List(_) => return Err(wrong(format!("{field} {op} got a list"))),
        given if op != Op::IsNull && fits(field.kind(), &given) => return Ok(given),
        given => return Err(wrong(format!("{field} {op} got {}", noun(&given)))),
    };
    if text.contains('\0') {
        return Err(wrong("U+0000 is not allowed".to_owned()));
    }
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        return Err(wrong(format!("the value has more than {TEXT_CHARS_MAX} characters")));
    }
    read(field.kind(), op, &text)
        .ok_or_else(|| wrong(format!("{} does not fit {field}", quoted(&text))))
}

/// What a literal of `field` by `op` looks like, for people.
pub(super) fn expectation(field: Field, op: Op) -> String {
    if op == Op::IsNull {
        return "true or false".to_owned();
    }
    match field.kind() {
        Kind::Text => "a text in single quotes".to_owned(),
        Kind::UpperCase => "a text in upper case such as 'COMPLETED'".to_owned(),
        Kind::Choice(choices) => one_of(choices),
        Kind::Severity => one_of(&Severity::ALL.map(Severity::name)),
        Kind::EventId => id_form::<EventId>(),
        Kind::TriggerId => id_form::<TriggerId>(),
        Kind::FiringId => id_form::<FiringId>(),
        Kind::Instant => {
            "a date such as '2018-01-31' or an instant such as '2018-01-31T09:00:00Z', \
             between 1970 and 9999"
                .to_owned()
        }
        Kind::Boolean => "true or false".to_owned(),
    }
}

/// `one of a, b, c`.
pub(super) fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

fn fits(kind: Kind, value: &Value) -> bool {
    matches!(
        (kind, value),
        (Kind::Severity, Value::Severity(_))
            | (Kind::EventId, Value::EventId(_))
            | (Kind::TriggerId, Value::TriggerId(_))
            | (Kind::FiringId, Value::FiringId(_))
            | (Kind::Instant, Value::Instant(_))
            | (Kind::Boolean, Value::Boolean(_))
    )
}

fn read(kind: Kind, op: Op, text: &str) -> Option<Value> {
    let owned = || Value::Text(text.to_owned());
    match kind {
        Kind::Text => Some(owned()),
        // `ct` folds case, so there a lower-case part is meant well.
        Kind::UpperCase if op == Op::Contains => Some(owned()),
        Kind::UpperCase => (!text.contains(|c: char| c.is_ascii_lowercase())).then(owned),
        Kind::Choice(choices) => choices.contains(&text).then(owned),
        Kind::Severity => Severity::named(text).map(Value::Severity),
        Kind::EventId => text.parse().ok().map(Value::EventId),
        Kind::TriggerId => text.parse().ok().map(Value::TriggerId),
        Kind::FiringId => text.parse().ok().map(Value::FiringId),
        Kind::Instant => read_date(text).or_else(|| Instant::parse(text).ok()).map(Value::Instant),
        Kind::Boolean => None,
    }
}

/// `YYYY-M-D`, month and day with or without a leading zero, as midnight UTC.
fn read_date(text: &str) -> Option<Instant> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4..=4)?;
    let month = digits(parts.next()?, 1..=2)?;
    let day = digits(parts.next()?, 1..=2)?;
    if parts.next().is_some() || year < 1970 {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(Instant::from_utc(date.and_hms_opt(0, 0, 0)?.and_utc()))
}

fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn id_form<T: TypedId>() -> String {
    format!("an id such as '{}_01h455vb4pex5vsknk084sn02q'", T::PREFIX)
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "a text",
        Value::Severity(_) => "a severity",
        Value::EventId(_) | Value::TriggerId(_) | Value::FiringId(_) => "an id",
        Value::Instant(_) => "an instant",
        Value::Boolean(_) => "a boolean",
        Value::List(_) => "a list",
    }
}

#[cfg(test)]
mod tests {
    use super::{Severity, Value, coerce};
    use crate::domain::filter::{Field, Op, TEXT_CHARS_MAX};
    use entity::{EventId, Instant, TriggerId};

    fn instant(text: &str) -> Option<String> {
        match coerce(Field::CreatedAt, Op::Gte, text.into()) {
            Ok(Value::Instant(instant)) => Some(instant.to_string()),
            _ => None,
        }
    }

    #[test]
    fn dates_need_no_leading_zero_and_mean_midnight_utc() {
        let midnight = Some("2018-01-01T00:00:00Z".to_owned());
        assert_eq!(instant("2018-1-1"), midnight);
        assert_eq!(instant("2018-01-01"), midnight);
        assert_eq!(instant("2018-01-01T02:00:00+02:00"), midnight);
        assert_eq!(instant("2020-2-29").as_deref(), Some("2020-02-29T00:00:00Z"));
        assert_eq!(instant("1970-1-1").as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(instant("9999-12-31").as_deref(), Some("9999-12-31T00:00:00Z"));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2018",
            "2018-1",
            "2018-13-1",
            "2019-2-29",
            "2018-1-1-1",
            "18-1-1",
            "2018-001-1",
            "+2018-1-1",
            "1969-12-31",
            "10000-1-1",
            "2018-1-1 ",
            "2018-01-01T00:00:00",
            "now",
            "٢018-1-1",
            "-018-1-1",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_typed_value_passes_where_it_fits_and_nowhere_else() {
        let severity = Value::from(Severity::Warn);
        assert_eq!(coerce(Field::Severity, Op::Gte, severity.clone()), Ok(severity.clone()));
        assert_eq!(coerce(Field::Severity, Op::Gte, "WARN".into()), Ok(severity.clone()));
        let error = coerce(Field::Email, Op::Eq, severity).expect_err("e-mails are texts");
        assert_eq!(
            error.to_string(),
            "email eq got a severity at offset 0: expected a text in single quotes"
        );
        assert!(coerce(Field::CreatedAt, Op::Eq, Instant::MIN.into()).is_ok());
        assert!(coerce(Field::IsTest, Op::Eq, "true".into()).is_err());
        assert!(coerce(Field::Email, Op::IsNull, "true".into()).is_err());
        assert!(coerce(Field::Severity, Op::IsNull, Severity::Warn.into()).is_err());
    }

    #[test]
    fn an_id_of_another_noun_does_not_fit() {
        let text = "01h2xcejqtf2nbrexx3vqjhp41";
        let id = format!("trg_{text}").parse::<TriggerId>().expect("the specification's vector");
        let fits = coerce(Field::TriggerId, Op::Eq, format!("trg_{text}").into());
        assert_eq!(fits, Ok(Value::TriggerId(id)));
        assert!(coerce(Field::FiringId, Op::Eq, format!("trg_{text}").into()).is_err());
        assert!(coerce(Field::TriggerId, Op::Eq, Value::EventId(EventId(id.0))).is_err());
    }

    #[test]
    fn an_outcome_is_written_in_upper_case_unless_a_part_is_looked_for() {
        assert!(coerce(Field::Outcome, Op::Eq, "TIMED_OUT".into()).is_ok());
        assert!(coerce(Field::Outcome, Op::Contains, "out".into()).is_ok());
        let error = coerce(Field::Outcome, Op::StartsWith, "timed".into()).expect_err("no match");
        assert_eq!(error.expected, "a text in upper case such as 'COMPLETED'");
    }

    #[test]
    fn a_value_ends_at_its_bounds() {
        let longest = "ü".repeat(TEXT_CHARS_MAX);
        assert!(coerce(Field::Email, Op::Eq, longest.as_str().into()).is_ok());
        let error = coerce(Field::Email, Op::Eq, (longest + "ü").into()).expect_err("one past");
        assert_eq!(error.message, "the value has more than 4000 characters");
        let error = coerce(Field::Email, Op::Eq, "a\0b".into()).expect_err("no NUL");
        assert_eq!(error.message, "U+0000 is not allowed");
    }

    #[test]
    fn a_long_wrong_text_is_cut_in_the_message() {
        let text = format!("{}\u{1b}{}", "x".repeat(39), "y".repeat(500));
        let error = coerce(Field::Severity, Op::Eq, text.into()).expect_err("no severity");
        let shown = format!("'{}\u{fffd}…' does not fit severity", "x".repeat(39));
        assert_eq!(error.message, shown);
        assert_eq!(error.expected, "one of DEBUG, INFO, WARN, ERROR");
    }

    #[test]
    fn severities_are_stored_in_their_order() {
        for severity in Severity::ALL {
            assert_eq!(Severity::from_level(severity.level()), Some(severity));
        }
        assert!(Severity::ALL.is_sorted() && Severity::ALL.is_sorted_by_key(|s| s.level()));
        assert_eq!((Severity::from_level(25), Severity::named("Warn")), (None, None));
    }
}
