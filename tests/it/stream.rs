//! Answers that go on: server-sent events and Apollo's multipart subscriptions, in raw bytes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::TestApp;
use crate::wire::{Socket, Stream, post};

const SSE: &str = "text/event-stream";
const MULTIPART: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";
const EVENTS: &str = r#"subscription { events(heartbeat: "PT1S") { cursor events { message } } }"#;

/// A POST of `query` with the key.
async fn open(app: &TestApp, accept: &str, query: &str) -> Stream {
    open_after(app, accept, query, None).await
}

async fn open_after(app: &TestApp, accept: &str, query: &str, after: Option<&str>) -> Stream {
    let mut headers =
        vec![("accept", accept), ("content-type", "application/json"), ("x-api-key", app.key())];
    headers.extend(after.map(|after| ("last-event-id", after)));
    let body = json!({ "query": query }).to_string();
    Stream::open(app, "POST /graphql", &headers, &body).await
}

/// The `data` of the next event of this name, and its `id`.
async fn event(stream: &mut Stream, name: &str) -> (Value, Option<String>) {
    loop {
        let text = stream.until("\n\n").await;
        if text == ":\n\n" {
            continue;
        }
        let field = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(field, _)| *field == wanted);
            found.map(|(_, value)| value.trim().to_owned())
        };
        assert_eq!(field("event").as_deref(), Some(name), "{text}");
        let data = field("data").expect("an event has data");
        let data = if data.is_empty() { Value::Null } else { parse(&data) };
        return (data, field("id"));
    }
}

/// The body of the next part that is no heartbeat.
async fn part(stream: &mut Stream) -> Value {
    loop {
        let text = stream.until("\r\n--graphql").await;
        let body = text.trim_end_matches("\r\n--graphql");
        let Some((head, body)) = body.split_once("\r\n\r\n") else { continue };
        assert_eq!(head.trim(), "Content-Type: application/json");
        if body != "{}" {
            return parse(body);
        }
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

async fn log(app: &TestApp, message: &str) {
    let query =
        "mutation($input: EventLogInput!) { eventLog(input: $input) { userErrors { field } } }";
    let event = json!({
        "email": "a@b.c", "environment": "test", "component": "it", "message": message, "data": {}
    });
    app.done("eventLog", query, json!({ "event": event })).await;
}

#[tokio::test]
async fn a_query_and_a_mutation_are_one_event_and_complete() {
    let app = TestApp::live().await;
    for (query, name) in [("{ __typename }", "Query"), ("mutation { __typename }", "Mutation")] {
        let mut stream = open(&app, SSE, query).await;
        assert_eq!(stream.status, 200);
        assert!(stream.head.contains("content-type: text/event-stream; charset=utf-8"));
        assert!(stream.head.contains("cache-control: no-cache"));
        let expected = format!(
            ":\n\nevent: next\ndata: {{\"data\":{{\"__typename\":\"{name}\"}}}}\n\n\
             event: complete\ndata:\n\n"
        );
        assert_eq!(stream.rest().await, expected);
    }
}

#[tokio::test]
async fn the_live_log_carries_its_cursor_and_goes_on_after_the_last_event_id() {
    let app = TestApp::live().await;
    let mut stream = open(&app, SSE, EVENTS).await;
    // The first heartbeat says where the reader is.
    let (_, first) = event(&mut stream, "next").await;
    drop(stream);
    log(&app, "while nobody was there").await;
    let first = first.expect("the id is the cursor");
    let mut stream = open_after(&app, SSE, EVENTS, Some(&first)).await;
    let (data, id) = event(&mut stream, "next").await;
    let batch = &data["data"]["events"];
    assert_eq!(batch["events"], json!([{ "message": "while nobody was there" }]));
    assert_eq!(batch["cursor"].as_str(), id.as_deref());
}

#[tokio::test]
async fn the_last_event_id_goes_before_the_argument_that_a_client_repeats() {
    let app = TestApp::live().await;
    let mut stream = open(&app, SSE, EVENTS).await;
    let first = event(&mut stream, "next").await.1.expect("a cursor");
    log(&app, "one").await;
    let second = event(&mut stream, "next").await.1.expect("a cursor");
    log(&app, "two").await;
    let query = EVENTS.replace("heartbeat", &format!("after: \"{first}\", heartbeat"));
    let mut stream = open_after(&app, SSE, &query, Some(&second)).await;
    let batch = event(&mut stream, "next").await.0;
    assert_eq!(batch["data"]["events"]["events"], json!([{ "message": "two" }]));
}

#[tokio::test]
async fn a_get_may_subscribe_but_not_change() {
    let app = TestApp::live().await;
    let headers = [("accept", SSE), ("x-api-key", app.key())];
    let line = "GET /graphql?query=subscription%7Bevents(heartbeat:%22PT1S%22)%7Bcursor%7D%7D";
    let mut stream = Stream::open(&app, line, &headers, "").await;
    assert_eq!(stream.status, 200);
    assert!(event(&mut stream, "next").await.1.is_some());
    let line = "GET /graphql?query=mutation%7B__typename%7D";
    let refused = Stream::open(&app, line, &headers, "").await;
    assert_eq!(refused.status, 405);
    assert!(refused.head.contains("allow: post"));
}

#[tokio::test]
async fn a_request_error_is_an_event_with_200_and_then_complete() {
    let app = TestApp::live().await;
    for query in ["{", "{ noSuchField }", "subscription { noSuchField }"] {
        let mut stream = open(&app, SSE, query).await;
        assert_eq!(stream.status, 200);
        let (data, id) = event(&mut stream, "next").await;
        assert!(data["errors"][0]["extensions"]["code"].is_string(), "{data}");
        assert_eq!((data.get("data"), id), (None, None));
        assert_eq!(stream.rest().await, "event: complete\ndata:\n\n");
    }
}

#[tokio::test]
async fn what_is_refused_before_it_is_a_stream_has_its_status() {
    let app = TestApp::live().await;
    for accept in [SSE, MULTIPART] {
        let headers = [("accept", accept), ("content-type", "application/json")];
        let body = json!({ "query": EVENTS }).to_string();
        let refused = Stream::open(&app, "POST /graphql", &headers, &body).await;
        assert_eq!(refused.status, 401);
        assert!(refused.head.contains("content-type: application/json; charset=utf-8"));
    }
}

#[tokio::test]
async fn attacks_are_refused_in_streams_too() {
    let app = TestApp::live().await;
    for query in crate::guard::attacks() {
        let mut sse = open(&app, SSE, &query).await;
        let (data, _) = event(&mut sse, "next").await;
        assert_eq!(data["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{query}");
        let mut multipart = open(&app, MULTIPART, &query).await;
        let part = part(&mut multipart).await;
        let code = &part["payload"]["errors"][0]["extensions"]["code"];
        assert_eq!(code, "QUERY_TOO_COMPLEX", "{query}");
    }
}

#[tokio::test]
async fn a_multipart_subscription_is_payloads_between_boundaries() {
    let app = TestApp::live().await;
    let mut stream = open(&app, MULTIPART, EVENTS).await;
    assert_eq!(stream.status, 200);
    let expected = "content-type: multipart/mixed; boundary=\"graphql\"; subscriptionspec=\"1.0\"";
    assert!(stream.head.contains(expected), "{}", stream.head);
    let opening = stream.until("\r\n--graphql").await;
    assert_eq!(opening, "\r\n--graphql", "clients look for a line break before it");
    log(&app, "hello").await;
    let part = part(&mut stream).await;
    let events = &part["payload"]["data"]["events"]["events"];
    assert_eq!(*events, json!([{ "message": "hello" }]));

    let mut query = open(&app, MULTIPART, "{ __typename }").await;
    assert!(
        query
            .rest()
            .await
            .ends_with("{\"payload\":{\"data\":{\"__typename\":\"Query\"}}}\r\n--graphql--\r\n")
    );
}

/// Twelve seconds pass, in parallel to the other tests.
#[tokio::test]
async fn a_quiet_stream_is_kept_open() {
    let app = TestApp::live().await;
    let quiet = "subscription { events { cursor } }";
    let (mut sse, mut multipart) =
        (open(&app, SSE, quiet).await, open(&app, MULTIPART, quiet).await);
    let head = "\r\nContent-Type: application/json\r\n\r\n";
    assert_eq!(sse.until("\n\n").await, ":\n\n");
    multipart.until("{}\r\n--graphql").await;
    assert_eq!(sse.until("\n\n").await, ":\n\n", "the first heartbeat of the log comes after 15 s");
    assert_eq!(multipart.until("--graphql").await, format!("{head}{{}}\r\n--graphql"));
}

#[tokio::test]
async fn a_revoked_key_ends_streams_within_a_second() {
    let app = TestApp::live().await;
    let (mut sse, mut multipart) =
        (open(&app, SSE, EVENTS).await, open(&app, MULTIPART, EVENTS).await);
    event(&mut sse, "next").await;
    part(&mut multipart).await;
    app.revoke_key().await;
    let ended = async {
        let rest = sse.rest().await;
        assert!(rest.contains("UNAUTHENTICATED"), "{rest}");
        assert!(rest.ends_with("event: complete\ndata:\n\n"), "{rest}");
        let rest = multipart.rest().await;
        assert!(rest.contains("{\"payload\":null,\"errors\":[{\"message\""), "{rest}");
        assert!(rest.contains("UNAUTHENTICATED") && rest.ends_with("\r\n--graphql--\r\n"));
    };
    // The promise is one second; the machine may be busy.
    tokio::time::timeout(Duration::from_secs(2), ended).await.expect("both have ended");
}

#[tokio::test]
async fn shutdown_ends_streams_so_that_clients_come_back() {
    let app = TestApp::live().await;
    let (mut sse, mut multipart) =
        (open(&app, SSE, EVENTS).await, open(&app, MULTIPART, EVENTS).await);
    event(&mut sse, "next").await;
    part(&mut multipart).await;
    app.begin_shutdown();
    let rest = sse.rest().await;
    assert!(!rest.contains("complete"), "after complete a client stays away: {rest}");
    let rest = multipart.rest().await;
    assert!(rest.contains("\"payload\":null") && rest.contains("SERVICE_UNAVAILABLE"), "{rest}");
    assert!(rest.ends_with("\r\n--graphql--\r\n"), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_sockets_share_their_thousand_places() {
    let app = TestApp::live().await;
    let quiet = "subscription { events { cursor } }";
    let mut streams = Vec::new();
    for _ in 0..999 {
        streams.push(open(&app, SSE, quiet).await);
    }
    let mut last = Socket::acknowledged(&app).await;
    let refused = open(&app, SSE, quiet).await;
    assert_eq!(refused.status, 503, "one past the limit");
    assert!(refused.head.contains("retry-after: 2"));
    assert_eq!(Socket::open(&app).await.closed().await.0, 1013);
    // Other requests are served all the same.
    assert_eq!(post(&app, "*/*", &json!({ "query": "{ __typename }" })).await.status, 200);
    assert!(last.before_pong().await.is_empty());
    drop(streams);
    // The server notices by itself that they have gone.
    for _ in 0..100 {
        if open(&app, SSE, quiet).await.status == 200 {
            return;
        }
        last.before_pong().await;
    }
    panic!("the places were not given back");
}

/// A client that subscribes and reads nothing takes what the connection buffers, and is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_left_after_ten_seconds() {
    let app = TestApp::live().await;
    let query = r#"subscription { events(batchSize: 10) { cursor events { message data } } }"#;
    let stalled = open(&app, SSE, query).await;
    let filler = "x".repeat(15_000);
    let input: Vec<Value> = (0..200)
        .map(|n| {
            json!({
                "email": "a@b.c", "environment": "test", "component": "it",
                "message": format!("{n}"), "data": { "filler": filler }
            })
        })
        .collect();
    let mutation =
        "mutation($input: EventsLogInput!) { eventsLog(input: $input) { userErrors { message } } }";
    for _ in 0..5 {
        app.done("eventsLog", mutation, json!({ "events": input })).await;
    }
    let gauge = || app.app.metrics().wire.streams.get();
    assert_eq!(gauge(), 1);
    let left = async {
        while gauge() != 0 {
            app.app.clock().pause(100).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(25), left).await.expect("the stream was left");
    drop(stalled);
}
