//! The sweeper: SQL alone can rebuild the queue, and no firing stays with a process that died.
//!
//! Each pass frees ended leases and slots that fell free unseen, then raises the queue's cover (see `queue/mod.rs`) and reads what
//! waits up to there, then looks again at what is overdue, in case the queue lost it. When the
//! queue says that it lost what it held, a pass is made at once.
//!
//! **What is overdue is read per project**, a page of each in turn, so that a project with a
//! backlog of any length does not stand before the others here either.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use entity::{Instant, ProjectId};
use futures_util::FutureExt as _;

use crate::app::App;
use crate::error::Result;
use crate::limits::{BATCH_ROWS_MAX, OVERDUE_MS, QUEUE_WINDOW_MS, SWEEP_MS, SWEEP_ROWS_MAX};
use crate::store::Origin;
use crate::store::sweep::{self, Ended, Mark};
use crate::store::{backfill, claim, overlap, range, schedule};

/// Passes are at least so far apart, whatever the queue loses.
const LOST_MS: i64 = 250;
/// Rows of each project in one turn at least, however many projects are overdue.
const PROJECT_ROWS_MIN: usize = 16;

/// See the module.
pub struct Sweeper {
    app: App,
    /// How far the overdue of each project was looked through.
    marks: Mutex<HashMap<ProjectId, Mark>>,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that the queue was given.
    pub pushed: usize,
    /// Firings that were freed from processes that died.
    pub freed: usize,
    /// Whether the queue had no room for everything.
    pub is_behind: bool,
}

impl Sweeper {
    /// A sweeper over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), marks: Mutex::default() }
    }

    /// Sweeps every few seconds, and when the queue lost what it held, until shutdown begins.
    pub async fn run(&self) {
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            let done = self.run_once().await;
            if let Err(error) = &done {
                tracing::error!(%error, "a sweep failed; it will be tried again");
            }
            let poll_ms = self.app.settings().poll_ms;
            let is_behind = done.is_ok_and(|report| report.is_behind);
            let pause_ms = if is_behind { poll_ms.min(SWEEP_MS) } else { poll_ms };
            tokio::select! {
                () = self.app.clock().pause(pause_ms) => {}
                // A queue that loses all the time must not keep the database busy.
                () = async {
                    self.app.queue().lost().await;
                    self.app.clock().pause(LOST_MS).await;
                } => {}
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
        self.mend(now).await?;
        let overdue = now.plus_ms(-OVERDUE_MS);
        let covered = self.app.queue().cover().await;
        let mut pushed = self.widen(covered, now).await?;
        if covered < overdue {
            // It lost everything, or was never told.
            if let Err(error) = self.look_at_all(overdue, &mut pushed).await {
                self.app.queue().lower_cover(covered).await;
                return Err(error);
            }
        } else {
            self.look_again(overdue, &mut HashSet::new(), &mut pushed).await?;
        }
        let is_behind = self.app.queue().cover().await < now || self.room().await == 0;
        Ok(Report { pushed, freed, is_behind })
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

    /// Gives on slots that nobody holds although somebody waits, and folds what a process that died
    /// had skipped, or what was skipped of a backfill that had ended.
    async fn mend(&self, now: Instant) -> Result<()> {
        let stuck = overlap::stuck(self.app.store(), now).await?;
        let unfolded = range::unfolded(self.app.store(), BATCH_ROWS_MAX as u64).await?;
        let left_over = backfill::left_over(self.app.store(), BATCH_ROWS_MAX as u64).await?;
        let last = schedule::last(self.app.store(), BATCH_ROWS_MAX as u64).await?;
        let is_whole = stuck.is_empty() && unfolded.is_empty() && left_over.is_empty();
        if is_whole && last.is_empty() {
            return Ok(());
        }
        let ids = self.app.ids().clone();
        self.app
            .store()
            .change(Origin::Engine, move |change| {
                async move {
                    range::fold(change, &ids, &unfolded).await?;
                    backfill::end_left_over(change, &ids, &left_over).await?;
                    overlap::release(change, &stuck, now).await?;
                    claim::set_processed(change, last).await
                }
                .boxed()
            })
            .await
    }

    /// Raises the queue's cover from `covered` to the window's end, as far as there is room, and
    /// pushes what is due in between, but for what is overdue.
    async fn widen(&self, covered: Instant, now: Instant) -> Result<usize> {
        let queue = self.app.queue();
        let until = now.plus_ms(QUEUE_WINDOW_MS);
        if until <= covered || self.room().await == 0 {
            return Ok(0);
        }
        // First the promise, then the read: what is committed in between is pushed and kept.
        if !queue.raise_cover(covered, until).await {
            return Ok(0);
        }
        let mut after = Mark::end_of(covered.max(now.plus_ms(-OVERDUE_MS)));
        let mut pushed = 0;
        loop {
            let rows_max = SWEEP_ROWS_MAX as u64;
            let read = sweep::waiting(self.app.store(), None, after, until, rows_max).await;
            let rows = match read {
                Ok(rows) => rows,
                Err(error) => {
                    queue.lower_cover(after.due_at.plus_ms(-1)).await;
                    return Err(error);
                }
            };
            queue.push(&rows);
            pushed += rows.len();
            let Some(last) = rows.last().filter(|_| rows.len() == SWEEP_ROWS_MAX) else {
                return Ok(pushed);
            };
            after = Mark { due_at: last.due_at, firing: last.firing };
            if self.room().await == 0 {
                queue.lower_cover(last.due_at.plus_ms(-1)).await;
                return Ok(pushed);
            }
        }
    }

    /// Pushes all that is overdue, as far as there is room: a page of each project in turn.
    async fn look_at_all(&self, until: Instant, pushed: &mut usize) -> Result<()> {
        self.marks().clear();
        let mut done = HashSet::new();
        while self.look_again(until, &mut done, pushed).await? && 0 < self.room().await {}
        Ok(())
    }

    /// Pushes a page of what is overdue of each project once more, but of those in `done`;
    /// successive calls go through all of it. Whether there is more to come.
    async fn look_again(
        &self,
        until: Instant,
        done: &mut HashSet<ProjectId>,
        pushed: &mut usize,
    ) -> Result<bool> {
        let store = self.app.store();
        let mut projects = sweep::overdue_projects(store, until).await?;
        projects.retain(|project| !done.contains(project));
        let rows_max = (SWEEP_ROWS_MAX / projects.len().max(1)).max(PROJECT_ROWS_MIN);
        let mut has_more = false;
        for project in &projects {
            let after = self.marks().get(project).copied().unwrap_or(Mark::start());
            let rows = sweep::waiting(store, Some(*project), after, until, rows_max as u64).await?;
            *pushed += rows.len();
            match rows.last().filter(|_| rows.len() == rows_max) {
                Some(last) => {
                    let mark = Mark { due_at: last.due_at, firing: last.firing };
                    self.marks().insert(*project, mark);
                    has_more = true;
                }
                None => {
                    self.marks().remove(project);
                    done.insert(*project);
                }
            }
            if !rows.is_empty() {
                self.app.queue().push(&rows);
            }
        }
        self.marks().retain(|project, _| projects.binary_search(project).is_ok());
        Ok(has_more)
    }

    /// How many more entries the queue takes before it puts any out.
    async fn room(&self) -> usize {
        let queue = self.app.queue();
        queue.flush().await;
        queue.entries_max().saturating_sub(queue.len().await)
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<ProjectId, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
