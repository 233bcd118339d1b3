//! `/metrics`, for Prometheus, and the layer that counts requests. It needs no key: it says how
//! much, never whose. What has to be looked up is looked up once in a few seconds for everybody.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State as FromState};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tracing::{Instrument as _, field};

use crate::app::App;
use crate::http::State;
use crate::limits::{SAMPLE_FORECAST_MS, SAMPLE_MS};
use crate::service::sample;
use crate::telemetry::SPANS;

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The route of what has none.
const NO_ROUTE: &str = "none";

/// When the gauges were last looked up.
#[derive(Default)]
struct Looked {
    gauges: Option<Duration>,
    forecast: Option<Duration>,
}

/// The route.
pub fn routes() -> Router<State> {
    let looked = Arc::new(Mutex::new(Looked::default()));
    Router::new().route("/metrics", get(move |state| metrics(looked.clone(), state)))
}

async fn metrics(looked: Arc<Mutex<Looked>>, FromState(state): FromState<State>) -> Response {
    let app = &state.app;
    {
        let mut looked = looked.lock().await;
        let now = app.clock().mono();
        let is_old = |at: Option<Duration>, max_ms| {
            at.is_none_or(|at| Duration::from_millis(max_ms) <= now.saturating_sub(at))
        };
        if is_old(looked.gauges, SAMPLE_MS) {
            sample::sample(app).await;
            looked.gauges = Some(now);
        }
        if is_old(looked.forecast, SAMPLE_FORECAST_MS) {
            sample::sample_forecast(app).await;
            looked.forecast = Some(now);
        }
    }
    match app.metrics().text() {
        Ok(text) => {
            let mut response = text.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
            response
        }
        Err(why) => {
            tracing::error!(why, "the metrics could not be written: {why}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Counts a request and measures it, under the route's pattern and never under its path.
pub async fn count(FromState(app): FromState<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| NO_ROUTE.to_owned());
    let method = known(request.method());
    let metrics = &app.metrics().wire;
    let timer = metrics.http_request_duration.with_label_values(&[&*route]).start_timer();
    let span = tracing::info_span!(
        target: SPANS, "request", otel.kind = "server", http.route = %route,
        http.request.method = method, http.response.status_code = field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    timer.observe_duration();
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    metrics.http_requests.with_label_values(&[&*route, method, status.as_str()]).inc();
    response
}

/// The word of a method that Belfry knows: clients may make up others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
