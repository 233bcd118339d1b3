//! The places for firings that run at a time, and which firing has each.
//!
//! A place is reserved for what the queue hands out, so that it can be claimed while more is asked
//! for, and is free again once the recorder has the result. The firing stays this process's, and its
//! lease is renewed, until its [`Slot`] is dropped: when the result is durable, or was given up.
//!
//! **Nobody can take all places.** A project takes another one only while it has fewer than
//! [`PROJECT_SHARE`] times the free ones, so that its share shrinks as others come, and some are
//! free for whoever comes next. See [`Slots::room`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entity::{FiringId, ProjectId, TriggerId};
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::outbox::Due;
use crate::limits::{BATCH_ROWS_MAX, PROJECT_SHARE};
use crate::queue::Room;
use crate::store::claim::Claimed;

/// All places of one process.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    project_max: usize,
    running: Mutex<Running>,
    freed: Notify,
    /// How many firings are this process's.
    held: watch::Sender<usize>,
    counted: Counted,
}

/// The places in the metrics.
struct Counted {
    free: IntGauge,
    busy: IntGauge,
}

#[derive(Default)]
struct Running {
    /// What is this process's, with a place or without, and under which claim.
    firings: HashMap<FiringId, (i32, CancellationToken)>,
    projects: HashMap<ProjectId, usize>,
    /// Only triggers that are bounded: the others need no count.
    triggers: HashMap<TriggerId, usize>,
}

/// One place that is taken; free again when dropped.
pub(super) struct Place {
    slots: Arc<Slots>,
    project: ProjectId,
    /// Only one that is bounded.
    trigger: Option<TriggerId>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A firing that is this process's, with the place that it has while it runs.
pub(super) struct Slot {
    place: Place,
    firing: FiringId,
    epoch: i32,
    cancel: CancellationToken,
}

impl Slots {
    /// `max` places, all free; one project has `project_max` of them at most.
    pub(super) fn new(max: usize, project_max: Option<usize>, gauges: &IntGaugeVec) -> Arc<Self> {
        let max = u32::try_from(max).unwrap_or(u32::MAX).max(1);
        let counted = Counted {
            free: gauges.with_label_values(&["free"]),
            busy: gauges.with_label_values(&["busy"]),
        };
        counted.free.set(max.into());
        counted.busy.set(0);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(max as usize)),
            project_max: project_max.unwrap_or(usize::MAX).max(1),
            running: Mutex::default(),
            freed: Notify::new(),
            held: watch::Sender::new(0),
            counted,
        })
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// What can be run now, and for whom.
    pub(super) fn room(&self) -> Room {
        let running = self.lock();
        let slots_free = self.free();
        Room {
            rows_max: slots_free.min(BATCH_ROWS_MAX),
            slots_free,
            share: PROJECT_SHARE,
            project_max: self.project_max,
            projects: running.projects.clone(),
            triggers: running.triggers.clone(),
        }
    }

    /// Takes a place for what the queue handed out; `None` when none is free.
    pub(super) fn reserve(self: &Arc<Self>, due: &Due) -> Option<Place> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        self.counted.free.dec();
        self.counted.busy.inc();
        let trigger = due.trigger.filter(|_| due.trigger_limit.is_some());
        let mut running = self.lock();
        *running.projects.entry(due.project).or_default() += 1;
        if let Some(trigger) = trigger {
            *running.triggers.entry(trigger).or_default() += 1;
        }
        drop(running);
        Some(Place { slots: self.clone(), project: due.project, trigger, permit: Some(permit) })
    }

    /// What is this process's.
    pub(super) fn running(&self) -> Vec<FiringId> {
        self.lock().firings.keys().copied().collect()
    }

    /// Tells a firing that this process lost to stop.
    pub(super) fn stop(&self, firing: FiringId) {
        if let Some((_, cancel)) = self.lock().firings.get(&firing) {
            cancel.cancel();
        }
    }

    /// Returns when a place was freed since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Returns when no firing is this process's.
    pub(super) async fn all_free(&self) {
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Puts a firing that was claimed into it.
    pub(super) fn put(mut self, claimed: &Claimed) -> Slot {
        let (firing, epoch) = (claimed.firing.id, claimed.firing.epoch);
        let cancel = CancellationToken::new();
        let mut running = self.slots.lock();
        // What the queue knew of a bound may be older than the bound.
        if self.trigger.is_none() && claimed.trigger_limit.is_some() {
            self.trigger = claimed.firing.trigger_id;
            if let Some(trigger) = self.trigger {
                *running.triggers.entry(trigger).or_default() += 1;
            }
        }
        running.firings.insert(firing, (epoch, cancel.clone()));
        drop(running);
        self.slots.held.send_modify(|held| *held += 1);
        Slot { place: self, firing, epoch, cancel }
    }

    /// Gives it to whoever comes next.
    fn leave(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut running = self.slots.lock();
        leave(&mut running.projects, self.project);
        if let Some(trigger) = self.trigger {
            leave(&mut running.triggers, trigger);
        }
        drop(running);
        // First the place, then the news of it.
        drop(permit);
        self.slots.counted.free.inc();
        self.slots.counted.busy.dec();
        self.slots.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Slot {
    /// Cancelled when this process lost the firing.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Gives the place to whoever comes next; the firing stays this process's.
    pub(super) fn leave(&mut self) {
        self.place.leave();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slots = &self.place.slots;
        let mut running = slots.lock();
        // It may have been claimed anew while its last result was on its way.
        if running.firings.get(&self.firing).is_some_and(|(epoch, _)| *epoch == self.epoch) {
            running.firings.remove(&self.firing);
        }
        drop(running);
        slots.held.send_modify(|held| *held -= 1);
    }
}

/// One fewer runs; what runs none is forgotten.
fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    let Some(count) = counts.get_mut(&key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(&key);
    }
}
