//! Floor 7: the wire. Routes, and how the server begins and ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as FromState;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::config::Role;
use crate::graphql::{self as schema, Schema};
use crate::limits::DRAIN_SECS_MAX;

pub mod credential;
pub mod execute;
pub mod graphql;
pub mod health;
pub mod metrics;
pub mod negotiate;
pub mod params;
pub mod playground;
pub mod rest;
pub mod status;
pub mod websocket;

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The running Belfry.
    pub app: App,
    /// The executable schema.
    pub schema: Schema,
    /// Origins besides the server's own from which browsers may open a WebSocket.
    pub allowed_origins: Arc<[String]>,
}

/// Every route over `app` that its roles call for. `sockets` counts the WebSockets of this process.
pub fn router(app: &App, sockets: websocket::Sockets) -> Router {
    let state =
        State { app: app.clone(), schema: schema::schema(app), allowed_origins: Arc::default() };
    let routes = if app.settings().roles.has(Role::Api) {
        Router::new()
            .route("/", get(|| async { Redirect::to("/playground") }))
            .merge(graphql::routes(sockets))
            .merge(rest::routes())
            .merge(playground::routes())
    } else {
        Router::new().fallback(no_api)
    };
    routes
        .merge(health::routes())
        .merge(metrics::routes())
        .layer(axum::middleware::from_fn_with_state(app.clone(), metrics::count))
        .layer(CatchPanicLayer::new())
        .with_state(state)
}

/// What a process without the role `api` answers to everything but questions for its health: as if
/// there were nothing, so that a balancer that asks the wrong process is noticed at once.
async fn no_api(FromState(state): FromState<State>) -> (StatusCode, Json<Value>) {
    let roles = &state.app.settings().roles;
    let message = format!("this process does not serve the API; its roles are {roles}");
    (StatusCode::NOT_FOUND, Json(json!({ "errors": [{ "field": null, "message": message }] })))
}

/// Serves until `stop`, then until what was begun is answered. Between the beginning of shutdown
/// and `stop` new operations are answered 503, so that clients learn of it.
///
/// # Errors
/// The listener's own.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let sockets = websocket::Sockets::default();
    let router = router(&app, sockets.clone());
    let serving = async {
        axum::serve(listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .await?;
        // The server does not wait for upgraded connections by itself.
        sockets.all_closed().await;
        Ok(())
    };
    tokio::select! {
        served = serving => served,
        () = out_of_patience(&app, &stop) => Ok(()),
    }
}

/// Returns when nothing is waited for any longer.
async fn out_of_patience(app: &App, stop: &CancellationToken) {
    let limit = Duration::from_secs(DRAIN_SECS_MAX);
    let late = async {
        stop.cancelled().await;
        let _ = tokio::time::timeout(limit, std::future::pending::<()>()).await;
    };
    tokio::select! {
        () = late => {}
        () = app.shutdown().urged() => {}
    }
}
