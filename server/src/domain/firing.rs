//! How a firing row begins, whatever made it.

use entity::firing::{Cause, Model, Status};
use entity::{FiringId, Instant, ProjectId};

/// A firing that waits for `due_at`: no trigger, no action, nothing tried.
#[must_use]
pub fn scheduled(id: FiringId, project: ProjectId, cause: Cause, at: Times) -> Model {
    Model {
        id,
        project_id: project,
        trigger_id: None,
        trigger_version: None,
        action_id: None,
        action_version: None,
        inline_action: None,
        schedule_id: None,
        schedule_kind: None,
        plan_version: None,
        session_id: None,
        operation_id: None,
        cause,
        nominal_at: at.due,
        due_at: at.due,
        status: Status::Scheduled,
        reason: None,
        overlap: None,
        blocked_by: None,
        lease_owner: None,
        epoch: 0,
        lease_until: None,
        stage: None,
        attempts: 0,
        deaths: 0,
        created_at: at.created,
        started_at: None,
        finished_at: None,
        result: None,
        error: None,
        replay_of: None,
        root_id: id,
        is_test: false,
        range_from: None,
        range_until: None,
        range_count: None,
        correlation_id: None,
        payload: String::from("null"),
    }
}

/// When a firing is made and when it is due.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When it is made.
    pub created: Instant,
    /// When it is due.
    pub due: Instant,
}

/// Whether it stands for an instant of a schedule, so that an overlap policy governs it.
#[must_use]
pub fn is_planned(cause: Cause) -> bool {
    matches!(cause, Cause::Schedule | Cause::Backfill)
}

/// Whether nothing will happen to a firing any more unless a person acts.
#[must_use]
pub fn is_terminal(status: Status) -> bool {
    match status {
        Status::Waiting | Status::Scheduled | Status::Executing | Status::Retrying => false,
        Status::Completed
        | Status::Failed
        | Status::Skipped
        | Status::Cancelled
        | Status::Abandoned
        | Status::Replayed => true,
    }
}

/// The word for a status in events and errors: the same as on the wire.
#[must_use]
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Waiting => "WAITING",
        Status::Scheduled => "SCHEDULED",
        Status::Executing => "EXECUTING",
        Status::Retrying => "RETRYING",
        Status::Completed => "COMPLETED",
        Status::Failed => "FAILED",
        Status::Skipped => "SKIPPED",
        Status::Cancelled => "CANCELLED",
        Status::Abandoned => "ABANDONED",
        Status::Replayed => "REPLAYED",
    }
}
