//! Attempts that fail: what is final, what is tried again, and what is kept.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::super::Http;
use super::{Receiver, failure, parsed, raw, stage};
use crate::stage::address::Addresses;
use crate::stage::client::{Client, Lookup};
use crate::stage::tests::{call, clock};
use crate::stage::{Call, FailureCode, Retry, Stage as _};

#[tokio::test]
async fn the_status_decides_about_another_attempt() {
    let later = |after_ms| Retry::Later { after_ms };
    let none: &[(&'static str, &str)] = &[];
    for (status, headers, expected) in [
        (304, none, Retry::Never),
        (400, none, Retry::Never),
        (401, &[("retry-after", "5")], Retry::Never),
        (404, none, Retry::Never),
        (408, none, later(None)),
        (410, none, Retry::Never),
        (425, none, later(None)),
        (429, &[("retry-after", "120")], later(Some(120_000))),
        (429, &[("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT")], later(Some(59_001))),
        (500, none, later(None)),
        (501, none, later(None)),
        (503, &[("retry-after", "999999")], later(Some(86_400_000))),
        (599, none, later(None)),
    ] {
        let receiver = Receiver::start(&[(status, headers, "why")]).await;
        let outcome = stage().run(call(json!({ "url": receiver.url() }), "{}")).await;
        let failure = failure(&outcome);
        let code = match status {
            410 => FailureCode::Gone,
            500.. => FailureCode::HttpServerError,
            _ => FailureCode::HttpStatus,
        };
        assert_eq!((failure.code, failure.retry), (code, expected), "{status}");
        let output = parsed(failure.output.as_deref().expect("an output in spite of it"));
        assert_eq!(output["status"], status);
        assert!(failure.message.contains(&status.to_string()), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Receiver::answering(200).await;
    for status in [301, 302, 303, 307, 308] {
        let url = target.url();
        let receiver = Receiver::start(&[(status, &[("location", &*url)], "")]).await;
        let outcome = stage().run(call(json!({ "url": receiver.url() }), "{}")).await;
        let failure = failure(&outcome);
        assert_eq!((failure.code, failure.retry), (FailureCode::HttpStatus, Retry::Never));
        assert!(failure.message.ends_with("; redirects are not followed"), "{}", failure.message);
    }
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_at_the_timeout() {
    let url = raw(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let outcome = stage().run(Call { timeout_ms: 50, ..call(json!({ "url": url }), "{}") }).await;
    let failure = failure(&outcome);
    assert_eq!(failure.code, FailureCode::Timeout);
    assert_eq!(failure.retry, Retry::Later { after_ms: None });
    assert!(failure.message.starts_with("no answer from 127.0.0.1:"), "{}", failure.message);
    assert!(failure.message.ends_with(" within 50 ms"), "{}", failure.message);
    assert!(outcome.request.is_some() && outcome.response.is_none());
}

#[tokio::test]
async fn an_answer_that_stops_halfway_keeps_what_has_arrived() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let hanging = raw(move |mut socket| async move {
        socket.write_all(head.as_bytes()).await.expect("an answer");
        std::future::pending::<()>().await;
    })
    .await;
    let call_hanging = call(json!({ "url": hanging }), "{}");
    let outcome = stage().run(Call { timeout_ms: 1_000, ..call_hanging }).await;
    let timed_out = failure(&outcome);
    assert_eq!(timed_out.code, FailureCode::Timeout);
    assert!(timed_out.message.starts_with("no complete answer (status 200)"));
    assert_eq!(parsed(outcome.response.as_deref().expect("a response"))["body"], "half");

    let closing = raw(move |mut socket| async move {
        socket.write_all(head.as_bytes()).await.expect("an answer");
    })
    .await;
    let outcome = stage().run(call(json!({ "url": closing }), "{}")).await;
    let broken = failure(&outcome);
    assert_eq!(
        (broken.code, broken.retry),
        (FailureCode::Connect, Retry::Later { after_ms: None })
    );
    assert!(broken.message.starts_with("the answer broke off from 127.0.0.1:"));
    assert_eq!(parsed(outcome.response.as_deref().expect("a response"))["status"], 200);
}

#[tokio::test]
async fn a_reset_and_a_refused_connection_and_garbage_are_tried_again() {
    let reset = raw(|socket| async move {
        socket.set_zero_linger().expect("closing sends a reset");
    })
    .await;
    let garbage = raw(|mut socket| async move {
        socket.write_all(b"SSH-2.0-OpenSSH\r\n").await.expect("an answer");
    })
    .await;
    let closed = "http://127.0.0.1:1/hook".to_owned();
    for (url, words) in
        [(reset, "reset"), (garbage, "invalid HTTP version"), (closed, "Connection refused")]
    {
        let outcome = stage().run(call(json!({ "url": url }), "{}")).await;
        let failure = failure(&outcome);
        assert_eq!(failure.code, FailureCode::Connect, "{failure:?}");
        assert_eq!(failure.retry, Retry::Later { after_ms: None });
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test]
async fn cancelling_ends_a_hanging_call_at_once() {
    let arrived = Arc::new(Notify::new());
    let closed = Arc::new(Notify::new());
    let url = raw({
        let (arrived, closed) = (Arc::clone(&arrived), Arc::clone(&closed));
        move |mut socket| async move {
            arrived.notify_one();
            let end = socket.read(&mut [0; 16]).await;
            assert!(matches!(end, Ok(0) | Err(_)), "the connection is closed");
            closed.notify_one();
        }
    })
    .await;
    let call = Call { timeout_ms: 300_000, ..call(json!({ "url": url }), "{}") };
    let cancel = call.cancel.clone();
    let running = tokio::spawn(async move { stage().run(call).await });
    arrived.notified().await;
    cancel.cancel();
    let outcome =
        timeout(Duration::from_secs(5), running).await.expect("at once").expect("it ends");
    let failure = failure(&outcome);
    assert_eq!((failure.code, failure.retry), (FailureCode::Cancelled, Retry::Never));
    timeout(Duration::from_secs(5), closed.notified()).await.expect("the receiver notices");
}

#[tokio::test]
async fn what_was_cancelled_before_is_not_sent() {
    let receiver = Receiver::answering(200).await;
    let call = call(json!({ "url": receiver.url() }), "{}");
    call.cancel.cancel();
    let outcome = stage().run(call).await;
    assert_eq!(failure(&outcome).code, FailureCode::Cancelled);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn an_address_that_is_refused_is_final() {
    let receiver = Receiver::answering(200).await;
    let stage = Http::new(Client::new(Addresses::default()).expect("a client"), clock());
    for url in [receiver.url(), receiver.url().replace("127.0.0.1", "localhost")] {
        let outcome = stage.run(call(json!({ "url": url }), "{}")).await;
        let failure = failure(&outcome);
        assert_eq!((failure.code, failure.retry), (FailureCode::AddressRefused, Retry::Never));
        assert!(failure.message.contains("BELFRY_ALLOW_TARGETS"), "{}", failure.message);
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_name_that_resolves_to_a_refused_address_is_final() {
    let lookup: Lookup =
        Arc::new(|_| Box::pin(async { Ok(vec!["169.254.169.254".parse().expect("an address")]) }));
    let client = Client::with_lookup(Addresses::default(), lookup).expect("a client");
    let config = json!({ "url": "http://metadata.example/" });
    let outcome = Http::new(client, clock()).run(call(config, "{}")).await;
    let failure = failure(&outcome);
    assert_eq!((failure.code, failure.retry), (FailureCode::AddressRefused, Retry::Never));
    assert!(failure.message.contains("169.254.169.254"), "{}", failure.message);
    assert!(outcome.request.is_some());
}

#[tokio::test]
async fn a_config_that_cannot_be_run_is_final() {
    let outcome = stage().run(call(json!({ "url": "nowhere", "method": "BREW" }), "{}")).await;
    let failure = failure(&outcome);
    assert_eq!((failure.code, failure.retry), (FailureCode::Config, Retry::Never));
    assert!(failure.message.contains("url: ") && failure.message.contains("method: "));
}
