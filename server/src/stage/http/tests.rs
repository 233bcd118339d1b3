//! The stage `http` against real receivers.

mod failing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::domain::signature::{Signed, SigningKey};
use crate::stage::address::Addresses;
use crate::stage::tests::{call, clock};

fn stage() -> Http {
    let loopback = vec!["127.0.0.0/8".parse().expect("a network")];
    Http::new(Client::new(Addresses::new(loopback)).expect("a client"), clock())
}

#[derive(Clone)]
struct Received {
    from: SocketAddr,
    method: String,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Keeps what it receives and answers with what it was told, the last answer forever.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// Status, headers and body.
type Answer<'a> = (u16, &'a [(&'static str, &'a str)], &'a str);

type Answers = Arc<Mutex<VecDeque<(u16, HeaderMap, String)>>>;

impl Receiver {
    async fn start(answers: &[Answer<'_>]) -> Self {
        let answers: Answers = Arc::new(Mutex::new(
            answers
                .iter()
                .map(|(status, headers, body)| {
                    let headers = headers.iter().map(|(name, value)| {
                        (name.parse().expect("a name"), value.parse().expect("a value"))
                    });
                    (*status, headers.collect(), (*body).to_owned())
                })
                .collect(),
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let receiver = Self { address, received: Arc::default() };
        let router = Router::new().fallback(receive).with_state((receiver.clone(), answers));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        receiver
    }

    async fn answering(status: u16) -> Self {
        Self::start(&[(status, &[], "")]).await
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic while held").clone()
    }
}

async fn receive(
    State((receiver, answers)): State<(Receiver, Answers)>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let (method, uri) = (parts.method.to_string(), parts.uri.to_string());
    let received = Received { from, method, uri, headers: parts.headers, body };
    receiver.received.lock().expect("no panic while held").push(received);
    let mut answers = answers.lock().expect("no panic while held");
    let next = if 1 < answers.len() { answers.pop_front() } else { answers.front().cloned() };
    let (status, headers, body) = next.expect("there is an answer");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().extend(headers);
    response
}

/// A receiver that takes one connection, reads the request and goes on as `then` says.
async fn raw<F>(then: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4_096];
        let _ = socket.read(&mut request).await.expect("a request");
        then(socket).await;
    });
    url
}

fn failure(outcome: &Outcome) -> &Failure {
    outcome.result.as_ref().expect_err("the attempt failed")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

#[tokio::test]
async fn the_body_is_the_input_byte_by_byte() {
    let receiver = Receiver::answering(204).await;
    let input = "{ \"z\":1.0,\"a\" : \"\\u00e4 ü\",\n\"n\":12345678901234567890123 }";
    let outcome = stage().run(call(json!({ "url": receiver.url() }), input)).await;
    assert_eq!(outcome.result.as_deref().map(parsed).expect("success")["status"], 204);
    let received = &receiver.received()[0];
    assert_eq!((received.method.as_str(), received.uri.as_str()), ("POST", "/hook"));
    assert_eq!(received.body, input.as_bytes());
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(received.headers["content-length"], input.len().to_string());
    let agent = concat!("belfry/", env!("CARGO_PKG_VERSION"));
    assert_eq!(received.headers["user-agent"], agent);
    assert_eq!(received.headers["webhook-id"], "frg_01h2xcejqtf2nbrexx3vqjhp41_post");
    assert_eq!(received.headers["webhook-timestamp"], "1800000000");
    assert!(!received.headers.contains_key("webhook-signature"), "there is no key");
}

#[tokio::test]
async fn every_attempt_has_the_same_id_and_body_and_a_signature_that_holds() {
    let receiver = Receiver::start(&[(503, &[], ""), (429, &[], ""), (200, &[], "ok")]).await;
    let key = SigningKey::derive(&[7; 32], "prj_01h2xcejqtf2nbrexx3vqjhp41", 0);
    let stage = stage();
    let mut now = Instant::from_millis(1_800_000_000_000);
    for attempt in 1..=3 {
        let signing = Some(key.clone());
        let call = call(json!({ "url": receiver.url() }), "{\"id\":\"1\"}");
        let outcome = stage.run(Call { attempt, now, signing, ..call }).await;
        assert_eq!(outcome.result.is_ok(), attempt == 3);
        now = now.plus_ms(5_000);
    }
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    for (index, request) in received.iter().enumerate() {
        assert_eq!(request.body, received[0].body);
        assert_eq!(request.headers["webhook-id"], received[0].headers["webhook-id"]);
        let text = |name: &str| request.headers[name].to_str().expect("ASCII").to_owned();
        let timestamp = text("webhook-timestamp");
        assert_eq!(timestamp, (1_800_000_000 + 5 * index).to_string());
        let (id, signature) = (text("webhook-id"), text("webhook-signature"));
        let signed = Signed { id: &id, timestamp: &timestamp, signature: &signature };
        let at = Instant::from_millis(1_800_000_000_000);
        assert_eq!(key.verify(&signed, &request.body, at), Ok(()));
        assert!(key.verify(&signed, b"{\"id\":\"2\"}", at).is_err());
    }
}

#[tokio::test]
async fn the_config_sets_method_headers_and_body_and_may_leave_the_signature_out() {
    let receiver = Receiver::answering(200).await;
    let config = json!({
        "url": receiver.url(),
        "method": "PUT",
        "headers": { "X-Team": "ops", "Content-Type": "application/cloudevents+json",
                     "user-agent": "ours" },
        "body": { "z": 1, "a": [true, null] },
        "sign": false,
    });
    let key = SigningKey::derive(&[7; 32], "prj", 0);
    let outcome = stage().run(Call { signing: Some(key), ..call(config, "{}") }).await;
    assert!(outcome.result.is_ok());
    let received = &receiver.received()[0];
    assert_eq!(received.method, "PUT");
    assert_eq!(received.body, "{\"z\":1,\"a\":[true,null]}");
    assert_eq!(received.headers["x-team"], "ops");
    assert_eq!(received.headers["user-agent"], "ours");
    let types: Vec<_> = received.headers.get_all("content-type").iter().collect();
    assert_eq!(types, ["application/cloudevents+json"]);
    assert!(received.headers.contains_key("webhook-id"));
    assert!(!received.headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn a_get_has_no_body() {
    let receiver = Receiver::start(&[(200, &[("content-type", "application/json")], "[1]")]).await;
    let config = json!({ "url": receiver.url(), "method": "GET" });
    let outcome = stage().run(call(config, "{\"a\":1}")).await;
    assert_eq!(parsed(&outcome.result.expect("success"))["body"], json!([1]));
    let received = &receiver.received()[0];
    assert_eq!((received.method.as_str(), received.body.len()), ("GET", 0));
    assert!(!received.headers.contains_key("content-type"));
}

#[tokio::test]
async fn an_expected_status_is_success_and_any_other_is_not() {
    for (expected, status, is_success) in [
        (json!([404, "500-502"]), 404, true),
        (json!([404, "500-502"]), 500, true),
        (json!([404, "500-502"]), 502, true),
        (json!([404, "500-502"]), 503, false),
        (json!([404, "500-502"]), 200, false),
        (Value::Null, 200, true),
        (Value::Null, 299, true),
        (Value::Null, 300, false),
    ] {
        let receiver = Receiver::answering(status).await;
        let config = json!({ "url": receiver.url(), "expectedStatus": expected });
        let outcome = stage().run(call(config, "{}")).await;
        assert_eq!(outcome.result.is_ok(), is_success, "{status}");
    }
}

#[tokio::test]
async fn of_ten_gigabytes_64_kib_are_read() {
    let sent = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&sent);
    let url = raw(move |mut socket| async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
        socket.write_all(head.as_bytes()).await.expect("an answer");
        let chunk = vec![b'x'; 1_024];
        while socket.write_all(&chunk).await.is_ok() {
            *counter.lock().expect("no panic while held") += chunk.len();
        }
    })
    .await;
    let outcome = stage().run(call(json!({ "url": url }), "{}")).await;
    let output = parsed(&outcome.result.expect("success"));
    assert_eq!(output["body"].as_str().map(str::len), Some(answer::RESPONSE_BYTES_MAX));
    assert_eq!(output["isCut"], true);
    assert_eq!(output["headers"]["content-length"], "10000000000");
    let response = outcome.response.expect("a response");
    assert!(response.len() <= crate::limits::KEPT_BYTES_MAX);
    assert_eq!(parsed(&response)["isCut"], true);
    assert!(*sent.lock().expect("no panic while held") < 100_000_000, "the rest was dropped");
}

#[tokio::test]
async fn credentials_are_sent_and_shown_nowhere() {
    let receiver = Receiver::start(&[(401, &[], "no")]).await;
    let authority = format!("ada:s3cret@{}", receiver.address);
    let config = json!({
        "url": format!("http://{authority}/hook?token=s3cret#s3cret"),
        "headers": { "x-api-key": "s3cret" },
    });
    let outcome = stage().run(call(config, "{\"a\":1}")).await;
    let received = &receiver.received()[0];
    assert_eq!(received.headers["authorization"], "Basic YWRhOnMzY3JldA==");
    assert_eq!(received.headers["x-api-key"], "s3cret");
    assert_eq!(received.uri, "/hook?token=s3cret");
    let said = format!("{outcome:?}");
    assert!(!said.contains("s3cret") && !said.contains("YWRhOnMzY3JldA"), "{said}");
    let request = parsed(outcome.request.as_deref().expect("a request"));
    assert_eq!(
        request,
        json!({
            "method": "POST",
            "url": format!("http://***@{}/hook?token=***", receiver.address),
            "headers": {
                "content-type": "application/json",
                "x-api-key": "***",
                "webhook-id": "frg_01h2xcejqtf2nbrexx3vqjhp41_post",
                "webhook-timestamp": "1800000000",
            },
            "body": "{\"a\":1}",
        })
    );
    // The same when nobody answers, as the client's own errors repeat the URL.
    let config = json!({ "url": "http://ada:s3cret@127.0.0.1:1/?token=s3cret" });
    let outcome = stage().run(call(config, "{}")).await;
    assert_eq!(failure(&outcome).code, FailureCode::Connect);
    assert!(!format!("{outcome:?}").contains("s3cret"));
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::answering(200).await;
    let stage = stage();
    for _ in 0..3 {
        assert!(stage.run(call(json!({ "url": receiver.url() }), "{}")).await.result.is_ok());
    }
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.from == received[0].from));
}
