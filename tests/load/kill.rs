//! kill -9 in the middle of 1,000 timers that are due over 10 s, then a restart: every timer is
//! delivered at least once, recorded once, and never early.

use std::collections::HashMap;
use std::time::Duration;

use belfry::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::at_share;
use crate::client::Client;
use crate::process::{Server, Sink, folder};

const TIMERS: i64 = 1_000;
const SPAN_MS: i64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it and prints the figures.
pub async fn run() {
    let folder = folder();
    let sink = Sink::default();
    let hook = sink.start().await;
    let server = Server::start(folder.path()).await;
    let client = Client::of(&server);
    let due = client.start_timers(&hook, TIMERS, (500, 500 + SPAN_MS)).await;

    let clock = SystemClock::new();
    clock.sleep_until(clock.now().plus_ms(SPAN_MS / 2)).await;
    server.kill().await;
    let before = sink.deliveries().len();
    let killed_at = clock.now();
    clock.sleep_until(killed_at.plus_ms(1_000)).await;
    let server = Server::start(folder.path()).await;
    let restarted_at = clock.now();
    let client = Client::of(&server);
    let finished = tokio::time::timeout(PATIENCE, all_completed(&client)).await;
    let rows = finished.expect("every timer is recorded");

    let mut deliveries: HashMap<String, Vec<i64>> = HashMap::new();
    for delivery in sink.deliveries() {
        let body: Value = serde_json::from_str(&delivery.body).expect("a JSON body");
        let id = body["id"].as_str().expect("the id of a timer").to_owned();
        assert!(delivery.webhook_id.ends_with(&format!("{}_post", &id[4..])), "{delivery:?}");
        deliveries.entry(id).or_default().push(delivery.at_ms);
    }
    let lost = due.keys().filter(|id| !deliveries.contains_key(*id)).count();
    let early = due.iter().filter(|(id, at)| deliveries.get(*id).is_some_and(|d| d[0] < **at));
    let again = deliveries.values().filter(|times| 1 < times.len()).count();
    let early = early.count();
    let mut lateness: Vec<i64> =
        due.iter().map(|(id, at)| deliveries.get(id).map_or(0, |times| times[0] - at)).collect();
    lateness.sort_unstable();
    println!(
        "kill -9 after {before} of {TIMERS} deliveries, down {} ms: recorded once {}, lost {lost}, \
         early {early}, delivered again {again}, lateness ms p50 {} max {}",
        restarted_at.ms_since(killed_at),
        rows.len(),
        at_share(&lateness, 0.5),
        at_share(&lateness, 1.0),
    );
    assert_eq!((rows.len() as i64, lost, early), (TIMERS, 0, 0));
    assert!(0 < before && (before as i64) < TIMERS, "it was not killed in the middle");
}

/// Waits until every timer is COMPLETED; returns the rows.
async fn all_completed(client: &Client) -> Vec<Value> {
    let query = "{ firings(first: 0, filter: {cause: {eq: TIMER}, status: {eq: COMPLETED}}) \
         { totalCount } }";
    let clock = SystemClock::new();
    loop {
        let data = client.ask(query, json!({})).await;
        if data["firings"]["totalCount"] == json!(TIMERS) {
            return client.firings("TIMER").await;
        }
        clock.sleep_until(clock.now().plus_ms(100)).await;
    }
}
