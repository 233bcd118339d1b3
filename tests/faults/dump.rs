//! What the API says in the end: every firing with its attempts, and the whole log.

use serde_json::{Value, json};
use tests::checker::{Attempt, Firing, LogEntry, Range};

use crate::client::Client;
use crate::workload::{millis, text};

const FIRINGS: &str = "query($after: String) { firings(first: 100, after: $after) { nodes { id \
     status nominalAt startedAt payload schedule { id } skippedRange { from until count } \
     attempts { status startedAt retryAt } } pageInfo { hasNextPage endCursor } } }";
const EVENTS: &str = "query($after: String) { events(first: 100, after: $after, \
     orderBy: {direction: ASC}) { nodes { id type firingId } pageInfo { hasNextPage endCursor } } }";

/// Every firing.
pub async fn firings(client: &Client) -> Vec<Firing> {
    pages(client, "firings", FIRINGS).await.iter().map(firing).collect()
}

/// The whole log, in its order.
pub async fn log(client: &Client) -> Vec<LogEntry> {
    let entry = |event: &Value| LogEntry {
        id: text(&event["id"]),
        kind: text(&event["type"]),
        firing: event["firingId"].as_str().map(str::to_owned),
    };
    pages(client, "events", EVENTS).await.iter().map(entry).collect()
}

async fn pages(client: &Client, field: &str, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = client.ask(field, query, json!({ "after": after })).await;
        all.extend(page["nodes"].as_array().cloned().unwrap_or_default());
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            return all;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn firing(row: &Value) -> Firing {
    let maybe = |value: &Value| (!value.is_null()).then(|| millis(value));
    let range = &row["skippedRange"];
    let range = range["count"].as_i64().map(|count| Range {
        from: millis(&range["from"]),
        until: millis(&range["until"]),
        count,
    });
    let attempt = |attempt: &Value| Attempt {
        status: text(&attempt["status"]),
        started_at: millis(&attempt["startedAt"]),
        retry_at: maybe(&attempt["retryAt"]),
    };
    let payload = &row["payload"];
    Firing {
        id: text(&row["id"]),
        schedule: row["schedule"]["id"].as_str().map(str::to_owned),
        number: payload["timer"].as_u64().or(payload["plan"].as_u64()),
        nominal_at: millis(&row["nominalAt"]),
        status: text(&row["status"]),
        range,
        started_at: maybe(&row["startedAt"]),
        attempts: row["attempts"].as_array().into_iter().flatten().map(attempt).collect(),
    }
}
