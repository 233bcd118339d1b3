//! One time that something fired or should have: a planned instant and its execution in one row.
//! The unit of scale.

use sea_orm::entity::prelude::*;

use crate::schedule::Kind;
use crate::trigger::Overlap;
use crate::{ActionId, FiringId, Instant, OperationId, ProjectId, ScheduleId, TriggerId};

/// One row of `firing`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "firing")]
pub struct Model {
    /// Identity; a timer's id has the same UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FiringId,
    /// Owner.
    pub project_id: ProjectId,
    /// What fired; none for a bare timer.
    pub trigger_id: Option<TriggerId>,
    /// The definition that it runs.
    pub trigger_version: Option<i32>,
    /// The named action that it runs.
    pub action_id: Option<ActionId>,
    /// Which version of that action.
    pub action_version: Option<i32>,
    /// Or the action itself, as JSON text.
    pub inline_action: Option<String>,
    /// The schedule that planned it.
    pub schedule_id: Option<ScheduleId>,
    /// The kind of that schedule, so that one-time and recurring can be told apart.
    pub schedule_kind: Option<Kind>,
    /// The schedule's `plan_version` when it was planned; the claim checks it.
    pub plan_version: Option<i32>,
    /// The session that it belongs to.
    pub session_id: Option<Uuid>,
    /// The backfill or bulk replay that it belongs to.
    pub operation_id: Option<OperationId>,
    /// What made it.
    pub cause: Cause,
    /// The instant that it stands for.
    pub nominal_at: Instant,
    /// When the queue hands it out: nominal and jitter, the next retry, the timer's end.
    pub due_at: Instant,
    /// Where it stands.
    pub status: Status,
    /// Why it stands there, for machines.
    pub reason: Option<String>,
    /// The overlap policy that it has instead of its trigger's.
    pub overlap: Option<Overlap>,
    /// The firing that held the slot of its trigger when it came: set while it waits for that slot,
    /// and on a skipped one until it is folded into a range.
    pub blocked_by: Option<FiringId>,
    /// The process that executes it.
    pub lease_owner: Option<Uuid>,
    /// Raised by every claim and by cancel: results of an older epoch are refused.
    pub epoch: i32,
    /// When the process loses it unless it renews.
    pub lease_until: Option<Instant>,
    /// The stage that runs or runs next.
    pub stage: Option<String>,
    /// Tries of the current stage, including the one that runs.
    pub attempts: i32,
    /// Times that a process died while executing it.
    pub deaths: i32,
    /// When it was accepted or planned.
    pub created_at: Instant,
    /// When it was first claimed.
    pub started_at: Option<Instant>,
    /// When it reached its terminal status.
    pub finished_at: Option<Instant>,
    /// Output of the last stage, kept short, as JSON text.
    pub result: Option<String>,
    /// What went wrong last, for people.
    pub error: Option<String>,
    /// The firing that it was cloned from.
    pub replay_of: Option<FiringId>,
    /// The first of its line of replays: receivers see one `webhook-id` for all of them.
    pub root_id: FiringId,
    /// Of a test trigger.
    pub is_test: bool,
    /// First instant of a SKIPPED range.
    pub range_from: Option<Instant>,
    /// Last instant of a SKIPPED range.
    pub range_until: Option<Instant>,
    /// Instants in a SKIPPED range.
    pub range_count: Option<i64>,
    /// The client's word for what belongs together.
    pub correlation_id: Option<String>,
    /// The body, as JSON text: serialised once, sent unchanged on every attempt.
    pub payload: String,
}

/// What made a firing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Cause {
    /// A client fired the trigger.
    Api,
    /// A schedule's instant came.
    Schedule,
    /// A set of signals had arrived.
    Signal,
    /// A timer ended.
    Timer,
    /// A person had an old one run again.
    Replay,
    /// A past range was asked for.
    Backfill,
    /// A person fired it by hand.
    Manual,
}

/// Where a firing stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Collects signals in a session.
    Waiting,
    /// Its instant lies ahead, or nobody took it yet.
    Scheduled,
    /// A process runs it.
    Executing,
    /// An attempt failed; the next one lies ahead.
    Retrying,
    /// Its action ended.
    Completed,
    /// No attempt is left; a person has to decide.
    Failed,
    /// Not run, for a reason; may stand for a range of instants.
    Skipped,
    /// Stopped by a person.
    Cancelled,
    /// Its session ruled it out.
    Abandoned,
    /// Failed, and a new firing took over.
    Replayed,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
