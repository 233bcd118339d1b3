//! The timekeeper: holds this process's clock to the database's, where that is the authority.

use crate::app::App;
use crate::error::Result;
use crate::limits::FOLLOW_MS;

/// See the module.
pub struct Timekeeper {
    app: App,
}

impl Timekeeper {
    /// A timekeeper over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Measures until shutdown begins; not at all where the process has the database alone.
    pub async fn run(&self) {
        let shutdown = self.app.shutdown().clone();
        while self.app.store().is_shared() && !shutdown.is_begun() {
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "the database's clock could not be read");
            }
            tokio::select! {
                () = self.app.clock().pause(FOLLOW_MS) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// One measurement.
    ///
    /// # Errors
    /// The database's own; the clock goes on as it was.
    pub async fn run_once(&self) -> Result<()> {
        if let Some(at) = self.app.store().now().await? {
            self.app.clock().follow(at);
        }
        Ok(())
    }
}
