//! 1,000 timers and 500 API firings over 10 s while the live log is read: all recorded, all
//! delivered, all seen in order, none early.

use std::collections::HashSet;
use std::time::Duration;

use belfry::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::at_share;
use crate::client::{Client, millis, text};
use crate::process::{Server, Sink, folder};

const TIMERS: i64 = 1_000;
const FIRINGS: i64 = 500;
const SPAN_MS: i64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it and prints the figures.
pub async fn run() {
    let folder = folder();
    let sink = Sink::default();
    let hook = sink.start().await;
    let server = Server::start(folder.path()).await;
    println!("start to ready: {} ms, memory {} MiB", server.ready_ms, server.memory_mib());
    let client = Client::of(&server);
    let trigger = make_trigger(&client, &hook).await;
    let mut live = client.live().await;
    client.start_timers(&hook, TIMERS, (500, 500 + SPAN_MS)).await;
    let firing = tokio::spawn(fire(client.clone(), trigger));

    let mut order = Vec::new();
    let mut completed = HashSet::new();
    let seen = async {
        while completed.len() < (TIMERS + FIRINGS) as usize {
            for event in live.next().await {
                order.push(text(&event["id"]));
                if event["type"] == json!("firing.completed") {
                    assert!(completed.insert(text(&event["firingId"])), "seen twice");
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the live log shows everything");
    firing.await.expect("the firings were accepted");
    assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "an event was seen twice");
    assert_order_is_that_of_the_log(&client, &order).await;

    let mut lateness: Vec<i64> = Vec::new();
    for cause in ["TIMER", "API"] {
        let rows = client.firings(cause).await;
        for row in &rows {
            assert_eq!(row["status"], json!("COMPLETED"), "{row}");
            assert_eq!(row["attempts"].as_array().map(Vec::len), Some(1), "{row}");
            lateness.push(millis(&row["startedAt"]) - millis(&row["dueAt"]));
        }
        println!("{cause}: {} recorded COMPLETED with one attempt each", rows.len());
    }
    lateness.sort_unstable();
    assert!(0 <= lateness[0], "something came early");
    assert_eq!(sink.deliveries().len() as i64, TIMERS + FIRINGS);
    println!(
        "delivered {}, seen by the live log in order {}, lateness ms p50 {} p99 {} max {}, \
         memory {} MiB",
        sink.deliveries().len(),
        completed.len(),
        at_share(&lateness, 0.5),
        at_share(&lateness, 0.99),
        at_share(&lateness, 1.0),
        server.memory_mib()
    );
}

async fn make_trigger(client: &Client, hook: &str) -> Value {
    let query = "mutation($input: TriggerCreateInput!) { triggerCreate(input: $input) \
         { trigger { id } userErrors { field message } } }";
    let stage = json!({ "name": "post", "config": { "http": { "url": hook } } });
    let input = json!({ "name": "load", "action": { "inline": { "stages": [stage] } } });
    let made = client.ask(query, json!({ "input": input })).await;
    made["triggerCreate"]["trigger"]["id"].clone()
}

/// Fires evenly over the span.
async fn fire(client: Client, trigger: Value) {
    let query = "mutation($input: TriggerFireInput!) { triggerFire(input: $input) \
         { firing { id } userErrors { field message } } }";
    let clock = SystemClock::new();
    let start = clock.now();
    for number in 0..FIRINGS {
        clock.sleep_until(start.plus_ms(SPAN_MS * number / FIRINGS)).await;
        let input = json!({ "triggerId": trigger, "payload": { "number": number } });
        let done = client.ask(query, json!({ "input": input })).await;
        assert_eq!(done["triggerFire"]["userErrors"], json!([]));
    }
}

/// What the live log showed is the log itself, in log order.
async fn assert_order_is_that_of_the_log(client: &Client, order: &[String]) {
    let query = "query($after: String) { events(first: 100, after: $after, orderBy: {direction: \
         ASC}) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let mut log = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = client.ask(query, json!({ "after": after })).await;
        let page = &page["events"];
        log.extend(page["nodes"].as_array().expect("nodes").iter().map(|node| text(&node["id"])));
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let start = log.iter().position(|id| *id == order[0]).expect("the first is in the log");
    assert_eq!(log[start..start + order.len()], *order, "the live log differs from the log");
}
