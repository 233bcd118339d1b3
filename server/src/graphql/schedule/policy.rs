//! What a schedule does beyond its time plan, on the wire.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use entity::CalendarId;

use crate::domain::policy::{CatchUp as Row, Policy};
use crate::error::Result;
use crate::graphql::calendar::{CalendarEntry, CalendarEntryInput};
use crate::graphql::error::parse_id;
use crate::graphql::scalar::{DateTime, Duration};

/// What becomes of instants that were missed because nothing was there to fire them.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Row")]
pub enum CatchUp {
    /// They are skipped.
    Skip,
    /// The last of all that is due fires; the others are skipped.
    Last,
    /// Each fires, the oldest first.
    All,
}

/// What a schedule does beyond its time plan.
#[derive(SimpleObject)]
pub struct SchedulePolicy {
    /// No instant before this.
    starts_at: Option<DateTime>,
    /// No instant after this.
    ends_at: Option<DateTime>,
    /// No instant once so many became firings; what was skipped does not count.
    max_firings: Option<i32>,
    /// Each firing is due up to this long after its instant, always the same for the same one.
    jitter: Duration,
    /// What becomes of instants that were missed by more than a minute.
    catch_up: CatchUp,
    /// How far back a missed instant is caught up.
    catch_up_window: Duration,
    /// What is left out.
    exclude: Vec<CalendarEntry>,
    /// Calendars whose dates are left out.
    exclude_calendar_ids: Vec<ID>,
    /// When there are any, only dates of these calendars count.
    only_calendar_ids: Vec<ID>,
}

/// What a schedule does beyond its time plan; what is not said is as by default.
#[derive(InputObject)]
pub struct SchedulePolicyInput {
    /// No instant before this.
    starts_at: Option<DateTime>,
    /// No instant after this.
    ends_at: Option<DateTime>,
    /// No instant once so many became firings; what was skipped does not count.
    max_firings: Option<i32>,
    /// Each firing is due up to this long after its instant, always the same for the same one; at
    /// most 24 hours, none when not said.
    jitter: Option<Duration>,
    /// What becomes of instants that were missed by more than a minute: LAST when not said.
    catch_up: Option<CatchUp>,
    /// How far back a missed instant is caught up: up to 366 days, 24 hours when not said.
    catch_up_window: Option<Duration>,
    /// What is left out: at most 1,000 entries, on the wall of the schedule's time zone.
    exclude: Option<Vec<CalendarEntryInput>>,
    /// Calendars whose dates are left out: at most 10.
    exclude_calendar_ids: Option<Vec<ID>>,
    /// When there are any, only dates of these calendars count: at most 10.
    only_calendar_ids: Option<Vec<ID>>,
}

impl SchedulePolicyInput {
    /// As the service takes it; `field` is where it stands in the input.
    pub fn policy(self, field: &str) -> Result<Policy> {
        let usual = Policy::default();
        let calendars = |name: &str, ids: Option<Vec<ID>>| -> Result<Vec<CalendarId>> {
            let ids = ids.unwrap_or_default();
            let id = |(index, id)| parse_id(&format!("{field}.{name}.{index}"), id);
            ids.iter().enumerate().map(id).collect()
        };
        Ok(Policy {
            starts_at: self.starts_at.map(|at| at.0),
            ends_at: self.ends_at.map(|at| at.0),
            max_firings: self.max_firings.map(i64::from),
            jitter_ms: self.jitter.map_or(usual.jitter_ms, |jitter| jitter.0),
            catch_up: self.catch_up.map_or(usual.catch_up, Into::into),
            catch_up_window_ms: self
                .catch_up_window
                .map_or(usual.catch_up_window_ms, |window| window.0),
            excluded: self.exclude.unwrap_or_default().into_iter().map(Into::into).collect(),
            excluded_calendars: calendars("excludeCalendarIds", self.exclude_calendar_ids)?,
            allowed_calendars: calendars("onlyCalendarIds", self.only_calendar_ids)?,
        })
    }
}

/// As the service takes it, when it may not be said at all.
pub fn policy_of(input: Option<SchedulePolicyInput>, field: &str) -> Result<Policy> {
    input.map_or_else(|| Ok(Policy::default()), |input| input.policy(field))
}

impl From<Policy> for SchedulePolicy {
    fn from(policy: Policy) -> Self {
        let ids = |ids: Vec<CalendarId>| ids.iter().map(|id| id.to_string().into()).collect();
        Self {
            starts_at: policy.starts_at.map(Into::into),
            ends_at: policy.ends_at.map(Into::into),
            max_firings: policy.max_firings.and_then(|max| i32::try_from(max).ok()),
            jitter: Duration(policy.jitter_ms),
            catch_up: policy.catch_up.into(),
            catch_up_window: Duration(policy.catch_up_window_ms),
            exclude: policy.excluded.into_iter().map(Into::into).collect(),
            exclude_calendar_ids: ids(policy.excluded_calendars),
            only_calendar_ids: ids(policy.allowed_calendars),
        }
    }
}
