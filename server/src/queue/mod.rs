//! Floor 3: the due queue, which knows what waits for its instant and hands it out when it is due.
//!
//! An index over SQL, never the truth: it may hold ids that are stale (the claim decides) and it
//! may miss ids (the sweeper adds them). It knows everything that waits up to its *cover*; what is
//! due later is left in SQL until the sweeper raises the cover, so that the queue stays small
//! however many timers there are.
//!
//! **A lane per project**, drained in turn, so that one tenant's backlog delays nobody else.

use async_trait::async_trait;
use entity::Instant;

use crate::domain::outbox::Due;

mod memory;

pub use memory::MemoryQueue;

/// What was handed out, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Firings that are due, each to this caller only.
    pub due: Vec<Due>,
    /// When the next one that is known will be due; may lie in the past when `due` was full.
    pub next_at: Option<Instant>,
}

/// How a home of the queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy,
    /// It works from SQL alone until what it lies in answers again: why.
    Degraded(String),
}

/// The due queue. One conformance suite holds every home of it to this.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds entries; those due after the cover are left to the sweeper. Never blocks, never fails:
    /// it is called between commit and acknowledgement.
    fn push(&self, entries: &[Due]);

    /// Takes what is due at `now`, `rows_max` at most, from the lanes in turn, each lane in the
    /// order of its instants.
    async fn pull(&self, now: Instant, rows_max: usize) -> Pulled;

    /// Returns when something was pushed since the last pull.
    async fn changed(&self);

    /// Up to when everything that waits is known.
    fn cover(&self) -> Instant;

    /// Promises that the caller is adding everything that waits up to `until`; from now on pushes
    /// up to there are kept. Lowering it is allowed (the caller could not add everything).
    fn set_cover(&self, until: Instant);

    /// How many entries it holds.
    fn len(&self) -> usize;

    /// How many more it takes before it puts any out.
    fn room(&self) -> usize;

    /// How it is.
    fn health(&self) -> Health {
        Health::Healthy
    }

    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
