//! From parameters to an outcome, the same on every transport: guard, request, execution, and the
//! codes of errors that async-graphql leaves without one.
//!
//! Called by `graphql.rs`, `stream/` and `websocket/operation.rs` once the caller is authenticated.
//! Promises that nothing executes unguarded or uncounted, that an execution ends in
//! [`EXECUTION_SECS_MAX`] and leaves no statement behind, and that a panic in a resolver becomes an
//! error of its operation.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError, Variables};
use entity::{KeyId, ProjectId};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::time::timeout;

use crate::app::App;
use crate::graphql::guard::{Admitted, GuardError};
use crate::graphql::order::{Order, fill};
use crate::graphql::{Schema, guard};
use crate::http::State;
use crate::http::params::Params;
use crate::http::persisted::{self, Persisted};
use crate::http::rate::REQUEST;
use crate::http::status::{Outcome, Refusal};
use crate::limits::EXECUTION_SECS_MAX;
use crate::service::Caller;
use crate::store::Reading;

/// Errors of one refused request; a query of 2,000 tokens can break one rule 2,000 times.
const REQUEST_ERRORS_MAX: usize = 100;

/// Messages of async-graphql's own limits; it gives them no code.
const TOO_COMPLEX: [&str; 2] = ["Query is too complex.", "Query is nested too deep."];

/// What clients of persisted queries look for, in message and code, before they send the text.
const PERSISTED_NOT_FOUND: (&str, &str) = ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND");

/// Why an operation is not executed.
#[derive(Debug)]
pub enum NotBegun {
    /// The fault is in the request, as GraphQL sees it.
    Request(ServerError),
    /// It may not run, or not now.
    Refused(Refusal),
}

impl NotBegun {
    /// The error as it stands in a message.
    #[must_use]
    pub fn into_error(self) -> ServerError {
        match self {
            Self::Request(error) => error,
            Self::Refused(refusal) => refusal.to_server_error(),
        }
    }
}

impl From<GuardError> for NotBegun {
    fn from(error: GuardError) -> Self {
        Self::Request(error.into())
    }
}

impl From<crate::error::Error> for NotBegun {
    fn from(error: crate::error::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// A request that passed the guard.
pub struct Prepared {
    /// What async-graphql executes.
    pub request: Request,
    /// What the chosen operation is.
    pub kind: OperationType,
    /// The order of its responses.
    pub order: Order,
    /// The key of its caller.
    pub key: Option<KeyId>,
}

/// Guards the query, charges the key for it, and makes the request that async-graphql executes for
/// `caller`. A query that passes is kept when it came with its hash.
///
/// # Errors
/// The one error of a query that is not executed, with its code.
pub fn prepare(state: &State, params: Params, caller: Caller) -> Result<Prepared, NotBegun> {
    // Before anything is parsed: a key that is out of units costs nothing more.
    state.rates.look(&caller)?;
    let operation_name = params.operation_name.clone();
    let checked = check(state, params, caller.project).inspect_err(|_| {
        // What is refused was read, too. That it could not be paid is no other answer.
        let _ = state.rates.take(&caller, REQUEST);
    });
    let (query, admitted, variables) = checked?;
    let complexity = || admitted.complexity(operation_name.as_deref(), &variables);
    state.rates.take_for(&caller, complexity)?;
    let (kind, order, key) = (admitted.kind(), admitted.order(), caller.key());
    let mut request = Request::new(query).variables(variables).data(caller);
    request.operation_name = operation_name;
    admitted.hand_to(&mut request);
    Ok(Prepared { request, kind, order, key })
}

/// What may be executed: the text of the query, what the guard found in it, and its variables.
fn check(
    state: &State,
    params: Params,
    project: ProjectId,
) -> Result<(String, Admitted, Variables), NotBegun> {
    let Params { query, persisted, operation_name, variables } = params;
    let (query, stores) = text(&state.persisted, project, query, persisted)?;
    let admitted = guard::check(&query, operation_name.as_deref())?;
    if let Some(hash) = stores {
        state.persisted.insert(project, hash, &query);
    }
    let variables = Variables::from_json(Value::Object(variables));
    admitted.check_variables(&variables)?;
    Ok((query, admitted, variables))
}

/// The text of the query, and the hash under which it is to be kept if it came with one.
fn text(
    kept: &Persisted,
    project: ProjectId,
    query: Option<String>,
    hash: Option<persisted::Hash>,
) -> Result<(String, Option<persisted::Hash>), NotBegun> {
    let refused = |message: &str| NotBegun::Refused(Refusal::BadRequest(message.to_owned()));
    match (query, hash) {
        (Some(query), None) => Ok((query, None)),
        (Some(query), Some(hash)) if persisted::hash(&query) == hash => Ok((query, Some(hash))),
        (Some(_), Some(_)) => Err(refused("The hash is not that of the query.")),
        (None, Some(hash)) => match kept.find(project, &hash) {
            Some(query) => Ok((query.to_string(), None)),
            None => {
                let (message, code) = PERSISTED_NOT_FOUND;
                let mut error = ServerError::new(message, None);
                error.extensions.get_or_insert_with(Default::default).set("code", code);
                Err(NotBegun::Request(error))
            }
        },
        (None, None) => Err(refused("The parameter query is missing.")),
    }
}

/// Executes a query or a mutation.
///
/// # Errors
/// [`Refusal::Unavailable`] when the time is up, [`Refusal::Internal`] when a resolver panicked.
pub async fn once(state: &State, prepared: Prepared) -> Result<Outcome, Refusal> {
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    let reading = state.app.store().reading();
    let execution = state.schema.execute(prepared.request);
    let execution = AssertUnwindSafe(Box::pin(execution)).catch_unwind();
    match timeout(limit, execution).await {
        Ok(Ok(response)) => {
            reading.done();
            Ok(outcome(response, &prepared.order))
        }
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(out_of_time()),
    }
}

/// The results of an operation of any kind, one after the other.
pub struct Results {
    stream: BoxStream<'static, Response>,
    kind: OperationType,
    order: Order,
    is_first: bool,
    /// Dropped with the stream, perhaps in the middle of a statement; `None` once that has ended.
    reading: Option<Reading>,
}

/// What comes next of an operation.
pub enum Step {
    /// A result; more may follow.
    Next(Box<Response>),
    /// It did not begin, or cannot go on; nothing follows.
    Failed(Vec<ServerError>),
    /// It has ended; nothing follows.
    Ended,
}

impl Results {
    /// Begins to execute.
    #[must_use]
    pub fn begin(app: &App, schema: &Schema, prepared: Prepared) -> Self {
        let Prepared { request, kind, order, .. } = prepared;
        let stream = schema.execute_stream(request);
        Self { stream, kind, order, is_first: true, reading: Some(app.store().reading()) }
    }

    /// The next result; a query or a mutation has its time for it, a subscription has all the time.
    /// A caller may leave and call again.
    pub async fn next(&mut self) -> Step {
        let is_subscription = self.kind == OperationType::Subscription;
        let result = if is_subscription {
            self.stream.next().await
        } else {
            let limit = Duration::from_secs(EXECUTION_SECS_MAX);
            match timeout(limit, self.stream.next()).await {
                Ok(result) => result,
                Err(_) => return Step::Failed(vec![out_of_time().to_server_error()]),
            }
        };
        let Some(result) = result else {
            if let Some(reading) = self.reading.take() {
                reading.done();
            }
            return Step::Ended;
        };
        let is_first = std::mem::replace(&mut self.is_first, false);
        let did_not_begin = is_subscription && is_first && has_no_source(&result);
        match outcome(result, &self.order) {
            Outcome::RequestError(errors) => Step::Failed(errors),
            Outcome::Result(result) if did_not_begin => Step::Failed(result.errors),
            Outcome::Result(result) => Step::Next(Box::new(result)),
        }
    }
}

/// Whether the root field of a subscription failed rather than one of its events: the
/// specification (6.2.3.1) makes that a request error.
fn has_no_source(result: &Response) -> bool {
    result.data == async_graphql::Value::Null
        && !result.errors.is_empty()
        && result.errors.iter().all(|error| error.path.len() <= 1)
}

/// The refusal of an execution that did not end in time.
#[must_use]
pub fn out_of_time() -> Refusal {
    Refusal::Unavailable(format!(
        "The operation was stopped after {EXECUTION_SECS_MAX} s; it may or may not have had its \
         effect. Repeat it with the same idempotency key."
    ))
}

/// Logs a panic and masks it.
pub fn panicked(panic: &(dyn Any + Send)) -> Refusal {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("no message");
    tracing::error!(message, "an operation panicked: {message}");
    Refusal::Internal
}

/// Tells results from request errors: the latter have no data and point at no field. Results are
/// put into `order`.
#[must_use]
pub fn outcome(mut response: Response, order: &Order) -> Outcome {
    let is_result = response.data != async_graphql::Value::Null
        || response.errors.is_empty()
        || response.errors.iter().any(|error| !error.path.is_empty());
    response.errors.iter_mut().for_each(give_code);
    if is_result {
        fill(&mut response.data, &response.errors);
        order.apply(&mut response.data);
        return Outcome::Result(response);
    }
    response.errors.truncate(REQUEST_ERRORS_MAX);
    Outcome::RequestError(response.errors)
}

/// Resolvers give every error its code; what has none was found by async-graphql itself: in the
/// document when it has no path, in an argument when it has one.
fn give_code(error: &mut ServerError) {
    let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    if extensions.get("code").is_some() {
        return;
    }
    let code = if TOO_COMPLEX.contains(&error.message.as_str()) {
        "QUERY_TOO_COMPLEX"
    } else if error.path.is_empty() {
        "GRAPHQL_VALIDATION_FAILED"
    } else {
        "BAD_USER_INPUT"
    };
    extensions.set("code", code);
}
