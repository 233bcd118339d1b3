//! `/livez`, `/readyz` and `/health`: whether the process runs, and whether it can work. They need
//! no key, so what they ask of the database is asked at most once a second for everybody.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as FromState;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::http::State;
use crate::limits::READINESS_MS;
use crate::service::health::{self, Check, Status};

/// The last answer, and when it was found.
type Kept = Arc<Mutex<Option<(Duration, Vec<Check>)>>>;

/// The three routes.
pub fn routes() -> Router<State> {
    let kept = Kept::default();
    let ready = move |state| ready(kept.clone(), state);
    Router::new()
        .route("/livez", get(|| async { Json(json!({ "status": "OK" })) }))
        .route("/readyz", get(ready.clone()))
        .route("/health", get(ready))
}

async fn ready(kept: Kept, FromState(state): FromState<State>) -> (StatusCode, Json<Value>) {
    let app = &state.app;
    // Before anything that takes time: a balancer should look elsewhere at once.
    if app.shutdown().is_begun() {
        return answer(&[health::STOPPING]);
    }
    let mut kept = kept.lock().await;
    let asked_at = app.clock().mono();
    let max_age = Duration::from_millis(READINESS_MS);
    let fresh = kept.as_ref().filter(|(at, _)| asked_at.saturating_sub(*at) < max_age);
    if let Some((_, checks)) = fresh {
        return answer(checks);
    }
    let checks = health::check(app).await;
    let answer = answer(&checks);
    *kept = Some((asked_at, checks));
    answer
}

/// DEGRADED is 200: the process works, and taking it away would make things worse.
fn answer(checks: &[Check]) -> (StatusCode, Json<Value>) {
    let worst = health::worst(checks);
    let code = match worst {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut parts = Map::new();
    for check in checks {
        let mut part = json!({ "status": check.status.as_str() });
        if let Some(reason) = check.reason {
            part["reason"] = reason.into();
        }
        parts.insert(check.part.to_owned(), part);
    }
    (code, Json(json!({ "status": worst.as_str(), "checks": parts })))
}
