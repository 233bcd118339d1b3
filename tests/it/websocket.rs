//! `/graphql` as a WebSocket: the table of transport.md, row by row, in raw frames.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::TestApp;
use crate::wire::Socket;

const EVENTS: &str = r#"subscription { events(heartbeat: "PT1S") { cursor } }"#;
const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

fn init(key: &str) -> Value {
    json!({"type": "connection_init", "payload": {"apiKey": key}})
}

#[tokio::test]
async fn another_subprotocol_closes_4406() {
    let app = TestApp::live().await;
    // A handshake that asks for none is complete without one; one that asks for another is
    // answered without, which only a raw client accepts.
    let mut socket = Socket::handshake(&app, &[]).await.expect("it is accepted");
    assert_eq!(socket.closed().await, (4406, "Subprotocol not acceptable".into()));
    let answer = crate::wire::upgrade(&app, "graphql-ws").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("\u{11}\u{36}Subprotocol not acceptable"), "4406 is 0x1136");
}

#[tokio::test]
async fn a_second_init_closes_4429() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    socket.send(&init(app.key())).await;
    assert_eq!(socket.closed().await.0, 4429);
}

#[tokio::test]
async fn a_key_that_does_not_hold_closes_4403() {
    let app = TestApp::live().await;
    let mut without = Socket::open(&app).await;
    without.send(&json!({"type": "connection_init"})).await;
    assert_eq!(without.closed().await, (4403, "Forbidden".into()));

    let mut wrong = Socket::open(&app).await;
    wrong.send(&init("nonsense")).await;
    assert_eq!(wrong.closed().await.0, 4403);

    // The header is the first match, also when it is the worse one.
    let header = ("authorization", "Bearer nonsense");
    let mut wrong = Socket::handshake(&app, &[PROTOCOL, header]).await.expect("it is accepted");
    wrong.send(&init(app.key())).await;
    assert_eq!(wrong.closed().await.0, 4403);
}

#[tokio::test]
async fn the_key_is_read_from_the_handshake_or_any_name_of_the_payload() {
    let app = TestApp::live().await;
    let bearer = format!("Bearer {}", app.key());
    for header in [("authorization", bearer.as_str()), ("x-api-key", app.key())] {
        let mut socket = Socket::handshake(&app, &[PROTOCOL, header]).await.expect("accepted");
        socket.send(&json!({"type": "connection_init"})).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
    }
    for payload in [
        json!({"Authorization": bearer}),
        json!({"x-api-key": app.key()}),
        json!({"headers": {"Authorization": bearer}}),
    ] {
        let mut socket = Socket::open(&app).await;
        socket.send(&json!({"type": "connection_init", "payload": payload})).await;
        let ack = socket.next().await;
        assert_eq!(
            (&ack["type"], &ack["payload"]["heartbeatMs"]),
            (&"connection_ack".into(), &20_000.into())
        );
        assert!(ack["payload"]["server"]["version"].is_string());
    }
}

#[tokio::test]
async fn subscribe_before_the_acknowledgement_closes_4401() {
    let app = TestApp::live().await;
    let mut socket = Socket::open(&app).await;
    socket.subscribe("1", "{ __typename }").await;
    assert_eq!(socket.closed().await, (4401, "Unauthorized".into()));
}

#[tokio::test]
async fn what_is_no_message_closes_4400_with_a_short_reason() {
    let app = TestApp::live().await;
    let long = format!(r#"{{"type":"{}"}}"#, "é".repeat(500));
    for message in [
        Message::text("{"),
        Message::text(r#"{"type":"start","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","payload":{"query":"{ __typename }"}}"#),
        Message::text(long),
        Message::binary("{\"type\":\"ping\"}"),
    ] {
        let mut socket = Socket::acknowledged(&app).await;
        socket.send_raw(message.clone()).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 4400, "{message:?}");
        assert!((1..=123).contains(&reason.len()), "{reason}");
    }
}

#[tokio::test]
async fn a_message_may_have_64_kibibytes() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    let ping = |bytes: usize| {
        let empty = json!({"type": "ping", "payload": {"x": ""}}).to_string().len();
        json!({"type": "ping", "payload": {"x": "x".repeat(bytes - empty)}})
    };
    socket.send(&ping(64 * 1024)).await;
    assert_eq!(socket.next().await["type"], "pong");
    socket.send(&ping(64 * 1024 + 1)).await;
    assert_eq!(socket.closed().await.0, 1009);
}

#[tokio::test]
async fn a_pong_repeats_the_payload_also_before_the_acknowledgement() {
    let app = TestApp::live().await;
    let mut socket = Socket::open(&app).await;
    socket.send(&json!({"type": "ping", "payload": {"b": 1, "a": [null]}})).await;
    let pong = json!({"type": "pong", "payload": {"b": 1, "a": [null]}});
    assert_eq!(socket.next().await, pong);
    socket.send(&json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn a_query_and_a_mutation_end_in_next_and_complete() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for (query, name) in [("{ __typename }", "Query"), ("mutation { __typename }", "Mutation")] {
        socket.subscribe("1", query).await;
        let payload = json!({"data": {"__typename": name}});
        assert_eq!(socket.next().await, json!({"type": "next", "id": "1", "payload": payload}));
        assert_eq!(socket.next().await, json!({"type": "complete", "id": "1"}));
    }
}

#[tokio::test]
async fn a_request_error_is_one_error_message_and_the_id_is_free_again() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for query in ["{", "{ noSuchField }", "subscription { noSuchField }"] {
        socket.subscribe("1", query).await;
        let error = socket.next().await;
        assert_eq!((&error["type"], &error["id"]), (&"error".into(), &"1".into()), "{query}");
        assert!(error["payload"][0]["extensions"]["code"].is_string(), "{error}");
        assert_eq!(socket.before_pong().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_live_id_closes_4409_and_is_free_after_complete() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for _ in 0..3 {
        socket.subscribe("1", EVENTS).await;
        socket.send(&json!({"type": "complete", "id": "1"})).await;
    }
    socket.subscribe("1", EVENTS).await;
    socket.subscribe("1", "{ __typename }").await;
    assert_eq!(socket.closed().await, (4409, "Subscriber for 1 already exists".into()));
}

#[tokio::test]
async fn nothing_follows_a_complete_of_the_client() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    socket.send(&json!({"type": "complete", "id": "unknown"})).await;
    socket.subscribe("old", EVENTS).await;
    assert!(socket.next_of("next").await["payload"]["data"]["events"]["cursor"].is_string());
    socket.send(&json!({"type": "complete", "id": "old"})).await;
    // What was under way when the server read it comes before the pong.
    socket.before_pong().await;
    // The heartbeats of a second subscription show that time passes.
    socket.subscribe("new", EVENTS).await;
    for _ in 0..3 {
        assert_eq!(socket.next_of("next").await["id"], "new");
    }
}

#[tokio::test]
async fn a_socket_has_a_hundred_operations() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for id in 0..100 {
        socket.subscribe(&id.to_string(), EVENTS).await;
    }
    let said = socket.before_pong().await;
    assert!(said.iter().all(|message| message["type"] == "next"), "at the limit: {said:?}");
    socket.subscribe("one past it", EVENTS).await;
    let error = socket.next_of("error").await;
    assert_eq!(error["id"], "one past it");
    assert_eq!(error["payload"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_revoked_key_ends_each_operation_and_closes_4403() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for id in ["a", "b"] {
        socket.subscribe(id, EVENTS).await;
        socket.next_of("next").await;
    }
    app.revoke_key().await;
    let mut ended = [socket.next_of("error").await, socket.next_of("error").await];
    ended.sort_by_key(|error| error["id"].to_string());
    assert_eq!((&ended[0]["id"], &ended[1]["id"]), (&"a".into(), &"b".into()));
    assert_eq!(ended[0]["payload"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(socket.closed().await.0, 4403);
}

#[tokio::test]
async fn shutdown_closes_1012() {
    let app = TestApp::live().await;
    let mut waiting = Socket::open(&app).await;
    let mut busy = Socket::acknowledged(&app).await;
    busy.subscribe("1", EVENTS).await;
    app.begin_shutdown();
    assert_eq!(busy.closed().await.0, 1012);
    assert_eq!(waiting.closed().await.0, 1012);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let app = TestApp::live().await;
    let own = app.url();
    assert!(Socket::handshake(&app, &[PROTOCOL, ("origin", &own)]).await.is_ok());
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = Socket::handshake(&app, &[PROTOCOL, ("origin", origin)]).await;
        assert_eq!(refused.err().map(|answer| answer.status().as_u16()), Some(403), "{origin}");
    }
}

/// Ten seconds pass, in parallel to the other tests.
#[tokio::test]
async fn a_missing_init_closes_4408() {
    let app = TestApp::live().await;
    let mut socket = Socket::open(&app).await;
    assert_eq!(socket.closed().await, (4408, "Connection initialisation timeout".into()));
}

#[tokio::test]
#[ignore = "takes a minute of real time; make soak runs it"]
async fn a_silent_client_closes_4499_after_two_pings() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    assert_eq!(socket.next().await, json!({"type": "ping"}));
    socket.send(&json!({"type": "pong"})).await;
    assert_eq!(socket.next().await, json!({"type": "ping"}), "it was heard");
    assert_eq!(socket.next().await, json!({"type": "ping"}), "the first miss");
    assert_eq!(socket.closed().await.0, 4499);
}
