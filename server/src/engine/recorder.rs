//! The recorder: takes results of many firings and commits them in groups.
//!
//! A result waits only while the previous group commits, so that the groups grow with the load and
//! an idle server records at once. The channel has as much room as the executor has slots: when the
//! database is slow the results fill it, then the slots, and nothing more is claimed. While the database is away a group is tried until it is
//! back: what was sent is not sent again because its result found no place. The leases of its firings
//! go on being renewed meanwhile, as far as that is possible, and the epoch decides in the end.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tracing::{Instrument as _, field};

use super::slots::Slot;
use crate::app::App;
use crate::error::Code;
use crate::limits::{BATCH_ROWS_MAX, RECORD_GROUPS_MAX};
use crate::service::trigger;
use crate::store::Origin;
use crate::store::record::{self, Outcome, Recorded};
use crate::telemetry::SPANS;

/// Tries to commit a group that the database refuses before its results are given up to the lease.
const REFUSALS_MAX: u32 = 10;
/// The same while the database is away: an hour, after which somebody else has taken over.
const AWAY_TRIES_MAX: u32 = 7_200;
/// Pause between tries.
const TRY_MS: i64 = 500;

/// A result on its way, with the firing that stays this process's until it is durable.
pub(super) struct Finished {
    /// What is to be written.
    pub outcome: Outcome,
    /// The firing.
    pub slot: Slot,
}

/// Records until every sender is gone.
pub(super) async fn run(app: App, mut finished: mpsc::Receiver<Finished>) {
    // One at a time where one writes at a time: the next group grows meanwhile.
    let groups_max = if app.store().is_shared() { RECORD_GROUPS_MAX } else { 1 };
    let free = Arc::new(Semaphore::new(groups_max));
    // The semaphore is never closed.
    while let Ok(turn) = free.clone().acquire_owned().await {
        let mut group = Vec::with_capacity(BATCH_ROWS_MAX);
        if finished.recv_many(&mut group, BATCH_ROWS_MAX).await == 0 {
            return;
        }
        let app = app.clone();
        tokio::spawn(async move {
            record(&app, group).await;
            drop(turn);
        });
    }
}

async fn record(app: &App, group: Vec<Finished>) {
    let (outcomes, slots): (Vec<Outcome>, Vec<Slot>) =
        group.into_iter().map(|done| (done.outcome, done.slot)).unzip();
    let span = tracing::info_span!(
        target: SPANS, "record", firings = outcomes.len(), firing.ids = field::Empty,
    );
    if !span.is_disabled() {
        let ids: Vec<String> = outcomes.iter().map(|done| done.firing.to_string()).collect();
        span.record("firing.ids", ids.join(" "));
    }
    commit(app, outcomes.into()).instrument(span).await;
    drop(slots);
}

async fn commit(app: &App, outcomes: Arc<[Outcome]>) {
    let (mut refusals, mut tries) = (0, 0);
    while refusals < REFUSALS_MAX && tries < AWAY_TRIES_MAX {
        tries += 1;
        let now = app.clock().now();
        let outcomes = outcomes.clone();
        let done = app
            .store()
            .change(Origin::Engine, move |change| {
                async move { record::record(change, &outcomes, now).await }.boxed()
            })
            .await;
        match done {
            Ok(recorded) => return pause(app, recorded).await,
            Err(error) => {
                refusals += u32::from(error.code() != Code::Unavailable);
                tracing::error!(%error, tries, "results could not be recorded; once more");
            }
        }
        app.clock().pause(TRY_MS).await;
    }
}

/// What failed too often in a row does not go on by itself. In a change of its own, because edits
/// lock definitions first; should this process die before it, the next failure makes up for it.
async fn pause(app: &App, recorded: Recorded) {
    for (project, id) in recorded.failing {
        if let Err(error) = trigger::pause_failing(app, project, id).await {
            tracing::error!(%error, trigger = %id, "{id} was not paused after its failures");
        }
    }
}
