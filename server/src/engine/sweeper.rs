//! The sweeper: SQL alone can rebuild the queue, and no firing stays with a process that died.
//!
//! Each pass raises the queue's cover (see `queue/mod.rs`) and reads what waits up to there, then
//! looks again at what is overdue, in case the queue lost it, then frees ended leases.

use std::sync::Mutex;
use std::sync::PoisonError;

use entity::Instant;
use futures_util::FutureExt as _;

use crate::app::App;
use crate::error::Result;
use crate::limits::{BATCH_ROWS_MAX, OVERDUE_MS, QUEUE_WINDOW_MS, SWEEP_MS, SWEEP_ROWS_MAX};
use crate::store::Origin;
use crate::store::sweep::{self, Ended, Mark};

/// See the module.
pub struct Sweeper {
    app: App,
    overdue_after: Mutex<Mark>,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that the queue was given.
    pub pushed: usize,
    /// Firings that were freed from processes that died.
    pub freed: usize,
}

impl Sweeper {
    /// A sweeper over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), overdue_after: Mutex::new(Mark::start()) }
    }

    /// Sweeps every few seconds until shutdown begins.
    pub async fn run(&self) {
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            if let Err(error) = self.run_once().await {
                tracing::error!(%error, "a sweep failed; it will be tried again");
            }
            let next = self.app.clock().now().plus_ms(SWEEP_MS);
            tokio::select! {
                () = self.app.clock().sleep_until(next) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// One pass.
    ///
    /// # Errors
    /// The database's own; the next pass goes on where this one stopped.
    pub async fn run_once(&self) -> Result<Report> {
        let now = self.app.clock().now();
        let freed = self.free(now, Ended::NotRenewed).await?;
        let pushed = self.widen(now).await? + self.look_again(now).await?;
        Ok(Report { pushed, freed })
    }

    /// Frees everything that an earlier process of this database was executing, where it is this
    /// process's alone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn reclaim(&self) -> Result<usize> {
        // Where other processes work too, what is leased may be theirs; leases end by themselves.
        let which = if self.app.store().is_shared() { Ended::NotRenewed } else { Ended::All };
        self.free(self.app.clock().now(), which).await
    }

    async fn free(&self, now: Instant, which: Ended) -> Result<usize> {
        let mut freed = 0;
        loop {
            let ids = self.app.ids().clone();
            let rows_max = BATCH_ROWS_MAX as u64;
            let rows = self
                .app
                .store()
                .change(Origin::Engine, move |change| {
                    async move { sweep::expire_leases(change, &ids, now, which, rows_max).await }
                        .boxed()
                })
                .await?;
            freed += rows;
            if rows < BATCH_ROWS_MAX {
                return Ok(freed);
            }
        }
    }

    /// Raises the queue's cover to the window's end, as far as there is room.
    async fn widen(&self, now: Instant) -> Result<usize> {
        let queue = self.app.queue();
        let until = now.plus_ms(QUEUE_WINDOW_MS);
        let covered = queue.cover();
        if until <= covered || queue.room() == 0 {
            return Ok(0);
        }
        // First the promise, then the read: what is committed in between is pushed and kept.
        queue.set_cover(until);
        let mut after = Mark::end_of(covered);
        let mut pushed = 0;
        loop {
            let rows_max = SWEEP_ROWS_MAX as u64;
            let read = sweep::waiting(self.app.store(), after, until, rows_max).await;
            let rows = match read {
                Ok(rows) => rows,
                Err(error) => {
                    queue.set_cover(after.due_at.plus_ms(-1).min(queue.cover()));
                    return Err(error);
                }
            };
            queue.push(&rows);
            pushed += rows.len();
            let Some(last) = rows.last().filter(|_| rows.len() == SWEEP_ROWS_MAX) else {
                return Ok(pushed);
            };
            after = Mark { due_at: last.due_at, firing: last.firing };
            if queue.cover() < last.due_at || queue.room() == 0 {
                queue.set_cover(last.due_at.plus_ms(-1).min(queue.cover()));
                return Ok(pushed);
            }
        }
    }

    /// Pushes a page of what is overdue once more; successive passes go through all of it.
    async fn look_again(&self, now: Instant) -> Result<usize> {
        let after = *self.overdue_after.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now.plus_ms(-OVERDUE_MS);
        let rows_max = SWEEP_ROWS_MAX as u64;
        let rows = sweep::waiting(self.app.store(), after, until, rows_max).await?;
        let next = rows.last().filter(|_| rows.len() == SWEEP_ROWS_MAX);
        let next =
            next.map_or(Mark::start(), |last| Mark { due_at: last.due_at, firing: last.firing });
        *self.overdue_after.lock().unwrap_or_else(PoisonError::into_inner) = next;
        if !rows.is_empty() {
            self.app.queue().push(&rows);
        }
        Ok(rows.len())
    }
}
