//! What a committed change counts for, as plain data: the store notes it, and `app.rs` tells the
//! metrics after the commit, so that nothing is counted that did not happen.

use entity::attempt::{self, Status};
use entity::event;
use entity::firing::Cause;

/// What one change, or a group of them, counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Firings that reached a terminal status: by what made them, and which status.
    pub ended: Vec<(Cause, String)>,
    /// Attempts that were recorded.
    pub attempts: Vec<Tried>,
    /// Planned instants that will not run, by reason.
    pub skipped: Vec<(&'static str, i64)>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Kind of its stage; empty when there was none.
    pub kind: String,
    /// How it ended.
    pub status: Status,
    /// How long it took.
    pub ms: i64,
}

impl Tally {
    /// Nothing to count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.attempts.is_empty() && self.skipped.is_empty()
    }

    /// Adds what `other` counts for.
    pub fn merge(&mut self, mut other: Self) {
        self.ended.append(&mut other.ended);
        self.attempts.append(&mut other.attempts);
        self.skipped.append(&mut other.skipped);
    }

    /// Counts what new entries of the log say: a firing has one for each terminal status.
    pub fn log(&mut self, rows: &[event::Model]) {
        let ended = |row: &event::Model| Some((row.cause?, row.outcome.clone()?));
        self.ended.extend(rows.iter().filter_map(ended));
    }

    /// Counts recorded attempts.
    pub fn tried(&mut self, rows: &[attempt::Model]) {
        self.attempts.extend(rows.iter().map(|row| Tried {
            kind: row.kind.clone(),
            status: row.status,
            ms: row.finished_at.ms_since(row.started_at),
        }));
    }
}

/// How an attempt ended, as it is stored.
#[must_use]
pub fn outcome_word(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "SUCCEEDED",
        Status::Failed => "FAILED",
        Status::LeaseExpired => "LEASE_EXPIRED",
    }
}

/// What made a firing, as it is stored.
#[must_use]
pub fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Api => "API",
        Cause::Schedule => "SCHEDULE",
        Cause::Signal => "SIGNAL",
        Cause::Timer => "TIMER",
        Cause::Replay => "REPLAY",
        Cause::Backfill => "BACKFILL",
        Cause::Manual => "MANUAL",
    }
}
