//! `Instant`: a point in time as every table, queue and comparison of Belfry holds it.
//!
//! Milliseconds since 1970-01-01T00:00:00Z in one BIGINT, the same on SQLite and PostgreSQL, so
//! that order, equality and arithmetic never depend on an engine's date functions. RFC 3339 exists
//! only at the edges.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since the Unix epoch, between [`Instant::MIN`] and
/// [`Instant::MAX`].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    DeriveValueType,
)]
#[serde(transparent)]
pub struct Instant(i64);

impl Instant {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z: the last instant that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` after the epoch, clamped to the range.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            return Self::MIN;
        }
        if Self::MAX.0 < millis {
            return Self::MAX;
        }
        Self(millis)
    }

    /// The instant at or just before `utc`, clamped to the range.
    #[must_use]
    pub fn from_utc(utc: DateTime<Utc>) -> Self {
        Self::from_millis(utc.timestamp_millis())
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The same point for calendars and RFC 3339.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// `ms` later (earlier when negative), clamped to the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Reads RFC 3339 with any offset; finer than a millisecond is cut off.
    ///
    /// # Errors
    /// A sentence that says what was expected, also for instants before [`Instant::MIN`] or after
    /// [`Instant::MAX`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "an RFC 3339 instant such as 2026-11-21T09:00:00Z";
        let parsed = DateTime::parse_from_rfc3339(text)
            .map_err(|error| format!("expected {expected}: {error}"))?;
        let millis = parsed.timestamp_millis();
        if !(Self::MIN.0..=Self::MAX.0).contains(&millis) {
            return Err(format!("expected {expected}, between 1970 and 9999"));
        }
        Ok(Self(millis))
    }
}

/// RFC 3339 in UTC; the fraction is written only when there is one.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn any_offset_is_read_and_utc_is_written() {
        let instant = Instant::parse("2026-03-08T03:00:00.250-04:00").expect("it is RFC 3339");
        assert_eq!(instant.to_string(), "2026-03-08T07:00:00.250Z");
        assert_eq!(
            Instant::parse("2026-03-08T07:00:00Z").map(|i| i.to_string()).as_deref(),
            Ok("2026-03-08T07:00:00Z")
        );
    }

    #[test]
    fn the_range_ends_at_its_bounds() {
        assert_eq!(Instant::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Instant::MAX.plus_ms(1), Instant::MAX);
        assert_eq!(Instant::MIN.plus_ms(-1), Instant::MIN);
        assert!(Instant::parse("1969-12-31T23:59:59Z").is_err());
        assert!(Instant::parse("9999-12-31T23:59:59.999Z").is_ok());
    }
}
