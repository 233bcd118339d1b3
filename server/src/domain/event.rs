//! What Belfry writes to its log, and when.
//!
//! An API fire writes `firing.accepted`; every firing one terminal event; every failed attempt one;
//! every change of a definition one, with who did it. Planning writes nothing.

use entity::event::{Class, Model};
use entity::firing::{self, Status};
use entity::{EventId, Instant, ProjectId, TriggerId};

use super::filter::Severity;
use super::firing::status_word;

/// Who and when: what every entry begins with.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Identity of the entry.
    pub id: EventId,
    /// When it is written: the millisecond of `id`.
    pub at: Instant,
    /// Whose log.
    pub project: ProjectId,
}

/// The trigger that a firing's entry is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Which.
    pub id: TriggerId,
    /// Its name now.
    pub name: &'a str,
}

/// An entry of `class` that says nothing yet but its type.
#[must_use]
pub fn blank(stamp: Stamp, class: Class, kind: &str) -> Model {
    Model {
        seq: 0,
        id: stamp.id,
        project_id: stamp.project,
        class,
        kind: kind.to_owned(),
        severity: Severity::Info.level(),
        component: None,
        environment: None,
        email: None,
        message: None,
        data: None,
        trigger_id: None,
        trigger_name: None,
        firing_id: None,
        cause: None,
        schedule_kind: None,
        outcome: None,
        actor: None,
        correlation_id: None,
        is_test: false,
        created_at: stamp.at,
        payload: None,
    }
}

/// A definition was created, updated, deleted, paused or resumed: `kind` is `trigger.created` and
/// so on.
#[must_use]
pub fn definition(stamp: Stamp, kind: &str, actor: &str, message: String) -> Model {
    Model {
        actor: Some(actor.to_owned()),
        message: Some(message),
        ..blank(stamp, Class::System, kind)
    }
}

/// An entry about a firing: `firing.accepted`, `attempt.failed`.
#[must_use]
pub fn of_firing(stamp: Stamp, kind: &str, row: &firing::Model, trigger: Option<&str>) -> Model {
    Model {
        trigger_id: row.trigger_id,
        trigger_name: trigger.map(str::to_owned),
        firing_id: Some(row.id),
        cause: Some(row.cause),
        schedule_kind: row.schedule_kind,
        correlation_id: row.correlation_id.clone(),
        is_test: row.is_test,
        payload: Some(row.payload.clone()),
        ..blank(stamp, Class::System, kind)
    }
}

/// The one entry of a firing that reached a terminal status: `firing.completed` and so on.
#[must_use]
pub fn ended(stamp: Stamp, row: &firing::Model, status: Status, trigger: Option<&str>) -> Model {
    let (kind, severity) = match status {
        Status::Completed => ("firing.completed", Severity::Info),
        Status::Failed => ("firing.failed", Severity::Error),
        Status::Skipped => ("firing.skipped", Severity::Warn),
        Status::Cancelled => ("firing.cancelled", Severity::Warn),
        Status::Replayed => ("firing.replayed", Severity::Info),
        _ => ("firing.ended", Severity::Info),
    };
    Model {
        severity: severity.level(),
        outcome: Some(status_word(status).to_owned()),
        ..of_firing(stamp, kind, row, trigger)
    }
}
