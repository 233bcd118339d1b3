//! Firings: found, tried, retried, and what a person does about them.

use std::time::Duration;

use belfry::domain::signature::{Signed, SigningKey};
use entity::Instant;
use futures_util::StreamExt as _;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Received, Receiver};

use crate::TestApp;
use crate::story::{
    fire, fire_with, firing, firing_of, posting, status, text, texts, timer, trigger,
};

const FIRE: &str = "mutation($input: TriggerFireInput!) {
    triggerFire(input: $input) { firing { id } userErrors { code field message } } }";
const CANCEL: &str = "mutation($input: FiringCancelInput!) {
    firingCancel(input: $input) { firing { id status reason } userErrors { code field message } } }";
const REPLAY: &str = "mutation($input: FiringReplayInput!) { firingReplay(input: $input) {
    firing { id status cause replayOf { id status } } userErrors { code field message } } }";
const SKIP: &str = "mutation($input: FiringSkipInput!) {
    firingSkip(input: $input) { firing { id status reason } userErrors { code field message } } }";
const FIND: &str = "query($filter: FiringFilter) { firings(filter: $filter, first: 100,
    orderBy: { field: CREATED_AT, direction: ASC }) { totalCount nodes { correlationId cause } } }";
const PAGE: &str = "query($first: Int, $after: String, $last: Int, $before: String,
    $orderBy: FiringOrder) { firings(first: $first, after: $after, last: $last, before: $before,
    orderBy: $orderBy) { totalCount nodes { id }
    pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }";

/// What a filter finds: correlation ids, or the cause where there is none.
async fn found(app: &TestApp, filter: Value) -> String {
    let page = app.ask("firings", FIND, json!({ "filter": filter })).await;
    let nodes = page["nodes"].as_array().expect("nodes");
    assert_eq!(page["totalCount"], nodes.len());
    let name =
        |node: &Value| node["correlationId"].as_str().map_or(text(&node["cause"]), str::to_owned);
    if nodes.is_empty() {
        return "nothing".to_owned();
    }
    nodes.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// Lets time pass until the next attempt of a firing, of which nothing is sent before.
async fn until_due(app: &TestApp, id: &str, receiver: &Receiver) {
    let due_at = Instant::parse(&text(&firing(app, id).await["dueAt"])).expect("an instant");
    let left_ms = due_at.ms_since(app.now()).unsigned_abs();
    let before = receiver.received().len();
    app.advance(Duration::from_millis(left_ms - 1)).await;
    assert_eq!(receiver.received().len(), before, "an attempt came early");
    app.advance(Duration::from_millis(1)).await;
}

/// Begins what is due, and does not wait for it.
async fn begin(app: &TestApp) {
    app.engine.sweeper.run_once().await.expect("a sweep");
    app.engine.executor.run_once().await.expect("a claim");
}

async fn failed(app: &TestApp, receiver: &Receiver, payload: Value) -> String {
    let trigger = posting(app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(410));
    let id = fire_with(app, json!({ "triggerId": trigger, "payload": payload })).await;
    app.work().await;
    assert_eq!(status(app, &id).await, "FAILED");
    id
}

async fn key(app: &TestApp) -> SigningKey {
    let query = "{ viewer { project { signingSecret } } }";
    let viewer = app.ask("viewer", query, json!({})).await;
    let secret = viewer["project"]["signingSecret"].as_str().expect("a secret").to_owned();
    SigningKey::parse(&secret).expect("a key")
}

fn same_message(received: &[Received]) -> bool {
    let message = |one: &Received| (one.header("webhook-id"), one.body.clone());
    received.windows(2).all(|pair| message(&pair[0]) == message(&pair[1]))
}

/// Ten firings of which some wait, ended, failed, or are timers.
async fn mixed(app: &TestApp) -> (String, String) {
    let receiver = Receiver::start().await;
    let good = trigger(app, json!({ "name": "good" })).await;
    let bad = posting(app, "bad", &receiver.url("/bad")).await;
    let named = |trigger: &str, name: &str| json!({ "triggerId": trigger, "correlationId": name });
    fire_with(app, named(&good, "good-1")).await;
    app.advance(Duration::from_secs(60)).await;
    receiver.answer(Answer::status(404));
    fire_with(app, named(&bad, "bad-1")).await;
    app.advance(Duration::from_secs(60)).await;
    timer(app, 3_600, &receiver.url("/timer")).await;
    let mut later = named(&good, "good-later");
    later["in"] = json!("PT2H");
    fire_with(app, later).await;
    fire(app, &good).await;
    app.work().await;
    (good, bad)
}

#[tokio::test]
async fn firings_are_found_by_trigger_status_cause_and_time() {
    let app = TestApp::start().await;
    let (good, bad) = mixed(&app).await;
    let mut lines = Vec::new();
    for filter in [
        json!({}),
        json!({ "triggerId": { "eq": good } }),
        json!({ "triggerId": { "in": [good, bad] } }),
        json!({ "triggerId": { "isNull": true } }),
        json!({ "status": { "eq": "FAILED" } }),
        json!({ "status": { "in": ["SCHEDULED", "FAILED"] } }),
        json!({ "status": { "nin": ["COMPLETED"] } }),
        json!({ "cause": { "eq": "TIMER" } }),
        json!({ "cause": { "neq": "API" } }),
        json!({ "createdAt": { "gt": "2026-03-02T10:00:00Z" } }),
        json!({ "createdAt": { "lte": "2026-03-02T11:01:00+01:00" } }),
        json!({ "dueAt": { "gte": "2026-03-02T11:00:00Z", "lt": "2026-03-02T12:00:00Z" } }),
        json!({ "nominalAt": { "eq": "2026-03-02T12:02:00Z" } }),
        json!({ "correlationId": { "startsWith": "good" } }),
        json!({ "correlationId": { "contains": "LATER" } }),
    ] {
        let found = found(&app, filter.clone()).await;
        let filter = filter.to_string().replace(&good, "good").replace(&bad, "bad");
        lines.push(format!("{filter} → {found}"));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    {} → good-1 bad-1 TIMER good-later API
    {"triggerId":{"eq":"good"}} → good-1 good-later API
    {"triggerId":{"in":["good","bad"]}} → good-1 bad-1 good-later API
    {"triggerId":{"isNull":true}} → TIMER
    {"status":{"eq":"FAILED"}} → bad-1
    {"status":{"in":["SCHEDULED","FAILED"]}} → bad-1 TIMER good-later
    {"status":{"nin":["COMPLETED"]}} → bad-1 TIMER good-later
    {"cause":{"eq":"TIMER"}} → TIMER
    {"cause":{"neq":"API"}} → TIMER
    {"createdAt":{"gt":"2026-03-02T10:00:00Z"}} → bad-1 TIMER good-later API
    {"createdAt":{"lte":"2026-03-02T11:01:00+01:00"}} → good-1 bad-1
    {"dueAt":{"gte":"2026-03-02T11:00:00Z","lt":"2026-03-02T12:00:00Z"}} → TIMER
    {"nominalAt":{"eq":"2026-03-02T12:02:00Z"}} → good-later
    {"correlationId":{"startsWith":"good"}} → good-1 good-later
    {"correlationId":{"contains":"LATER"}} → good-later
    "#);
}

#[tokio::test]
async fn conditions_join_by_and_or_and_not_where_not_is_the_complement() {
    let app = TestApp::start().await;
    let (good, bad) = mixed(&app).await;
    let mut lines = Vec::new();
    for filter in [
        json!({ "and": [{ "triggerId": { "eq": good } }, { "status": { "eq": "COMPLETED" } }] }),
        json!({ "or": [{ "triggerId": { "eq": bad } }, { "cause": { "eq": "TIMER" } }] }),
        json!({ "status": { "eq": "COMPLETED" }, "or": [{ "correlationId": { "isNull": true } }] }),
        json!({ "not": { "status": { "eq": "COMPLETED" } } }),
        // A timer has no trigger: it is not one of `good`, and what is not `good` includes it.
        json!({ "triggerId": { "neq": good } }),
        json!({ "not": { "triggerId": { "eq": good } } }),
        json!({ "not": { "triggerId": { "neq": good } } }),
        json!({ "not": { "correlationId": { "contains": "good" } } }),
        json!({ "not": { "not": { "triggerId": { "eq": bad } } } }),
        json!({ "not": { "or": [{ "triggerId": { "eq": bad } }, { "triggerId": { "eq": good } }] } }),
        json!({ "not": {} }),
        json!({ "and": [], "or": [] }),
        json!({ "triggerId": { "in": [] } }),
        json!({ "not": { "triggerId": { "in": [] } } }),
    ] {
        let found = found(&app, filter.clone()).await;
        let filter = filter.to_string().replace(&good, "good").replace(&bad, "bad");
        lines.push(format!("{filter} → {found}"));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    {"and":[{"triggerId":{"eq":"good"}},{"status":{"eq":"COMPLETED"}}]} → good-1 API
    {"or":[{"triggerId":{"eq":"bad"}},{"cause":{"eq":"TIMER"}}]} → bad-1 TIMER
    {"status":{"eq":"COMPLETED"},"or":[{"correlationId":{"isNull":true}}]} → API
    {"not":{"status":{"eq":"COMPLETED"}}} → bad-1 TIMER good-later
    {"triggerId":{"neq":"good"}} → bad-1
    {"not":{"triggerId":{"eq":"good"}}} → bad-1 TIMER
    {"not":{"triggerId":{"neq":"good"}}} → good-1 TIMER good-later API
    {"not":{"correlationId":{"contains":"good"}}} → bad-1 TIMER API
    {"not":{"not":{"triggerId":{"eq":"bad"}}}} → bad-1
    {"not":{"or":[{"triggerId":{"eq":"bad"}},{"triggerId":{"eq":"good"}}]}} → TIMER
    {"not":{}} → nothing
    {"and":[],"or":[]} → good-1 bad-1 TIMER good-later API
    {"triggerId":{"in":[]}} → nothing
    {"not":{"triggerId":{"in":[]}}} → good-1 bad-1 TIMER good-later API
    "#);
}

#[tokio::test]
async fn pages_forward_and_backward_stay_right_while_firings_come() {
    let app = TestApp::start().await;
    let trigger = trigger(&app, json!({ "name": "order" })).await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(fire(&app, &trigger).await);
    }
    for field in ["CREATED_AT", "DUE_AT", "NOMINAL_AT"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({ "field": field, "direction": direction });
            let mut expected = made.clone();
            if direction == "DESC" {
                expected.reverse();
            }
            let mut forward = Vec::new();
            let mut after = Value::Null;
            loop {
                let arguments = json!({ "first": 3, "after": after, "orderBy": order });
                let page = app.ask("firings", PAGE, arguments).await;
                forward.extend(texts(&page["nodes"], "id"));
                after = page["pageInfo"]["endCursor"].clone();
                // Newest first, it lies before what was read; oldest first, after all of it.
                made.push(fire(&app, &trigger).await);
                if page["pageInfo"]["hasNextPage"] == false || expected.len() <= forward.len() {
                    break;
                }
            }
            forward.truncate(expected.len());
            assert_eq!(forward, expected, "{field} {direction} forward");

            let mut expected = made.clone();
            if direction == "DESC" {
                expected.reverse();
            }
            let count = expected.len();
            let mut backward = Vec::new();
            let mut before = Value::Null;
            loop {
                let arguments = json!({ "last": 4, "before": before, "orderBy": order });
                let page = app.ask("firings", PAGE, arguments).await;
                assert_eq!(page["totalCount"], made.len());
                backward.splice(0..0, texts(&page["nodes"], "id"));
                before = page["pageInfo"]["startCursor"].clone();
                if page["pageInfo"]["hasPreviousPage"] == false || count <= backward.len() {
                    break;
                }
                if direction == "ASC" {
                    made.push(fire(&app, &trigger).await);
                }
            }
            assert_eq!(backward, expected, "{field} {direction} backward");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused_by_name() {
    let app = TestApp::start().await;
    let trigger = trigger(&app, json!({ "name": "order" })).await;
    fire(&app, &trigger).await;
    let page = app.ask("firings", PAGE, json!({ "first": 1 })).await;
    let order = json!({ "field": "DUE_AT", "direction": "ASC" });
    let arguments = json!({ "after": page["pageInfo"]["endCursor"], "orderBy": order });
    let answer = app.graphql(PAGE, arguments).await;
    assert_eq!(
        answer["errors"][0]["extensions"],
        json!({ "code": "BAD_USER_INPUT", "problems": [{ "code": "BAD_USER_INPUT",
            "field": "after", "message": "expected a cursor of this list and order" }] })
    );
}

#[tokio::test]
async fn an_attempt_says_when_what_was_sent_and_what_came_back() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook?a=1")).await;
    let answer = Answer::status(200).header("content-type", "application/json");
    receiver.answer(answer.body(r#"{"ok":true,"n":1.50}"#));
    let id = fire_with(&app, json!({ "triggerId": trigger, "payload": { "b": 1, "a": 2 } })).await;
    app.work().await;
    let seen = firing(&app, &id).await;
    let mut attempt = tests::redact(seen["attempts"][0].clone());
    let port = receiver.url("").rsplit(':').next().expect("a port").to_owned();
    let signature = "webhook-signature";
    assert!(attempt["request"]["headers"][signature].as_str().expect("signed").starts_with("v1,"));
    attempt["request"]["headers"][signature] = json!("v1,…");
    attempt["response"]["headers"]["date"] = json!("…");
    let shown = serde_json::to_string_pretty(&attempt).expect("JSON");
    let shown = shown.replace(&port, "PORT").replace(&id, "frg_…");
    assert_snapshot!(shown, @r#"
    {
      "number": 1,
      "stage": "post",
      "kind": "http",
      "status": "SUCCEEDED",
      "errorCode": null,
      "error": null,
      "startedAt": "2026-03-02T10:00:00Z",
      "finishedAt": "2026-03-02T10:00:00Z",
      "duration": "PT0S",
      "retryAt": null,
      "request": {
        "method": "POST",
        "url": "http://127.0.0.1:PORT/hook?a=***",
        "headers": {
          "content-type": "application/json",
          "webhook-id": "frg_…_post",
          "webhook-timestamp": "1772445600",
          "webhook-signature": "v1,…"
        },
        "body": "{\"b\":1,\"a\":2}"
      },
      "response": {
        "status": 200,
        "headers": {
          "content-type": "application/json",
          "content-length": "20",
          "date": "…"
        },
        "body": "{\"ok\":true,\"n\":1.50}"
      }
    }
    "#);
}

#[tokio::test]
async fn what_is_kept_of_an_answer_ends_at_16_kib_and_says_so() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let mut seen = Vec::new();
    let answer = |chars: usize| {
        let date = "Mon, 02 Mar 2026 10:00:00 GMT";
        Answer::status(200).header("date", date).body("x".repeat(chars))
    };
    // Room for the body once status and headers, whose lengths depend on the body's, are written.
    receiver.answer(answer(10_000));
    let id = fire(&app, &trigger).await;
    app.work().await;
    let response = firing(&app, &id).await["attempts"][0]["response"].clone();
    let room = 16 * 1024 - (response.to_string().len() - 10_000) - r#""isCut":true,"#.len();
    for chars in [room, room + 1, 100_000] {
        receiver.answer(answer(chars));
        let id = fire(&app, &trigger).await;
        app.work().await;
        let firing = firing(&app, &id).await;
        let response = &firing["attempts"][0]["response"];
        let bytes = response.to_string().len();
        seen.push((response["isCut"] == true, bytes <= 16 * 1024, text(&firing["status"])));
    }
    let done = "COMPLETED".to_owned();
    assert_eq!(seen, [(false, true, done.clone()), (true, true, done.clone()), (true, true, done)]);
}

#[tokio::test]
async fn a_result_of_16_kib_is_kept_and_a_longer_one_is_replaced_by_a_flag() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let date = "Mon, 02 Mar 2026 10:00:00 GMT";
    let answer = |chars: usize| Answer::status(200).header("date", date).body("x".repeat(chars));
    receiver.answer(answer(10_000));
    let id = fire(&app, &trigger).await;
    app.work().await;
    let room = 16 * 1024 - (firing(&app, &id).await["result"].to_string().len() - 10_000);
    receiver.answer(answer(room));
    receiver.answer(answer(room + 1));
    let (at, past) = (fire(&app, &trigger).await, fire(&app, &trigger).await);
    app.work().await;
    let mut kept =
        [firing(&app, &at).await["result"].clone(), firing(&app, &past).await["result"].clone()];
    kept.sort_by_key(|result| result.to_string().len());
    assert_eq!(kept[0], json!({ "isTooLong": true, "bytes": 16 * 1024 + 1 }));
    assert_eq!(kept[1].to_string().len(), 16 * 1024);
}

#[tokio::test]
async fn a_firing_is_tried_eight_times_over_a_day_and_then_waits_for_a_person() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let id = fire_with(&app, json!({ "triggerId": trigger, "payload": { "z": 1, "a": 2 } })).await;
    let began = app.now();
    for number in 1..=8 {
        receiver.answer(Answer::status(503));
        if number == 1 {
            app.work().await
        } else {
            until_due(&app, &id, &receiver).await
        }
        assert_eq!(status(&app, &id).await, if number < 8 { "RETRYING" } else { "FAILED" });
    }
    let hours = app.now().ms_since(began) as f64 / 3_600_000.0;
    assert!((18.0..30.0).contains(&hours), "the attempts spanned {hours} h");

    app.advance(Duration::from_secs(30 * 3_600)).await;
    let received = receiver.received();
    assert_eq!((received.len(), same_message(&received)), (8, true));
    assert_eq!(received[0].body, r#"{"z":1,"a":2}"#);
    let seen = firing(&app, &id).await;
    let attempts = seen["attempts"].as_array().expect("attempts");
    let line = |attempt: &Value| {
        format!(
            "{} {} {}",
            attempt["number"],
            text(&attempt["status"]),
            text(&attempt["errorCode"])
        )
    };
    assert_snapshot!(attempts.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
    1 FAILED HTTP_STATUS
    2 FAILED HTTP_STATUS
    3 FAILED HTTP_STATUS
    4 FAILED HTTP_STATUS
    5 FAILED HTTP_STATUS
    6 FAILED HTTP_STATUS
    7 FAILED HTTP_STATUS
    8 FAILED HTTP_STATUS
    ");
    let error = text(&seen["error"]);
    assert!(error.ends_with("answered 503 Service Unavailable"), "{error}");
    assert_eq!((&seen["reason"], &seen["attemptCount"]), (&json!("HTTP_STATUS"), &json!(8)));
}

#[tokio::test]
async fn every_attempt_is_signed_anew_for_the_same_message() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(500));
    let id = fire(&app, &trigger).await;
    app.work().await;
    until_due(&app, &id, &receiver).await;
    let key = key(&app).await;
    let received = receiver.received();
    assert_eq!((received.len(), same_message(&received)), (2, true));
    assert_eq!(received[0].header("webhook-id"), format!("{id}_post"));
    assert_ne!(received[0].header("webhook-timestamp"), received[1].header("webhook-timestamp"));
    for one in received {
        let (id, timestamp) = (one.header("webhook-id"), one.header("webhook-timestamp"));
        let signature = one.header("webhook-signature");
        let signed = Signed { id: &id, timestamp: &timestamp, signature: &signature };
        assert_eq!(key.verify(&signed, one.body.as_bytes(), app.now()), Ok(()));
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_more_time_gets_it() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(429).header("retry-after", "3600"));
    receiver.answer(Answer::status(503).header("retry-after", "Mon, 02 Mar 2026 13:00:00 GMT"));
    let id = fire(&app, &trigger).await;
    app.work().await;
    assert_eq!(firing(&app, &id).await["dueAt"], "2026-03-02T11:00:00Z");
    until_due(&app, &id, &receiver).await;
    assert_eq!(firing(&app, &id).await["dueAt"], "2026-03-02T13:00:00Z");
    until_due(&app, &id, &receiver).await;
    assert_eq!(status(&app, &id).await, "COMPLETED");
}

#[tokio::test]
async fn most_refusals_are_final_and_a_few_are_worth_another_attempt() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let mut lines = Vec::new();
    for code in [301, 400, 401, 404, 408, 410, 422, 425, 429, 500, 599] {
        receiver.answer(Answer::status(code));
        let id = fire(&app, &trigger).await;
        app.work().await;
        lines.push(format!("{code} {}", status(&app, &id).await));
    }
    assert_snapshot!(lines.join("\n"), @r"
    301 FAILED
    400 FAILED
    401 FAILED
    404 FAILED
    408 RETRYING
    410 FAILED
    422 FAILED
    425 RETRYING
    429 RETRYING
    500 RETRYING
    599 RETRYING
    ");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let app = TestApp::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = listener.local_addr().expect("an address");
    drop(listener);
    let trigger = posting(&app, "order", &format!("http://{gone}/")).await;
    let id = fire(&app, &trigger).await;
    app.work().await;
    let seen = firing(&app, &id).await;
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("RETRYING"), &json!("CONNECT")));
}

#[tokio::test]
async fn a_firing_is_cancelled_before_its_time_and_between_attempts() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let later = fire_with(&app, json!({ "triggerId": trigger, "in": "PT1H" })).await;
    receiver.answer(Answer::status(500));
    let retrying = fire(&app, &trigger).await;
    app.work().await;
    assert_eq!(status(&app, &retrying).await, "RETRYING");
    for id in [&later, &retrying] {
        let done = app.done("firingCancel", CANCEL, json!({ "id": id })).await;
        let expected = json!({ "id": id, "status": "CANCELLED", "reason": "CANCELLED_BY_CLIENT" });
        assert_eq!(done["firing"], expected);
    }
    app.advance(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(receiver.received().len(), 1, "nothing is sent after a cancel");
    assert_eq!(status(&app, &later).await, "CANCELLED");
}

#[tokio::test]
async fn the_result_of_a_firing_that_was_cancelled_meanwhile_is_refused() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(200).held());
    let id = fire(&app, &trigger).await;
    begin(&app).await;
    receiver.wait_for(1).await;
    assert_eq!(status(&app, &id).await, "EXECUTING");
    app.done("firingCancel", CANCEL, json!({ "id": id })).await;
    receiver.release();
    app.engine.executor.idle().await;
    app.advance(Duration::from_secs(3_600)).await;
    let seen = firing(&app, &id).await;
    assert_eq!(
        (&seen["status"], &seen["result"], &seen["attempts"]),
        (&json!("CANCELLED"), &Value::Null, &json!([]))
    );
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_failed_firing_is_replayed_as_a_new_one_with_the_same_message() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let old = failed(&app, &receiver, json!({ "z": 1, "a": [1.50] })).await;
    let done = app.done("firingReplay", REPLAY, json!({ "id": old })).await;
    let new = text(&done["firing"]["id"]);
    assert_ne!(new, old);
    assert_eq!(
        done["firing"],
        json!({ "id": new, "status": "SCHEDULED", "cause": "REPLAY",
            "replayOf": { "id": old, "status": "REPLAYED" } })
    );
    app.work().await;
    assert_eq!(status(&app, &new).await, "COMPLETED");
    let received = receiver.received();
    assert_eq!((received.len(), same_message(&received)), (2, true));
}

#[tokio::test]
async fn a_replay_of_a_replay_is_still_the_same_message() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let mut id = failed(&app, &receiver, json!(null)).await;
    for _ in 0..2 {
        receiver.answer(Answer::status(410));
        id = text(&app.done("firingReplay", REPLAY, json!({ "id": id })).await["firing"]["id"]);
        app.work().await;
    }
    let received = receiver.received();
    assert_eq!((received.len(), same_message(&received)), (3, true));
}

#[tokio::test]
async fn an_edited_replay_is_another_message() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let old = failed(&app, &receiver, json!({ "n": 1 })).await;
    let edited = json!({ "id": old, "payload": { "n": 2 } });
    let new = text(&app.done("firingReplay", REPLAY, edited).await["firing"]["id"]);
    app.work().await;
    let seen: Vec<(String, String)> = receiver
        .received()
        .iter()
        .map(|one| (one.header("webhook-id"), one.body.clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (format!("{old}_post"), r#"{"n":1}"#.into()),
            (format!("{new}_post"), r#"{"n":2}"#.into())
        ]
    );
}

#[tokio::test]
async fn a_completed_firing_may_be_replayed_and_stays_completed() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let id = fire(&app, &trigger).await;
    app.work().await;
    app.done("firingReplay", REPLAY, json!({ "id": id })).await;
    app.done("firingReplay", REPLAY, json!({ "id": id })).await;
    app.work().await;
    assert_eq!((status(&app, &id).await, receiver.received().len()), ("COMPLETED".into(), 3));
}

#[tokio::test]
async fn of_two_concurrent_replays_of_a_failed_firing_one_wins() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = failed(&app, &receiver, json!(null)).await;
    let input = json!({ "input": { "id": id } });
    let (one, other) = tokio::join!(app.graphql(REPLAY, input.clone()), app.graphql(REPLAY, input));
    let mut refusals: Vec<Value> = [one, other]
        .iter()
        .flat_map(|answer| answer["data"]["firingReplay"]["userErrors"].as_array().unwrap().clone())
        .collect();
    assert_eq!(refusals.len(), 1);
    assert_eq!(
        refusals.remove(0),
        json!({ "code": "CONFLICT", "field": "id",
            "message": "expected a firing that is FAILED or COMPLETED; this one is REPLAYED" })
    );
    app.work().await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_replay_with_the_same_idempotency_key_makes_nothing_new() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = failed(&app, &receiver, json!(null)).await;
    let input = json!({ "id": id, "idempotencyKey": "again" });
    let first = app.done("firingReplay", REPLAY, input.clone()).await;
    let second = app.done("firingReplay", REPLAY, input).await;
    assert_eq!(first["firing"]["id"], second["firing"]["id"]);
    let other = json!({ "id": id, "payload": 1, "idempotencyKey": "again" });
    assert_eq!(
        app.refused("firingReplay", REPLAY, other).await,
        ["CONFLICT idempotencyKey: this key was used within 24 h for another input"]
    );
}

#[tokio::test]
async fn an_edited_replay_must_satisfy_the_schema_that_the_firing_was_accepted_with() {
    let app = TestApp::start().await;
    let schema = json!({ "type": "object", "required": ["n"],
        "properties": { "n": { "type": "integer" }, "m": { "maxLength": 1 } } });
    let trigger = trigger(&app, json!({ "name": "order", "payloadSchema": schema })).await;
    let id = fire_with(&app, json!({ "triggerId": trigger, "payload": { "n": 1 } })).await;
    app.work().await;
    let refused = json!({ "id": id, "payload": { "n": "x", "m": "long" } });
    let problems = app.refused("firingReplay", REPLAY, refused).await;
    assert_snapshot!(problems.join("\n"), @r#"
    BAD_USER_INPUT payload.n: "x" is not of type "integer"
    BAD_USER_INPUT payload.m: "long" is longer than 1 character
    "#);
}

#[tokio::test]
async fn a_failed_firing_is_found_and_given_up() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = failed(&app, &receiver, json!(null)).await;
    let failed = json!({ "filter": { "status": { "eq": "FAILED" } } });
    let page = app.ask("firings", FIND, failed.clone()).await;
    assert_eq!(page["totalCount"], 1);
    let done = app.done("firingSkip", SKIP, json!({ "id": id })).await;
    let expected = json!({ "id": id, "status": "SKIPPED", "reason": "GIVEN_UP" });
    assert_eq!(done["firing"], expected);
    assert_eq!(app.ask("firings", FIND, failed).await["totalCount"], 0);
}

#[tokio::test]
async fn what_cannot_be_done_about_a_firing_is_a_conflict_that_names_its_status() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let over = failed(&app, &receiver, json!(null)).await;
    let waits = timer(&app, 60, &receiver.url("/timer")).await.replacen("tmr_", "frg_", 1);
    let unknown = "frg_01h2xcejqtf2nbrexx3vqjhp41";
    let mut lines = Vec::new();
    for (field, mutation, id) in [
        ("firingCancel", CANCEL, over.as_str()),
        ("firingReplay", REPLAY, &waits),
        ("firingSkip", SKIP, &waits),
        ("firingCancel", CANCEL, unknown),
        ("firingReplay", REPLAY, unknown),
        ("firingSkip", SKIP, "trg_01h2xcejqtf2nbrexx3vqjhp41"),
        ("firingSkip", SKIP, "nonsense"),
    ] {
        lines.extend(app.refused(field, mutation, json!({ "id": id })).await);
    }
    assert_snapshot!(lines.join("\n"), @r"
    CONFLICT id: expected a firing that is not over; this one is FAILED
    CONFLICT id: expected a firing that is FAILED or COMPLETED; this one is SCHEDULED
    CONFLICT id: expected a firing that is FAILED; this one is SCHEDULED
    NOT_FOUND id: no firing has the id frg_01h2xcejqtf2nbrexx3vqjhp41
    NOT_FOUND id: no firing has the id frg_01h2xcejqtf2nbrexx3vqjhp41
    BAD_USER_INPUT id: expected the id of a firing: frg_ and 26 characters
    BAD_USER_INPUT id: expected the id of a firing: frg_ and 26 characters
    ");
}

/// After this a dead process owns nothing, also where others may work on the same database.
const LEASE_AND_A_BIT: Duration = Duration::from_secs(16);

#[tokio::test]
async fn a_firing_whose_process_died_is_resumed_with_the_same_message() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(200).held());
    let id = fire(&app, &trigger).await;
    begin(&app).await;
    receiver.wait_for(1).await;
    app.pass(LEASE_AND_A_BIT);
    let app = app.restart().await;
    app.work().await;
    let received = receiver.received();
    assert_eq!((received.len(), same_message(&received)), (2, true));
    let seen = firing(&app, &id).await;
    assert_eq!((&seen["status"], &seen["attemptCount"]), (&json!("COMPLETED"), &json!(1)));
    let line = |attempt: &Value| {
        let of = |field: &str| attempt[field].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {} {} {}",
            attempt["number"],
            of("stage"),
            of("kind"),
            of("status"),
            of("errorCode")
        )
    };
    let attempts = seen["attempts"].as_array().expect("attempts");
    assert_snapshot!(attempts.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
    1 post http LEASE_EXPIRED LEASE_EXPIRED
    1 post http SUCCEEDED -
    ");
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_after_fifteen_seconds() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(200).held());
    let id = fire(&app, &trigger).await;
    begin(&app).await;
    receiver.wait_for(1).await;
    app.pass(Duration::from_millis(15_000));
    assert_eq!(app.engine.sweeper.run_once().await.expect("a sweep").freed, 0);
    app.pass(Duration::from_millis(1));
    assert_eq!(app.engine.sweeper.run_once().await.expect("a sweep").freed, 1);
    // The first process was only slow: what it brings belongs to an epoch that is over.
    begin(&app).await;
    receiver.wait_for(2).await;
    receiver.release();
    app.engine.executor.idle().await;
    let seen = firing(&app, &id).await;
    let attempts = texts(&seen["attempts"], "status");
    assert_eq!(
        (text(&seen["status"]), attempts),
        ("COMPLETED".into(), vec!["LEASE_EXPIRED".into(), "SUCCEEDED".into()])
    );
}

#[tokio::test]
async fn deaths_do_not_use_up_attempts() {
    let mut app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let id = fire(&app, &trigger).await;
    for death in 1..=2 {
        receiver.answer(Answer::status(200).held());
        begin(&app).await;
        receiver.wait_for(death).await;
        app.pass(LEASE_AND_A_BIT);
        app = app.restart().await;
    }
    receiver.answer(Answer::status(503));
    app.advance(Duration::from_secs(1)).await;
    let seen = firing(&app, &id).await;
    let numbers: Vec<String> = seen["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|attempt| format!("{} {}", attempt["number"], text(&attempt["status"])))
        .collect();
    assert_eq!(numbers, ["1 LEASE_EXPIRED", "1 LEASE_EXPIRED", "1 FAILED"]);
    assert_eq!((&seen["status"], &seen["attemptCount"]), (&json!("RETRYING"), &json!(1)));
}

#[tokio::test]
async fn a_watcher_sees_one_firing_at_once_and_at_each_change() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let id = fire(&app, &trigger).await;
    let query = format!(r#"subscription {{ firingUpdated(id: "{id}") {{ id status }} }}"#);
    let mut stream = app.stream(&query);
    let mut next =
        async || text(&stream.next().await.expect("a row")["data"]["firingUpdated"]["status"]);
    assert_eq!(next().await, "SCHEDULED");
    receiver.answer(Answer::status(200).held());
    begin(&app).await;
    assert_eq!(next().await, "EXECUTING");
    receiver.wait_for(1).await;
    receiver.release();
    assert_eq!(next().await, "COMPLETED");
}

#[tokio::test]
async fn a_watcher_of_a_trigger_sees_its_firings_and_no_others() {
    let app = TestApp::start().await;
    let mine = trigger(&app, json!({ "name": "mine" })).await;
    let other = trigger(&app, json!({ "name": "other" })).await;
    let query = format!(r#"subscription {{ firingUpdated(triggerId: "{mine}") {{ id status }} }}"#);
    let mut stream = app.stream(&query);
    let mut next = Box::pin(stream.next());
    assert!(futures_util::poll!(&mut next).is_pending(), "nothing changed yet");
    fire(&app, &other).await;
    let id = fire(&app, &mine).await;
    let seen = next.await.expect("a row");
    assert_eq!(seen["data"]["firingUpdated"]["id"], id);
}

#[tokio::test]
async fn a_timer_is_a_firing_that_can_be_cancelled_as_one() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = firing_of(&timer(&app, 60, &receiver.url("/timer")).await);
    app.done("firingCancel", CANCEL, json!({ "id": id })).await;
    app.advance(Duration::from_secs(120)).await;
    assert_eq!((status(&app, &id).await, receiver.received().len()), ("CANCELLED".into(), 0));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_answers_with_the_firing_also_when_its_time_has_passed() {
    let app = TestApp::start().await;
    let trigger = trigger(&app, json!({ "name": "order" })).await;
    let input =
        json!({ "triggerId": trigger, "at": "2026-03-02T10:01:00Z", "idempotencyKey": "k" });
    let first = fire_with(&app, input.clone()).await;
    app.advance(Duration::from_secs(120)).await;
    assert_eq!(fire_with(&app, input).await, first);
    assert_eq!(found(&app, json!({})).await, "API");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_answers_with_the_firing_also_when_its_trigger_is_gone() {
    let app = TestApp::start().await;
    let test = trigger(&app, json!({ "name": "test", "isTest": true })).await;
    let input = json!({ "triggerId": test, "idempotencyKey": "k" });
    let first = fire_with(&app, input.clone()).await;
    app.work().await;
    assert_eq!(fire_with(&app, input.clone()).await, first);
    let other = json!({ "triggerId": test, "payload": 1, "idempotencyKey": "k" });
    assert_eq!(
        app.refused("triggerFire", FIRE, other).await,
        ["CONFLICT idempotencyKey: this key was used within 24 h for another input"]
    );
}
