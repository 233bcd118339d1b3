//! What the API says was recorded, held against what was accepted and what arrived.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Client, millis, uuid};
use crate::pace;
use crate::receiver::Arrival;
use crate::table::{Lateness, Row};

/// A firing, as the API shows it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id.
    pub firing: Uuid,
    /// What made it.
    pub cause: String,
    /// Where it stands.
    pub status: String,
    /// When it was due.
    pub due_ms: i64,
    /// How many tries it has.
    pub attempts: usize,
    /// How many of them succeeded.
    pub succeeded: usize,
}

/// Waits until so many firings that fit `filter` are COMPLETED; whether that came to be.
pub async fn wait_completed(client: &Client, filter: &Value, count: i64, patience_ms: i64) -> bool {
    let query =
        "query($filter: FiringFilter) { firings(first: 0, filter: $filter) { totalCount } }";
    let filter = json!({ "and": [filter, { "status": { "eq": "COMPLETED" } }] });
    let enough = || async {
        let data = client.ask(query, json!({ "filter": filter })).await;
        let completed = data["firings"]["totalCount"].as_i64().unwrap_or(0);
        (count <= completed).then_some(())
    };
    pace::poll(patience_ms, enough).await.is_some()
}

/// Every firing that fits `filter`.
pub async fn firings(client: &Client, filter: &Value) -> Vec<Recorded> {
    let query = "query($filter: FiringFilter, $after: String) { firings(first: 100, after: $after, \
         filter: $filter) { nodes { id cause status dueAt attempts { status } } \
         pageInfo { hasNextPage endCursor } } }";
    let recorded = |node: &Value| {
        let attempts = node["attempts"].as_array().expect("attempts");
        Recorded {
            firing: uuid(&node["id"]),
            cause: node["cause"].as_str().unwrap_or_default().to_owned(),
            status: node["status"].as_str().unwrap_or_default().to_owned(),
            due_ms: millis(&node["dueAt"]),
            attempts: attempts.len(),
            succeeded: attempts.iter().filter(|one| one["status"] == json!("SUCCEEDED")).count(),
        }
    };
    let pages = pages(client, query, "firings", json!({ "filter": filter })).await;
    pages.iter().map(recorded).collect()
}

/// The firings of which the log says that they completed, as often as it says so.
pub async fn completed_events(client: &Client) -> Vec<Uuid> {
    let query = "query($after: String) { events(first: 100, after: $after, filter: {type: {eq: \
         \"firing.completed\"}}) { nodes { firingId } pageInfo { hasNextPage endCursor } } }";
    let pages = pages(client, query, "events", json!({})).await;
    pages.iter().map(|node| uuid(&node["firingId"])).collect()
}

/// Every node of a connection.
pub async fn pages(client: &Client, query: &str, field: &str, mut variables: Value) -> Vec<Value> {
    let mut nodes = Vec::new();
    loop {
        let mut data = client.ask(query, variables.clone()).await;
        let page = &mut data[field];
        if let Value::Array(some) = page["nodes"].take() {
            nodes.extend(some);
        }
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            return nodes;
        }
        variables["after"] = page["pageInfo"]["endCursor"].clone();
    }
}

/// The promises of firings that met no fault: each that was accepted is recorded COMPLETED with one
/// attempt that succeeded and one event, and arrived once, not before it was due. Returns how late
/// they arrived.
pub async fn judge(
    row: &mut Row,
    client: &Client,
    accepted: &[Uuid],
    rows: &[Recorded],
    arrivals: &[Arrival],
) -> Lateness {
    let due: HashMap<Uuid, i64> = rows.iter().map(|row| (row.firing, row.due_ms)).collect();
    row.promise(due.len() == rows.len(), "a firing is recorded twice");
    let lost = accepted.iter().filter(|id| !due.contains_key(*id)).count();
    row.promise(lost == 0, format!("{lost} accepted firings are not recorded"));
    let not_completed = rows.iter().filter(|row| row.status != "COMPLETED").count();
    row.promise(not_completed == 0, format!("{not_completed} did not complete"));
    let odd = rows.iter().filter(|row| (row.attempts, row.succeeded) != (1, 1)).count();
    row.promise(odd == 0, format!("{odd} have another number of attempts than one"));

    let events = completed_events(client).await;
    let distinct: HashSet<&Uuid> = events.iter().collect();
    row.promise(distinct.len() == events.len(), "an event was written twice");
    let silent = rows.iter().filter(|row| !distinct.contains(&row.firing)).count();
    row.promise(silent == 0, format!("{silent} have no event"));

    let came: HashSet<Uuid> = arrivals.iter().map(|arrival| arrival.firing).collect();
    let again = arrivals.len() - came.len();
    row.promise(again == 0, format!("{again} were delivered again"));
    let undelivered = due.keys().filter(|id| !came.contains(*id)).count();
    row.promise(undelivered == 0, format!("{undelivered} were not delivered"));
    let late = lateness(&due, arrivals);
    row.promise(0 <= late.min, format!("one came {} ms early", -late.min));
    late
}

/// How late what came was, of what is in `due`.
pub fn lateness(due: &HashMap<Uuid, i64>, arrivals: &[Arrival]) -> Lateness {
    let late = |came: &Arrival| due.get(&came.firing).map(|due| came.at_ms - due);
    Lateness::of(arrivals.iter().filter_map(late).collect())
}
