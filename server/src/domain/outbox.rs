//! What a committed change hands to the queue and the bus: the only link between the store and
//! them, as plain data, so that neither has to know the other.

use entity::{EventId, FiringId, Instant, ProjectId, TriggerId};

use super::tally::Tally;

/// A firing that waits for its instant, as the due queue knows it. Ids may be stale: the claim
/// decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When it may be handed out; the queue's order.
    pub due_at: Instant,
    /// Which one.
    pub firing: FiringId,
    /// Whose lane it waits in.
    pub project: ProjectId,
    /// Whose lane within that one; timers without a trigger share one.
    pub trigger: Option<TriggerId>,
    /// How many firings of that trigger a process may execute at a time. The newest word counts for
    /// all that wait in the lane.
    pub trigger_limit: Option<u32>,
}

/// Something happened that somebody may be waiting for. A hint, never the truth: a lost notice
/// delays its listener until it looks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The log of a project grew; the newest entry.
    Logged(ProjectId, EventId),
    /// A firing changed.
    Changed(ProjectId, FiringId),
    /// A firing was cancelled; whoever executes it should stop.
    Cancelled(FiringId),
    /// A schedule was made or changed, or an operation begun; the planner should look.
    Replan,
}

/// Everything that one change has to say once it is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// For the due queue.
    pub due: Vec<Due>,
    /// For the bus.
    pub notices: Vec<Notice>,
    /// For the metrics.
    pub tally: Tally,
}

impl Outbox {
    /// Nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.notices.is_empty() && self.tally.is_empty()
    }

    /// Adds what `other` has to say.
    pub fn merge(&mut self, mut other: Self) {
        self.due.append(&mut other.due);
        self.notices.append(&mut other.notices);
        self.tally.merge(other.tally);
    }
}
