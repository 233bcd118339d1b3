//! REST ingress for senders that speak no GraphQL: firings, timers and application events, in the
//! shapes that their clients know.
//!
//! | request | answer |
//! |---|---|
//! | `POST /fire/{triggerId}`, the payload | 202 `{"id"}` of the firing |
//! | `POST /timer {hours, minutes, seconds, url}` | 201 `{"id"}` |
//! | `GET /timer/{id}` | `{"id", "time_left"}`, whole seconds |
//! | `POST /event {email, environment, component, message, data}` | 201, the event |
//! | `GET /event?q=&limit=&after=` | an array, newest first; `Link: <…>; rel="next"` |
//!
//! Errors are 4xx with `{"errors": [{"field", "message"}]}`, every problem listed. `Idempotency-Key`
//! makes a repeated POST harmless for 24 h.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use entity::TimerId;
use entity::event::Model;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::App;
use crate::domain::filter::{Field, Filter, FilterError, Op};
use crate::domain::object::Object;
use crate::domain::page::{Page, PageArgs};
use crate::error::{Code, Error, Problem, Result};
use crate::http::rate::REQUEST;
use crate::http::{State, credential};
use crate::limits::{BODY_BYTES_MAX, DELAY_MS_MAX, EXECUTION_SECS_MAX, PAGE_ROWS_MAX};
use crate::service::event::{APP_EVENT, Defaults, Draft, Selection};
use crate::service::timer::{Length, Start, Target};
use crate::service::{Caller, Scope, api_key, event, timer};
use crate::store::event::LOG_ORDER;

mod fire;

const MALFORMED: &str = "expected a JSON object as the body";

/// The routes of firings, timers and events.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/fire/{id}", post(fire::post_fire))
        .route("/timer", post(post_timer))
        .route("/timer/", post(post_timer))
        .route("/timer/{id}", get(get_timer))
        .route("/event", post(post_event).get(get_events))
}

/// Ends a request that takes longer than an execution may, and the statement that it waits for.
pub async fn in_time(FromState(app): FromState<App>, request: Request, next: Next) -> Response {
    let reading = app.store().reading();
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    let Ok(response) = timeout(limit, next.run(request)).await else {
        return Refused::from(Error::Unavailable("the request was stopped: it took too long"))
            .into_response();
    };
    reading.done();
    response
}

async fn post_timer(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    body: Body,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    let value = read(&headers, body).await?;
    let (start, found) = timer_of(&value);
    if !found.is_empty() {
        let more = timer::problems(&state.app, &caller, &start).await?;
        return Err(Error::Refused(joined(found, more)).into());
    }
    let key = idempotency_key(&headers)?;
    let rows = timer::start(&state.app, &caller, "", vec![start], key).await?;
    let id = rows.first().map(|row| TimerId::from(row.id).to_string());
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn get_timer(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    id: std::result::Result<Path<String>, PathRejection>,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    caller.require(Scope::Read)?;
    // What is not UTF-8 is no id either.
    let id = id.map(|Path(id)| id).unwrap_or_default();
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
    let (draft, found) = event_of(&value);
    if !found.is_empty() {
        let more = event::problems(&state.app, &caller, draft)?;
        return Err(Error::Refused(joined(found, more)).into());
    }
    let key = idempotency_key(&headers)?;
    let rows = event::log(&state.app, &caller, "", vec![draft], key).await?;
    let shown = rows.first().map(event_json);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// The parameters of a list; others are ignored.
#[derive(Default)]
struct EventQuery {
    q: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

impl EventQuery {
    fn read(text: &str, problems: &mut Vec<Problem>) -> Self {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let place = match name.as_ref() {
                "q" => &mut query.q,
                "limit" => &mut query.limit,
                "after" => &mut query.after,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                problems.push(Problem::new(name, "expected one value, not several"));
            }
        }
        query
    }

    /// The page that was asked for, when nothing is wrong with `limit` and `after`.
    fn page(&self, problems: &mut Vec<Problem>) -> Option<Page> {
        let limit = self.limit.as_deref().map(str::parse::<i32>);
        // 0 rows could not be followed by a link.
        let first = limit.map(|limit| limit.ok().filter(|limit| *limit != 0).unwrap_or(-1));
        let args = PageArgs { first, after: self.after.clone(), ..PageArgs::default() };
        let found = match args.check(LOG_ORDER) {
            Ok(page) => return Some(page),
            Err(found) => found,
        };
        problems.extend(found.into_iter().map(|problem| match problem.field.as_str() {
            "first" => {
                let message = format!("expected a number from 1 to {PAGE_ROWS_MAX}");
                Problem::new("limit", message)
            }
            _ => problem,
        }));
        None
    }
}

async fn get_events(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> std::result::Result<Response, Refused> {
    let caller = authenticate(&state, &headers).await?;
    caller.require(Scope::Read)?;
    let mut problems = Vec::new();
    let query = EventQuery::read(&query.unwrap_or_default(), &mut problems);
    let selection = selection_of(query.q.as_deref());
    let selection = selection.map_err(|error| problems.push(refused_filter(&error))).ok();
    let page = query.page(&mut problems);
    let (Some(selection), Some(page), true) = (selection, page, problems.is_empty()) else {
        return Err(Error::Refused(problems).into());
    };
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
fn selection_of(q: Option<&str>) -> std::result::Result<Selection, FilterError> {
    let typed = match q {
        Some(q) if Filter::parse(q)?.field_mentions(Field::Type) => None,
        _ => Some(Filter::compare(Field::Type, Op::Eq, APP_EVENT)?),
    };
    Selection::new(typed, q, Defaults::Page)
}

fn refused_filter(error: &FilterError) -> Problem {
    Problem::new("q", error.to_string())
}

/// What was found first, and what else there is in other fields.
fn joined(mut found: Vec<Problem>, more: Vec<Problem>) -> Vec<Problem> {
    let named: Vec<String> = found.iter().map(|problem| problem.field.clone()).collect();
    found.extend(more.into_iter().filter(|problem| !named.contains(&problem.field)));
    found
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

/// The timer as far as it could be read, and what could not be.
fn timer_of(value: &Value) -> (Start, Vec<Problem>) {
    let mut object = Object::new(value);
    let mut part = |name: &'static str, unit_ms: i64| {
        object.integer(name, 0..=DELAY_MS_MAX / unit_ms).unwrap_or(0)
    };
    let length = Length::Parts {
        hours: part("hours", 3_600_000),
        minutes: part("minutes", 60_000),
        seconds: part("seconds", 1_000),
    };
    let url = object.required_text("url").unwrap_or_default().to_owned();
    let names = ["hours", "minutes", "seconds"];
    if names.iter().all(|name| object.is_absent(name)) {
        object.problem("seconds", "expected at least one of hours, minutes and seconds");
    }
    (Start { length, target: Target::Url(url), payload: None }, object.finish())
}

/// The event as far as it could be read, and what could not be.
fn event_of(value: &Value) -> (Draft, Vec<Problem>) {
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
    (draft, object.finish())
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
    refuse_when_stopping(state)?;
    let credential = credential::of_headers(headers);
    let caller = api_key::authenticate(&state.app, credential.as_deref()).await?;
    state.rates.take(&caller, REQUEST)?;
    Ok(caller)
}

fn refuse_when_stopping(state: &State) -> Result<()> {
    match state.app.shutdown().is_begun() {
        true => Err(Error::Unavailable("the server is stopping")),
        false => Ok(()),
    }
}

fn require_json(headers: &HeaderMap) -> std::result::Result<(), Refused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        let problem = Problem::new("", "expected Content-Type: application/json");
        return Err(Refused::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, vec![problem]));
    }
    Ok(())
}

async fn read(headers: &HeaderMap, body: Body) -> std::result::Result<Value, Refused> {
    require_json(headers)?;
    let Ok(bytes) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Err(Refused::too_large(BODY_BYTES_MAX));
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid("", format!("{MALFORMED}: {error}")))?;
    if !value.is_object() {
        return Err(Error::invalid("", MALFORMED).into());
    }
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
    /// What a client is asked to wait, where waiting helps.
    retry_secs: u64,
}

impl Refused {
    fn of(status: StatusCode, problems: Vec<Problem>) -> Self {
        Self { status, problems, retry_secs: 1 }
    }

    fn too_large(bytes_max: usize) -> Self {
        let problem = Problem::new("", format!("expected at most {bytes_max} bytes"));
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, vec![problem])
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::Validation => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Quota => StatusCode::TOO_MANY_REQUESTS,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if error.is_fault() {
            tracing::error!(%error, "a request failed by a fault of the server");
        }
        let retry_secs = if let Error::RateLimited(secs) = error { secs } else { 1 };
        let problems = match error {
            Error::Refused(problems) => problems,
            other => vec![Problem::new("", other.told())],
        };
        Self { status, problems, retry_secs }
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
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_secs));
            }
            _ => {}
        }
        response
    }
}
