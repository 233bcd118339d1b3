//! Floor 6: the engine, the duties that make firings happen.
//!
//! ```text
//!  planner ──► firing rows ──► due queue ──► executor: claim ► stages ► recorder ──► log, tails
//!                  ▲                                              │
//!                  ├──── sweeper: SQL → queue, ended leases ◄─────┘        retention: deletes by age
//!                  └──── operator: backfills, a step at a time
//! ```
//! Each duty has the same shape: `new`, then `run(shutdown)`, a loop that owns the waiting, around
//! `run_once() -> Report`, one pass that can be called from a test. No duty needs a leader: each
//! is idempotent, so that any number of processes may do it at once. The roles of a process say
//! which duties run in it; the sweeper goes with the executor, whose queue it fills.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::app::App;
use crate::config::Role;
use crate::error::Result;

pub mod executor;
pub mod operator;
pub mod planner;
mod recorder;
mod renewer;
pub mod retention;
pub mod run;
mod slots;
pub mod sweeper;
pub mod timekeeper;
pub mod usage;

pub use executor::Executor;
pub use operator::Operator;
pub use planner::Planner;
pub use renewer::Renewer;
pub use retention::Retention;
pub use sweeper::Sweeper;
pub use timekeeper::Timekeeper;
pub use usage::Usage;

/// All duties of one process. Those of roles that it has not are there, but never run by
/// themselves.
pub struct Engine {
    /// Schedules into firings.
    pub planner: Planner,
    /// Operations, a step at a time.
    pub operator: Operator,
    /// Firings into results.
    pub executor: Arc<Executor>,
    /// Leases of what runs into longer ones.
    pub renewer: Renewer,
    /// SQL into the queue.
    pub sweeper: Sweeper,
    /// Old rows into nothing.
    pub retention: Retention,
    /// The database's clock into this process's.
    pub timekeeper: Timekeeper,
    /// Uses of API keys into SQL.
    pub usage: Usage,
    app: App,
}

impl Engine {
    /// The duties over `app`; nothing runs yet.
    #[must_use]
    pub fn new(app: &App) -> Self {
        let executor = Arc::new(Executor::new(app));
        Self {
            planner: Planner::new(app),
            operator: Operator::new(app),
            renewer: Renewer::new(&executor),
            executor,
            sweeper: Sweeper::new(app),
            retention: Retention::new(app),
            timekeeper: Timekeeper::new(app),
            usage: Usage::new(app),
            app: app.clone(),
        }
    }

    /// Plans and fills the queue, so that the executor begins with everything that is overdue, and
    /// with what was missed already folded. On SQLite it first frees what an earlier process of
    /// the database left: no other one can be executing.
    ///
    /// # Errors
    /// The database's own.
    pub async fn prepare(&self) -> Result<()> {
        self.timekeeper.run_once().await?;
        let roles = &self.app.settings().roles;
        if roles.has(Role::Executor) {
            self.sweeper.reclaim().await?;
        }
        if roles.has(Role::Planner) {
            while self.planner.run_once().await?.schedules != 0 {}
        }
        if roles.has(Role::Executor) {
            self.sweeper.run_once().await?;
        }
        Ok(())
    }

    /// Runs the duties of the process's roles until shutdown has begun and what was begun is
    /// finished.
    pub async fn run(self) {
        let mut duties = JoinSet::new();
        let Self {
            planner,
            operator,
            executor,
            renewer,
            sweeper,
            retention,
            timekeeper,
            usage,
            app,
        } = self;
        let roles = &app.settings().roles;
        duties.spawn(async move { timekeeper.run().await });
        if roles.has(Role::Api) {
            duties.spawn(async move { usage.run().await });
        }
        if roles.has(Role::Planner) {
            duties.spawn(async move { planner.run().await });
            duties.spawn(async move { operator.run().await });
        }
        if roles.has(Role::Retention) {
            duties.spawn(async move { retention.run().await });
        }
        if roles.has(Role::Executor) {
            duties.spawn(async move { sweeper.run().await });
            duties.spawn(async move { renewer.run().await });
            duties.spawn(async move { executor.run().await });
        }
        while let Some(ended) = duties.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a duty of the engine ended by itself");
            }
        }
    }
}
