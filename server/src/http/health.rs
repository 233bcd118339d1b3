//! `/livez`, `/readyz` and `/health`: whether the process runs, and whether it can work. The only
//! routes besides the playground's files that need no key.

use axum::extract::State as FromState;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::http::State;

/// The three routes.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/livez", get(|| async { ok() }))
        .route("/readyz", get(ready))
        .route("/health", get(ready))
}

async fn ready(FromState(state): FromState<State>) -> (StatusCode, Json<Value>) {
    if state.app.shutdown().is_begun() {
        return unavailable("the server is stopping");
    }
    match state.app.store().ping().await {
        Ok(()) => (StatusCode::OK, ok()),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            unavailable("the database does not answer")
        }
    }
}

fn ok() -> Json<Value> {
    Json(json!({ "status": "OK" }))
}

fn unavailable(why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "UNAVAILABLE", "reason": why })))
}
