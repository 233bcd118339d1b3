//! Usage: writes when API keys were last used, for those who wonder which key nobody needs.
//!
//! Requests only note it in memory. A use that was not written, because the process died or the
//! database was away, is forgotten; the next one is noted again.

use futures_util::FutureExt as _;

use crate::app::App;
use crate::error::Result;
use crate::limits::KEY_USED_MS;
use crate::store::{Origin, api_key};

/// See the module.
pub struct Usage {
    app: App,
}

impl Usage {
    /// Usage over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Writes every minute, and a last time when shutdown begins.
    pub async fn run(&self) {
        let shutdown = self.app.shutdown().clone();
        loop {
            tokio::select! {
                () = self.app.clock().pause(KEY_USED_MS) => {}
                () = shutdown.begun() => {}
            }
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "the uses of API keys were not written: {error}");
            }
            if shutdown.is_begun() {
                return;
            }
        }
    }

    /// Writes what was noted, all of it in one change; how many keys were touched. A key whose last
    /// use is known to be less than a minute old is left as it is.
    ///
    /// # Errors
    /// The database's own.
    pub async fn run_once(&self) -> Result<usize> {
        let mut uses = self.app.uses().take();
        // Whoever locks several rows does it in this order.
        uses.sort_unstable_by_key(|(_, key, _)| *key);
        if uses.is_empty() {
            return Ok(0);
        }
        let write = self.app.store().change(Origin::Engine, move |change| {
            async move {
                let mut count = 0;
                for (project, key, at) in uses {
                    let until = at.plus_ms(-KEY_USED_MS);
                    let is_new = api_key::set_used(change, project, key, at, until).await?;
                    count += usize::from(is_new);
                }
                Ok(count)
            }
            .boxed()
        });
        write.await
    }
}
