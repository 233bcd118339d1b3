//! What several stories begin with: a trigger that posts, a firing, a timer, and how one looks.

use belfry::service::{Caller, Scope};
use belfry::store::{Origin, project};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::TestApp;

const TRIGGER_CREATE: &str = "mutation($input: TriggerCreateInput!) {
    triggerCreate(input: $input) { trigger { id } userErrors { code field message } } }";
const TRIGGER_FIRE: &str = "mutation($input: TriggerFireInput!) {
    triggerFire(input: $input) { firing { id } userErrors { code field message } } }";
const TIMER_START: &str = "mutation($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { code field message } } }";
const EVENTS_LOG: &str = "mutation($input: EventsLogInput!) {
    eventsLog(input: $input) { events { id } userErrors { code field message } } }";
const FIRING: &str = "query($id: ID!) { firing(id: $id) {
    id status reason error attemptCount dueAt startedAt finishedAt correlationId payload result
    cause replayOf { id } trigger { id name }
    attempts { number stage kind status errorCode error startedAt finishedAt duration retryAt
        request response } } }";

/// A trigger; its id.
pub async fn trigger(app: &TestApp, input: Value) -> String {
    let made = app.done("triggerCreate", TRIGGER_CREATE, input).await;
    text(&made["trigger"]["id"])
}

/// A trigger of this name that posts its payload to `url`; its id.
pub async fn posting(app: &TestApp, name: &str, url: &str) -> String {
    let stage = json!({ "name": "post", "config": { "http": { "url": url } } });
    let action = json!({ "inline": { "stages": [stage] } });
    trigger(app, json!({ "name": name, "action": action })).await
}

/// A firing of a trigger that was accepted; its id.
pub async fn fire(app: &TestApp, trigger: &str) -> String {
    fire_with(app, json!({ "triggerId": trigger })).await
}

/// A firing that was accepted as `input` says; its id.
pub async fn fire_with(app: &TestApp, input: Value) -> String {
    text(&app.done("triggerFire", TRIGGER_FIRE, input).await["firing"]["id"])
}

/// A timer that posts to `url` after so many seconds; its id.
pub async fn timer(app: &TestApp, seconds: i64, url: &str) -> String {
    let length = json!({ "parts": { "seconds": seconds } });
    timer_with(app, json!({ "length": length, "target": { "url": url } })).await
}

/// A timer that was started as `input` says; its id.
pub async fn timer_with(app: &TestApp, input: Value) -> String {
    text(&app.done("timerStart", TIMER_START, input).await["timer"]["id"])
}

/// Logs one application event for each message; their ids.
pub async fn log(app: &TestApp, messages: &[&str]) -> Vec<String> {
    let event = |message: &&str| {
        json!({ "email": "ada@example.com", "environment": "prod", "component": "shop",
            "message": message, "data": { "n": 1 } })
    };
    let events: Vec<Value> = messages.iter().map(event).collect();
    let made = app.done("eventsLog", EVENTS_LOG, json!({ "events": events })).await;
    texts(&made["events"], "id")
}

/// A firing with its attempts, as a client sees it.
pub async fn firing(app: &TestApp, id: &str) -> Value {
    app.ask("firing", FIRING, json!({ "id": id })).await
}

/// The status of a firing.
pub async fn status(app: &TestApp, id: &str) -> String {
    text(&firing(app, id).await["status"])
}

/// The firing's id of a timer's.
pub fn firing_of(timer: &str) -> String {
    timer.replacen("tmr_", "frg_", 1)
}

/// A caller of the same project with these scopes.
pub async fn caller_with(app: &TestApp, scopes: &[Scope]) -> (Caller, String) {
    app.key_of(app.caller.project, scopes).await
}

/// A caller with every scope in a project of its own.
pub async fn stranger(app: &TestApp) -> (Caller, String) {
    let id = app.app.ids().make();
    let row = entity::project::Model::new(id, "elsewhere".to_owned(), app.now());
    let done = app
        .app
        .store()
        .change(Origin::Api, |change| async move { project::insert(change, row).await }.boxed());
    done.await.expect("the project is made");
    app.key_of(id, &[Scope::Admin]).await
}

/// A JSON text as a text.
pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The texts that the items of a list have as `field`.
pub fn texts(list: &Value, field: &str) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|item| text(&item[field])).collect()
}

/// An object for a snapshot: ids as their prefix, fields by name, as their order in an answer
/// follows from what was there first.
pub fn shown(value: &Value) -> String {
    let mut value = tests::redact(value.clone());
    value.sort_all_objects();
    serde_json::to_string_pretty(&value).expect("JSON")
}
