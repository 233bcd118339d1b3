//! REST ingress for senders that speak no GraphQL: timers and application events, in the shapes
//! that their clients know.
//!
//! | request | answer |
//! |---|---|
//! | `POST /timer {hours, minutes, seconds, url}` | 201 `{"id"}` |
//! | `GET /timer/{id}` | `{"id", "time_left"}`, whole seconds |
//! | `POST /event {email, environment, component, message, data}` | 201, the event |
//! | `GET /event?q=&limit=&after=` | an array, newest first; `Link: <…>; rel="next"` |
//!
//! Errors are 4xx with `{"errors": [{"field", "message"}]}`, every problem listed. `Idempotency-Key`
//! makes a repeated POST harmless for 24 h.

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use entity::TimerId;
use entity::event::Model;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::filter::{Field, Filter, Op};
use crate::domain::object::Object;
use crate::domain::page::PageArgs;
use crate::error::{Code, Error, Problem, Result, refuse_if_any};
use crate::http::{State, credential};
use crate::limits::BODY_BYTES_MAX;
use crate::service::event::{APP_EVENT, Defaults, Draft, Selection};
use crate::service::timer::{Length, Start, Target};
use crate::service::{Caller, Scope, api_key, event, timer};
use crate::store::event::LOG_ORDER;

const MALFORMED: &str = "expected a JSON object as the body";

/// The routes of timers and events.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/timer", post(post_timer))
        .route("/timer/", post(post_timer))
        .route("/timer/{id}", get(get_timer))
        .route("/event", post(post_event).get(get_events))
}

async fn post_timer(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    body: Body,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    let value = read(&headers, body).await?;
    let start = timer_of(&value)?;
    let key = idempotency_key(&headers)?;
    let rows = timer::start(&state.app, &caller, "", vec![start], key).await?;
    let id = rows.first().map(|row| TimerId::from(row.id).to_string());
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn get_timer(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    caller.require(Scope::Read)?;
    let id: TimerId =
        id.parse().map_err(|error: entity::IdError| Error::invalid("id", error.to_string()))?;
    let row = timer::find(&state.app, &caller, id).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "timer", id))?;
    let time_left = timer::seconds_left(&row, state.app.clock().now());
    Ok(Json(json!({ "id": id.to_string(), "time_left": time_left })).into_response())
}

async fn post_event(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    body: Body,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    let value = read(&headers, body).await?;
    let draft = event_of(&value)?;
    let key = idempotency_key(&headers)?;
    let rows = event::log(&state.app, &caller, "", vec![draft], key).await?;
    let shown = rows.first().map(event_json);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

#[derive(Deserialize)]
struct EventQuery {
    q: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

async fn get_events(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    caller.require(Scope::Read)?;
    let selection = selection_of(query.q.as_deref())?;
    let first = match query.limit.as_deref().map(str::parse::<i32>) {
        None => None,
        Some(Ok(limit)) if 0 < limit => Some(limit),
        Some(_) => return Err(Error::invalid("limit", "expected a number from 1 to 100").into()),
    };
    let args = PageArgs { first, after: query.after.clone(), ..PageArgs::default() };
    let page = args.check(LOG_ORDER).map_err(|problems| {
        let rename = |mut problem: Problem| {
            if problem.field == "first" {
                problem = Problem::new("limit", "expected a number from 1 to 100");
            }
            problem
        };
        Error::Refused(problems.into_iter().map(rename).collect())
    })?;
    let slice = event::list(&state.app, &caller, &selection, true, &page).await?;
    let shown: Vec<Value> = slice.rows.iter().map(|(_, row)| event_json(row)).collect();
    let mut response = Json(shown).into_response();
    if let Some((cursor, _)) = slice.rows.last().filter(|_| slice.has_next) {
        let link = next_link(&query, &cursor.to_string());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// Application events only, unless the filter speaks of types.
fn selection_of(q: Option<&str>) -> Result<Selection> {
    let refused =
        |error: crate::domain::filter::FilterError| Error::invalid("q", error.to_string());
    let typed = match q {
        Some(q) if Filter::parse(q).map_err(refused)?.field_mentions(Field::Type) => None,
        _ => Some(Filter::compare(Field::Type, Op::Eq, APP_EVENT).map_err(refused)?),
    };
    Selection::new(typed, q, Defaults::Page).map_err(refused)
}

fn next_link(query: &EventQuery, after: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if let Some(q) = &query.q {
        pairs.append_pair("q", q);
    }
    if let Some(limit) = &query.limit {
        pairs.append_pair("limit", limit);
    }
    pairs.append_pair("after", after);
    format!("</event?{}>; rel=\"next\"", pairs.finish())
}

fn timer_of(value: &Value) -> Result<Start> {
    let mut object = Object::new(value);
    let mut part = |name: &'static str| object.integer(name, 0..=i64::MAX);
    let (hours, minutes, seconds) = (part("hours"), part("minutes"), part("seconds"));
    let url = object.required_text("url").unwrap_or_default().to_owned();
    let names = ["hours", "minutes", "seconds"];
    if names.iter().all(|name| object.is_absent(name)) {
        object.problem("seconds", "expected at least one of hours, minutes and seconds");
    }
    refuse_if_any(object.finish())?;
    let length = Length::Parts {
        hours: hours.unwrap_or(0),
        minutes: minutes.unwrap_or(0),
        seconds: seconds.unwrap_or(0),
    };
    Ok(Start { length, target: Target::Url(url), payload: None })
}

fn event_of(value: &Value) -> Result<Draft> {
    let mut object = Object::new(value);
    let mut text =
        |name: &'static str| object.required_text(name).map(str::to_owned).unwrap_or_default();
    let draft = Draft {
        email: text("email"),
        environment: text("environment"),
        component: text("component"),
        message: text("message"),
        data: object.value("data").cloned(),
        severity: None,
        correlation_id: None,
    };
    if object.is_absent("data") {
        object.problem("data", "expected any JSON value but null");
    }
    refuse_if_any(object.finish())?;
    Ok(draft)
}

fn event_json(row: &Model) -> Value {
    json!({
        "id": row.id.to_string(),
        "createdAt": row.created_at.to_string(),
        "type": row.kind,
        "email": row.email,
        "environment": row.environment,
        "component": row.component,
        "message": row.message,
        "data": row.data.as_deref().map(|text| serde_json::from_str::<Value>(text).ok()),
    })
}

async fn authenticate(state: &State, headers: &HeaderMap) -> Result<Caller> {
    if state.app.shutdown().is_begun() {
        return Err(Error::Unavailable("the server is stopping"));
    }
    api_key::authenticate(&state.app, credential::of_headers(headers).as_deref()).await
}

async fn read(headers: &HeaderMap, body: Body) -> std::result::Result<Value, Refused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        let problem = Problem::new("", "expected Content-Type: application/json");
        return Err(Refused::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, vec![problem]));
    }
    let Ok(bytes) = to_bytes(body, BODY_BYTES_MAX).await else {
        let problem = Problem::new("", format!("expected at most {BODY_BYTES_MAX} bytes"));
        return Err(Refused::of(StatusCode::PAYLOAD_TOO_LARGE, vec![problem]));
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid("", format!("{MALFORMED}: {error}")))?;
    Ok(value)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value
        .to_str()
        .map_err(|_| Error::invalid("Idempotency-Key", "expected visible ASCII characters"))?;
    Ok(Some(text.to_owned()))
}

/// An error in the shape of this surface.
struct Refused {
    status: StatusCode,
    problems: Vec<Problem>,
}

impl Refused {
    fn of(status: StatusCode, problems: Vec<Problem>) -> Self {
        Self { status, problems }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::Validation => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problems = match error {
            Error::Refused(problems) => problems,
            Error::Database(_) | Error::Internal(_) => {
                tracing::error!(%error, "a request failed by a fault of the server");
                vec![Problem::new("", "internal error; the server's log has the details")]
            }
            other => vec![Problem::new("", other.to_string())],
        };
        Self { status, problems }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let shown = |problem: &Problem| {
            let field = Some(&problem.field).filter(|field| !field.is_empty());
            json!({ "field": field, "message": problem.message })
        };
        let errors: Vec<Value> = self.problems.iter().map(shown).collect();
        let mut response = (self.status, Json(json!({ "errors": errors }))).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
