//! An effect that is asked for twice with one idempotency key happens once.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{ask, done, every, lines, list, past, refused, text, trigger};
use crate::schedule::{DAY, MINUTE};

async fn fired(app: &TestApp, input: Value) -> String {
    text(&done(app, "triggerFire", "firing { id }", input).await["firing"]["id"])
}

#[tokio::test]
async fn the_same_key_and_input_answer_with_the_same_object_as_it_is_now() {
    let app = TestApp::start().await;
    let input = json!({ "name": "t", "idempotencyKey": "create-1" });
    let first = trigger(&app, input.clone()).await;
    done(&app, "triggerUpdate", "trigger { id }", json!({ "id": first, "name": "u" })).await;
    let again = done(&app, "triggerCreate", "trigger { id name }", input).await;
    assert_eq!(again["trigger"], json!({ "id": first, "name": "u" }));
    let input = json!({ "triggerId": first, "spec": every("PT60S"), "idempotencyKey": "s" });
    let one = done(&app, "scheduleCreate", "schedule { id }", input.clone()).await;
    assert_eq!(done(&app, "scheduleCreate", "schedule { id }", input).await, one);
    let stages = json!([{ "name": "n", "config": { "log": { "message": "m" } } }]);
    let input = json!({ "name": "a", "stages": stages, "idempotencyKey": "a" });
    let one = done(&app, "actionCreate", "action { id }", input.clone()).await;
    assert_eq!(done(&app, "actionCreate", "action { id }", input).await, one);
}

#[tokio::test]
async fn the_order_of_keys_in_json_does_not_make_another_input() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let input = |payload: &str| {
        let payload: Value = serde_json::from_str(payload).expect("JSON");
        json!({ "triggerId": id, "payload": payload, "idempotencyKey": "k" })
    };
    let first = fired(&app, input(r#"{ "a": 1, "b": { "c": 2, "d": 3 } }"#)).await;
    assert_eq!(fired(&app, input(r#"{ "b": { "d": 3, "c": 2 }, "a": 1 }"#)).await, first);
}

#[tokio::test]
async fn concurrent_repeats_fire_once() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let input = json!({ "triggerId": id, "payload": 1, "idempotencyKey": "k" });
    let all = (0..20).map(|_| fired(&app, input.clone()));
    let mut ids = futures_util::future::join_all(all).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    app.work().await;
    assert_eq!(past(&app, &id).await.len(), 1);
}

#[tokio::test]
async fn another_input_or_another_operation_is_refused() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let input = json!({ "triggerId": id, "payload": 1, "idempotencyKey": "k" });
    fired(&app, input.clone()).await;
    let mut said = Vec::new();
    for (key, value) in [
        ("payload", json!(2)),
        ("payload", Value::Null),
        ("in", json!("PT1M")),
        ("correlationId", json!("c")),
    ] {
        let mut other = input.clone();
        other[key] = value;
        said.extend(refused(&app, "triggerFire", other).await);
    }
    let other = json!({ "name": "new", "idempotencyKey": "k" });
    said.extend(refused(&app, "triggerCreate", other).await);
    let other = json!({ "triggerId": id, "spec": every("PT60S"), "idempotencyKey": "k" });
    said.extend(refused(&app, "scheduleCreate", other).await);
    said.dedup();
    app.work().await;
    assert_eq!(past(&app, &id).await.len(), 1);
    assert_snapshot!(lines(&said), @"CONFLICT idempotencyKey: this key was used within 24 h for another input");
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let input = json!({ "triggerId": id, "idempotencyKey": "k" });
    let first = fired(&app, input.clone()).await;
    app.advance(DAY - std::time::Duration::from_millis(1)).await;
    assert_eq!(fired(&app, input.clone()).await, first);
    app.advance(std::time::Duration::from_millis(1)).await;
    let second = fired(&app, input.clone()).await;
    assert_ne!(second, first);
    assert_eq!(fired(&app, input).await, second);
}

#[tokio::test]
async fn a_repeat_is_answered_although_the_input_would_be_refused_by_now() {
    let app = TestApp::start().await;
    let at = "2026-03-02T10:05:00Z";
    let create = json!({ "name": "t", "idempotencyKey": "c",
        "schedules": [{ "spec": { "at": at } }] });
    let id = trigger(&app, create.clone()).await;
    let plan = json!({ "triggerId": id, "spec": { "at": at }, "idempotencyKey": "s" });
    let planned = done(&app, "scheduleCreate", "schedule { id }", plan.clone()).await;
    let fire = json!({ "triggerId": id, "at": at, "idempotencyKey": "f" });
    let first = fired(&app, fire.clone()).await;
    app.advance(MINUTE * 6).await;
    let schema = json!({ "id": id, "payloadSchema": { "type": "string" } });
    done(&app, "triggerUpdate", "trigger { id }", schema).await;
    assert_eq!(trigger(&app, create).await, id);
    assert_eq!(done(&app, "scheduleCreate", "schedule { id }", plan).await, planned);
    assert_eq!(fired(&app, fire).await, first);
}

#[tokio::test]
async fn a_refused_input_does_not_use_its_key_up() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let bad = json!({ "triggerId": id, "at": "2020-01-01T00:00:00Z", "idempotencyKey": "k" });
    refused(&app, "triggerFire", bad).await;
    fired(&app, json!({ "triggerId": id, "idempotencyKey": "k" })).await;
    let query = "{ firings { nodes { status } } }";
    let found = ask(&app, "firings", query, json!({})).await;
    assert_eq!(list(&found["nodes"]).len(), 1);
}

#[tokio::test]
async fn a_repeat_of_what_was_deleted_since_says_so() {
    let app = TestApp::start().await;
    let input = json!({ "name": "t", "idempotencyKey": "k" });
    let id = trigger(&app, input).await;
    done(&app, "triggerDelete", "deletedId", json!({ "id": id })).await;
    // What the key stands for is gone; the name is free, but the key is not.
    let input = json!({ "name": "t", "idempotencyKey": "k" });
    let said = refused(&app, "triggerCreate", input).await;
    assert_snapshot!(lines(&said).replace(&id, "trg_…"), @"NOT_FOUND idempotencyKey: no trigger has the id trg_…");
}
