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
use crate::http::live::{Keys, Places};
use crate::http::persisted::Persisted;
use crate::http::rate::Rates;
use crate::limits::DRAIN_SECS_MAX;

pub mod credential;
pub mod execute;
pub mod graphql;
pub mod health;
pub mod live;
pub mod metrics;
pub mod negotiate;
pub mod origin;
pub mod params;
pub mod persisted;
pub mod playground;
pub mod rate;
pub mod rest;
pub mod status;
pub mod stream;
pub mod websocket;

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The running Belfry.
    pub app: App,
    /// The executable schema.
    pub schema: Schema,
    /// Origins besides the server's own whose pages may speak to it.
    pub allowed_origins: Arc<[String]>,
    /// Room for sockets and streams.
    pub places: Places,
    /// The keys of sockets and streams, which are looked at again and again.
    pub keys: Keys,
    /// Queries that clients send by their hash.
    pub persisted: Persisted,
    /// How much each key may use.
    pub rates: Rates,
}

impl State {
    /// What the handlers of `app` share; `places` is the room for what lives long.
    #[must_use]
    pub fn new(app: &App, places: Places) -> Self {
        let settings = app.settings();
        Self {
            schema: schema::schema(app),
            allowed_origins: settings.allowed_origins.as_slice().into(),
            places,
            keys: Keys::default(),
            persisted: Persisted::default(),
            rates: Rates::new(settings.rate_limit, settings.rate_burst, app.clock().clone()),
            app: app.clone(),
        }
    }
}

/// Every route over `app` that its roles call for; `places` is the room for what lives long.
pub fn router(app: &App, places: Places) -> Router {
    let state = State::new(app, places);
    let routes = if app.settings().roles.has(Role::Api) {
        let in_time = axum::middleware::from_fn_with_state(app.clone(), rest::in_time);
        let routes = Router::new()
            .route("/", get(|| async { Redirect::to("/playground") }))
            .merge(graphql::routes())
            .merge(rest::routes().layer(in_time))
            .merge(playground::routes());
        match origin::layer(&state.allowed_origins) {
            Some(layer) => routes.layer(layer),
            None => routes,
        }
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
    let places = Places::default();
    let router = router(&app, places.clone());
    let serving = async {
        axum::serve(listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .await?;
        // The server does not wait for upgraded connections by itself.
        places.all_left().await;
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
