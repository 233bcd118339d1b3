//! The places for firings that run at a time, and which firing has each.
//!
//! A place is taken before a firing is claimed and is free again when its [`Slot`] is dropped: once
//! the result is durable, or was given up. As long as it is taken the lease is renewed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entity::FiringId;
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All places of one process.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    max: u32,
    running: Mutex<HashMap<FiringId, CancellationToken>>,
    freed: Notify,
    counted: Counted,
}

/// The places in the metrics.
struct Counted {
    free: IntGauge,
    busy: IntGauge,
}

/// One place that is taken.
pub(super) struct Slot {
    slots: Arc<Slots>,
    firing: FiringId,
    permit: Option<OwnedSemaphorePermit>,
    cancel: CancellationToken,
}

impl Slots {
    /// `max` places, all free.
    pub(super) fn new(max: usize, gauges: &IntGaugeVec) -> Arc<Self> {
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
            running: Mutex::default(),
            freed: Notify::new(),
            counted,
        })
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Takes a place for `firing`; waits when none is free.
    pub(super) async fn take(self: &Arc<Self>, firing: FiringId) -> Slot {
        // The semaphore is never closed.
        let permit = self.free.clone().acquire_owned().await.ok();
        let cancel = CancellationToken::new();
        self.counted.free.dec();
        self.counted.busy.inc();
        self.lock().insert(firing, cancel.clone());
        Slot { slots: self.clone(), firing, permit, cancel }
    }

    /// What has a place.
    pub(super) fn running(&self) -> Vec<FiringId> {
        self.lock().keys().copied().collect()
    }

    /// Tells a firing that this process lost to stop.
    pub(super) fn stop(&self, firing: FiringId) {
        if let Some(cancel) = self.lock().get(&firing) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<FiringId, CancellationToken>> {
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
        self.slots.lock().remove(&self.firing);
        // First the place, then the news of it.
        drop(self.permit.take());
        self.slots.counted.free.inc();
        self.slots.counted.busy.dec();
        self.slots.freed.notify_one();
    }
}
