//! Timers: one-shot countdowns that post, run an action or fire a trigger.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::story::{firing, firing_of, shown, text, texts, timer, timer_with, trigger};

const START: &str = "mutation($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { code field message } } }";
const START_MANY: &str = "mutation($input: TimersStartInput!) {
    timersStart(input: $input) { timers { id payload } userErrors { code field message } } }";
const CANCEL: &str = "mutation($input: TimerCancelInput!) {
    timerCancel(input: $input) { timer { id status secondsLeft } userErrors { code field message } } }";
const TIMER: &str = "query($id: ID!) { timer(id: $id) {
    id url firesAt secondsLeft status createdAt payload firing { id cause timer { id } } } }";
const LIST: &str = "query($first: Int, $after: String, $filter: TimerFilter) {
    timers(first: $first, after: $after, filter: $filter) {
        totalCount nodes { id } pageInfo { endCursor hasNextPage } } }";
const ACTION_CREATE: &str = "mutation($input: ActionCreateInput!) {
    actionCreate(input: $input) { action { id } userErrors { code field message } } }";

const URL: &str = "https://hooks.example.com/x";

async fn seconds_left(app: &TestApp, id: &str) -> i64 {
    let timer = app.ask("timer", TIMER, json!({ "id": id })).await;
    timer["secondsLeft"].as_i64().expect("a number")
}

fn of(length: &Value, url: &str) -> Value {
    json!({ "length": length, "target": { "url": url } })
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test]
async fn a_timer_is_as_long_as_its_parts_or_its_duration() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for length in [
        json!({ "parts": { "hours": 25 } }),
        json!({ "parts": { "minutes": 90 } }),
        json!({ "parts": { "hours": 1, "minutes": 2, "seconds": 3 } }),
        json!({ "parts": {} }),
        json!({ "parts": { "hours": 87600 } }),
        json!({ "duration": "PT90M" }),
        json!({ "duration": "P1DT1H" }),
        json!({ "duration": "PT1.001S" }),
        json!({ "duration": "P3650D" }),
    ] {
        let id = timer_with(&app, of(&length, URL)).await;
        lines.push(format!("{length} → {}", seconds_left(&app, &id).await));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    {"parts":{"hours":25}} → 90000
    {"parts":{"minutes":90}} → 5400
    {"parts":{"hours":1,"minutes":2,"seconds":3}} → 3723
    {"parts":{}} → 0
    {"parts":{"hours":87600}} → 315360000
    {"duration":"PT90M"} → 5400
    {"duration":"P1DT1H"} → 90000
    {"duration":"PT1.001S"} → 2
    {"duration":"P3650D"} → 315360000
    "#);
}

#[tokio::test]
async fn the_seconds_left_are_rounded_up_and_are_0_when_it_is_due() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = timer(&app, 90_000, &receiver.url("/t")).await;
    let mut seen = vec![seconds_left(&app, &id).await];
    for pass in [1, 999, 3_600_000, 86_399_000 - 1, 1] {
        app.pass(ms(pass));
        seen.push(seconds_left(&app, &id).await);
    }
    assert_eq!(seen, [90_000, 90_000, 89_999, 86_399, 1, 0]);
    app.work().await;
    app.advance(ms(1_000)).await;
    assert_eq!(seconds_left(&app, &id).await, 0);
}

#[tokio::test]
async fn a_timer_says_what_it_is() {
    let app = TestApp::start().await;
    let id = timer(&app, 3_600, URL).await;
    let timer = app.ask("timer", TIMER, json!({ "id": id })).await;
    assert_snapshot!(shown(&timer), @r#"
    {
      "createdAt": "2026-03-02T10:00:00Z",
      "firesAt": "2026-03-02T11:00:00Z",
      "firing": {
        "cause": "TIMER",
        "id": "frg_…",
        "timer": {
          "id": "tmr_…"
        }
      },
      "id": "tmr_…",
      "payload": {
        "id": "tmr_…"
      },
      "secondsLeft": 3600,
      "status": "SCHEDULED",
      "url": "https://hooks.example.com/x"
    }
    "#);
}

#[tokio::test]
async fn a_timer_posts_its_id_and_never_early() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = timer(&app, 10, &receiver.url("/ring")).await;
    app.work().await;
    app.advance(ms(9_999)).await;
    assert_eq!(receiver.received().len(), 0);
    app.advance(ms(1)).await;
    let received = receiver.received();
    assert_eq!((received.len(), received[0].method.as_str()), (1, "POST"));
    assert_eq!(received[0].body, format!(r#"{{"id":"{id}"}}"#));
    assert_eq!(received[0].header("content-type"), "application/json");
    app.advance(Duration::from_secs(86_400)).await;
    assert_eq!(receiver.received().len(), 1, "it rings once");
}

#[tokio::test]
async fn timers_ring_to_the_millisecond_and_in_their_order() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    for (duration, path) in [("PT0.003S", "/c"), ("PT0.001S", "/a"), ("PT0.002S", "/b")] {
        timer_with(&app, of(&json!({ "duration": duration }), &receiver.url(path))).await;
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(receiver.received().iter().map(|one| one.path.clone()).collect::<String>());
        app.advance(ms(1)).await;
    }
    assert_eq!(seen, ["", "/a", "/a/b", "/a/b/c"]);
}

#[tokio::test]
async fn a_timer_of_no_length_rings_at_once() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    timer(&app, 0, &receiver.url("/now")).await;
    app.work().await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_payload_replaces_the_body_byte_by_byte() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    for payload in [json!({ "z": 1, "a": [1.5, null] }), json!("text"), json!(null), json!([])] {
        let mut input = of(&json!({ "parts": {} }), &receiver.url("/t"));
        input["payload"] = payload;
        timer_with(&app, input).await;
        app.work().await;
    }
    assert_eq!(receiver.bodies(), [r#"{"z":1,"a":[1.5,null]}"#, r#""text""#, "null", "[]"]);
}

#[tokio::test]
async fn a_timer_runs_an_action() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let config = json!({ "http": { "url": receiver.url("/action"), "method": "PUT" } });
    let action = json!({ "name": "put", "stages": [{ "name": "put", "config": config }] });
    let action = app.done("actionCreate", ACTION_CREATE, action).await;
    let target = json!({ "actionId": action["action"]["id"] });
    let length = json!({ "parts": { "seconds": 5 } });
    let id = timer_with(&app, json!({ "length": length, "target": target })).await;
    app.advance(Duration::from_secs(5)).await;
    let received = &receiver.received()[0];
    assert_eq!((received.method.as_str(), received.path.as_str()), ("PUT", "/action"));
    assert_eq!(received.body, format!(r#"{{"id":"{id}"}}"#));
}

#[tokio::test]
async fn a_timer_fires_a_trigger_with_its_payload() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = crate::story::posting(&app, "order", &receiver.url("/trigger")).await;
    let length = json!({ "parts": { "seconds": 5 } });
    let target = json!({ "triggerId": trigger });
    let input = json!({ "length": length, "target": target, "payload": { "n": 1 } });
    let id = timer_with(&app, input).await;
    app.advance(Duration::from_secs(5)).await;
    let seen = firing(&app, &firing_of(&id)).await;
    assert_eq!(
        (&seen["status"], &seen["cause"], &seen["trigger"]["id"], &receiver.bodies()[0]),
        (&json!("COMPLETED"), &json!("TIMER"), &json!(trigger), &r#"{"n":1}"#.to_owned())
    );
}

#[tokio::test]
async fn the_payload_of_a_trigger_timer_must_satisfy_its_schema() {
    let app = TestApp::start().await;
    let schema = json!({ "required": ["n", "m"] });
    let trigger = trigger(&app, json!({ "name": "order", "payloadSchema": schema })).await;
    let length = json!({ "parts": { "seconds": 5 } });
    let target = json!({ "triggerId": trigger });
    let input = json!({ "length": length, "target": target, "payload": {} });
    let problems = app.refused("timerStart", START, input).await;
    assert_snapshot!(problems.join("\n"), @r#"
    BAD_USER_INPUT payload: "n" is a required property
    BAD_USER_INPUT payload: "m" is a required property
    "#);
}

#[tokio::test]
async fn a_timer_and_its_firing_share_the_26_characters() {
    let app = TestApp::start().await;
    let id = timer(&app, 60, URL).await;
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let nodes = app.ask("nodes", query, json!({ "ids": [id, firing_of(&id)] })).await;
    let expected = json!([{ "__typename": "Timer", "id": id },
        { "__typename": "Firing", "id": firing_of(&id) }]);
    assert_eq!(nodes, expected);
}

#[tokio::test]
async fn a_firing_that_is_no_timer_has_no_timer_id() {
    let app = TestApp::start().await;
    let trigger = trigger(&app, json!({ "name": "order" })).await;
    let id = crate::story::fire(&app, &trigger).await.replacen("frg_", "tmr_", 1);
    assert_eq!(app.ask("timer", TIMER, json!({ "id": id })).await, Value::Null);
    assert_eq!(app.refused("timerCancel", CANCEL, json!({ "id": id })).await.len(), 1);
}

#[tokio::test]
async fn a_timer_that_is_cancelled_does_not_ring() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = timer(&app, 60, &receiver.url("/t")).await;
    let done = app.done("timerCancel", CANCEL, json!({ "id": id })).await;
    assert_eq!(done["timer"], json!({ "id": id, "status": "CANCELLED", "secondsLeft": 0 }));
    app.advance(Duration::from_secs(61)).await;
    assert_eq!(receiver.received().len(), 0);
    assert_eq!(
        app.refused("timerCancel", CANCEL, json!({ "id": id })).await,
        ["CONFLICT id: expected a firing that is not over; this one is CANCELLED"]
    );
}

#[tokio::test]
async fn timers_are_listed_newest_first_and_by_status_and_end() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let plain = trigger(&app, json!({ "name": "no timer" })).await;
    crate::story::fire(&app, &plain).await;
    let mut ids = Vec::new();
    for seconds in [0, 60, 120, 180] {
        ids.push(timer(&app, seconds, &receiver.url("/t")).await);
    }
    app.work().await;
    ids.reverse();
    let page = app.ask("timers", LIST, json!({ "first": 3 })).await;
    assert_eq!((texts(&page["nodes"], "id"), &page["totalCount"]), (ids[..3].to_vec(), &json!(4)));
    let after = &page["pageInfo"]["endCursor"];
    let page = app.ask("timers", LIST, json!({ "first": 3, "after": after })).await;
    assert_eq!(
        (texts(&page["nodes"], "id"), &page["pageInfo"]["hasNextPage"]),
        (ids[3..].to_vec(), &json!(false))
    );
    let filter = json!({ "status": { "eq": "SCHEDULED" },
        "firesAt": { "lt": "2026-03-02T10:03:00Z" } });
    let page = app.ask("timers", LIST, json!({ "filter": filter })).await;
    assert_eq!(texts(&page["nodes"], "id"), ids[1..3]);
}

#[tokio::test]
async fn five_thousand_timers_start_together_in_their_order() {
    let app = TestApp::start().await;
    let one = of(&json!({ "parts": { "hours": 1 } }), URL);
    let mut timers = vec![one; 5_000];
    for (index, timer) in timers.iter_mut().enumerate() {
        timer["payload"] = json!(index);
    }
    let input = json!({ "timers": timers });
    let done = app.done("timersStart", START_MANY, input).await;
    let payloads: Vec<u64> = done["timers"]
        .as_array()
        .expect("timers")
        .iter()
        .map(|timer| timer["payload"].as_u64().expect("a number"))
        .collect();
    assert_eq!(payloads, (0..5_000).collect::<Vec<u64>>());
    let count = app.ask("timers", LIST, json!({ "first": 1 })).await["totalCount"].clone();
    assert_eq!(count, 5_000);
}

#[tokio::test]
async fn five_thousand_and_one_are_too_many() {
    let app = TestApp::start().await;
    let timers = vec![of(&json!({ "parts": { "hours": 1 } }), URL); 5_001];
    assert_eq!(
        app.refused("timersStart", START_MANY, json!({ "timers": timers })).await,
        ["BAD_USER_INPUT timers: expected at most 5000 timers, not 5001"]
    );
}

#[tokio::test]
async fn of_many_timers_all_are_started_or_none() {
    let app = TestApp::start().await;
    let good = of(&json!({ "parts": { "hours": 1 } }), URL);
    let unknown = json!({ "length": { "duration": "PT1S" },
        "target": { "triggerId": "trg_01h2xcejqtf2nbrexx3vqjhp41" } });
    let other_noun = json!({ "length": { "duration": "PT1S" },
        "target": { "actionId": "trg_01h2xcejqtf2nbrexx3vqjhp41" } });
    let timers = json!([
        good,
        of(&json!({ "parts": { "hours": -1, "seconds": -2 } }), "ftp://hooks.example.com"),
        good,
        of(&json!({ "duration": "PT1S" }), "http://10.0.0.1/"),
        unknown,
    ]);
    let problems = app.refused("timersStart", START_MANY, json!({ "timers": timers })).await;
    assert_snapshot!(problems.join("\n"), @r"
    BAD_USER_INPUT timers.1.length.parts.hours: expected 0 to 70389527
    BAD_USER_INPUT timers.1.length.parts.seconds: expected 0 to 253402300799
    BAD_USER_INPUT timers.1.target.url: expected an absolute URL such as https://example.com/hook: only http and https
    BAD_USER_INPUT timers.3.target.url: 10.0.0.1 is not a public address (private); BELFRY_ALLOW_TARGETS may allow it
    NOT_FOUND timers.4.target.triggerId: no trigger has the id trg_01h2xcejqtf2nbrexx3vqjhp41
    ");
    let timers = json!({ "timers": [good, other_noun] });
    assert_eq!(
        app.refused("timersStart", START_MANY, timers).await,
        [
            "BAD_USER_INPUT timers.1.target.actionId: expected the id of an action: act_ and 26 characters"
        ]
    );
    assert_eq!(app.ask("timers", LIST, json!({})).await["totalCount"], 0);
}

#[tokio::test]
async fn a_timer_whose_action_is_unknown_takes_its_neighbours_with_it() {
    let app = TestApp::start().await;
    let good = of(&json!({ "parts": { "hours": 1 } }), URL);
    let unknown = json!({ "length": { "duration": "PT1S" },
        "target": { "actionId": "act_01h2xcejqtf2nbrexx3vqjhp41" } });
    let timers = json!({ "timers": [good, unknown] });
    assert_eq!(
        app.refused("timersStart", START_MANY, timers).await,
        ["NOT_FOUND timers.1.target.actionId: no action has the id act_01h2xcejqtf2nbrexx3vqjhp41"]
    );
    assert_eq!(app.ask("timers", LIST, json!({})).await["totalCount"], 0);
}

#[tokio::test]
async fn no_timers_are_no_fault_and_neither_are_they_twice() {
    let app = TestApp::start().await;
    let input = json!({ "timers": [], "idempotencyKey": "none" });
    for _ in 0..2 {
        let done = app.done("timersStart", START_MANY, input.clone()).await;
        assert_eq!(done["timers"], json!([]));
    }
}

#[tokio::test]
async fn each_wrong_part_of_a_timer_is_named() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for (length, url) in [
        (json!({ "parts": { "hours": -1, "minutes": -1, "seconds": -1 } }), URL),
        (json!({ "parts": { "hours": 2147483647 } }), URL),
        (json!({ "parts": { "hours": 87600, "seconds": 1 } }), URL),
        (json!({ "duration": "P3651D" }), URL),
        (json!({ "parts": { "seconds": 1 } }), ""),
        (json!({ "parts": { "seconds": 1 } }), "not a URL"),
        (json!({ "parts": { "seconds": 1 } }), "/relative"),
        (json!({ "parts": { "seconds": 1 } }), "ftp://example.com/"),
        (json!({ "parts": { "seconds": -1 } }), "http://169.254.169.254/latest/meta-data"),
        (json!({ "parts": { "seconds": 1 } }), "http://10.0.0.1/"),
        (json!({ "parts": { "seconds": 1 } }), "http://[::1]:80/"),
        (json!({ "parts": { "seconds": 1 } }), "http://167772161/"),
    ] {
        let answer = app.graphql(START, json!({ "input": of(&length, url) })).await;
        let errors = answer["data"]["timerStart"]["userErrors"].as_array().cloned();
        lines.push(format!("{length} {url:?}"));
        for error in errors.unwrap_or_default() {
            lines.push(format!("  {}: {}", error["field"], text(&error["message"])));
        }
        for error in answer["errors"].as_array().cloned().unwrap_or_default() {
            lines.push(format!("  {}", error["message"]));
        }
    }
    assert_snapshot!(lines.join("\n"), @r#"
    {"parts":{"hours":-1,"minutes":-1,"seconds":-1}} "https://hooks.example.com/x"
      "length.parts.hours": expected 0 to 70389527
      "length.parts.minutes": expected 0 to 4223371679
      "length.parts.seconds": expected 0 to 253402300799
    {"parts":{"hours":2147483647}} "https://hooks.example.com/x"
      "length.parts.hours": expected 0 to 70389527
    {"parts":{"hours":87600,"seconds":1}} "https://hooks.example.com/x"
      "length.parts.hours": expected a duration from 0 to 10 years
    {"duration":"P3651D"} "https://hooks.example.com/x"
      "length.duration": expected a duration from 0 to 10 years
    {"parts":{"seconds":1}} ""
      "target.url": expected an absolute URL such as https://example.com/hook: only http and https
    {"parts":{"seconds":1}} "not a URL"
      "target.url": expected an absolute URL such as https://example.com/hook, without blanks and control characters
    {"parts":{"seconds":1}} "/relative"
      "target.url": expected an absolute URL such as https://example.com/hook: only http and https
    {"parts":{"seconds":1}} "ftp://example.com/"
      "target.url": expected an absolute URL such as https://example.com/hook: only http and https
    {"parts":{"seconds":-1}} "http://169.254.169.254/latest/meta-data"
      "length.parts.seconds": expected 0 to 253402300799
      "target.url": 169.254.169.254 is not a public address (link-local); BELFRY_ALLOW_TARGETS may allow it
    {"parts":{"seconds":1}} "http://10.0.0.1/"
      "target.url": 10.0.0.1 is not a public address (private); BELFRY_ALLOW_TARGETS may allow it
    {"parts":{"seconds":1}} "http://[::1]:80/"
      "target.url": ::1 is not a public address (loopback); BELFRY_ALLOW_TARGETS may allow it
    {"parts":{"seconds":1}} "http://167772161/"
      "target.url": 10.0.0.1 is not a public address (private); BELFRY_ALLOW_TARGETS may allow it
    "#);
}

#[tokio::test]
async fn a_repeat_with_the_same_key_starts_nothing_new_and_another_input_is_refused() {
    let app = TestApp::start().await;
    let mut input = of(&json!({ "parts": { "seconds": 60 } }), URL);
    input["idempotencyKey"] = json!("once");
    let first = timer_with(&app, input.clone()).await;
    app.pass(Duration::from_secs(3_600));
    assert_eq!(timer_with(&app, input.clone()).await, first);
    let mut other = input.clone();
    other["length"] = json!({ "parts": { "seconds": 61 } });
    assert_eq!(
        app.refused("timerStart", START, other).await,
        ["CONFLICT idempotencyKey: this key was used within 24 h for another input"]
    );
    app.pass(Duration::from_secs(23 * 3_600));
    assert_ne!(timer_with(&app, input).await, first, "a day later the key is free");
}

#[tokio::test]
async fn a_timer_that_was_due_while_nobody_ran_rings_at_the_start_and_once() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    timer(&app, 60, &receiver.url("/t")).await;
    app.pass(Duration::from_secs(600));
    let app = app.restart().await;
    app.work().await;
    app.advance(Duration::from_secs(600)).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_timer_whose_receiver_fails_is_tried_again_and_has_no_seconds_left() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(502));
    let id = timer(&app, 1, &receiver.url("/t")).await;
    app.advance(Duration::from_secs(1)).await;
    let shown = app.ask("timer", TIMER, json!({ "id": id })).await;
    assert_eq!((&shown["status"], &shown["secondsLeft"]), (&json!("RETRYING"), &json!(0)));
    app.advance(Duration::from_secs(10)).await;
    let bodies = receiver.bodies();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]));
}
