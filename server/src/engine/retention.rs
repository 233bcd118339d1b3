//! Retention: deletes what is old enough, in small batches, and gives the disk space back.

use futures_util::FutureExt as _;

use crate::app::App;
use crate::error::Result;
use crate::limits::{FIRING_KEPT_MS, IDEMPOTENCY_MS, RETENTION_MS, RETENTION_ROWS_MAX};
use crate::store::{Origin, retention};

/// Steps of one pass that give disk space back: with 4 MiB each, 256 MiB a minute, and the writer
/// is free between them.
const VACUUM_STEPS_MAX: usize = 64;

/// See the module.
pub struct Retention {
    app: App,
}

/// What one pass deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Belfry's own events.
    pub events: u64,
    /// Resolved firings, with their attempts.
    pub firings: u64,
    /// Operations that ended.
    pub operations: u64,
    /// Idempotency keys.
    pub keys: u64,
}

impl Retention {
    /// Retention over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Deletes every minute until shutdown begins.
    pub async fn run(&self) {
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            let made = self.app.store().prepare_log(self.app.clock().now()).await;
            if let Err(error) = made.and(self.run_once().await.map(drop)) {
                tracing::error!(%error, "retention failed; it will be tried again");
            }
            tokio::select! {
                () = self.app.clock().pause(RETENTION_MS) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// One pass: everything that is old enough now.
    ///
    /// # Errors
    /// The database's own; what was deleted until then stays deleted.
    pub async fn run_once(&self) -> Result<Report> {
        let now = self.app.clock().now();
        let store = self.app.store();
        let delete_after_ms = self.app.settings().delete_after_ms;
        let dropped = store.drop_log(now.plus_ms(-delete_after_ms)).await?;
        let mut report = Report { events: dropped, ..Report::default() };
        loop {
            let batch = store
                .change(Origin::Engine, move |change| {
                    async move {
                        let events_until = now.plus_ms(-delete_after_ms);
                        let firings_until = now.plus_ms(-FIRING_KEPT_MS);
                        let keys_until = now.plus_ms(-IDEMPOTENCY_MS);
                        Ok(Report {
                            events: retention::delete_events(change, events_until).await?,
                            firings: retention::delete_firings(change, firings_until).await?,
                            operations: retention::delete_operations(change, firings_until).await?,
                            keys: retention::delete_idempotency(change, keys_until).await?,
                        })
                    }
                    .boxed()
                })
                .await?;
            report.events += batch.events;
            report.firings += batch.firings;
            report.operations += batch.operations;
            report.keys += batch.keys;
            let most = batch.events.max(batch.firings).max(batch.operations).max(batch.keys);
            if most < RETENTION_ROWS_MAX as u64 {
                break;
            }
        }
        for _ in 0..VACUUM_STEPS_MAX {
            if !store.vacuum_some().await? {
                break;
            }
        }
        Ok(report)
    }
}
