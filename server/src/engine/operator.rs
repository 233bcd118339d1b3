//! The operator: takes the steps of operations, which are long and go on over restarts, and cancels
//! what waited for triggers that were deleted.
//!
//! Each step is one small change; whoever holds the operation's row takes it, so that any number
//! of processes may work at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use entity::{FiringId, TriggerId};

use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::error::Result;
use crate::limits::{OPERATION_MS, OPERATION_STEPS_MAX, SWEEP_MS};
use crate::service::operation::{self, Turn};
use crate::service::{backfill, trigger};

/// See the module.
pub struct Operator {
    app: App,
    /// Where the last pass ended.
    turn: Mutex<Turn>,
    /// Up to which firing each deleted trigger was looked through.
    marks: Mutex<HashMap<TriggerId, FiringId>>,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Operations that go on.
    pub operations: usize,
    /// Instants that were worked off, and firings of deleted triggers that were cancelled.
    pub worked_off: usize,
}

impl Operator {
    /// An operator over `app`.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), turn: Mutex::default(), marks: Mutex::default() }
    }

    /// Takes steps until shutdown begins.
    pub async fn run(&self) {
        let mut listener = self.app.bus().listen();
        let shutdown = self.app.shutdown().clone();
        while !shutdown.is_begun() {
            let done = self.run_once().await;
            if let Err(error) = &done {
                tracing::error!(%error, "an operation failed to go on; it will be tried again");
            }
            let report = done.unwrap_or_default();
            if 0 < report.worked_off {
                continue;
            }
            let pause_ms = if report.operations == 0 { SWEEP_MS } else { OPERATION_MS };
            tokio::select! {
                () = self.app.clock().pause(pause_ms) => {}
                () = begun(&mut listener) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// One step of each operation that goes on, `OPERATION_STEPS_MAX` at most; the next pass begins
    /// with the projects whose turn it is then.
    ///
    /// # Errors
    /// The database's own; the next pass goes on where this one stopped.
    pub async fn run_once(&self) -> Result<Report> {
        let turn = *self.turn();
        let (running, next) = operation::running(&self.app, turn, OPERATION_STEPS_MAX).await?;
        *self.turn() = next;
        let mut report = Report { operations: running.len(), worked_off: 0 };
        for (project, id) in running {
            match backfill::step(&self.app, project, id).await {
                Ok(worked_off) => report.worked_off += worked_off,
                // The others go on.
                Err(error) => {
                    tracing::error!(%error, operation = %id, "a step failed; it will be tried again");
                }
            }
        }
        report.worked_off += self.end_triggers().await?;
        Ok(report)
    }

    /// Cancels a batch of what waits for each trigger that was deleted, `OPERATION_STEPS_MAX` at most.
    async fn end_triggers(&self) -> Result<usize> {
        let ending = trigger::ending(&self.app, OPERATION_STEPS_MAX).await?;
        let mut cancelled = 0;
        for (project, id) in &ending {
            let after = self.marks().remove(id);
            let (count, last) = trigger::end_some(&self.app, *project, *id, after).await?;
            cancelled += count;
            if let Some(last) = last {
                self.marks().insert(*id, last);
            }
        }
        self.marks().retain(|id, _| ending.iter().any(|(_, ending)| ending == id));
        Ok(cancelled)
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<TriggerId, FiringId>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn begun(listener: &mut Listener) {
    while !matches!(listener.next().await, None | Some(Notice::Replan)) {}
}
