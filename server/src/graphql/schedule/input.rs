//! What clients say about schedules.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};

use crate::graphql::comparator::IdComparator;
use crate::graphql::scalar::{DateTime, Duration, Json};
use crate::graphql::trigger::payload_of;
use crate::service::schedule::{Draft, SpecInput};

use super::{ScheduleKindComparator, ScheduleStateComparator};

/// When a schedule fires: exactly one of these.
#[derive(OneofObject)]
pub enum ScheduleSpecInput {
    /// Once, at an instant in the future.
    At(DateTime),
    /// Once, so long from now.
    In(Duration),
    /// Again and again, in elapsed time, never drifting.
    Every(EveryInput),
    /// By a cron expression.
    Cron(CronInput),
}

/// A fixed interval: fires at `anchor + k × interval` for k = 1, 2, 3 …
#[derive(InputObject)]
pub struct EveryInput {
    /// Whole seconds, at least one.
    pub interval: Duration,
    /// Where the counting starts; now when not said.
    pub anchor: Option<DateTime>,
}

/// A cron expression in a time zone.
#[derive(InputObject)]
pub struct CronInput {
    /// Five fields (minute, hour, day of month, month, day of week), or six with leading seconds,
    /// or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    pub expression: String,
    /// IANA name such as `Europe/Berlin`; UTC when not said.
    pub time_zone: Option<String>,
}

/// A schedule of a trigger that is made with it.
#[derive(InputObject)]
pub struct ScheduleInput {
    /// What a person calls it; up to 128 characters.
    pub name: Option<String>,
    /// When it fires.
    pub spec: ScheduleSpecInput,
    /// What it fires with; null when not said.
    pub payload: MaybeUndefined<Json>,
}

/// A schedule to add to a trigger.
#[derive(InputObject)]
pub struct ScheduleCreateInput {
    /// The trigger that it fires.
    pub trigger_id: ID,
    /// What a person calls it; up to 128 characters.
    pub name: Option<String>,
    /// When it fires.
    pub spec: ScheduleSpecInput,
    /// What it fires with; null when not said.
    pub payload: MaybeUndefined<Json>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    pub idempotency_key: Option<String>,
}

/// A change of a schedule; what is not said stays.
#[derive(InputObject)]
pub struct ScheduleUpdateInput {
    /// Which.
    pub id: ID,
    /// Refused when the schedule is at another version by now.
    pub expected_version: Option<i32>,
    /// A new name; null removes it.
    pub name: MaybeUndefined<String>,
    /// A new time plan: what was planned under the old one and not yet begun is gone.
    pub spec: MaybeUndefined<ScheduleSpecInput>,
    /// What it fires with from now on.
    pub payload: MaybeUndefined<Json>,
}

/// A schedule to delete.
#[derive(InputObject)]
pub struct ScheduleDeleteInput {
    /// Which.
    pub id: ID,
    /// Refused when the schedule is at another version by now.
    pub expected_version: Option<i32>,
}

/// A schedule to pause.
#[derive(InputObject)]
pub struct SchedulePauseInput {
    /// Which.
    pub id: ID,
    /// Why, for whoever wonders later.
    pub reason: Option<String>,
}

/// A schedule to resume.
#[derive(InputObject)]
pub struct ScheduleResumeInput {
    /// Which.
    pub id: ID,
}

/// A schedule to fire.
#[derive(InputObject)]
pub struct ScheduleFireInput {
    /// Which.
    pub id: ID,
    /// A repeat with the same key and input within 24 h fires nothing new.
    pub idempotency_key: Option<String>,
}

/// Which schedules a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct ScheduleFilter {
    /// By the id of the trigger.
    pub trigger_id: Option<IdComparator>,
    /// By kind.
    pub kind: Option<ScheduleKindComparator>,
    /// By state.
    pub state: Option<ScheduleStateComparator>,
}

impl ScheduleInput {
    /// As the service takes it.
    pub fn draft(self) -> Draft {
        Draft { name: self.name, spec: self.spec.into(), payload: payload_of(self.payload) }
    }
}

impl From<ScheduleSpecInput> for SpecInput {
    fn from(input: ScheduleSpecInput) -> Self {
        match input {
            ScheduleSpecInput::At(at) => Self::At(at.0),
            ScheduleSpecInput::In(delay) => Self::In(delay.0),
            ScheduleSpecInput::Every(every) => Self::Every {
                interval_ms: every.interval.0,
                anchor: every.anchor.map(|anchor| anchor.0),
            },
            ScheduleSpecInput::Cron(cron) => {
                Self::Cron { expression: cron.expression, zone: cron.time_zone }
            }
        }
    }
}
