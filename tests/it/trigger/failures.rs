//! Pause after failures: a trigger that fails again and again stops by itself.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::operation::{ask, cron, done, fire, lines, log, past, refused, text, trigger};

const MINUTE: Duration = Duration::from_secs(60);

/// A trigger that posts each minute, once, and is paused after so many failures.
async fn minutely(app: &TestApp, receiver: &Receiver, most: Value) -> String {
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } },
        "retry": { "maxAttempts": 1 } });
    let input = json!({ "name": "frail", "pauseAfterFailures": most,
        "schedules": [{ "spec": cron("* * * * *") }],
        "action": { "inline": { "stages": [stage] } } });
    trigger(app, input).await
}

async fn state(app: &TestApp, id: &str) -> String {
    let query = "query($id: ID!) { trigger(by: { id: $id }) { state pauseReason pausedBy } }";
    let found = ask(app, "trigger", query, json!({ "id": id })).await;
    format!("{} {} {}", text(&found["state"]), found["pauseReason"], found["pausedBy"])
}

fn failing(receiver: &Receiver, times: usize) {
    for _ in 0..times {
        receiver.answer(Answer::status(500));
    }
}

#[tokio::test]
async fn after_so_many_failures_in_a_row_it_is_paused() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = minutely(&app, &receiver, json!(3)).await;
    failing(&receiver, 2);
    for _ in 0..3 {
        app.advance(MINUTE).await;
    }
    // One that was completed began the count anew.
    failing(&receiver, 3);
    for _ in 0..2 {
        app.advance(MINUTE).await;
    }
    assert_eq!(state(&app, &id).await, "ACTIVE null null");
    for _ in 0..3 {
        app.advance(MINUTE).await;
    }
    assert_snapshot!(state(&app, &id).await, @r#"PAUSED "3 firings failed in a row" "belfry""#);
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 FAILED HTTP_STATUS
    03-02 10:02:00 FAILED HTTP_STATUS
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 FAILED HTTP_STATUS
    03-02 10:05:00 FAILED HTTP_STATUS
    03-02 10:06:00 FAILED HTTP_STATUS
    03-02 10:07:00 - 03-02 10:08:00 SKIPPED PAUSED x 2
    ");
    assert_snapshot!(lines(&log(&app, "trigger.paused").await), @"trigger.paused: trigger frail by belfry");
}

#[tokio::test]
async fn resuming_begins_the_count_anew_and_firings_by_hand_count_too() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = minutely(&app, &receiver, json!(2)).await;
    failing(&receiver, 4);
    for _ in 0..2 {
        app.advance(MINUTE).await;
    }
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    fire(&app, &id).await;
    app.work().await;
    assert_eq!(state(&app, &id).await, "ACTIVE null null");
    fire(&app, &id).await;
    app.work().await;
    assert_snapshot!(state(&app, &id).await, @r#"PAUSED "2 firings failed in a row" "belfry""#);
}

#[tokio::test]
async fn without_a_number_it_goes_on() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = minutely(&app, &receiver, Value::Null).await;
    failing(&receiver, 5);
    for _ in 0..5 {
        app.advance(MINUTE).await;
    }
    assert_eq!(state(&app, &id).await, "ACTIVE null null");
}

#[tokio::test]
async fn the_number_is_between_1_and_1_000() {
    let app = TestApp::start().await;
    let create = |most: i32| json!({ "name": "t", "pauseAfterFailures": most });
    for wrong in [0, 1_001] {
        let errors = refused(&app, "triggerCreate", create(wrong)).await;
        let expected = "BAD_USER_INPUT pauseAfterFailures: expected a number from 1 to 1000";
        assert_eq!(errors, [expected]);
    }
    let selection = "trigger { id pauseAfterFailures }";
    let made = done(&app, "triggerCreate", selection, create(1_000)).await["trigger"].clone();
    assert_eq!(made["pauseAfterFailures"], 1_000);
    let update = async |most: Value| {
        let input = json!({ "id": made["id"], "pauseAfterFailures": most });
        done(&app, "triggerUpdate", selection, input).await["trigger"]["pauseAfterFailures"].clone()
    };
    assert_eq!(update(json!(1)).await, json!(1));
    assert_eq!(update(Value::Null).await, Value::Null);
}
