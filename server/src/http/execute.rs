//! From parameters to an outcome, the same on every transport: guard, request, execution, and the
//! codes of errors that async-graphql leaves without one.
//!
//! Called by `graphql.rs` and `websocket/operation.rs` once the caller is authenticated. Promises
//! that nothing executes unguarded, that an execution ends in [`EXECUTION_SECS_MAX`], and that a
//! panic in a resolver becomes an error of its operation.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError, Variables};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::graphql::order::Order;
use crate::graphql::{Schema, guard};
use crate::http::params::Params;
use crate::http::status::{Outcome, Refusal};
use crate::limits::EXECUTION_SECS_MAX;
use crate::service::Caller;

/// Errors of one refused request; a query of 2,000 tokens can break one rule 2,000 times.
const REQUEST_ERRORS_MAX: usize = 100;

/// Messages of async-graphql's own limits; it gives them no code.
const TOO_COMPLEX: [&str; 2] = ["Query is too complex.", "Query is nested too deep."];

/// A request that passed the guard.
pub struct Prepared {
    /// What async-graphql executes.
    pub request: Request,
    /// What the chosen operation is.
    pub kind: OperationType,
    /// The order of its responses.
    pub order: Order,
}

/// Guards the query and makes the request that async-graphql executes for `caller`.
///
/// # Errors
/// The one error of a query that is not executed, with its code.
pub fn prepare(params: Params, caller: Caller) -> Result<Prepared, ServerError> {
    let admitted = guard::check(&params.query, params.operation_name.as_deref())?;
    let variables = Variables::from_json(Value::Object(params.variables));
    admitted.check_variables(&variables)?;
    let (kind, order) = (admitted.kind(), admitted.order());
    let mut request = Request::new(params.query).variables(variables).data(caller);
    request.operation_name = params.operation_name;
    admitted.hand_to(&mut request);
    Ok(Prepared { request, kind, order })
}

/// Executes a query or a mutation.
///
/// # Errors
/// [`Refusal::Unavailable`] when the time is up, [`Refusal::Internal`] when a resolver panicked.
pub async fn once(schema: &Schema, prepared: Prepared) -> Result<Outcome, Refusal> {
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    let execution = AssertUnwindSafe(Box::pin(schema.execute(prepared.request))).catch_unwind();
    match timeout(limit, execution).await {
        Ok(Ok(response)) => Ok(outcome(response, &prepared.order)),
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(out_of_time()),
    }
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
