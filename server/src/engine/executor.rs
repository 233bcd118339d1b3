//! The executor: takes what is due from the queue, as much as it has free slots for, claims it in
//! one statement, and runs each firing on its own task.
//!
//! Pull-based: a slot is taken before anything is asked for and is free again when the result is
//! durable, so that a slow database or slow targets never pile work up in memory.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use entity::{FiringId, Instant, ScheduleId};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::recorder::{self, Finished};
use super::run::run;
use super::slots::Slots;
use crate::app::App;
use crate::domain::outbox::Due;
use crate::error::Result;
use crate::limits::{DRAIN_SECS_MAX, LEASE_MS, SWEEP_MS};
use crate::store::Origin;
use crate::store::claim::{self, Claimed, Lease};
use crate::telemetry::SPANS;

/// See the module.
pub struct Executor {
    app: App,
    slots: Arc<Slots>,
    finished: mpsc::Sender<Finished>,
    drained: CancellationToken,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that the queue handed out.
    pub pulled: usize,
    /// Firings that were claimed and are running now.
    pub claimed: usize,
    /// When the next one is due, as far as the queue knows.
    pub next_at: Option<Instant>,
}

impl Executor {
    /// An executor over `app`, with its recorder running.
    #[must_use]
    pub fn new(app: &App) -> Self {
        let slots_max = app.settings().concurrency.max(1);
        let (finished, results) = mpsc::channel(slots_max);
        tokio::spawn(recorder::run(app.clone(), results));
        let drained = CancellationToken::new();
        let gauges = &app.metrics().engine.executor_slots;
        let slots = Slots::new(slots_max, app.settings().project_concurrency, gauges);
        Self { app: app.clone(), slots, finished, drained }
    }

    /// Executes until shutdown begins, then waits for what runs, then gives the rest back.
    pub async fn run(self: Arc<Self>) {
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            let next = match self.run_once().await {
                Ok(report) if report.pulled != 0 => continue,
                Ok(report) => report.next_at,
                Err(error) => {
                    tracing::error!(%error, "a claim failed; the queue will hand it out again");
                    None
                }
            };
            let next = next.unwrap_or(Instant::MAX);
            let has_room = 0 < self.slots.free();
            tokio::select! {
                () = self.app.clock().sleep_until(next), if has_room => {}
                () = self.app.clock().pause(SWEEP_MS) => {}
                () = self.app.queue().changed(), if has_room => {}
                () = self.slots.freed() => {}
                () = shutdown.begun() => {}
            }
        }
        self.drain().await;
    }

    /// Pulls and claims what is due and fits into the free slots, and starts it.
    ///
    /// # Errors
    /// The database's own; what was pulled comes back when its lease in the queue ends.
    pub async fn run_once(self: &Arc<Self>) -> Result<Report> {
        let now = self.app.clock().now();
        let pulled = self.app.queue().pull(now, &self.slots.room()).await;
        let mut report = Report { pulled: pulled.due.len(), claimed: 0, next_at: pulled.next_at };
        if pulled.due.is_empty() {
            return Ok(report);
        }
        let ids: Vec<FiringId> = pulled.due.iter().map(|due| due.firing).collect();
        let lease = Lease { owner: self.app.process(), now, until: now.plus_ms(LEASE_MS) };
        let claimed = self
            .app
            .store()
            .change(Origin::Engine, move |change| {
                async move { claim::claim(change, &ids, lease).await }.boxed()
            })
            .instrument(tracing::info_span!(target: SPANS, "claim", firings = report.pulled))
            .await?;
        report.claimed = claimed.len();
        let taken: HashSet<FiringId> = claimed.iter().map(|claimed| claimed.firing.id).collect();
        let used_up = claim::one_time(&claimed);
        for claimed in claimed {
            self.start(claimed).await;
        }
        self.settle(pulled.due, &taken, now).await?;
        self.set_processed(used_up).await?;
        Ok(report)
    }

    /// The queue forgets what was handed out. On a shared database a claim passes over rows that
    /// another transaction holds, perhaps to leave them as they are: those come back when their
    /// lease in the queue ends.
    async fn settle(&self, due: Vec<Due>, taken: &HashSet<FiringId>, now: Instant) -> Result<()> {
        let is_taken = |due: &Due| taken.contains(&due.firing);
        let (mut settled, refused): (Vec<Due>, Vec<Due>) = due.into_iter().partition(is_taken);
        self.app.queue().settle(&settled);
        if refused.is_empty() {
            return Ok(());
        }
        let mut waiting = Vec::new();
        if self.app.store().is_shared() {
            let ids: Vec<FiringId> = refused.iter().map(|due| due.firing).collect();
            waiting = claim::still_due(self.app.store(), &ids, now).await?;
        }
        settled = refused;
        settled.retain(|due| !waiting.contains(&due.firing));
        self.app.queue().settle(&settled);
        Ok(())
    }

    async fn set_processed(&self, schedules: Vec<ScheduleId>) -> Result<()> {
        if schedules.is_empty() {
            return Ok(());
        }
        self.app
            .store()
            .change(Origin::Engine, |change| {
                async move { claim::set_processed(change, schedules).await }.boxed()
            })
            .await
    }

    /// Returns when nothing runs and everything is recorded: for tests, where time stands still.
    pub async fn idle(&self) {
        self.slots.all_free().await;
    }

    /// The app that it works for.
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// What runs now.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Returns when shutdown is over for the executor.
    pub(super) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    async fn start(self: &Arc<Self>, claimed: Claimed) {
        // Does not wait: no more was claimed than was free, and only this takes any.
        let slot = self.slots.take(&claimed).await;
        let executor = self.clone();
        tokio::spawn(async move {
            let cancel = slot.cancel().clone();
            let running = AssertUnwindSafe(run(&executor.app, &claimed, cancel.clone()));
            match running.catch_unwind().await {
                // Whoever cancelled wrote what became of it.
                Ok(_) if cancel.is_cancelled() => drop(slot),
                Ok(outcome) => {
                    let _ = executor.finished.send(Finished { outcome, slot }).await;
                }
                Err(_) => {
                    let id = claimed.firing.id;
                    tracing::error!(firing = %id, "firing {id} panicked; its lease will end");
                }
            }
        });
    }

    /// Waits for what runs, as long as shutdown allows, and gives back what is left.
    async fn drain(&self) {
        let limit = Duration::from_secs(DRAIN_SECS_MAX);
        let shutdown = self.app.shutdown().clone();
        tokio::select! {
            _ = tokio::time::timeout(limit, self.idle()) => {}
            () = shutdown.urged() => {}
        }
        for id in self.slots.running() {
            self.slots.stop(id);
        }
        let owner = self.app.process();
        let released = self
            .app
            .store()
            .change(Origin::Engine, move |change| {
                async move { claim::release(change, owner).await }.boxed()
            })
            .await;
        match released {
            Ok(0) => {}
            Ok(firings) => tracing::warn!(firings, "firings were given back unfinished"),
            Err(error) => tracing::error!(%error, "leases were not released; they will end"),
        }
        self.drained.cancel();
    }
}
