//! Floor 7: the wire. Routes, and how the server begins and ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::graphql::{self as schema, Schema};
use crate::limits::DRAIN_SECS_MAX;

pub mod credential;
pub mod execute;
pub mod graphql;
pub mod health;
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

/// Every route over `app`. `sockets` counts the WebSockets of this process.
pub fn router(app: &App, sockets: websocket::Sockets) -> Router {
    let state = State {
        app: app.clone(),
        schema: schema::schema(app),
        allowed_origins: Arc::default(),
    };
    Router::new()
        .route("/", get(|| async { Redirect::to("/playground") }))
        .merge(graphql::routes(sockets))
        .merge(health::routes())
        .merge(rest::routes())
        .merge(playground::routes())
        .layer(CatchPanicLayer::new())
        .with_state(state)
}

/// Serves until shutdown begins and what was begun is answered.
///
/// # Errors
/// The listener's own.
pub async fn serve(app: &App, listener: TcpListener) -> std::io::Result<()> {
    let sockets = websocket::Sockets::default();
    let router = router(app, sockets.clone());
    let begun = app.shutdown().token().cancelled_owned();
    let serving = axum::serve(listener, router).with_graceful_shutdown(begun);
    let limit = Duration::from_secs(DRAIN_SECS_MAX);
    let shutdown = app.shutdown().clone();
    let late = async {
        shutdown.begun().await;
        tokio::select! {
            _ = tokio::time::timeout(limit, std::future::pending::<()>()) => {}
            () = shutdown.urged() => {}
        }
    };
    tokio::select! {
        served = async {
            serving.await?;
            // The server does not wait for upgraded connections by itself.
            sockets.all_closed().await;
            Ok(())
        } => served,
        () = late => Ok(()),
    }
}
