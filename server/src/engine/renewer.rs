//! The renewer: every 5 s it prolongs the leases of everything that runs or waits to be recorded, and
//! stops what it lost (cancelled, or taken over). A notice of the bus stops a cancelled firing
//! sooner.

use std::collections::HashSet;
use std::sync::Arc;

use entity::FiringId;
use futures_util::FutureExt as _;

use super::executor::Executor;
use crate::domain::outbox::Notice;
use crate::error::Result;
use crate::limits::{LEASE_MS, LEASE_RENEW_MS};
use crate::store::{Origin, claim};

/// See the module.
pub struct Renewer {
    executor: Arc<Executor>,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Firings that are this process's still.
    pub renewed: usize,
    /// Firings that were lost, and stopped.
    pub lost: usize,
}

impl Renewer {
    /// A renewer of what `executor` runs.
    #[must_use]
    pub fn new(executor: &Arc<Executor>) -> Self {
        Self { executor: executor.clone() }
    }

    /// Renews until shutdown has begun and nothing runs any more.
    pub async fn run(&self) {
        let app = self.executor.app().clone();
        let mut listener = app.bus().listen();
        let mut pause = app.clock().pause(LEASE_RENEW_MS);
        loop {
            tokio::select! {
                () = &mut pause => {
                    if let Err(error) = self.run_once().await {
                        tracing::error!(%error, "leases could not be renewed");
                    }
                    pause = app.clock().pause(LEASE_RENEW_MS);
                }
                notice = listener.next() => {
                    if let Some(Notice::Cancelled(id)) = notice {
                        self.executor.slots().stop(id);
                    }
                }
                () = self.executor.drained() => return,
            }
        }
    }

    /// One pass.
    ///
    /// # Errors
    /// The database's own; leases last for three passes.
    pub async fn run_once(&self) -> Result<Report> {
        let app = self.executor.app();
        let running = self.executor.slots().running();
        if running.is_empty() {
            return Ok(Report::default());
        }
        let owner = app.process();
        let until = app.clock().now().plus_ms(LEASE_MS);
        let ids = running.clone();
        let owned = app
            .store()
            .change(Origin::Engine, move |change| {
                async move { claim::renew(change, &ids, owner, until).await }.boxed()
            })
            .await?;
        let owned: HashSet<FiringId> = owned.into_iter().collect();
        let lost = running.into_iter().filter(|id| !owned.contains(id));
        let lost = lost.map(|id| self.executor.slots().stop(id)).count();
        Ok(Report { renewed: owned.len(), lost })
    }
}
