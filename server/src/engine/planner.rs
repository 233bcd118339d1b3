//! The planner: expands schedules into firings up to the horizon, and folds what was missed.
//!
//! The next firing never depends on the previous one having run: the planner reads the schedule's
//! own cursor. It sleeps until the first schedule needs it, and is woken when one is made or
//! changed.

use entity::Instant;

use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::error::Result;
use crate::limits::{PLAN_SCHEDULES_MAX, SWEEP_MS};
use crate::store::Origin;
use crate::store::plan::{self, Report};
use futures_util::FutureExt as _;

/// See the module.
pub struct Planner {
    app: App,
}

impl Planner {
    /// A planner over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Plans until shutdown begins.
    pub async fn run(&self) {
        let mut listener = self.app.bus().listen();
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            let next = match self.run_once().await {
                Ok(report) if report.schedules != 0 => continue,
                Ok(_) => plan::next_look(self.app.store()).await.unwrap_or(None),
                Err(error) => {
                    tracing::error!(%error, "planning failed; it will be tried again");
                    None
                }
            };
            tokio::select! {
                () = self.app.clock().sleep_until(next.unwrap_or(Instant::MAX)) => {}
                () = self.app.clock().pause(SWEEP_MS) => {}
                () = replan(&mut listener) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// One pass over the schedules that need planning now, `PLAN_SCHEDULES_MAX` at most.
    ///
    /// # Errors
    /// The database's own.
    pub async fn run_once(&self) -> Result<Report> {
        let now = self.app.clock().now();
        let limit = PLAN_SCHEDULES_MAX as u64;
        let missed = plan::missed(self.app.store(), now, limit).await?;
        let is_idle = missed.is_empty()
            && plan::next_look(self.app.store()).await?.is_none_or(|next| now < next);
        if is_idle {
            return Ok(Report::default());
        }
        let ids = self.app.ids().clone();
        self.app
            .store()
            .change(Origin::Engine, move |change| {
                async move { plan::advance_due(change, &ids, now, &missed, limit).await }.boxed()
            })
            .await
    }
}

async fn replan(listener: &mut Listener) {
    while !matches!(listener.next().await, None | Some(Notice::Replan)) {}
}
