//! What a schedule does beyond its plan: when it begins and ends, what it leaves out, and what
//! becomes of instants that were missed.
//!
//! [`Policy`] is what is stored, as JSON, in `schedule.policy`; what is as by default is not
//! written. `timetable` joins it with a plan, `planning` obeys it.

use entity::{CalendarId, Instant};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{DateSet, Entry};
use crate::domain::duration;
use crate::error::Problem;
use crate::limits::CATCH_UP_WINDOW_MS;

/// Longest jitter: a day, after which one instant would be due after the next of a daily plan.
pub const JITTER_MS_MAX: i64 = 86_400_000;
/// Longest catch-up window: a year and a leap day.
pub const WINDOW_MS_MAX: i64 = 366 * 86_400_000;
/// Calendars that one schedule refers to.
pub const CALENDARS_MAX: usize = 10;

/// See the module. The default: from now on, for ever, each instant on time, and of those that were
/// missed within a day the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// No instant before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Instant>,
    /// No instant after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Instant>,
    /// No instant once so many became firings; those that were skipped do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_firings: Option<i64>,
    /// Each firing is due this long after its instant at most, always the same for the same one.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter_ms: i64,
    /// What becomes of instants that were missed.
    #[serde(skip_serializing_if = "is_default")]
    pub catch_up: CatchUp,
    /// How far back a missed instant is caught up, in milliseconds.
    #[serde(skip_serializing_if = "is_usual_window")]
    pub catch_up_window_ms: i64,
    /// What is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Entry>,
    /// Calendars whose stretches are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_calendars: Vec<CalendarId>,
    /// When there are any: calendars outside of all of whose stretches everything is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_calendars: Vec<CalendarId>,
}

/// What becomes of instants that were missed because the system was down or out of breath.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CatchUp {
    /// They are skipped.
    Skip,
    /// The last of them fires, the others are skipped.
    #[default]
    Last,
    /// Each fires, the oldest first.
    All,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            starts_at: None,
            ends_at: None,
            max_firings: None,
            jitter_ms: 0,
            catch_up: CatchUp::default(),
            catch_up_window_ms: CATCH_UP_WINDOW_MS,
            excluded: Vec::new(),
            excluded_calendars: Vec::new(),
            allowed_calendars: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether the parts make sense by themselves and together.
    ///
    /// # Errors
    /// Every problem, named after the fields of the API.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, field: &str, message: String| {
            if !holds {
                problems.push(Problem::new(field, message));
            }
        };
        if let (Some(start), Some(end)) = (self.starts_at, self.ends_at) {
            expect(start < end, "endsAt", format!("expected an instant after startsAt, {start}"));
        }
        let firings = self.max_firings.unwrap_or(1);
        expect(1 <= firings, "maxFirings", "expected a number from 1".to_owned());
        let is_bounded = (0..=JITTER_MS_MAX).contains(&self.jitter_ms);
        expect(is_bounded, "jitter", "expected a duration of at most 24 hours".to_owned());
        let is_bounded = (1_000..=WINDOW_MS_MAX).contains(&self.catch_up_window_ms);
        expect(is_bounded, "catchUpWindow", "expected 1 second to 366 days".to_owned());
        for (field, calendars) in [
            ("excludeCalendarIds", &self.excluded_calendars),
            ("onlyCalendarIds", &self.allowed_calendars),
        ] {
            let message = format!("expected at most {CALENDARS_MAX} calendars");
            expect(calendars.len() <= CALENDARS_MAX, field, message);
        }
        if let Err(found) = DateSet::compile(&self.excluded, None) {
            problems.extend(found.into_iter().map(|problem| problem.under("exclude")));
        }
        problems
    }

    /// Every calendar that it refers to, once each.
    #[must_use]
    pub fn calendars(&self) -> Vec<CalendarId> {
        let mut ids = [&*self.excluded_calendars, &*self.allowed_calendars].concat();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// In words, one part each: `until 2026-12-31T23:00:00Z`; empty when all is as by default.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.starts_at.map(|at| format!("from {at}")));
        words.extend(self.ends_at.map(|at| format!("until {at}")));
        words.extend(self.max_firings.map(|count| match count {
            1 => "once at most".to_owned(),
            count => format!("{count} times at most"),
        }));
        if 0 < self.jitter_ms {
            words.push(format!("each up to {} later", duration::words(self.jitter_ms)));
        }
        let lists = self.excluded.len() + self.excluded_calendars.len();
        if 0 < lists {
            words.push("with exclusions".to_owned());
        }
        if !self.allowed_calendars.is_empty() {
            words.push("on days of its calendars only".to_owned());
        }
        words
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_usual_window(window_ms: &i64) -> bool {
    *window_ms == CATCH_UP_WINDOW_MS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_default(catch_up: &CatchUp) -> bool {
    *catch_up == CatchUp::default()
}

#[cfg(test)]
mod tests {
    use entity::{CalendarId, Instant};
    use uuid::Uuid;

    use super::{CALENDARS_MAX, CatchUp, JITTER_MS_MAX, Policy, WINDOW_MS_MAX};

    fn fields(policy: &Policy) -> Vec<String> {
        policy.check().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn what_is_as_by_default_is_not_written() {
        let text = serde_json::to_string(&Policy::default()).expect("it is plain data");
        assert_eq!(text, "{}");
        assert_eq!(serde_json::from_str::<Policy>("{}").expect("it is JSON"), Policy::default());
        let policy = Policy { catch_up: CatchUp::All, jitter_ms: 5, ..Policy::default() };
        let text = serde_json::to_string(&policy).expect("it is plain data");
        assert_eq!(text, r#"{"jitter_ms":5,"catch_up":"ALL"}"#);
        assert_eq!(serde_json::from_str::<Policy>(&text).expect("it is JSON"), policy);
    }

    #[test]
    fn each_limit_holds_and_one_past_it_does_not() {
        let at = Some(Instant::from_millis(1_800_000_000_000));
        let right = Policy {
            max_firings: Some(1),
            jitter_ms: JITTER_MS_MAX,
            catch_up_window_ms: WINDOW_MS_MAX,
            starts_at: at,
            ends_at: at.map(|at| at.plus_ms(1)),
            ..Policy::default()
        };
        assert_eq!(fields(&right), Vec::<String>::new());
        let wrong = Policy {
            max_firings: Some(0),
            jitter_ms: JITTER_MS_MAX + 1,
            catch_up_window_ms: WINDOW_MS_MAX + 1,
            starts_at: at,
            ends_at: at,
            ..Policy::default()
        };
        assert_eq!(fields(&wrong), ["endsAt", "maxFirings", "jitter", "catchUpWindow"]);
        let calendars = |count: u128| Policy {
            excluded_calendars: (0..count).map(|n| CalendarId(Uuid::from_u128(n))).collect(),
            ..Policy::default()
        };
        let most = CALENDARS_MAX as u128;
        assert_eq!(fields(&calendars(most)), Vec::<String>::new());
        assert_eq!(fields(&calendars(most + 1)), ["excludeCalendarIds"]);
    }
}
