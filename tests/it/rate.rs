//! The rate limit: by key and cost, on every way in.

use std::sync::Arc;
use std::time::Duration;

use belfry::clock::ManualClock;
use belfry::http::rate::Rates;
use belfry::limits::{QUERY_COMPLEXITY_MAX, RATE_PROJECT_BURST_SECS, RATE_UNIT_COMPLEXITY};
use belfry::service::{Actor, Caller};
use entity::{KeyId, ProjectId};
use serde_json::json;
use uuid::Uuid;

use crate::TestApp;
use crate::wire::{Socket, http, post};

const JSON: &str = "application/json";

/// One unit a second, and so many saved up.
async fn limited(burst: u32) -> TestApp {
    TestApp::served_with(move |settings| {
        (settings.rate_limit, settings.rate_burst) = (1, burst);
    })
    .await
}

#[tokio::test]
async fn a_key_that_has_used_its_share_is_told_when_it_may_go_on() {
    let app = limited(3).await;
    let small = json!({ "query": "{ __typename }" });
    for _ in 0..3 {
        assert_eq!(post(&app, JSON, &small).await.status, 200);
    }
    let answer = post(&app, JSON, &small).await;
    assert_eq!((answer.status, answer.code()), (429, "RATE_LIMITED".into()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    // What is wrong is not even read.
    assert_eq!(post(&app, JSON, &json!({ "query": "{" })).await.status, 429);
}

#[tokio::test]
async fn a_request_costs_what_it_asks_for() {
    let app = limited(50).await;
    // 1 + 100 × (1 + 9 fields) is 1,001: ten units and the one of the request.
    let page = json!({
        "query": "{ firings(first: 100) { nodes { a: id b: id c: id d: id e: id f: id g: id h: id
                  i: id } } }"
    });
    for _ in 0..4 {
        assert_eq!(post(&app, JSON, &page).await.status, 200);
    }
    let answer = post(&app, JSON, &page).await;
    assert_eq!((answer.status, answer.code()), (429, "RATE_LIMITED".into()));
    let seconds: u32 = answer.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=10).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn rest_and_the_socket_share_the_bucket_of_the_key() {
    let app = limited(2).await;
    let mut socket = Socket::acknowledged(&app).await;
    socket.subscribe("1", "{ __typename }").await;
    assert_eq!(socket.next().await["type"], "next");
    assert_eq!(socket.next().await["type"], "complete");
    let list = async || http(&app, "GET /event", &[("x-api-key", app.key())], "").await;
    assert_eq!(list().await.status, 200);
    let answer = list().await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    socket.subscribe("2", "{ __typename }").await;
    let error = socket.next().await;
    assert_eq!((&error["type"], &error["id"]), (&"error".into(), &"2".into()));
    assert_eq!(error["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    let headers =
        [("accept", "text/event-stream"), ("content-type", JSON), ("x-api-key", app.key())];
    let body = json!({ "query": "{ __typename }" }).to_string();
    assert_eq!(http(&app, "POST /graphql", &headers, &body).await.status, 429);
}

/// A key of a project whose quota is so many units a second.
fn caller(project: u128, key: u128, cost_per_second: Option<i32>) -> Caller {
    let mut caller = Caller::belfry(ProjectId(Uuid::from_u128(project)));
    caller.by = Actor::Key(KeyId(Uuid::from_u128(key)), "story".to_owned());
    caller.quotas.cost_per_second = cost_per_second;
    caller
}

/// Buckets on a clock of their own; 0 is no limit for keys.
fn rates(rate: u32, burst: u32) -> (Rates, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(tests::instant(tests::START)));
    (Rates::new(rate, burst, clock.clone()), clock)
}

#[test]
fn the_keys_of_a_project_share_its_quota() {
    let (rates, clock) = rates(0, 1);
    let (one, other) = (caller(1, 1, Some(1)), caller(1, 2, Some(1)));
    for _ in 0..RATE_PROJECT_BURST_SECS {
        assert!(rates.take(&one, 1).is_ok(), "what was saved up");
    }
    assert!(rates.take(&other, 1).is_err() && rates.look(&other).is_err(), "one past it");
    assert!(rates.take(&caller(2, 3, Some(1)), 1).is_ok(), "another project has its own");
    assert!(rates.take(&caller(1, 4, None), 1).is_ok(), "none is no limit");
    clock.advance(Duration::from_secs(1));
    assert!(rates.take(&other, 1).is_ok());
    assert!(rates.take(&one, 1).is_err());
}

#[test]
fn a_large_request_is_possible_under_a_small_rate_and_costs_no_more_than_what_is_executed() {
    let (rates, clock) = rates(1, 1);
    let caller = caller(1, 1, None);
    assert!(rates.take_for(&caller, || usize::MAX).is_ok(), "a full bucket lets it in");
    let units = 1 + (QUERY_COMPLEXITY_MAX / RATE_UNIT_COMPLEXITY) as u64;
    clock.advance(Duration::from_secs(units - 1));
    assert!(rates.look(&caller).is_err());
    clock.advance(Duration::from_secs(1));
    assert!(rates.look(&caller).is_ok());
}
