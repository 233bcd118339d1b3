//! Floor 3: the due queue, which knows what waits for its instant and hands it out when it is due.
//!
//! An index over SQL, never the truth: it may hold ids that are stale (the claim decides) and it
//! may miss ids (the sweeper adds them). It knows everything that waits up to its *cover*; what is
//! due later is left in SQL until the sweeper raises the cover, so that the queue stays small
//! however many timers there are.
//!
//! **A lane per project, and in it a lane per trigger**, drained in turn, so that one tenant's
//! backlog delays nobody else, nor one trigger's the others of its tenant. Whoever pulls says how
//! much room it has, and for whom; it never holds what it cannot run.
//!
//! **What is handed out is leased.** [`Queue::settle`] forgets it once the claim has decided. What
//! is not settled in time (the database was down, the process died) is handed out again.

use std::collections::HashMap;

use async_trait::async_trait;
use entity::{Instant, ProjectId, TriggerId};

use crate::domain::outbox::Due;

mod lane;
mod memory;
mod redis;

pub use memory::MemoryQueue;
pub use redis::RedisQueue;

/// What was handed out, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Firings that are due, each to this caller only.
    pub due: Vec<Due>,
    /// When the next one that is known will be due; `now` when there was no more room. What lacks
    /// room of its own does not count: the caller knows when it frees a slot.
    pub next_at: Option<Instant>,
}

/// How much the caller can run, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// At most so many entries.
    pub rows_max: usize,
    /// Slots of the caller that nothing runs in.
    pub slots_free: usize,
    /// A project takes another slot only while it runs fewer than so many times the free ones.
    pub share: usize,
    /// A project runs at most so many.
    pub project_max: usize,
    /// How many of each project run now.
    pub projects: HashMap<ProjectId, usize>,
    /// How many of each trigger run now, at least of those that are bounded.
    pub triggers: HashMap<TriggerId, usize>,
}

impl Room {
    /// Room for `rows_max`, whoever they belong to.
    #[must_use]
    pub fn of(rows_max: usize) -> Self {
        Self {
            rows_max,
            slots_free: usize::MAX,
            share: usize::MAX,
            project_max: usize::MAX,
            projects: HashMap::new(),
            triggers: HashMap::new(),
        }
    }

    /// Whether a project that runs `running` may take another slot after `taken` were taken.
    #[must_use]
    pub fn is_open(&self, running: usize, taken: usize) -> bool {
        let free = self.slots_free.saturating_sub(taken);
        running < self.project_max && running < self.share.saturating_mul(free)
    }
}

/// How a queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Healthy,
    /// It does without what it is built on; why, in words, without credentials.
    Degraded(String),
}

/// The due queue. One conformance suite holds every home of it to this.
#[async_trait]
#[expect(clippy::len_without_is_empty, reason = "what is counted is for metrics")]
pub trait Queue: Send + Sync {
    /// Adds entries. Those due after the cover are left to the sweeper, unless they are due before
    /// it comes again; those that were handed out and are not settled are known already. Never blocks, never fails: it is called between
    /// commit and acknowledgement.
    fn push(&self, entries: &[Due]);

    /// Takes what is due at `now` and fits into `room`, from the lanes in turn, each lane in the
    /// order of its instants.
    async fn pull(&self, now: Instant, room: &Room) -> Pulled;

    /// Forgets what was handed out: the claim has decided. Never blocks, never fails.
    fn settle(&self, entries: &[Due]);

    /// Returns once everything that this process pushed and settled before can be seen.
    async fn flush(&self);

    /// Returns when something was pushed since the last pull.
    async fn changed(&self);

    /// Returns when the queue lost what it held since the last call, so that its cover is lower.
    async fn lost(&self);

    /// Up to when everything that waits is known.
    async fn cover(&self) -> Instant;

    /// Promises that the caller is about to add everything that waits after `from` and up to
    /// `until`; from now on pushes up to there are kept. `false`, and nothing happened, when the
    /// cover is lower than `from` by now.
    async fn raise_cover(&self, from: Instant, until: Instant) -> bool;

    /// Takes back the promise for what is due after `until`: the caller could not add it.
    async fn lower_cover(&self, until: Instant);

    /// How many entries wait in it.
    async fn len(&self) -> usize;

    /// How many it holds before it puts any out.
    fn entries_max(&self) -> usize;

    /// How it is.
    fn health(&self) -> Health;
}
