//! The planner: expands schedules into firings up to the horizon, and folds what was missed.
//!
//! The next firing never depends on the previous one having run: the planner reads the schedule's
//! own cursor. It sleeps until the first schedule needs it, and is woken when one is made or
//! changed.

use std::sync::atomic::{AtomicBool, Ordering};

use entity::Instant;

use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::domain::zone::tzdata_version;
use crate::error::Result;
use crate::limits::{PLAN_SCHEDULES_MAX, SWEEP_MS};
use crate::store::plan::{self, Report};
use crate::store::{Origin, installation, zone};
use futures_util::FutureExt as _;

/// See the module.
pub struct Planner {
    app: App,
    /// Whether what is planned was planned with this binary's time zones.
    has_zones: AtomicBool,
}

impl Planner {
    /// A planner over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), has_zones: AtomicBool::new(false) }
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
        self.check_zones().await?;
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

    /// Plans anew, once, what was planned with other time zones than this binary's.
    async fn check_zones(&self) -> Result<()> {
        if self.has_zones.load(Ordering::Relaxed) {
            return Ok(());
        }
        let version = tzdata_version();
        let planned_with = installation::tzdata(self.app.store()).await?;
        if planned_with.as_deref().is_some_and(|other| other != version) {
            let now = self.app.clock().now();
            let store = self.app.store();
            let replan = store.change(Origin::Engine, move |change| {
                async move { zone::replan(change, version, now).await }.boxed()
            });
            let schedules = replan.await?;
            tracing::info!(version, schedules, "new time zones: cron schedules are planned anew");
        }
        self.has_zones.store(true, Ordering::Relaxed);
        Ok(())
    }
}

async fn replan(listener: &mut Listener) {
    while !matches!(listener.next().await, None | Some(Notice::Replan)) {}
}
