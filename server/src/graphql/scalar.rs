//! The scalars: each with the specification that it follows.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{Datelike as _, NaiveDate};
use entity::Instant;

use crate::domain::duration;

/// How much of a text that is refused its refusal shows.
const SHOWN_CHARS_MAX: usize = 64;

/// A point in time, RFC 3339, such as `2026-11-21T09:00:00Z`. Any offset is accepted; answers are
/// in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub Instant);

/// A length of time, ISO 8601, such as `PT1H20M` or `P2D`; weeks, days, hours, minutes and seconds
/// to the millisecond. Years and months are refused, because their length varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub i64);

/// A civil date, RFC 3339 `full-date`, such as `2026-12-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub NaiveDate);

/// Any JSON value.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

/// A point in time, RFC 3339, such as `2026-11-21T09:00:00Z`. Any offset is accepted; answers are
/// in UTC, to the millisecond.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Ok(Self(Instant::parse(text).map_err(|why| refused(&why, text))?))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A length of time, ISO 8601, such as `PT1H20M` or `P2D`; weeks, days, hours, minutes and seconds
/// to the millisecond. Years and months are refused, because their length varies.
#[Scalar(name = "Duration", specified_by_url = "https://www.iso.org/standard/70907.html")]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Ok(Self(duration::parse(text).map_err(|why| refused(&why, text))?))
    }

    fn to_value(&self) -> Value {
        Value::String(duration::format(self.0))
    }
}

/// A civil date, RFC 3339 `full-date`, such as `2026-12-24`.
#[Scalar(name = "Date", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let read = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let date = read.filter(|date| text.len() == 10 && (1970..=9999).contains(&date.year()));
        let why = "expected a date such as 2026-12-24, from 1970 to 9999";
        Ok(Self(date.ok_or_else(|| refused(why, text))?))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Any JSON value.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}

impl Json {
    /// The value of JSON text as it is stored; text that is no JSON comes as a string.
    pub fn stored(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
    }
}

/// With the text itself: async-graphql names types and no fields, and an input may have several.
fn refused<T: async_graphql::InputType>(why: &str, text: &str) -> InputValueError<T> {
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    InputValueError::custom(format!("{why}, not {shown:?}"))
}

impl From<Instant> for DateTime {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}
