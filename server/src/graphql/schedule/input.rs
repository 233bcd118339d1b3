//! What clients say about schedules.

use async_graphql::{Enum, ID, InputObject, MaybeUndefined, OneofObject};

use crate::domain::duration::Parts;
use crate::domain::zone::{DstPolicy, Gap, Overlap};
use crate::error::Result;
use crate::graphql::comparator::IdComparator;
use crate::graphql::scalar::{DateTime, Duration, Json};
use crate::graphql::trigger::payload_of;
use crate::service::schedule::{Draft, SpecInput};

use super::policy::{SchedulePolicyInput, policy_of};
use super::{ScheduleKindComparator, ScheduleStateComparator};

/// When a schedule fires: exactly one of these.
#[derive(OneofObject)]
pub enum ScheduleSpecInput {
    /// Once, at an instant in the future.
    At(DateTime),
    /// Once, so long from now. Said again in an update, and unchanged, it is still the instant that
    /// it came to.
    In(Duration),
    /// Again and again, in elapsed time, never drifting.
    Every(EveryInput),
    /// By a cron expression.
    Cron(CronInput),
}

/// A fixed interval: fires at each `anchor + phase + k × interval` after the anchor. The interval is
/// said as a duration or in parts, not both; it is whole seconds, at least one.
#[derive(InputObject)]
pub struct EveryInput {
    /// The interval, such as `PT1H20M`.
    pub interval: Option<Duration>,
    /// Days of 24 hours in the interval.
    pub days: Option<i32>,
    /// Hours in the interval; 90 minutes are fine.
    pub hours: Option<i32>,
    /// Minutes in the interval.
    pub minutes: Option<i32>,
    /// Seconds in the interval.
    pub seconds: Option<i32>,
    /// Where the counting starts. When not said, it is now; with a phase, 1970-01-01T00:00:00Z, so
    /// that a phase alone aligns an interval of one hour to the hour. An update that does not say
    /// it, and changes neither interval nor phase, keeps it.
    pub anchor: Option<DateTime>,
    /// How long after the beginning of each interval; shorter than the interval. None when not said.
    pub phase: Option<Duration>,
}

/// A cron expression in a time zone.
#[derive(InputObject)]
pub struct CronInput {
    /// Five fields (minute, hour, day of month, month, day of week), or six with leading seconds,
    /// or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. The day fields also take `L`,
    /// `L-3`, `LW`, `15W`, and `FRI#2`, `FRIL`.
    pub expression: String,
    /// IANA name such as `Europe/Berlin`; UTC when not said.
    pub time_zone: Option<String>,
    /// What happens to times that do not exist, where clocks go forward. When not said: `SHIFT` if
    /// second, minute and hour are numbers or lists of numbers, else `SKIP`.
    pub gap: Option<DstGap>,
    /// Which pass of times that come twice counts, where clocks go back. When not said: `FIRST` if
    /// second, minute and hour are numbers or lists of numbers, else `BOTH`.
    pub overlap: Option<DstOverlap>,
}

/// What happens to a time that does not exist because clocks went forward.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Gap")]
pub enum DstGap {
    /// It moves to the first instant after the gap; times that meet there fire once.
    Shift,
    /// It does not fire.
    Skip,
}

/// Which pass counts of a time that comes twice because clocks went back.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Overlap")]
pub enum DstOverlap {
    /// The first.
    First,
    /// The second.
    Last,
    /// Each.
    Both,
}

/// A schedule of a trigger that is made with it.
#[derive(InputObject)]
pub struct ScheduleInput {
    /// What a person calls it; up to 128 characters.
    pub name: Option<String>,
    /// When it fires.
    pub spec: ScheduleSpecInput,
    /// What it does beyond that.
    pub policy: Option<SchedulePolicyInput>,
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
    /// What it does beyond that.
    pub policy: Option<SchedulePolicyInput>,
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
    /// A new policy in place of the whole old one.
    pub policy: MaybeUndefined<SchedulePolicyInput>,
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
    /// As the service takes it; `field` is where it stands in the input.
    pub fn draft(self, field: &str) -> Result<Draft> {
        Ok(Draft {
            name: self.name,
            spec: self.spec.into(),
            policy: policy_of(self.policy, &format!("{field}policy"))?,
            payload: payload_of(self.payload),
        })
    }
}

impl EveryInput {
    /// The parts, when there is one.
    fn parts(&self) -> Option<Parts> {
        let parts = [self.days, self.hours, self.minutes, self.seconds];
        let [days, hours, minutes, seconds] = parts.map(|part| part.unwrap_or(0).into());
        let is_said = parts.iter().any(Option::is_some);
        is_said.then_some(Parts { days, hours, minutes, seconds })
    }
}

impl From<ScheduleSpecInput> for SpecInput {
    fn from(input: ScheduleSpecInput) -> Self {
        match input {
            ScheduleSpecInput::At(at) => Self::At(at.0),
            ScheduleSpecInput::In(delay) => Self::In(delay.0),
            ScheduleSpecInput::Every(every) => Self::Every {
                interval_ms: every.interval.map(|interval| interval.0),
                parts: every.parts(),
                anchor: every.anchor.map(|anchor| anchor.0),
                phase_ms: every.phase.map(|phase| phase.0),
            },
            ScheduleSpecInput::Cron(cron) => Self::Cron {
                expression: cron.expression,
                zone: cron.time_zone,
                dst: DstPolicy {
                    gap: cron.gap.map(Into::into),
                    overlap: cron.overlap.map(Into::into),
                },
            },
        }
    }
}
