//! Each limit at its end, where the input is taken, and one past it, where it is refused.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::problems;
use crate::TestApp;
use crate::operation::{done, every, lines, scheduled, trigger};

/// A text whose JSON has `bytes` bytes.
fn json_of(bytes: usize) -> Value {
    json!("x".repeat(bytes - 2))
}

/// A JSON Schema whose text has `bytes` bytes.
fn schema_of(bytes: usize) -> Value {
    let frame = json!({ "const": "" }).to_string().len();
    json!({ "const": "x".repeat(bytes - frame) })
}

#[tokio::test]
async fn texts_and_json() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT60S")).await;
    let stages = json!([{ "name": "n", "config": { "log": { "message": "m" } } }]);
    let chars = |count: usize| json!("ü".repeat(count));
    type With<'a> = Box<dyn Fn(Value) -> Value + 'a>;
    let free = &trigger(&app, json!({ "name": "free" })).await;
    let id = &id;
    let plan = &plan;
    let table: Vec<(&str, Value, Value, With<'_>)> = vec![
        ("triggerCreate", chars(128), chars(129), Box::new(|v| json!({ "name": v }))),
        (
            "triggerUpdate",
            json!("o".repeat(128)),
            chars(129),
            Box::new(|v| json!({ "id": id, "name": v })),
        ),
        (
            "triggerUpdate",
            chars(1_000),
            chars(1_001),
            Box::new(|v| json!({ "id": id, "description": v })),
        ),
        (
            "triggerUpdate",
            schema_of(65_536),
            schema_of(65_537),
            Box::new(|v| json!({ "id": free, "payloadSchema": v })),
        ),
        (
            "actionCreate",
            chars(128),
            chars(129),
            Box::new(|v| json!({ "name": v, "stages": stages })),
        ),
        ("scheduleUpdate", chars(128), chars(129), Box::new(|v| json!({ "id": plan, "name": v }))),
        (
            "scheduleUpdate",
            json_of(262_144),
            json_of(262_145),
            Box::new(|v| json!({ "id": plan, "payload": v })),
        ),
        (
            "triggerFire",
            json_of(262_144),
            json_of(262_145),
            Box::new(|v| json!({ "triggerId": id, "payload": v })),
        ),
        (
            "triggerFire",
            chars(255),
            chars(256),
            Box::new(|v| json!({ "triggerId": id, "idempotencyKey": v })),
        ),
        (
            "triggerFire",
            chars(128),
            chars(129),
            Box::new(|v| json!({ "triggerId": id, "correlationId": v })),
        ),
        (
            "triggerPause",
            chars(1_000),
            chars(1_001),
            Box::new(|v| json!({ "id": id, "reason": v })),
        ),
        (
            "scheduleCreate",
            json!("P3650D"),
            json!("PT87600H0.001S"),
            Box::new(|v| json!({ "triggerId": id, "spec": { "in": v } })),
        ),
        (
            "triggerFire",
            json!("P3650D"),
            json!("PT87600H0.001S"),
            Box::new(|v| json!({ "triggerId": id, "in": v })),
        ),
        (
            "scheduleCreate",
            json!("PT0.001S"),
            json!("PT0S"),
            Box::new(|v| json!({ "triggerId": id, "spec": { "in": v } })),
        ),
        (
            "scheduleCreate",
            json!("PT1S"),
            json!("PT0.999S"),
            Box::new(|v| json!({ "triggerId": id, "spec": { "every": { "interval": v } } })),
        ),
        (
            "scheduleCreate",
            json!("2026-03-02T10:00:00.001Z"),
            json!("2026-03-02T10:00:00Z"),
            Box::new(|v| json!({ "triggerId": id, "spec": { "at": v } })),
        ),
    ];
    let mut story = Vec::new();
    for (name, good, bad, with) in table {
        let said = problems(&app, name, with(bad)).await;
        story.push(format!("{name}: {said}"));
        done(&app, name, "__typename", with(good)).await;
    }
    assert_snapshot!(lines(&story), @r"
    triggerCreate: BAD_USER_INPUT name: expected at most 128 characters, not 129
    triggerUpdate: BAD_USER_INPUT name: expected at most 128 characters, not 129
    triggerUpdate: BAD_USER_INPUT description: expected at most 1000 characters, not 1001
    triggerUpdate: BAD_USER_INPUT payloadSchema: expected at most 65536 bytes of JSON, not 65537
    actionCreate: BAD_USER_INPUT name: expected at most 128 characters, not 129
    scheduleUpdate: BAD_USER_INPUT name: expected at most 128 characters, not 129
    scheduleUpdate: BAD_USER_INPUT payload: expected at most 262144 bytes of JSON, not 262145
    triggerFire: BAD_USER_INPUT payload: expected at most 262144 bytes of JSON, not 262145
    triggerFire: BAD_USER_INPUT idempotencyKey: expected at most 255 characters, not 256
    triggerFire: BAD_USER_INPUT correlationId: expected at most 128 characters, not 129
    triggerPause: BAD_USER_INPUT reason: expected at most 1000 characters, not 1001
    scheduleCreate: BAD_USER_INPUT spec.in: expected a duration from 1 ms to 10 years
    triggerFire: BAD_USER_INPUT in: expected a duration from 0 to 10 years
    scheduleCreate: BAD_USER_INPUT spec.in: expected a duration from 1 ms to 10 years
    scheduleCreate: BAD_USER_INPUT spec.every.interval: expected whole seconds, at least 1
    scheduleCreate: BAD_USER_INPUT spec.at: expected an instant in the future, after 2026-03-02T10:00:00Z
    ");
}

#[tokio::test]
async fn fifty_schedules_of_one_trigger() {
    let app = TestApp::start().await;
    let many = |count: usize| vec![json!({ "spec": every("PT1H") }); count];
    let input = json!({ "name": "51", "schedules": many(51) });
    let mut story = vec![problems(&app, "triggerCreate", input).await];
    let id = trigger(&app, json!({ "name": "50", "schedules": many(50) })).await;
    let input = json!({ "triggerId": id, "spec": every("PT1H") });
    story.push(problems(&app, "scheduleCreate", input).await);
    assert_snapshot!(lines(&story), @r"
    BAD_USER_INPUT schedules: expected at most 50 schedules of one trigger
    BAD_USER_INPUT schedules: expected at most 50 schedules of one trigger
    ");
}
