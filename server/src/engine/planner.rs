//! The planner: expands schedules into firings up to the horizon, and folds what was missed.
//!
//! The next firing never depends on the previous one having run: the planner reads the schedule's
//! own cursor. It sleeps until the first schedule needs it, and is woken when one is made or
//! changed.

use std::sync::{Mutex, PoisonError};

use entity::Instant;

use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::domain::zone::tzdata_version;
use crate::error::Result;
use crate::limits::{PLAN_IDLE_MS, PLAN_SCHEDULES_MAX, SWEEP_MS, ZONES_SEEN_MS};
use crate::store::Origin;
use crate::store::plan::{self, Report};
use crate::store::zone::{self, Turn};
use futures_util::FutureExt as _;

/// See the module.
pub struct Planner {
    app: App,
    /// Whether what is planned is planned with this binary's time zones, and when to ask again, in
    /// milliseconds of the clock's `mono`.
    zones: Mutex<(Turn, u128)>,
}

impl Planner {
    /// A planner over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), zones: Mutex::new((Turn::Newer, 0)) }
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
            // What is due and did not move is in somebody else's hands.
            let soon = self.app.clock().now().plus_ms(PLAN_IDLE_MS);
            tokio::select! {
                () = self.app.clock().sleep_until(next.unwrap_or(Instant::MAX).max(soon)) => {}
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
        if self.turn(now).await? == Turn::Newer {
            return Ok(Report::default());
        }
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

    /// Whether processes with newer zones plan; asked now and then, which also tells the others
    /// that this one is there.
    async fn turn(&self, now: Instant) -> Result<Turn> {
        let mono_ms = self.app.clock().mono().as_millis();
        let (turn, ask_ms) = *self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if mono_ms < ask_ms {
            return Ok(turn);
        }
        let version = tzdata_version();
        let store = self.app.store();
        let taken = store.change(Origin::Engine, move |change| {
            async move { zone::take_turn(change, version, now).await }.boxed()
        });
        let turn = taken.await?;
        match turn {
            Turn::Ours(0) => {}
            Turn::Ours(schedules) => {
                tracing::info!(version, schedules, "other time zones: schedules are planned anew");
            }
            Turn::Newer => {
                tracing::info!(version, "processes with newer time zones plan; this one does not");
            }
        }
        let ask_ms = mono_ms + u128::from(ZONES_SEEN_MS.unsigned_abs());
        *self.zones.lock().unwrap_or_else(PoisonError::into_inner) = (turn, ask_ms);
        Ok(turn)
    }
}

async fn replan(listener: &mut Listener) {
    while !matches!(listener.next().await, None | Some(Notice::Replan)) {}
}
