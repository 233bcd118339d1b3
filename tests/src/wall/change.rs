//! Changes of clocks, found by looking at the wall once a day.

use std::collections::BTreeMap;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};

const DAY_SECS: i64 = 86_400;

/// A change of a zone's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The first instant with the new offset, in seconds since 1970.
    pub at_secs: i64,
    /// Local time minus UTC before.
    pub before_secs: i64,
    /// And after.
    pub after_secs: i64,
}

impl Change {
    /// How far the clocks were moved.
    pub fn moved_secs(&self) -> i64 {
        (self.after_secs - self.before_secs).abs()
    }
}

/// Local time minus UTC.
pub fn offset_secs(zone: Tz, at_secs: i64) -> i64 {
    let utc = DateTime::from_timestamp(at_secs, 0).unwrap_or_default().naive_utc();
    zone.offset_from_utc_datetime(&utc).fix().local_minus_utc().into()
}

/// Every change of a zone's clocks in `years`.
pub fn changes(zone: Tz, years: std::ops::Range<i32>) -> Vec<Change> {
    let start = |year| {
        let date = chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
        date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()
    };
    let mut found = Vec::new();
    let mut low = start(years.start);
    while low < start(years.end) {
        let high = low + DAY_SECS;
        let (before_secs, after_secs) = (offset_secs(zone, low), offset_secs(zone, high));
        if before_secs != after_secs {
            let differs = |at_secs: &i64| offset_secs(zone, *at_secs) != before_secs;
            // Clocks change on the minute since 1972.
            let at_secs = (low..=high).step_by(60).find(differs).unwrap_or(high);
            found.push(Change { at_secs, before_secs, after_secs });
        }
        low = high;
    }
    found
}

/// One zone for each history of offsets in `years`, by its first name; the other names are links to
/// it or have always agreed with it.
pub fn distinct_zones(years: std::ops::Range<i32>) -> Vec<(Tz, Vec<Change>)> {
    let mut zones = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let changes = changes(zone, years.clone());
        let first = changes.first().map(|change| change.before_secs);
        let offset = first.unwrap_or_else(|| offset_secs(zone, 1_577_836_800));
        zones.entry((offset, changes)).or_insert(zone);
    }
    let mut zones: Vec<_> = zones.into_iter().map(|((_, changes), zone)| (zone, changes)).collect();
    zones.sort_by_key(|(zone, _)| zone.name());
    zones
}
