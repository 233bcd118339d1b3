//! The raw ceiling: the client of the stages posts to the receiver, with no queue and no database.
//! What a scenario reaches is measured against this, in the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use belfry::stage::address::Addresses;
use belfry::stage::client::Client;
use entity::FiringId;
use reqwest::Method;
use tokio::task::JoinSet;
use url::Url;
use uuid::Uuid;

use crate::machine::{Usage, Used};
use crate::pace;
use crate::receiver::Receiver;
use crate::table::Lateness;

/// As many as a server executes at a time, unless told otherwise.
const CONCURRENCY: i64 = 256;

/// What the client reaches alone.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Requests in a second.
    pub per_sec: f64,
    /// Processor time of a request, client and receiver together, in microseconds.
    pub cpu_us: f64,
}

impl Ceiling {
    /// The mean of two, before and after what is held against it.
    pub fn mean(self, other: Self) -> Self {
        let mean = |one: f64, two: f64| f64::midpoint(one, two);
        Self { per_sec: mean(self.per_sec, other.per_sec), cpu_us: mean(self.cpu_us, other.cpu_us) }
    }
}

/// Posts `count` requests as fast as it goes.
pub async fn measure(receiver: &Receiver, count: i64) -> Ceiling {
    let client = client();
    let url: Url = receiver.hook().parse().expect("a URL");
    let next = Arc::new(AtomicI64::new(0));
    let (usage, start) = (Usage::now(), pace::now_ms());
    let mut workers = JoinSet::new();
    for _ in 0..CONCURRENCY.min(count) {
        let (client, url, next) = (client.clone(), url.clone(), next.clone());
        workers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < count {
                post(&client, &url, Uuid::nil()).await;
            }
        });
    }
    workers.join_all().await;
    let elapsed_ms = (pace::now_ms() - start).max(1);
    let Used { ours_secs, .. } = usage.until_now();
    assert_eq!(receiver.take().len() as i64, count, "the receiver counts");
    Ceiling {
        per_sec: count as f64 * 1_000.0 / elapsed_ms as f64,
        cpu_us: ours_secs * 1_000_000.0 / count as f64,
    }
}

/// Posts at each of `count` instants within `span_ms`; how late the requests arrive then.
pub async fn paced(receiver: &Receiver, count: i64, span_ms: i64) -> Lateness {
    let client = client();
    let url: Url = receiver.hook().parse().expect("a URL");
    let mut sent = JoinSet::new();
    let from = pace::now_ms() + 100;
    for due in pace::evenly(count, from, span_ms) {
        pace::until(due).await;
        let (client, url) = (client.clone(), url.clone());
        let id = Uuid::from_u128(due.unsigned_abs().into());
        sent.spawn(async move { post(&client, &url, id).await });
    }
    sent.join_all().await;
    let due = |firing: Uuid| i64::try_from(firing.as_u128()).unwrap_or(0);
    let late = receiver.take().into_iter().map(|came| came.at_ms - due(came.firing)).collect();
    Lateness::of(late)
}

fn client() -> Client {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    Client::new(Addresses::new(vec![loopback])).expect("a client")
}

/// One request of the size that a timer's has.
async fn post(client: &Client, url: &Url, id: Uuid) {
    let id = FiringId(id);
    let request = client.request(Method::POST, url).expect("the address is allowed");
    let answer = request
        .header("content-type", "application/json")
        .header("webhook-id", format!("{id}_post"))
        .header("webhook-timestamp", 1_800_000_000)
        .header("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")
        .body(format!("{{\"id\":\"{id}\"}}"))
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success());
}
