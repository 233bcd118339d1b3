//! What a record says of an instant, in a verdict and a sentence.

use entity::firing::{Cause, Model, Status};

use super::Verdict;
use crate::domain::planning::Reason;

/// What the firing of an instant came to, or why it was skipped.
pub(super) fn recorded(firing: &Model) -> (Verdict, String) {
    let fired = match firing.cause {
        Cause::Backfill => "a backfill fired it",
        _ => "it fired",
    };
    let fired = |what: &str| (Verdict::Fired, format!("{fired}, and {what}"));
    match firing.status {
        Status::Skipped => {
            let among = match firing.range_count {
                Some(count) if 1 < count => format!(" with {} others", count - 1),
                _ => String::new(),
            };
            (Verdict::Skipped, format!("it was skipped{among}: {}", why(firing)))
        }
        Status::Cancelled => {
            (Verdict::Cancelled, format!("its firing was cancelled: {}", why(firing)))
        }
        Status::Scheduled if firing.blocked_by.is_some() => {
            (Verdict::Planned, "it waits until an earlier firing of its trigger has ended".into())
        }
        Status::Waiting | Status::Scheduled if firing.epoch == 0 => {
            (Verdict::Planned, format!("it is planned, and due at {}", firing.due_at))
        }
        Status::Waiting | Status::Scheduled => {
            fired(&format!("is due to go on at {}", firing.due_at))
        }
        Status::Executing => fired("runs"),
        Status::Retrying => fired(&format!("failed; it is tried again at {}", firing.due_at)),
        Status::Completed => fired("was successful"),
        Status::Failed => fired(&match &firing.error {
            Some(error) => format!("failed: {error}"),
            None => "failed".to_owned(),
        }),
        Status::Abandoned => fired("was given up by its session"),
        Status::Replayed => fired("failed; a replay took over"),
    }
}

/// Why a firing was skipped or cancelled, in words where they are known.
pub(super) fn why(firing: &Model) -> &str {
    let Some(reason) = firing.reason.as_deref() else { return "no reason was noted" };
    match (firing.status, Reason::parse(reason)) {
        (Status::Cancelled, Some(Reason::Overlap)) => {
            "a later firing of its trigger took its place"
        }
        (_, Some(reason)) => reason.words(),
        (Status::Skipped, None) if reason == "GIVEN_UP" => "it had failed, and was given up",
        (Status::Cancelled, None) if reason == "CANCELLED_BY_CLIENT" => "a client cancelled it",
        (_, None) => reason,
    }
}
