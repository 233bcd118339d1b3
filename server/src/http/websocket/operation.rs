//! One `subscribe` from its parameters to its last message, as a task of its own.
//!
//! The messages of an operation are `next*` and then one of `complete` and `error`, unless the
//! client completes it: then nothing. [`Operation::is_over`] is true before the last message is
//! queued, so that a client may use the id again as soon as it has read that.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::ServerError;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::outbox::{Gone, Outbox, Place};
use super::protocol::FromServer;
use crate::http::State;
use crate::http::execute::{self, Results, Step};
use crate::http::params::Params;
use crate::service::Caller;

/// The session's handle on a running operation.
#[derive(Debug)]
pub struct Operation {
    live: CancellationToken,
    over: Arc<AtomicBool>,
}

impl Operation {
    /// Prepares the operation `id`; the returned task is to be driven.
    #[must_use]
    pub fn new(id: String, outbox: &Outbox) -> (Self, Task) {
        let (live, over) = (CancellationToken::new(), Arc::default());
        let task = Task { id, outbox: outbox.for_operation(live.clone()), over: Arc::clone(&over) };
        (Self { live, over }, task)
    }

    /// Stops it: nothing more is sent.
    pub fn stop(&self) {
        self.live.cancel();
    }

    /// Whether its last message is queued or sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// The running side.
#[derive(Debug)]
pub struct Task {
    id: String,
    outbox: Outbox,
    over: Arc<AtomicBool>,
}

impl Task {
    /// Executes `params` for `caller` and sends what comes, until it ends or `live` is cancelled.
    pub async fn run(self, state: State, params: Params, caller: Caller) {
        let stopped = self.outbox.live().clone();
        let all = AssertUnwindSafe(self.all(&state, params, caller)).catch_unwind();
        // Boxed: the future holds the whole execution.
        let Some(ended) = stopped.run_until_cancelled(Box::pin(all)).await else { return };
        let Err(panic) = ended else { return };
        let error = execute::panicked(&*panic).to_server_error();
        if let Ok(place) = self.outbox.place().await {
            let _ = self.fail(place, &[error]);
        }
    }

    async fn all(&self, state: &State, params: Params, caller: Caller) -> Result<(), Gone> {
        let mut place = self.outbox.place().await?;
        let prepared = match execute::prepare(state, params, caller) {
            Ok(prepared) => prepared,
            Err(refused) => return self.fail(place, &[refused.into_error()]),
        };
        let mut results = Results::begin(&state.app, &state.schema, prepared);
        loop {
            match results.next().await {
                Step::Ended => return self.complete(place),
                Step::Failed(errors) => return self.fail(place, &errors),
                Step::Next(result) => {
                    self.outbox
                        .send(place, &FromServer::Next { id: &self.id, payload: &result })?;
                }
            }
            place = self.outbox.place().await?;
        }
    }

    fn fail(&self, place: Place, payload: &[ServerError]) -> Result<(), Gone> {
        self.over.store(true, Ordering::Release);
        self.outbox.send(place, &FromServer::Error { id: &self.id, payload })
    }

    fn complete(&self, place: Place) -> Result<(), Gone> {
        self.over.store(true, Ordering::Release);
        self.outbox.send(place, &FromServer::Complete { id: &self.id })
    }
}
