//! What clients say about triggers.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};

use crate::graphql::action::StageInput;
use crate::graphql::comparator::{DateTimeComparator, Flag, IdComparator, StringComparator};
use crate::graphql::scalar::{DateTime, Duration, Json};
use crate::graphql::schedule::ScheduleInput;

use super::{OverlapPolicy, TriggerState};

/// What a trigger runs: exactly one of these.
#[derive(OneofObject)]
pub enum TriggerActionInput {
    /// A named action, in its version at the time of each firing.
    Id(ID),
    /// Stages of its own.
    Inline(InlineActionInput),
}

/// Stages that belong to one trigger alone.
#[derive(InputObject)]
pub struct InlineActionInput {
    /// Exactly one, for now.
    pub stages: Vec<StageInput>,
}

/// A trigger to make.
#[derive(InputObject)]
pub struct TriggerCreateInput {
    /// Unique in the project; up to 128 characters.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema that payloads must satisfy; none accepts every payload.
    pub payload_schema: Option<Json>,
    /// What it runs; when not said, firings are only recorded.
    pub action: Option<TriggerActionInput>,
    /// Fires exactly once and then goes.
    #[graphql(default)]
    pub is_test: bool,
    /// How many of its firings each process executes at a time, from 1 to 10,000; the others wait.
    /// Any number when not said.
    pub concurrency: Option<i32>,
    /// What becomes of a planned firing while an earlier one runs.
    #[graphql(default_with = "OverlapPolicy::Skip")]
    pub overlap: OverlapPolicy,
    /// After how many failed firings in a row it is paused, from 1 to 1,000. Never when not said.
    pub pause_after_failures: Option<i32>,
    /// When it fires by itself; up to 50.
    #[graphql(default)]
    pub schedules: Vec<ScheduleInput>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    pub idempotency_key: Option<String>,
}

/// A change of a trigger; what is not said stays.
#[derive(InputObject)]
pub struct TriggerUpdateInput {
    /// Which.
    pub id: ID,
    /// Refused when the trigger is at another version by now.
    pub expected_version: Option<i32>,
    /// A new name.
    pub name: MaybeUndefined<String>,
    /// A new description; null removes it.
    pub description: MaybeUndefined<String>,
    /// A new schema; null removes it. The payloads of its schedules are checked again.
    pub payload_schema: MaybeUndefined<Json>,
    /// What it runs from now on; null: nothing.
    pub action: MaybeUndefined<TriggerActionInput>,
    /// How many of its firings each process executes at a time from now on, from 1 to 10,000; null
    /// removes the bound.
    pub concurrency: MaybeUndefined<i32>,
    /// What becomes from now on of a planned firing while an earlier one runs. What waits already is
    /// due at once under ALLOW, and keeps its turn under any other.
    pub overlap: MaybeUndefined<OverlapPolicy>,
    /// After how many failed firings in a row it is paused from now on, from 1 to 1,000; null:
    /// never.
    pub pause_after_failures: MaybeUndefined<i32>,
    /// Gives it another `inboundSecret` at once. Needs ADMIN.
    #[graphql(default)]
    pub rotate_inbound_secret: bool,
}

/// A trigger to delete.
#[derive(InputObject)]
pub struct TriggerDeleteInput {
    /// Which.
    pub id: ID,
    /// Refused when the trigger is at another version by now.
    pub expected_version: Option<i32>,
}

/// A trigger to pause.
#[derive(InputObject)]
pub struct TriggerPauseInput {
    /// Which.
    pub id: ID,
    /// Why, for whoever wonders later.
    pub reason: Option<String>,
}

/// A trigger to resume.
#[derive(InputObject)]
pub struct TriggerResumeInput {
    /// Which.
    pub id: ID,
}

/// A trigger to fire.
#[derive(InputObject)]
pub struct TriggerFireInput {
    /// Which.
    pub trigger_id: ID,
    /// What the firing carries. Null when not said, unless the trigger has a payloadSchema: then it
    /// must be said.
    pub payload: MaybeUndefined<Json>,
    /// When it runs, in the future; at once when neither `at` nor `in` is said.
    pub at: Option<DateTime>,
    /// How long from now it runs.
    #[graphql(name = "in")]
    pub delay: Option<Duration>,
    /// Checks everything and fires nothing.
    #[graphql(default)]
    pub dry_run: bool,
    /// Your word for what belongs together; events carry it.
    pub correlation_id: Option<String>,
    /// A repeat with the same key and input within 24 h fires nothing new.
    pub idempotency_key: Option<String>,
}

/// A past range to fire for.
#[derive(InputObject)]
pub struct TriggerBackfillInput {
    /// Which.
    pub trigger_id: ID,
    /// For the instants of this schedule; of all of the trigger's when not said.
    pub schedule_id: Option<ID>,
    /// The first instant of the range.
    pub from: DateTime,
    /// The first instant after the range; not in the future.
    pub until: DateTime,
    /// Leaves out the instants that fired already, or still will. `from` is at most 29 days ago then:
    /// firings are kept for 30 days, and of what is older nobody knows.
    #[graphql(default)]
    pub only_missing: bool,
    /// What becomes of its firings while an earlier one runs. When not said, they wait for one
    /// another, unless the trigger says ALLOW.
    pub overlap: Option<OverlapPolicy>,
    /// Begins nothing: only says what it would come to.
    #[graphql(default)]
    pub dry_run: bool,
    /// A repeat with the same key and input within 24 h begins nothing new.
    pub idempotency_key: Option<String>,
}

/// Which triggers a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct TriggerFilter {
    /// By name.
    pub name: Option<StringComparator>,
    /// In one of these states.
    pub state: Option<Vec<TriggerState>>,
    /// By the id of the action that it names.
    pub action_id: Option<IdComparator>,
    /// By creation.
    pub created_at: Option<DateTimeComparator>,
    /// Test triggers; EXCLUDE when not said.
    pub is_test: Option<Flag>,
}

/// What names a trigger: exactly one of these.
#[derive(OneofObject)]
pub enum TriggerBy {
    /// Its id.
    Id(ID),
    /// Its name.
    Name(String),
}
