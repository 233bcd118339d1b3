//! The event log: what is written, found, tailed and forgotten.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::story::{fire, fire_with, log, posting, shown, text, texts, timer, trigger};

const LOG: &str = "mutation($input: EventLogInput!) { eventLog(input: $input) {
    event { id type severity createdAt email environment component message data correlationId
        isTest isArchived } userErrors { code field message } } }";
const LOG_MANY: &str = "mutation($input: EventsLogInput!) { eventsLog(input: $input) {
    events { id message } userErrors { code field message } } }";
const PAGE: &str = "query($first: Int, $after: String, $last: Int, $before: String,
    $filter: EventFilter, $q: String, $orderBy: EventOrder) {
    events(first: $first, after: $after, last: $last, before: $before, filter: $filter, q: $q,
        orderBy: $orderBy) {
        totalCount headCursor nodes { id type message triggerName outcome }
        edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }";
const DELETE: &str = "mutation($input: TriggerDeleteInput!) {
    triggerDelete(input: $input) { deletedId userErrors { code field message } } }";
const UPDATE: &str = "mutation($input: TriggerUpdateInput!) {
    triggerUpdate(input: $input) { trigger { id } userErrors { code field message } } }";

const APP_EVENTS: &str = r#"q: "type eq 'app.event'""#;
const OLDEST_FIRST: &str = "ASC";
const ALL: &str = "isTest in (true, false) AND isArchived in (true, false)";

const HOUR: u64 = 3_600;

/// What the log says of type, trigger and message, oldest first, beyond the making of keys.
async fn lines(app: &TestApp, arguments: Value) -> String {
    let mut arguments = arguments;
    arguments["orderBy"] = json!({ "direction": OLDEST_FIRST });
    arguments["first"] = json!(100);
    let page = app.ask("events", PAGE, arguments).await;
    let shown = page["nodes"].as_array().expect("nodes").iter().map(|node| {
        let of = |field: &str| node[field].as_str().unwrap_or("-").to_owned();
        [of("type"), of("triggerName"), of("outcome"), of("message")].join(" | ")
    });
    let shown: Vec<String> = shown.filter(|line| !line.starts_with("key.")).collect();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join("\n") }
}

async fn messages(app: &TestApp, arguments: Value) -> String {
    let mut arguments = arguments;
    arguments["orderBy"] = json!({ "direction": OLDEST_FIRST });
    let page = app.ask("events", PAGE, arguments).await;
    let nodes = page["nodes"].as_array().expect("nodes");
    let shown: Vec<&str> =
        nodes.iter().map(|node| node["message"].as_str().unwrap_or("-")).collect();
    shown.join(" ")
}

fn event(message: &str) -> Value {
    json!({ "email": "ada@example.com", "environment": "prod", "component": "shop",
        "message": message, "data": { "n": 1 } })
}

async fn head(app: &TestApp) -> String {
    text(&app.ask("events", PAGE, json!({ "first": 0 })).await["headCursor"])
}

fn tail(app: &TestApp, arguments: &str) -> BoxStream<'static, Value> {
    app.stream(&format!(
        "subscription {{ events({arguments}) {{
            cursor events {{ id type message }} gap {{ availableFrom missed }} }} }}"
    ))
}

async fn batch(stream: &mut BoxStream<'static, Value>) -> Value {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next()).await;
    let answer = next.expect("a batch in time").expect("the tail does not end");
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["events"].clone()
}

fn said(batch: &Value) -> Vec<String> {
    texts(&batch["events"], "message")
}

#[tokio::test]
async fn belfry_writes_what_happened_and_nothing_for_planning() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let order = posting(&app, "order", &receiver.url("/hook")).await;
    let schedule = json!({ "spec": { "every": { "interval": "PT1M" } } });
    trigger(&app, json!({ "name": "tick", "schedules": [schedule] })).await;
    app.work().await;
    fire(&app, &order).await;
    app.work().await;
    receiver.answer(Answer::status(404));
    timer(&app, 10, &receiver.url("/timer")).await;
    app.advance(Duration::from_secs(10)).await;
    receiver.answer(Answer::status(503));
    fire(&app, &order).await;
    app.work().await;
    app.advance(Duration::from_secs(10)).await;
    app.advance(Duration::from_secs(40)).await;
    let port = receiver.url("").rsplit(':').next().expect("a port").to_owned();
    let shown = lines(&app, json!({})).await.replace(&port, "PORT");
    let cut = |line: &str| line.split("; again at").next().expect("a line").to_owned();
    let shown: Vec<String> = shown.lines().map(cut).collect();
    assert_snapshot!(shown.join("\n"), @r"
    trigger.created | order | - | trigger order
    trigger.created | tick | - | trigger tick
    firing.accepted | order | - | -
    firing.completed | order | COMPLETED | -
    attempt.failed | - | - | 127.0.0.1:PORT answered 404 Not Found
    firing.failed | - | FAILED | 127.0.0.1:PORT answered 404 Not Found
    firing.accepted | order | - | -
    attempt.failed | order | - | attempt 1 of 8: 127.0.0.1:PORT answered 503 Service Unavailable
    firing.completed | order | COMPLETED | -
    firing.completed | tick | COMPLETED | -
    ");
}

#[tokio::test]
async fn an_event_of_a_firing_says_what_fired_how_and_with_what() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    let input =
        json!({ "triggerId": order, "payload": { "z": 1, "a": 2 }, "correlationId": "c-7" });
    fire_with(&app, input).await;
    app.work().await;
    let query = r#"{ events(q: "type eq 'firing.completed'") { nodes { id type severity triggerId
        triggerName trigger { id } firingId firing { id status } cause scheduleKind outcome payload
        correlationId isTest isArchived createdAt actor } } }"#;
    let page = app.ask("events", query, json!({})).await;
    assert_snapshot!(shown(&page["nodes"][0]), @r#"
    {
      "actor": null,
      "cause": "API",
      "correlationId": "c-7",
      "createdAt": "2026-03-02T10:00:00Z",
      "firing": {
        "id": "frg_…",
        "status": "COMPLETED"
      },
      "firingId": "frg_…",
      "id": "evt_…",
      "isArchived": false,
      "isTest": false,
      "outcome": "COMPLETED",
      "payload": {
        "a": 2,
        "z": 1
      },
      "scheduleKind": null,
      "severity": "INFO",
      "trigger": {
        "id": "trg_…"
      },
      "triggerId": "trg_…",
      "triggerName": "order",
      "type": "firing.completed"
    }
    "#);
}

#[tokio::test]
async fn an_accepted_firing_is_in_the_log_when_the_mutation_returns() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    fire(&app, &order).await;
    let page = app.ask("events", PAGE, json!({ "first": 1 })).await;
    assert_eq!(page["nodes"][0]["type"], "firing.accepted");
}

#[tokio::test]
async fn an_application_event_is_answered_whole() {
    let app = TestApp::start().await;
    let mut input = event("bought");
    input["data"] = json!({ "z": [1.50, null], "a": true });
    input["correlationId"] = json!("order-7");
    input["severity"] = json!("WARN");
    let made = app.done("eventLog", LOG, json!({ "event": input })).await;
    assert_snapshot!(shown(&made["event"]), @r#"
    {
      "component": "shop",
      "correlationId": "order-7",
      "createdAt": "2026-03-02T10:00:00Z",
      "data": {
        "a": true,
        "z": [
          1.5,
          null
        ]
      },
      "email": "ada@example.com",
      "environment": "prod",
      "id": "evt_…",
      "isArchived": false,
      "isTest": false,
      "message": "bought",
      "severity": "WARN",
      "type": "app.event"
    }
    "#);
}

#[tokio::test]
async fn each_bad_field_of_an_event_is_listed() {
    let app = TestApp::start().await;
    let input = json!({ "email": "nobody", "environment": " ", "component": "",
        "message": "a\u{0}b", "data": { "k": "\u{0}" }, "correlationId": "" });
    let problems = app.refused("eventLog", LOG, json!({ "event": input })).await;
    assert_snapshot!(problems.join("\n"), @r"
    BAD_USER_INPUT event.email: expected an e-mail address such as ada@example.com
    BAD_USER_INPUT event.environment: expected a text that is not blank
    BAD_USER_INPUT event.component: expected a text that is not blank
    BAD_USER_INPUT event.message: expected no character U+0000
    BAD_USER_INPUT event.data: expected no character U+0000 in any text
    BAD_USER_INPUT event.correlationId: expected a text that is not blank
    ");
    assert_eq!(lines(&app, json!({})).await, "nothing");
}

#[tokio::test]
async fn each_field_of_an_event_is_as_long_as_its_limit_and_no_longer() {
    let app = TestApp::start().await;
    let email = |chars: usize| format!("{}@example.com", "é".repeat(chars - "@example.com".len()));
    let long = |past: usize| {
        json!({ "email": email(254 + past), "environment": "é".repeat(100 + past),
            "component": "é".repeat(100 + past), "message": "é".repeat(1_000 + past),
            "data": "x".repeat(256 * 1024 - 2 + past), "correlationId": "é".repeat(128 + past) })
    };
    app.done("eventLog", LOG, json!({ "event": long(0) })).await;
    let problems = app.refused("eventLog", LOG, json!({ "event": long(1) })).await;
    assert_snapshot!(problems.join("\n"), @r"
    BAD_USER_INPUT event.email: expected at most 254 characters, not 255
    BAD_USER_INPUT event.environment: expected at most 100 characters, not 101
    BAD_USER_INPUT event.component: expected at most 100 characters, not 101
    BAD_USER_INPUT event.message: expected at most 1000 characters, not 1001
    BAD_USER_INPUT event.data: expected at most 262144 bytes of JSON, not 262145
    BAD_USER_INPUT event.correlationId: expected at most 128 characters, not 129
    ");
}

#[tokio::test]
async fn of_many_events_all_are_logged_in_their_order_or_none() {
    let app = TestApp::start().await;
    let events: Vec<Value> = (0..5_000).map(|n| event(&n.to_string())).collect();
    let done = app.done("eventsLog", LOG_MANY, json!({ "events": events })).await;
    let expected: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    assert_eq!(texts(&done["events"], "message"), expected);

    let one_more = json!({ "events": vec![event("x"); 5_001] });
    assert_eq!(
        app.refused("eventsLog", LOG_MANY, one_more).await,
        ["BAD_USER_INPUT events: expected at most 5000 events, not 5001"]
    );
    let mut events = vec![event("x"); 3];
    events[1]["email"] = json!("nobody");
    events[2]["component"] = json!("");
    let problems = app.refused("eventsLog", LOG_MANY, json!({ "events": events })).await;
    assert_snapshot!(problems.join("\n"), @r"
    BAD_USER_INPUT events.1.email: expected an e-mail address such as ada@example.com
    BAD_USER_INPUT events.2.component: expected a text that is not blank
    ");
    let page = app.ask("events", PAGE, json!({ "q": "type eq 'app.event'" })).await;
    assert_eq!(page["totalCount"], 5_000);
}

#[tokio::test]
async fn no_events_are_no_fault_and_neither_are_they_twice() {
    let app = TestApp::start().await;
    let input = json!({ "events": [], "idempotencyKey": "none" });
    for _ in 0..2 {
        let done = app.done("eventsLog", LOG_MANY, input.clone()).await;
        assert_eq!(done["events"], json!([]));
    }
}

#[tokio::test]
async fn an_event_is_logged_once_for_one_idempotency_key() {
    let app = TestApp::start().await;
    let input = |event: Value| json!({ "event": event, "idempotencyKey": "k" });
    let first = app.done("eventLog", LOG, input(event("a"))).await;
    let second = app.done("eventLog", LOG, input(event("a"))).await;
    assert_eq!(first["event"]["id"], second["event"]["id"]);
    let mut worse = event("a");
    worse["severity"] = json!("ERROR");
    for other in [event("b"), worse] {
        assert_eq!(
            app.refused("eventLog", LOG, input(other)).await,
            ["CONFLICT idempotencyKey: this key was used within 24 h for another input"]
        );
    }
}

/// Four events that the example of the README tells apart.
async fn shop(app: &TestApp) {
    for (email, message) in [
        ("a@b.c", "a Buyer came"),
        ("a@b.c", "a seller came"),
        ("x@b.c", "a buyer came"),
        ("a@b.c", "buyers left"),
    ] {
        let mut event = event(message);
        event["email"] = json!(email);
        app.done("eventLog", LOG, json!({ "event": event })).await;
    }
}

#[tokio::test]
async fn the_example_of_the_seed_finds_exactly_its_rows() {
    let app = TestApp::start().await;
    shop(&app).await;
    let q = "((email eq 'a@b.c') AND (createdAt gte '2018-1-1') AND (message ct 'buyer' ))";
    assert_eq!(messages(&app, json!({ "q": q })).await, "a Buyer came buyers left");
}

#[tokio::test]
async fn the_text_and_the_typed_filter_give_the_same_pages() {
    let app = TestApp::start().await;
    shop(&app).await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    fire(&app, &order).await;
    for (q, filter) in [
        ("email eq 'a@b.c'", json!({ "email": { "eq": "a@b.c" } })),
        ("NOT (email eq 'a@b.c')", json!({ "not": { "email": { "eq": "a@b.c" } } })),
        ("email neq 'a@b.c'", json!({ "email": { "neq": "a@b.c" } })),
        (
            "((message ct 'BUYER') OR (message sw 'a')) AND (email eq 'x@b.c')",
            json!({ "email": { "eq": "x@b.c" },
                "or": [{ "message": { "contains": "BUYER" } }, { "message": { "startsWith": "a" } }] }),
        ),
        ("triggerName isNull", json!({ "triggerName": { "isNull": true } })),
        ("severity gte 'INFO'", json!({ "severity": { "gte": "INFO" } })),
        (
            "type in ('app.event', 'firing.accepted')",
            json!({ "type": { "in": ["app.event", "firing.accepted"] } }),
        ),
        ("isTest eq true", json!({ "isTest": "ONLY" })),
    ] {
        let by_text = app.ask("events", PAGE, json!({ "q": q })).await;
        let by_type = app.ask("events", PAGE, json!({ "filter": filter })).await;
        assert_eq!(
            (&by_text["nodes"], &by_text["totalCount"]),
            (&by_type["nodes"], &by_type["totalCount"]),
            "{q}"
        );
    }
}

#[tokio::test]
async fn what_is_no_filter_is_refused_with_its_place() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for q in
        ["mail eq 'x'", "email xx 'x'", "email eq 'x", "(email eq 'x'", "", "createdAt gte 'soon'"]
    {
        let answer = app.graphql(PAGE, json!({ "q": q })).await;
        let error = &answer["errors"][0];
        let problem = &error["extensions"]["problems"][0];
        lines.push(format!(
            "{q:?}: {} {} {}",
            text(&error["extensions"]["code"]),
            text(&problem["field"]),
            text(&problem["message"])
        ));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    "mail eq 'x'": BAD_USER_INPUT q unknown field 'mail' at offset 0: expected one of id, type, severity, component, environment, email, message, createdAt, triggerId, triggerName, firingId, cause, scheduleKind, outcome, correlationId, isTest, isArchived
    "email xx 'x'": BAD_USER_INPUT q unknown operator 'xx' at offset 6: expected an operator of email: one of eq, neq, in, nin, ct, sw, gt, gte, lt, lte, isNull
    "email eq 'x": BAD_USER_INPUT q a text is not closed at offset 9: expected a closing ' (two of them stand for one inside the text)
    "(email eq 'x'": BAD_USER_INPUT q the filter ends too early at offset 13: expected AND, OR or ')'
    "": BAD_USER_INPUT q the filter is empty at offset 0: expected a comparison such as (email eq 'a@b.c'), a group in brackets, or NOT
    "createdAt gte 'soon'": BAD_USER_INPUT q 'soon' does not fit createdAt at offset 14: expected a date such as '2018-01-31' or an instant such as '2018-01-31T09:00:00Z', between 1970 and 9999
    "#);
}

#[tokio::test]
async fn flags_have_three_states_and_hide_test_and_archived_by_default() {
    let app = TestApp::start().await;
    let old = trigger(&app, json!({ "name": "old" })).await;
    fire(&app, &old).await;
    app.work().await;
    let test = trigger(&app, json!({ "name": "old-test", "isTest": true })).await;
    fire(&app, &test).await;
    app.work().await;
    app.advance(Duration::from_secs(3 * HOUR)).await;
    let new = trigger(&app, json!({ "name": "new" })).await;
    fire(&app, &new).await;
    app.work().await;
    let test = trigger(&app, json!({ "name": "new-test", "isTest": true })).await;
    fire(&app, &test).await;
    app.work().await;
    let completed = json!({ "type": { "eq": "firing.completed" } });
    let mut lines = Vec::new();
    for is_test in [None, Some("EXCLUDE"), Some("INCLUDE"), Some("ONLY")] {
        for is_archived in [None, Some("EXCLUDE"), Some("INCLUDE"), Some("ONLY")] {
            let mut filter = completed.clone();
            if let Some(flag) = is_test {
                filter["isTest"] = json!(flag)
            }
            if let Some(flag) = is_archived {
                filter["isArchived"] = json!(flag)
            }
            let order = json!({ "direction": OLDEST_FIRST });
            let arguments = json!({ "filter": filter, "orderBy": order });
            let page = app.ask("events", PAGE, arguments).await;
            let names = texts(&page["nodes"], "triggerName").join(" ");
            let word = |flag: Option<&str>| flag.unwrap_or("-").to_owned();
            lines.push(format!("test {} archived {}: {names}", word(is_test), word(is_archived)));
        }
    }
    assert_snapshot!(lines.join("\n"), @r"
    test - archived -: new
    test - archived EXCLUDE: new
    test - archived INCLUDE: old new
    test - archived ONLY: old
    test EXCLUDE archived -: new
    test EXCLUDE archived EXCLUDE: new
    test EXCLUDE archived INCLUDE: old new
    test EXCLUDE archived ONLY: old
    test INCLUDE archived -: new new-test
    test INCLUDE archived EXCLUDE: new new-test
    test INCLUDE archived INCLUDE: old old-test new new-test
    test INCLUDE archived ONLY: old old-test
    test ONLY archived -: new-test
    test ONLY archived EXCLUDE: new-test
    test ONLY archived INCLUDE: old-test new-test
    test ONLY archived ONLY: old-test
    ");
}

#[tokio::test]
async fn an_event_of_belfry_is_archived_at_two_hours_to_the_millisecond() {
    let app = TestApp::start().await;
    log(&app, &["kept"]).await;
    trigger(&app, json!({ "name": "order" })).await;
    app.pass(Duration::from_millis(2 * HOUR * 1_000 - 1));
    let before = lines(&app, json!({})).await;
    app.pass(Duration::from_millis(1));
    let after = lines(&app, json!({})).await;
    assert_eq!(
        (before.as_str(), after.as_str()),
        (
            "app.event | - | - | kept\ntrigger.created | order | - | trigger order",
            "app.event | - | - | kept"
        )
    );
}

#[tokio::test]
async fn events_stay_after_their_trigger_with_the_name_that_it_had() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "old name" })).await;
    fire(&app, &order).await;
    app.work().await;
    app.done("triggerUpdate", UPDATE, json!({ "id": order, "name": "new name" })).await;
    app.done("triggerDelete", DELETE, json!({ "id": order })).await;
    assert_snapshot!(lines(&app, json!({})).await, @r"
    trigger.created | old name | - | trigger old name
    firing.accepted | old name | - | -
    firing.completed | old name | COMPLETED | -
    trigger.updated | new name | - | trigger new name
    trigger.deleted | new name | - | trigger new name
    ");
}

#[tokio::test]
async fn pages_of_the_log_stay_right_while_it_grows() {
    let app = TestApp::start().await;
    log(&app, &["0", "1", "2", "3", "4", "5", "6"]).await;
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let arguments = json!({ "first": 3, "after": after, "q": "type eq 'app.event'" });
        let page = app.ask("events", PAGE, arguments).await;
        seen.extend(texts(&page["nodes"], "message"));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
        log(&app, &["later"]).await;
    }
    assert_eq!(seen.join(""), "6543210");

    let arguments = json!({ "last": 3, "q": "type eq 'app.event' AND message neq 'later'",
        "orderBy": { "direction": OLDEST_FIRST } });
    let page = app.ask("events", PAGE, arguments.clone()).await;
    assert_eq!(texts(&page["nodes"], "message"), ["4", "5", "6"]);
    let mut arguments = arguments;
    arguments["before"] = page["pageInfo"]["startCursor"].clone();
    let page = app.ask("events", PAGE, arguments).await;
    assert_eq!(texts(&page["nodes"], "message"), ["1", "2", "3"]);
    assert_eq!(page["totalCount"], 7);
}

#[tokio::test]
async fn a_tail_resumes_exactly_after_each_of_its_cursors() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    for message in ["a", "b", "c", "d", "e"] {
        log(&app, &[message]).await;
    }
    let mut stream = tail(&app, &format!(r#"after: "{start}", batchSize: 1"#));
    let mut cursors = vec![start];
    for message in ["a", "b", "c", "d", "e"] {
        let batch = batch(&mut stream).await;
        assert_eq!(said(&batch), [message]);
        cursors.push(text(&batch["cursor"]));
    }
    log(&app, &["f"]).await;
    for (index, cursor) in cursors.iter().enumerate() {
        let mut resumed = tail(&app, &format!(r#"after: "{cursor}""#));
        assert_eq!(said(&batch(&mut resumed).await).concat(), "abcdef"[index..]);
    }
}

#[tokio::test]
async fn the_cursor_of_each_entry_of_a_page_is_a_place_for_the_tail() {
    let app = TestApp::start().await;
    log(&app, &["a", "b", "c"]).await;
    let arguments = json!({ "last": 3, "orderBy": { "direction": OLDEST_FIRST } });
    let page = app.ask("events", PAGE, arguments).await;
    for (edge, rest) in page["edges"].as_array().expect("edges").iter().zip(["bc", "c"]) {
        let cursor = text(&edge["cursor"]);
        let mut resumed = tail(&app, &format!(r#"after: "{cursor}""#));
        assert_eq!(said(&batch(&mut resumed).await).concat(), rest);
    }
}

#[tokio::test]
async fn a_query_and_a_tail_from_its_head_have_no_hole_between_them() {
    let app = TestApp::start().await;
    let mut all = Vec::new();
    for round in 0..20 {
        let (page, _) = tokio::join!(
            app.ask("events", PAGE, json!({ "first": 100, "q": "type eq 'app.event'" })),
            log(&app, &["during"]),
        );
        log(&app, &["after"]).await;
        let cursor = text(&page["headCursor"]);
        let mut stream = tail(&app, &format!(r#"after: "{cursor}", q: "type eq 'app.event'""#));
        let live = batch(&mut stream).await;
        let mut ids = texts(&page["nodes"], "id");
        ids.reverse();
        for id in texts(&live["events"], "id") {
            // What was written while the page was read may be in both; nothing is in neither.
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        assert_eq!(ids.len(), 2 * (round + 1), "round {round}");
        assert!(ids.starts_with(&all), "in log order");
        all = ids;
    }
}

#[tokio::test]
async fn the_head_of_an_empty_page_is_a_place_too() {
    let app = TestApp::start().await;
    let page = app.ask("events", PAGE, json!({ "q": "message eq 'nothing says so'" })).await;
    assert_eq!(page["nodes"], json!([]));
    let cursor = text(&page["headCursor"]);
    log(&app, &["first"]).await;
    let mut stream = tail(&app, &format!(r#"after: "{cursor}""#));
    assert_eq!(said(&batch(&mut stream).await), ["first"]);
}

#[tokio::test]
async fn a_tail_without_a_place_begins_at_the_head_and_sees_what_comes() {
    let app = TestApp::start().await;
    log(&app, &["before"]).await;
    let mut stream = tail(&app, "batchSize: 100");
    let mut next = Box::pin(batch(&mut stream));
    assert!(futures_util::poll!(&mut next).is_pending());
    // Opening reads the head, which takes a few turns.
    tokio::task::yield_now().await;
    let seen = loop {
        log(&app, &["after"]).await;
        if let std::task::Poll::Ready(seen) = futures_util::poll!(&mut next) {
            break seen;
        }
    };
    assert!(said(&seen).iter().all(|message| message == "after"), "{seen}");
}

#[tokio::test]
async fn a_heartbeat_moves_the_cursor_over_what_the_filter_passed_by() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    log(&app, &["a", "b"]).await;
    let filtered = r#"heartbeat: "PT10S", q: "message eq 'wanted'""#;
    let mut stream = tail(&app, &format!(r#"after: "{start}", {filtered}"#));
    let mut next = Box::pin(batch(&mut stream));
    let beat = loop {
        if let std::task::Poll::Ready(beat) = futures_util::poll!(&mut next) {
            break beat;
        }
        tokio::task::yield_now().await;
        app.pass(Duration::from_secs(1));
    };
    assert_eq!((&beat["events"], &beat["cursor"]), (&json!([]), &json!(head(&app).await)));
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_reads_in_order() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    let mut stream = tail(&app, &format!(r#"after: "{start}", batchSize: 100"#));
    log(&app, &["0"]).await;
    assert_eq!(said(&batch(&mut stream).await), ["0"]);
    // More than the bus keeps for a listener.
    for chunk in 0..30 {
        let messages: Vec<String> = (0..100).map(|n| (1 + chunk * 100 + n).to_string()).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        log(&app, &messages).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 3_000 {
        seen.extend(said(&batch(&mut stream).await));
    }
    let expected: Vec<String> = (1..=3_000).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_tail_goes_on_after_a_restart_where_it_was() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    log(&app, &["a", "b", "c"]).await;
    let mut stream = tail(&app, &format!(r#"after: "{start}", batchSize: 2"#));
    let seen = batch(&mut stream).await;
    drop(stream);
    let app = app.restart().await;
    log(&app, &["d"]).await;
    let cursor = text(&seen["cursor"]);
    let mut stream = tail(&app, &format!(r#"after: "{cursor}", {APP_EVENTS}"#));
    assert_eq!(
        (said(&seen), said(&batch(&mut stream).await)),
        (vec!["a".into(), "b".into()], vec!["c".into(), "d".into()])
    );
}

#[tokio::test]
async fn the_live_log_shows_archived_events_and_hides_those_of_tests() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    let test = trigger(&app, json!({ "name": "test", "isTest": true })).await;
    fire(&app, &test).await;
    trigger(&app, json!({ "name": "order" })).await;
    app.pass(Duration::from_secs(3 * HOUR));
    let mut stream = tail(&app, &format!(r#"after: "{start}""#));
    assert_eq!(said(&batch(&mut stream).await), ["trigger order"]);
}

#[tokio::test]
async fn belfrys_events_go_at_48_hours_to_the_millisecond_and_applications_stay() {
    let app = TestApp::start().await;
    log(&app, &["kept"]).await;
    trigger(&app, json!({ "name": "order" })).await;
    app.pass(Duration::from_millis(48 * HOUR * 1_000 - 1));
    app.engine.retention.run_once().await.expect("a pass");
    let before = lines(&app, json!({ "q": ALL })).await;
    app.pass(Duration::from_millis(1));
    app.engine.retention.run_once().await.expect("a pass");
    let after = lines(&app, json!({ "q": ALL })).await;
    assert_eq!(
        (before.as_str(), after.as_str()),
        (
            "app.event | - | - | kept\ntrigger.created | order | - | trigger order",
            "app.event | - | - | kept"
        )
    );
}

#[tokio::test]
async fn a_reader_older_than_retention_gets_a_gap_and_then_everything_that_is_left() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    log(&app, &["kept 1"]).await;
    trigger(&app, json!({ "name": "gone" })).await;
    log(&app, &["kept 2"]).await;
    trigger(&app, json!({ "name": "gone too" })).await;
    let floor = head(&app).await;
    log(&app, &["kept 3"]).await;
    app.pass(Duration::from_secs(49 * HOUR));
    app.engine.retention.run_once().await.expect("a pass");
    let mut stream = tail(&app, &format!(r#"after: "{start}""#));
    let first = batch(&mut stream).await;
    assert_eq!(first["gap"]["availableFrom"], floor);
    // At most so many: entries of applications between them were not deleted.
    assert_eq!((&first["gap"]["missed"], said(&first)), (&json!(4), vec![]));
    assert_eq!(said(&batch(&mut stream).await), ["kept 1", "kept 2", "kept 3"]);
}

#[tokio::test]
async fn a_reader_of_application_events_has_no_gap_where_none_was_deleted() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    log(&app, &["kept"]).await;
    trigger(&app, json!({ "name": "gone" })).await;
    app.pass(Duration::from_secs(49 * HOUR));
    app.engine.retention.run_once().await.expect("a pass");
    let mut stream = tail(&app, &format!(r#"after: "{start}", {APP_EVENTS}"#));
    let seen = batch(&mut stream).await;
    assert_eq!((&seen["gap"], said(&seen)), (&Value::Null, vec!["kept".to_owned()]));
}

#[tokio::test]
async fn a_reader_that_stalls_for_longer_than_retention_learns_of_the_gap() {
    let app = TestApp::start().await;
    let start = head(&app).await;
    let mut stream = tail(&app, &format!(r#"after: "{start}", batchSize: 1"#));
    log(&app, &["read"]).await;
    assert_eq!(said(&batch(&mut stream).await), ["read"]);
    trigger(&app, json!({ "name": "gone" })).await;
    log(&app, &["kept"]).await;
    app.pass(Duration::from_secs(49 * HOUR));
    app.engine.retention.run_once().await.expect("a pass");
    assert_eq!(batch(&mut stream).await["gap"]["missed"], 1);
    assert_eq!(said(&batch(&mut stream).await), ["kept"]);
}

#[tokio::test]
async fn a_reader_that_is_not_older_gets_no_gap() {
    let app = TestApp::start().await;
    trigger(&app, json!({ "name": "gone" })).await;
    let floor = head(&app).await;
    log(&app, &["kept"]).await;
    app.pass(Duration::from_secs(49 * HOUR));
    app.engine.retention.run_once().await.expect("a pass");
    let mut stream = tail(&app, &format!(r#"after: "{floor}""#));
    let seen = batch(&mut stream).await;
    assert_eq!((&seen["gap"], said(&seen)), (&Value::Null, vec!["kept".to_owned()]));
}

#[tokio::test]
async fn a_log_that_was_deleted_to_its_end_keeps_its_place() {
    let app = TestApp::start().await;
    trigger(&app, json!({ "name": "gone" })).await;
    let before = head(&app).await;
    app.pass(Duration::from_secs(49 * HOUR));
    app.engine.retention.run_once().await.expect("a pass");
    assert_eq!(head(&app).await, before);
    let app = app.restart().await;
    log(&app, &["next"]).await;
    let mut stream = tail(&app, &format!(r#"after: "{before}", {APP_EVENTS}"#));
    let seen = batch(&mut stream).await;
    assert_eq!((&seen["gap"], said(&seen)), (&Value::Null, vec!["next".to_owned()]));
}

#[tokio::test]
async fn bad_arguments_of_a_tail_are_refused_by_name() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for arguments in [
        r#"after: "nonsense""#,
        "batchSize: 0",
        "batchSize: 1001",
        r#"heartbeat: "PT0.999S""#,
        r#"heartbeat: "PT1H1S""#,
        r#"q: "mail eq 'x'""#,
    ] {
        let answer = tail(&app, arguments).next().await.expect("an answer");
        let extensions = &answer["errors"][0]["extensions"];
        let problem = &extensions["problems"][0];
        lines.push(format!(
            "{arguments}: {} {}",
            text(&extensions["code"]),
            text(&problem["field"])
        ));
    }
    for arguments in
        ["batchSize: 1", "batchSize: 1000", r#"heartbeat: "PT1S""#, r#"heartbeat: "PT1H""#]
    {
        let mut stream = tail(&app, arguments);
        let mut next = Box::pin(batch(&mut stream));
        assert!(futures_util::poll!(&mut next).is_pending(), "{arguments}");
    }
    assert_snapshot!(lines.join("\n"), @r#"
    after: "nonsense": BAD_USER_INPUT after
    batchSize: 0: BAD_USER_INPUT batchSize
    batchSize: 1001: BAD_USER_INPUT batchSize
    heartbeat: "PT0.999S": BAD_USER_INPUT heartbeat
    heartbeat: "PT1H1S": BAD_USER_INPUT heartbeat
    q: "mail eq 'x'": BAD_USER_INPUT q
    "#);
}

#[tokio::test]
async fn no_mutation_touches_an_event() {
    let app = TestApp::start().await;
    let query = "{ __schema { mutationType { fields { name } } } }";
    let answer = app.graphql(query, json!({})).await;
    let fields = texts(&answer["data"]["__schema"]["mutationType"]["fields"], "name");
    let of_events: Vec<&String> = fields.iter().filter(|name| name.contains("vent")).collect();
    assert_eq!(of_events, ["eventLog", "eventsLog"]);
}
