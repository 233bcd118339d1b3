//! Floor 6: the engine, the duties that make firings happen.
//!
//! ```text
//!  planner ──► firing rows ──► due queue ──► executor: claim ► stages ► recorder ──► log, tails
//!                  ▲                                              │
//!                  └──── sweeper: SQL → queue, ended leases ◄─────┘        retention: deletes by age
//! ```
//! Each duty has the same shape: `new`, then `run(shutdown)`, a loop that owns the waiting, around
//! `run_once() -> Report`, one pass that can be called from a test. No duty needs a leader: each
//! is idempotent, so that any number of processes may do it at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::app::App;
use crate::error::Result;

pub mod executor;
mod lease;
pub mod planner;
mod recorder;
pub mod retention;
pub mod run;
mod slots;
pub mod sweeper;
pub mod timekeeper;

pub use executor::Executor;
pub use planner::Planner;
pub use retention::Retention;
pub use sweeper::Sweeper;
pub use timekeeper::Timekeeper;

/// All duties of one process.
pub struct Engine {
    /// Schedules into firings.
    pub planner: Planner,
    /// Firings into results.
    pub executor: Arc<Executor>,
    /// SQL into the queue.
    pub sweeper: Sweeper,
    /// Old rows into nothing.
    pub retention: Retention,
    /// The database's clock into this process's.
    pub timekeeper: Timekeeper,
}

impl Engine {
    /// The duties over `app`; nothing runs yet.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            planner: Planner::new(app),
            executor: Arc::new(Executor::new(app)),
            sweeper: Sweeper::new(app),
            retention: Retention::new(app),
            timekeeper: Timekeeper::new(app),
        }
    }

    /// Frees what an earlier process of this database left, plans and fills the queue, so that the
    /// executor begins with everything that is overdue, and with what was missed already folded.
    ///
    /// # Errors
    /// The database's own.
    pub async fn prepare(&self) -> Result<()> {
        self.timekeeper.run_once().await?;
        self.sweeper.reclaim().await?;
        while self.planner.run_once().await?.schedules != 0 {}
        self.sweeper.run_once().await?;
        Ok(())
    }

    /// Runs every duty until shutdown has begun and what was begun is finished.
    pub async fn run(self) {
        let mut duties = JoinSet::new();
        let Self { planner, executor, sweeper, retention, timekeeper } = self;
        duties.spawn(async move { timekeeper.run().await });
        duties.spawn(async move { planner.run().await });
        duties.spawn(async move { sweeper.run().await });
        duties.spawn(async move { retention.run().await });
        duties.spawn(lease::run(executor.clone()));
        duties.spawn(async move { executor.run().await });
        while let Some(ended) = duties.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a duty of the engine ended by itself");
            }
        }
    }
}
