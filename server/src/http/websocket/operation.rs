//! One `subscribe` from its parameters to its last message, as a task of its own.
//!
//! The messages of an operation are `next*` and then one of `complete` and `error`, unless the
//! client completes it: then nothing. [`Operation::is_over`] is true before the last message is
//! queued, so that a client may use the id again as soon as it has read that.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Response, ServerError};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::outbox::{Gone, Outbox, Place};
use super::protocol::FromServer;
use crate::graphql::Schema;
use crate::http::execute::{self, Prepared};
use crate::http::params::Params;
use crate::http::status::{Outcome, Refusal};
use crate::limits::EXECUTION_SECS_MAX;
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
    pub async fn run(self, schema: Schema, params: Params, caller: Caller) {
        let stopped = self.outbox.live().clone();
        let all = AssertUnwindSafe(self.all(&schema, params, caller)).catch_unwind();
        // Boxed: the future holds the whole execution.
        let Some(ended) = stopped.run_until_cancelled(Box::pin(all)).await else { return };
        let Err(panic) = ended else { return };
        let error = execute::panicked(&*panic).to_server_error();
        if let Ok(place) = self.outbox.place().await {
            let _ = self.fail(place, &[error]);
        }
    }

    async fn all(&self, schema: &Schema, params: Params, caller: Caller) -> Result<(), Gone> {
        let mut place = self.outbox.place().await?;
        let Prepared { request, kind, order } = match execute::prepare(params, caller) {
            Ok(prepared) => prepared,
            Err(error) => return self.fail(place, &[error]),
        };
        let mut results = schema.execute_stream(request);
        let mut is_first = true;
        loop {
            let result = match next(&mut results, kind).await {
                Ok(Some(result)) => result,
                Ok(None) => return self.complete(place),
                Err(refusal) => return self.fail(place, &[refusal.to_server_error()]),
            };
            let did_not_begin =
                kind == OperationType::Subscription && is_first && has_no_source(&result);
            match execute::outcome(result, &order) {
                Outcome::RequestError(errors) => return self.fail(place, &errors),
                Outcome::Result(result) if did_not_begin => {
                    return self.fail(place, &result.errors);
                }
                Outcome::Result(result) => {
                    let payload = &result;
                    self.outbox.send(place, &FromServer::Next { id: &self.id, payload })?;
                }
            }
            is_first = false;
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

/// The next result; a query or a mutation has its time for it, a subscription has all the time.
async fn next(
    results: &mut BoxStream<'static, Response>,
    kind: OperationType,
) -> Result<Option<Response>, Refusal> {
    if kind == OperationType::Subscription {
        return Ok(results.next().await);
    }
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    timeout(limit, results.next()).await.map_err(|_| execute::out_of_time())
}

/// Whether the root field of a subscription failed rather than one of its events: the
/// specification (6.2.3.1) makes that a request error.
fn has_no_source(result: &Response) -> bool {
    result.data == async_graphql::Value::Null
        && !result.errors.is_empty()
        && result.errors.iter().all(|error| error.path.len() <= 1)
}
