//! REST for senders that speak no GraphQL: timers and application events over real HTTP.

use std::time::Duration;

use belfry::service::Scope;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::Receiver;

use crate::TestApp;
use crate::story::{caller_with, log, text};
use crate::wire::{Answer, http};

const URL: &str = "https://hooks.example.com/x";
const UNKNOWN: &str = "tmr_01h2xcejqtf2nbrexx3vqjhp41";

async fn served() -> TestApp {
    let app = TestApp::start().await;
    app.listen().await;
    app
}

async fn get(app: &TestApp, path: &str) -> Answer {
    http(app, &format!("GET {path}"), &[("x-api-key", app.key())], "").await
}

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    let headers = [("x-api-key", app.key()), ("content-type", "application/json")];
    http(app, &format!("POST {path}"), &headers, body.to_string()).await
}

async fn post_once(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    let headers =
        [("x-api-key", app.key()), ("content-type", "application/json"), ("idempotency-key", key)];
    http(app, &format!("POST {path}"), &headers, body.to_string()).await
}

fn event(message: &str) -> Value {
    json!({ "email": "ada@example.com", "environment": "prod", "component": "shop",
        "message": message, "data": { "n": 1 } })
}

/// Status and errors, one a line.
fn refusal(answer: &Answer) -> String {
    let mut lines = vec![answer.status.to_string()];
    let body = answer.json();
    for error in body["errors"].as_array().unwrap_or(&Vec::new()) {
        lines.push(format!("  {}: {}", error["field"], text(&error["message"])));
    }
    lines.join("\n")
}

fn messages(answer: &Answer) -> Vec<String> {
    crate::story::texts(&answer.json(), "message")
}

/// The path of the next page.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.link()?;
    let (path, relation) = link.strip_prefix('<')?.split_once(">; ")?;
    assert_eq!(relation, r#"rel="next""#);
    Some(path.to_owned())
}

#[tokio::test]
async fn a_timer_is_started_and_asked_for_its_time_left() {
    let app = served().await;
    let body = json!({ "hours": 25, "minutes": 0, "seconds": 0, "url": URL });
    let made = post(&app, "/timer", &body).await;
    let id = text(&made.json()["id"]);
    assert_eq!((made.status, made.json()), (201, json!({ "id": id })));
    let mut seen = Vec::new();
    for pass in [0, 1, 3_599, 86_400] {
        app.pass(Duration::from_secs(pass));
        let answer = get(&app, &format!("/timer/{id}")).await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
        seen.push(answer.json()["time_left"].as_i64().expect("a number"));
    }
    assert_eq!(seen, [90_000, 89_999, 86_400, 0]);
}

#[tokio::test]
async fn a_timer_of_the_seed_rings_with_the_seeds_body() {
    let app = served().await;
    let receiver = Receiver::start().await;
    let body = json!({ "seconds": 2, "url": receiver.url("/hook") });
    let made = post(&app, "/timer/", &body).await;
    app.advance(Duration::from_secs(2)).await;
    assert_eq!(receiver.bodies(), [made.body.trim()]);
}

#[tokio::test]
async fn a_timer_that_is_not_there_is_404_and_what_is_no_id_is_400() {
    let app = served().await;
    let mut lines = Vec::new();
    for id in [UNKNOWN, "frg_01h2xcejqtf2nbrexx3vqjhp41", "nonsense", "%00", "%ff"] {
        lines.push(format!("{id} {}", refusal(&get(&app, &format!("/timer/{id}")).await)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    tmr_01h2xcejqtf2nbrexx3vqjhp41 404
      "id": no timer has the id tmr_01h2xcejqtf2nbrexx3vqjhp41
    frg_01h2xcejqtf2nbrexx3vqjhp41 400
      "id": expected the id of a timer: tmr_ and 26 characters
    nonsense 400
      "id": expected the id of a timer: tmr_ and 26 characters
    %00 400
      "id": expected the id of a timer: tmr_ and 26 characters
    %ff 400
      "id": expected the id of a timer: tmr_ and 26 characters
    "#);
}

#[tokio::test]
async fn each_wrong_field_of_a_timer_is_listed() {
    let app = served().await;
    let mut lines = Vec::new();
    for body in [
        json!({}),
        json!([]),
        json!({ "seconds": 1 }),
        json!({ "url": URL }),
        json!({ "hours": -1, "minutes": 1.5, "seconds": "4", "url": "ftp://example.com" }),
        json!({ "hours": 9223372036854775807_i64, "seconds": -1, "url": "http://10.0.0.1/" }),
        json!({ "hours": 1, "url": 7, "Hours": 1 }),
        json!({ "hours": 18446744073709551615_u64, "url": URL }),
        json!({ "hours": 87600, "seconds": 1, "url": "" }),
    ] {
        lines.push(format!("{body} {}", refusal(&post(&app, "/timer", &body).await)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    {} 400
      "url": a text is required
      "seconds": expected at least one of hours, minutes and seconds
    [] 400
      null: expected a JSON object as the body
    {"seconds":1} 400
      "url": a text is required
    {"url":"https://hooks.example.com/x"} 400
      "seconds": expected at least one of hours, minutes and seconds
    {"hours":-1,"minutes":1.5,"seconds":"4","url":"ftp://example.com"} 400
      "hours": expected a whole number from 0 to 87600
      "minutes": expected a whole number from 0 to 5256000
      "seconds": expected a whole number from 0 to 315360000
      "url": expected an absolute URL such as https://example.com/hook: only http and https
    {"hours":9223372036854775807,"seconds":-1,"url":"http://10.0.0.1/"} 400
      "hours": expected a whole number from 0 to 87600
      "seconds": expected a whole number from 0 to 315360000
      "url": 10.0.0.1 is not a public address (private); BELFRY_ALLOW_TARGETS may allow it
    {"hours":1,"url":7,"Hours":1} 400
      "url": expected a text
      "Hours": unknown field; the fields are hours, minutes, seconds, url
    {"hours":18446744073709551615,"url":"https://hooks.example.com/x"} 400
      "hours": expected a whole number from 0 to 87600
    {"hours":87600,"seconds":1,"url":""} 400
      "hours": expected a duration from 0 to 10 years
      "url": expected an absolute URL such as https://example.com/hook: only http and https
    "#);
}

#[tokio::test]
async fn an_event_is_logged_and_answered() {
    let app = served().await;
    let made = post(&app, "/event", &event("bought")).await;
    assert_eq!(made.status, 201);
    let shown = serde_json::to_string_pretty(&tests::redact(made.json()));
    assert_snapshot!(shown.expect("JSON"), @r#"
    {
      "id": "evt_…",
      "createdAt": "2026-03-02T10:00:00Z",
      "type": "app.event",
      "email": "ada@example.com",
      "environment": "prod",
      "component": "shop",
      "message": "bought",
      "data": {
        "n": 1
      }
    }
    "#);
}

#[tokio::test]
async fn each_wrong_field_of_an_event_is_listed() {
    let app = served().await;
    let mut lines = Vec::new();
    for body in [
        json!({}),
        json!("text"),
        json!({ "email": 7, "environment": "", "component": [], "message": " ", "data": null }),
        json!({ "email": "nobody", "environment": "x".repeat(101), "component": "c",
            "message": "m", "data": 1, "extra": true }),
    ] {
        lines.push(refusal(&post(&app, "/event", &body).await));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    400
      "email": a text is required
      "environment": a text is required
      "component": a text is required
      "message": a text is required
      "data": expected any JSON value but null
    400
      null: expected a JSON object as the body
    400
      "email": expected a text
      "component": expected a text
      "data": expected any JSON value but null
      "environment": expected a text that is not blank
      "message": expected a text that is not blank
    400
      "extra": unknown field; the fields are email, environment, component, message, data
      "email": expected an e-mail address such as ada@example.com
      "environment": expected at most 100 characters, not 101
    "#);
    assert_eq!(get(&app, "/event").await.json(), json!([]));
}

#[tokio::test]
async fn events_are_listed_newest_first_and_followed_by_links_to_the_end() {
    let app = served().await;
    log(&app, &["0", "1", "2", "3", "4", "5", "6"]).await;
    log(&app, &["other"]).await;
    let mut path = "/event?limit=3&q=NOT%20(message%20eq%20'other')".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = get(&app, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        pages.push(messages(&answer).concat());
        // It comes before what was read and is not seen.
        log(&app, &["later"]).await;
        match next(&answer) {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(pages, ["654", "321", "0"]);
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_events() {
    let app = served().await;
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    log(&app, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lengths = [
        messages(&get(&app, "/event").await).len(),
        messages(&get(&app, "/event?limit=1").await).len(),
        messages(&get(&app, "/event?limit=100").await).len(),
    ];
    assert_eq!(lengths, [50, 1, 100]);
}

#[tokio::test]
async fn belfrys_own_entries_are_listed_when_the_filter_asks_for_types() {
    let app = served().await;
    log(&app, &["mine"]).await;
    let types =
        async |path: &str| crate::story::texts(&get(&app, path).await.json(), "type").join(" ");
    assert_eq!(types("/event").await, "app.event");
    assert_eq!(types("/event?q=type%20sw%20'key.'").await, "key.created key.created");
}

#[tokio::test]
async fn each_wrong_parameter_of_a_list_is_named() {
    let app = served().await;
    let mut lines = Vec::new();
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=99999999999999999999",
        "q=",
        "q=mail%20eq%20'x'",
        "after=nonsense",
        "limit=0&q=mail%20eq%20'x'&after=nonsense",
        "limit=1&limit=2",
        "q=%ff",
    ] {
        lines.push(format!("{query} {}", refusal(&get(&app, &format!("/event?{query}")).await)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    limit=0 400
      "limit": expected a number from 1 to 100
    limit=101 400
      "limit": expected a number from 1 to 100
    limit=-1 400
      "limit": expected a number from 1 to 100
    limit=ten 400
      "limit": expected a number from 1 to 100
    limit=99999999999999999999 400
      "limit": expected a number from 1 to 100
    q= 400
      "q": the filter is empty at offset 0: expected a comparison such as (email eq 'a@b.c'), a group in brackets, or NOT
    q=mail%20eq%20'x' 400
      "q": unknown field 'mail' at offset 0: expected one of id, type, severity, component, environment, email, message, createdAt, triggerId, triggerName, firingId, cause, scheduleKind, outcome, correlationId, isTest, isArchived
    after=nonsense 400
      "after": expected a cursor of this list and order
    limit=0&q=mail%20eq%20'x'&after=nonsense 400
      "q": unknown field 'mail' at offset 0: expected one of id, type, severity, component, environment, email, message, createdAt, triggerId, triggerName, firingId, cause, scheduleKind, outcome, correlationId, isTest, isArchived
      "limit": expected a number from 1 to 100
      "after": expected a cursor of this list and order
    limit=1&limit=2 400
      "limit": expected one value, not several
    q=%ff 400
      "q": unknown field '�' at offset 0: expected one of id, type, severity, component, environment, email, message, createdAt, triggerId, triggerName, firingId, cause, scheduleKind, outcome, correlationId, isTest, isArchived
    "#);
}

#[tokio::test]
async fn a_repeat_with_the_same_key_answers_the_same_and_another_input_is_409() {
    let app = served().await;
    for (path, body, other) in [
        ("/timer", json!({ "seconds": 60, "url": URL }), json!({ "seconds": 61, "url": URL })),
        ("/event", event("a"), event("b")),
    ] {
        let key = format!("key of {path}");
        let first = post_once(&app, path, &key, &body).await;
        let second = post_once(&app, path, &key, &body).await;
        assert_eq!((first.status, second.status, &first.body), (201, 201, &second.body));
        let refused = post_once(&app, path, &key, &other).await;
        assert_eq!(
            refusal(&refused),
            "409\n  \"idempotencyKey\": this key was used within 24 h for another input"
        );
    }
    assert_eq!(messages(&get(&app, "/event").await), ["a"]);
}

#[tokio::test]
async fn what_is_wrong_before_the_fields_has_its_own_status() {
    let app = served().await;
    let (_, reader) = caller_with(&app, &[Scope::Read]).await;
    let (_, writer) = caller_with(&app, &[Scope::EventsWrite, Scope::Fire]).await;
    let json = ("content-type", "application/json");
    let own = ("x-api-key", app.key());
    let timer = json!({ "seconds": 1, "url": URL }).to_string();
    let large = json!({ "url": "x".repeat(1024 * 1024) }).to_string();
    let mut lines = Vec::new();
    for (what, line, headers, body) in [
        ("no key", "POST /timer", vec![json], timer.as_str()),
        ("no key", "GET /event", vec![], ""),
        ("no key", "GET /timer/nonsense", vec![], ""),
        ("a wrong key", "GET /event", vec![("authorization", "Bearer nonsense")], ""),
        ("no scope FIRE", "POST /timer", vec![("x-api-key", &reader), json], &timer),
        ("no scope READ", "GET /event", vec![("x-api-key", &writer)], ""),
        (
            "no scope EVENTS_WRITE",
            "POST /event",
            vec![("x-api-key", &reader), json],
            r#"{"email":"a@b.c","environment":"e","component":"c","message":"m","data":1}"#,
        ),
        ("no JSON", "POST /timer", vec![own, json], "{"),
        ("nothing", "POST /timer", vec![own, json], ""),
        ("no content type", "POST /timer", vec![own], &timer),
        ("a form", "POST /event", vec![own, ("content-type", "text/plain")], &timer),
        ("too large", "POST /timer", vec![own, json], &large),
        (
            "an empty idempotency key",
            "POST /timer",
            vec![own, json, ("idempotency-key", "")],
            &timer,
        ),
    ] {
        let answer = http(&app, line, &headers, body).await;
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        lines.push(format!("{line} with {what}: {challenge} {}", refusal(&answer)));
    }
    assert_snapshot!(lines.join("\n"), @r#"
    POST /timer with no key: bearer 401
      null: an API key is required: Authorization: Bearer <key>
    GET /event with no key: bearer 401
      null: an API key is required: Authorization: Bearer <key>
    GET /timer/nonsense with no key: bearer 401
      null: an API key is required: Authorization: Bearer <key>
    GET /event with a wrong key: bearer 401
      null: the API key is not valid
    POST /timer with no scope FIRE:  403
      null: the API key lacks the scope FIRE
    GET /event with no scope READ:  403
      null: the API key lacks the scope READ
    POST /event with no scope EVENTS_WRITE:  403
      null: the API key lacks the scope EVENTS_WRITE
    POST /timer with no JSON:  400
      null: expected a JSON object as the body: EOF while parsing an object at line 1 column 1
    POST /timer with nothing:  400
      null: expected a JSON object as the body: EOF while parsing a value at line 1 column 0
    POST /timer with no content type:  415
      null: expected Content-Type: application/json
    POST /event with a form:  415
      null: expected Content-Type: application/json
    POST /timer with too large:  413
      null: expected at most 1048576 bytes
    POST /timer with an empty idempotency key:  400
      "idempotencyKey": expected a text that is not blank
    "#);
    assert_eq!(get(&app, "/event").await.json(), json!([]));
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte() {
    let app = served().await;
    let empty = json!({ "seconds": 1, "url": "" }).to_string().len();
    let of = |bytes: usize| json!({ "seconds": 1, "url": "x".repeat(bytes - empty) });
    let at = post(&app, "/timer", &of(1024 * 1024)).await;
    let past = post(&app, "/timer", &of(1024 * 1024 + 1)).await;
    assert_eq!((at.status, past.status), (400, 413));
}

#[tokio::test]
async fn a_server_that_stops_answers_503_and_when_to_come_again() {
    let app = served().await;
    let stream = crate::wire::connect(&app).await;
    app.begin_shutdown();
    let headers = [("x-api-key", app.key())];
    let answer = crate::wire::http_on(stream, "GET /event", &headers, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(refusal(&answer), "503\n  null: the server is stopping");
}
