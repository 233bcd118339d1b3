//! What lives longer than one answer: WebSockets and streams. How many there may be, and how each
//! learns that its key no longer holds.
//!
//! Called by `websocket/` and `stream/`.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use entity::KeyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::App;
use crate::error::Error;
use crate::http::status::Refusal;
use crate::limits::{KEY_CHECK_MS, LIVE_MAX};
use crate::service::api_key;

/// The places for what lives in one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    max: u32,
}

/// A place that is taken; given back by drop.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// Room for `max`.
    #[must_use]
    pub fn at_most(max: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(max as usize)), max }
    }

    /// A place, when one is free.
    #[must_use]
    pub fn enter(&self) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }

    /// Returns when nothing lives: after shutdown has begun, when every client was told.
    pub async fn all_left(&self) {
        // The semaphore is never closed, so this is only ever a wait.
        let _all = self.free.acquire_many(self.max).await;
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::at_most(u32::try_from(LIVE_MAX).unwrap_or(u32::MAX))
    }
}

/// The keys of what lives, each looked at by one task however many use it: a thousand sockets of one
/// key must not ask the store a thousand times. Clones share them.
#[derive(Clone, Default)]
pub struct Keys {
    watched: Arc<Mutex<HashMap<KeyId, Weak<Watched>>>>,
}

/// A key that is looked at again and again, until nobody holds this any more.
pub struct Watched {
    /// Set and then announced.
    refusal: OnceLock<Refusal>,
    is_over: CancellationToken,
    _forgotten: DropGuard,
}

impl Keys {
    /// Begins to look at `key`, whose text is `credential`, or joins those who do.
    #[must_use]
    pub fn watch(&self, app: &App, key: KeyId, credential: Option<String>) -> Arc<Watched> {
        let mut all = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = all.get(&key).and_then(Weak::upgrade) {
            return watched;
        }
        all.retain(|_, watched| 0 < watched.strong_count());
        let forgotten = CancellationToken::new();
        let watched = Arc::new(Watched {
            refusal: OnceLock::new(),
            is_over: CancellationToken::new(),
            _forgotten: forgotten.clone().drop_guard(),
        });
        all.insert(key, Arc::downgrade(&watched));
        let (app, told) = (app.clone(), Arc::downgrade(&watched));
        tokio::spawn(forgotten.run_until_cancelled_owned(async move {
            let refusal = revocation(&app, credential.as_deref()).await;
            let Some(watched) = told.upgrade() else { return };
            // It is set once, here.
            let _ = watched.refusal.set(refusal);
            watched.is_over.cancel();
        }));
        watched
    }
}

impl Watched {
    /// Ends when the key no longer holds, with what its users are told.
    pub async fn revoked(&self) -> Refusal {
        self.is_over.cancelled().await;
        self.refusal.get().cloned().unwrap_or(Refusal::Internal)
    }
}

/// Ends when `credential` no longer holds. That the store cannot tell is no reason to end.
async fn revocation(app: &App, credential: Option<&str>) -> Refusal {
    loop {
        pause(Duration::from_millis(KEY_CHECK_MS)).await;
        let checked = api_key::authenticate(app, credential).await;
        if let Err(error @ (Error::Unauthenticated(_) | Error::Forbidden(_))) = checked {
            return error.into();
        }
    }
}

/// A transport's wait, which is tokio's and not the Clock's.
pub async fn pause(length: Duration) {
    let _ = timeout(length, pending::<()>()).await;
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[tokio::test]
    async fn places_are_taken_up_to_the_limit_and_left_by_drop() {
        let places = Places::at_most(2);
        let (first, second) = (places.enter(), places.enter());
        assert!(first.is_some() && second.is_some());
        assert!(places.enter().is_none(), "one past the limit");
        drop(first);
        assert!(places.enter().is_some());
        drop(second);
        places.all_left().await;
    }
}
