//! The places for firings that run at a time, and which firing has each.
//!
//! A place is taken when a firing was claimed and is free again when its [`Slot`] is dropped: once
//! the result is durable, or was given up. As long as it is taken the lease is renewed.
//!
//! **Nobody can take all places.** A project takes another one only while it has fewer than
//! [`PROJECT_SHARE`] times the free ones, so that its share shrinks as others come, and some are
//! free for whoever comes next. See [`Slots::room`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entity::{FiringId, ProjectId, TriggerId};
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::limits::{BATCH_ROWS_MAX, PROJECT_SHARE};
use crate::queue::Room;
use crate::store::claim::Claimed;

/// All places of one process.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    max: u32,
    project_max: usize,
    running: Mutex<Running>,
    freed: Notify,
    counted: Counted,
}

/// The places in the metrics.
struct Counted {
    free: IntGauge,
    busy: IntGauge,
}

#[derive(Default)]
struct Running {
    firings: HashMap<FiringId, CancellationToken>,
    projects: HashMap<ProjectId, usize>,
    /// Only triggers that are bounded: the others need no count.
    triggers: HashMap<TriggerId, usize>,
}

/// One place that is taken.
pub(super) struct Slot {
    slots: Arc<Slots>,
    firing: FiringId,
    project: ProjectId,
    trigger: Option<TriggerId>,
    permit: Option<OwnedSemaphorePermit>,
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
            max,
            project_max: project_max.unwrap_or(usize::MAX).max(1),
            running: Mutex::default(),
            freed: Notify::new(),
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

    /// Takes a place for a firing; waits when none is free.
    pub(super) async fn take(self: &Arc<Self>, claimed: &Claimed) -> Slot {
        // The semaphore is never closed.
        let permit = self.free.clone().acquire_owned().await.ok();
        let cancel = CancellationToken::new();
        self.counted.free.dec();
        self.counted.busy.inc();
        let row = &claimed.firing;
        let (firing, project) = (row.id, row.project_id);
        let trigger = row.trigger_id.filter(|_| claimed.trigger_limit.is_some());
        let mut running = self.lock();
        running.firings.insert(firing, cancel.clone());
        *running.projects.entry(project).or_default() += 1;
        if let Some(trigger) = trigger {
            *running.triggers.entry(trigger).or_default() += 1;
        }
        Slot { slots: self.clone(), firing, project, trigger, permit, cancel }
    }

    /// What has a place.
    pub(super) fn running(&self) -> Vec<FiringId> {
        self.lock().firings.keys().copied().collect()
    }

    /// Tells a firing that this process lost to stop.
    pub(super) fn stop(&self, firing: FiringId) {
        if let Some(cancel) = self.lock().firings.get(&firing) {
            cancel.cancel();
        }
    }

    /// Returns when a place was freed since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Returns when every place is free.
    pub(super) async fn all_free(&self) {
        let _all = self.free.acquire_many(self.max).await;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Cancelled when this process lost the firing.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.slots.lock();
        running.firings.remove(&self.firing);
        leave(&mut running.projects, self.project);
        if let Some(trigger) = self.trigger {
            leave(&mut running.triggers, trigger);
        }
        drop(running);
        // First the place, then the news of it.
        drop(self.permit.take());
        self.slots.counted.free.inc();
        self.slots.counted.busy.dec();
        self.slots.freed.notify_one();
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
