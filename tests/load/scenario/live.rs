//! Timers and firings by the API while the live log is read: all are recorded and delivered, and
//! the reader sees all of it in the order of the log.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Client, uuid};
use crate::home::{Home, Kind};
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{pace, record};

const TIMERS: i64 = 1_000;
const FIRINGS: i64 = 500;
const SPAN_MS: i64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it.
pub async fn run(kind: Kind) -> Vec<Row> {
    let mut row = Row::new("live", kind);
    row.firings = TIMERS + FIRINGS;
    let receiver = Receiver::start();
    let home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let (idle_mib, _) = server.memory_mib();
    row.note(format!("start to ready {} ms, idle {idle_mib} MiB", server.ready_ms));
    let client = server.client();
    let trigger = client.make_trigger("by hand", &receiver.hook(), Vec::new()).await;
    let mut live = client.live().await;
    let from = pace::now_ms() + 500;
    let accepted = client.start_timers(&receiver.hook(), TIMERS, (from, SPAN_MS)).await;
    let firing = tokio::spawn(fire(client.clone(), trigger));

    let mut order: Vec<Uuid> = Vec::new();
    let mut completed = HashSet::new();
    let seen = async {
        while completed.len() < (TIMERS + FIRINGS) as usize {
            for event in live.next().await {
                order.push(uuid(&event["id"]));
                if event["type"] == json!("firing.completed") {
                    assert!(completed.insert(uuid(&event["firingId"])), "seen twice");
                }
            }
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    row.promise(seen.is_ok(), format!("the live log showed {} completed", completed.len()));
    let mut ids = firing.await.expect("the firings were accepted");
    ids.extend(accepted.iter().map(|timer| timer.firing));
    row.promise(is_that_of_the_log(&client, &order).await, "the live log differs from the log");

    let arrivals = receiver.take();
    let rows = record::firings(&client, &json!({})).await;
    row.late = Some(record::judge(&mut row, &client, &ids, &rows, &arrivals).await);
    row.memory_mib = Some(server.memory_mib());
    vec![row]
}

/// Fires evenly over the span; returns the firings.
async fn fire(client: Client, trigger: Value) -> Vec<Uuid> {
    let mut fired = Vec::new();
    for at in pace::evenly(FIRINGS, pace::now_ms(), SPAN_MS) {
        pace::until(at).await;
        fired.push(client.fire(&trigger, json!({ "at": at })).await);
    }
    fired
}

/// Whether what the live log showed is the log itself, in log order.
async fn is_that_of_the_log(client: &Client, order: &[Uuid]) -> bool {
    let query = "query($after: String) { events(first: 100, after: $after, orderBy: {direction: \
         ASC}) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let log = record::pages(client, query, "events", json!({})).await;
    let log: Vec<Uuid> = log.iter().map(|node| uuid(&node["id"])).collect();
    let Some(start) = order.first().and_then(|first| log.iter().position(|id| id == first)) else {
        return false;
    };
    log[start..].starts_with(order)
}
