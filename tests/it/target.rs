//! Targets that fail again and again, and targets that are gone for good.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::story::{fire, firing, posting, shown, status, text, trigger};

const TRIGGER: &str = "query($id: ID!) { trigger(by: { id: $id }) { state pauseReason pausedBy } }";
const UPDATE: &str = "mutation($input: TriggerUpdateInput!) {
    triggerUpdate(input: $input) { trigger { id } userErrors { code field message } } }";
const LOGGED: &str = "query($q: String) { events(q: $q, first: 10,
    orderBy: { direction: ASC }) { nodes { type severity message } } }";

/// Entries of the log whose type begins so, without the port of the receiver.
async fn logged(app: &TestApp, kind: &str, receiver: &Receiver) -> String {
    let page = app.ask("events", LOGGED, json!({ "q": format!("type sw '{kind}'") })).await;
    let host = receiver.url("").replace("http://", "");
    let line = |event: &Value| {
        let words = [&event["severity"], &event["type"], &event["message"]].map(text);
        words.join(" ").replace(&host, "HOST")
    };
    page["nodes"].as_array().expect("nodes").iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn codes(app: &TestApp, id: &str) -> String {
    let seen = firing(app, id).await;
    let attempts = seen["attempts"].as_array().expect("attempts").clone();
    let code = |attempt: Value| attempt["errorCode"].as_str().unwrap_or("OK").to_owned();
    attempts.into_iter().map(code).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_target_that_fails_ten_times_is_left_alone_until_a_probe_finds_it_well() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let orders = posting(&app, "order", &receiver.url("/hook")).await;
    for _ in 0..10 {
        receiver.answer(Answer::status(500));
        fire(&app, &orders).await;
        app.work().await;
    }
    let late = fire(&app, &orders).await;
    app.work().await;
    assert_eq!(receiver.received().len(), 10, "nothing more is sent");
    assert_eq!(codes(&app, &late).await, "CIRCUIT_OPEN");
    assert_eq!(status(&app, &late).await, "RETRYING");
    let elsewhere = Receiver::start().await;
    let other = posting(&app, "other", &elsewhere.url("/hook")).await;
    fire(&app, &other).await;
    app.work().await;
    assert_eq!(elsewhere.received().len(), 1, "another host is not concerned");

    app.advance(Duration::from_secs(9)).await;
    assert_eq!(receiver.received().len(), 10);
    receiver.answer(Answer::status(503));
    app.advance(Duration::from_secs(4)).await;
    assert_eq!(receiver.received().len(), 11, "one probe");
    for _ in 0..60 {
        app.advance(Duration::from_secs(20)).await;
    }
    assert_eq!(receiver.received().len(), 11 + 11, "the second probe is answered, and so are all");
    assert_eq!(status(&app, &late).await, "COMPLETED");
    assert_snapshot!(logged(&app, "circuit.", &receiver).await, @"
    WARN circuit.opened HOST fails: nothing is sent to it before 2026-03-02T10:00:10Z
    WARN circuit.opened HOST fails: nothing is sent to it before 2026-03-02T10:00:33Z
    INFO circuit.closed HOST answers again
    ");
}

#[tokio::test]
async fn a_target_that_is_gone_pauses_its_trigger() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/hook") } } });
    let action = json!({ "inline": { "stages": [stage] } });
    let schedule = json!({ "spec": { "every": { "interval": "PT1M" } } });
    let input = json!({ "name": "minutely", "action": action, "schedules": [schedule] });
    let id = trigger(&app, input).await;
    receiver.answer(Answer::status(410));
    app.advance(Duration::from_secs(60)).await;
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(receiver.received().len(), 1, "its schedules stand still");
    let seen = app.ask("trigger", TRIGGER, json!({ "id": id })).await;
    let host = receiver.url("").replace("http://", "");
    assert_snapshot!(shown(&seen).replace(&host, "HOST"), @r#"
    {
      "pauseReason": "HOST answered 410 Gone",
      "pausedBy": "belfry",
      "state": "PAUSED"
    }
    "#);
    assert_snapshot!(logged(&app, "trigger.", &receiver).await, @"
    INFO trigger.created trigger minutely
    INFO trigger.paused trigger minutely
    ");
}

#[tokio::test]
async fn a_trigger_that_was_changed_meanwhile_is_not_paused_for_what_it_called_before() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = posting(&app, "order", &receiver.url("/before")).await;
    receiver.answer(Answer::status(410).held());
    let gone = fire(&app, &id).await;
    app.engine.executor.run_once().await.expect("a claim");
    receiver.wait_for(1).await;
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/after") } } });
    let action = json!({ "inline": { "stages": [stage] } });
    app.done("triggerUpdate", UPDATE, json!({ "id": id, "action": action })).await;
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_eq!(firing(&app, &gone).await["reason"], "GONE");
    let seen = app.ask("trigger", TRIGGER, json!({ "id": id })).await;
    assert_eq!(seen["state"], "ACTIVE");
}
