//! The executor: takes what is due from the queue, as much as it has free slots for, claims it in
//! one statement, and runs each firing on its own task.
//!
//! Pull-based: a slot is taken before anything is asked for and is free again when the recorder has
//! room for the result, so that a slow database or slow targets never pile work up in memory.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use entity::firing::{Cause, Model};
use entity::{FiringId, Instant, ScheduleId};
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::recorder::{self, Finished};
use super::run::run;
use super::slots::{Place, Slot, Slots};
use crate::app::App;
use crate::domain::outbox::Due;
use crate::error::Result;
use crate::limits::{CLAIMS_MAX, DRAIN_SECS_MAX, LEASE_MS, SWEEP_MS};
use crate::queue::Pulled;
use crate::service::trigger;
use crate::stage::FailureCode;
use crate::store::Origin;
use crate::store::claim::{self, Claimed, Lease};
use crate::store::overlap::{self, Candidate, Decided};
use crate::store::range::{self, Reached};
use crate::store::record::Outcome;
use crate::telemetry::SPANS;

/// See the module.
pub struct Executor {
    app: App,
    slots: Arc<Slots>,
    finished: mpsc::Sender<Finished>,
    /// One for each claim under way.
    claims: Arc<Semaphore>,
    drained: CancellationToken,
}

/// What was handed out together.
struct Batch {
    due: Vec<Due>,
    places: HashMap<FiringId, Place>,
    now: Instant,
    next_at: Option<Instant>,
}

/// The instants of schedules that a claim came past.
#[derive(Default)]
struct Passed {
    /// Schedules that may have nothing ahead any more.
    last: Vec<ScheduleId>,
    /// What was skipped, and what ends a range before it.
    reached: Vec<Reached>,
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
        let claims = Arc::new(Semaphore::new(CLAIMS_MAX as usize));
        Self { app: app.clone(), slots, finished, claims, drained }
    }

    /// Executes until shutdown begins, then waits for what runs, then gives the rest back.
    pub async fn run(self: Arc<Self>) {
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            // The semaphore is never closed.
            let Ok(turn) = self.claims.clone().acquire_owned().await else { break };
            if shutdown.is_begun() {
                break;
            }
            let batch = self.pull().await;
            let next = batch.next_at.unwrap_or(Instant::MAX);
            if !batch.due.is_empty() {
                let executor = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = executor.claim(batch).await {
                        tracing::error!(%error, "a claim failed; the queue will hand it out again");
                    }
                    drop(turn);
                });
                continue;
            }
            drop(turn);
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
        let batch = self.pull().await;
        let mut report = Report { pulled: batch.due.len(), claimed: 0, next_at: batch.next_at };
        if !batch.due.is_empty() {
            report.claimed = self.claim(batch).await?;
        }
        Ok(report)
    }

    /// Takes what is due and has room, with places for it.
    async fn pull(&self) -> Batch {
        let now = self.app.clock().now();
        let Pulled { due, next_at } = self.app.queue().pull(now, &self.slots.room()).await;
        // Only this reserves, so that what was free still is.
        let places = due.iter().filter_map(|due| Some((due.firing, self.slots.reserve(due)?)));
        Batch { places: places.collect(), due, now, next_at }
    }

    /// Claims a batch and starts what was its to claim; returns how many.
    async fn claim(self: &Arc<Self>, batch: Batch) -> Result<usize> {
        let Batch { due, mut places, now, .. } = batch;
        let ids: Vec<FiringId> = due.iter().map(|due| due.firing).collect();
        let lease = Lease { owner: self.app.process(), now, until: now.plus_ms(LEASE_MS) };
        let proposed = ids.clone();
        let claimed = self
            .app
            .store()
            .change(Origin::Engine, move |change| {
                async move { claim::claim(change, &proposed, lease).await }.boxed()
            })
            .instrument(tracing::info_span!(target: SPANS, "claim", firings = due.len()))
            .await?;
        let mut taken: HashSet<FiringId> = claimed.iter().map(|one| one.firing.id).collect();
        let mut passed = Passed::default();
        passed.see(&claimed);
        self.start_all(claimed, &mut places);
        let rest: Vec<FiringId> = ids.into_iter().filter(|id| !taken.contains(id)).collect();
        if !rest.is_empty() {
            let Decided { claimed, skipped } = self.decide(rest, lease).await?;
            taken.extend(claimed.iter().map(|one| one.firing.id));
            passed.see(&claimed);
            passed.skip(&skipped);
            self.start_all(claimed, &mut places);
        }
        drop(places);
        self.settle(due, &taken, now).await?;
        self.pass(passed).await?;
        Ok(taken.len())
    }

    /// The second step: what may not overlap with what runs.
    async fn decide(&self, rest: Vec<FiringId>, lease: Lease) -> Result<Decided> {
        let ids = self.app.ids().clone();
        let span = tracing::info_span!(target: SPANS, "claim", firings = rest.len());
        let store = self.app.store();
        let decided = store.change(Origin::Engine, move |change| {
            async move { overlap::claim(change, &ids, &rest, lease).await }.boxed()
        });
        decided.instrument(span).await
    }

    fn start_all(self: &Arc<Self>, claimed: Vec<Claimed>, places: &mut HashMap<FiringId, Place>) {
        for claimed in claimed {
            // Each was handed out, with a place.
            if let Some(place) = places.remove(&claimed.firing.id) {
                self.start(place.put(&claimed), claimed);
            }
        }
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

    /// What the claim means for schedules, in a change of its own: a claim waits for none that
    /// somebody edits.
    async fn pass(&self, passed: Passed) -> Result<()> {
        let Passed { last, reached } = passed;
        if last.is_empty() && reached.is_empty() {
            return Ok(());
        }
        let ids = self.app.ids().clone();
        self.app
            .store()
            .change(Origin::Engine, move |change| {
                async move {
                    range::fold(change, &ids, &reached).await?;
                    claim::set_processed(change, last).await
                }
                .boxed()
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

    fn start(self: &Arc<Self>, mut slot: Slot, claimed: Claimed) {
        let executor = self.clone();
        tokio::spawn(async move {
            let cancel = slot.cancel().clone();
            let running = AssertUnwindSafe(run(&executor.app, &claimed, cancel.clone()));
            match running.catch_unwind().await {
                // Whoever cancelled wrote what became of it.
                Ok(_) if cancel.is_cancelled() => drop(slot),
                Ok(outcome) => {
                    let Ok(room) = executor.finished.reserve().await else { return };
                    if is_gone(&outcome) {
                        let error = outcome.error.clone();
                        executor.disable(Model { error, ..claimed.firing }).await;
                    }
                    slot.leave();
                    room.send(Finished { outcome, slot });
                }
                Err(_) => {
                    let id = claimed.firing.id;
                    tracing::error!(firing = %id, "firing {id} panicked; its lease will end");
                }
            }
        });
    }

    /// What was told that its target is gone does not try it again by itself.
    async fn disable(&self, firing: Model) {
        if let Err(error) = trigger::disable(&self.app, &firing).await {
            let id = firing.id;
            tracing::error!(%error, firing = %id, "the trigger of {id} was not paused after 410");
        }
    }

    /// Waits for what runs, as long as shutdown allows, and gives back what is left.
    async fn drain(&self) {
        let limit = Duration::from_secs(DRAIN_SECS_MAX);
        let shutdown = self.app.shutdown().clone();
        let idle = async {
            let _claimed = self.claims.acquire_many(CLAIMS_MAX).await;
            self.idle().await;
        };
        tokio::select! {
            _ = tokio::time::timeout(limit, idle) => {}
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

impl Passed {
    fn see(&mut self, claimed: &[Claimed]) {
        for Claimed { firing, is_after_range, is_last, .. } in claimed {
            if firing.cause != Cause::Schedule {
                continue;
            }
            // Each time: who claimed it first may have died before it was noted.
            self.last.extend(firing.schedule_id.filter(|_| *is_last));
            if firing.epoch != 1 {
                continue;
            }
            let ends = firing.schedule_id.filter(|_| *is_after_range);
            let at = firing.nominal_at;
            self.reached.extend(ends.map(|schedule| Reached { schedule, at, skipped: None }));
        }
    }

    fn skip(&mut self, skipped: &[Candidate]) {
        for one in skipped {
            self.last.extend(one.schedule_id);
            let (at, skipped) = (one.nominal_at, Some(one.id));
            self.reached.extend(one.schedule_id.map(|schedule| Reached { schedule, at, skipped }));
        }
    }
}

fn is_gone(outcome: &Outcome) -> bool {
    outcome.reason.as_deref() == Some(FailureCode::Gone.as_str())
}
