//! A reader of the live log that comes back after its last cursor whenever it is cut off.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tests::checker::Tail;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::book::{Book, pass};
use crate::client::Client;
use crate::node::ADMIN_KEY;

const LIVE: &str = "subscription($after: String) { events(after: $after, batchSize: 100, \
     heartbeat: \"PT1S\") { cursor events { id } gap { missed } } }";
const HEAD: &str = "{ events(first: 1) { headCursor nodes { id } } }";

/// Without a word for so long (heartbeats come each second) the connection counts as dead.
const SILENCE: Duration = Duration::from_secs(10);

/// Reads from now on until the run is over, at the process of number `place` first.
pub async fn read(client: Arc<Client>, book: Arc<Book>, place: usize) {
    let head = client.ask("events", HEAD, json!({})).await;
    let mut after = head["headCursor"].clone();
    let last = head["nodes"][0]["id"].as_str().map(str::to_owned);
    let index = {
        let mut pages = book.pages();
        let name = format!("tail {}", pages.tails.len() + 1);
        pages.tails.push(Tail { name, after: last, seen: Vec::new() });
        pages.tails.len() - 1
    };
    tokio::spawn(async move {
        for turn in place.. {
            let url = &client.urls()[turn % client.urls().len()];
            let _ = follow(url, &mut after, &book, index).await;
            pass(200).await;
        }
    });
}

/// Reads from `after` on, which moves along, until the connection ends.
async fn follow(url: &str, after: &mut Value, book: &Book, index: usize) -> Option<()> {
    let url = format!("{}/graphql", url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().ok()?;
    let protocol = HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = tokio::time::timeout(SILENCE, connect_async(request)).await.ok()?.ok()?;
    let key = format!("Bearer {ADMIN_KEY}");
    let init = json!({ "type": "connection_init", "payload": { "authorization": key } });
    socket.send(Message::text(init.to_string())).await.ok()?;
    let payload = json!({ "query": LIVE, "variables": { "after": after.clone() } });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
    socket.send(Message::text(subscribe.to_string())).await.ok()?;
    loop {
        let message = tokio::time::timeout(SILENCE, socket.next()).await.ok()??.ok()?;
        let Message::Text(text) = message else { continue };
        let value: Value = serde_json::from_str(&text).ok()?;
        match value["type"].as_str() {
            Some("ping") => {
                socket.send(Message::text(json!({ "type": "pong" }).to_string())).await.ok()?;
            }
            Some("next") => {
                let batch = &value["payload"]["data"]["events"];
                let ids = batch["events"].as_array()?.iter();
                let ids = ids.filter_map(|event| event["id"].as_str().map(str::to_owned));
                book.pages().tails[index].seen.extend(ids);
                *after = batch["cursor"].clone();
            }
            Some("connection_ack") => {}
            _ => return None,
        }
    }
}
