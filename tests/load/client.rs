//! A client of the server: GraphQL over HTTP, and the live log over a WebSocket.

use std::collections::HashMap;

use entity::Instant;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::process::Server;

const TIMERS: &str = "mutation($input: TimersStartInput!) { timersStart(input: $input) \
     { timers { id firesAt } userErrors { field message } } }";
const LIVE: &str = "subscription($after: String) { events(after: $after, batchSize: 1000, heartbeat: \"PT1S\") \
     { cursor events { id type firingId } } }";

/// A client with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A reader of the live log.
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// A client of `server`.
    pub fn of(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, url: server.url.clone(), key: server.key.clone() }
    }

    /// `data` of an operation that must have no errors.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = self
            .http
            .post(format!("{}/graphql", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .expect("an answer");
        let text = answer.text().await.expect("a body");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(value.get("errors").is_none(), "{text}");
        value["data"].clone()
    }

    /// Starts `count` timers to `url` that end evenly between `from_ms` and `until_ms` from now;
    /// returns when each is to fire, by its id.
    pub async fn start_timers(
        &self,
        url: &str,
        count: i64,
        (from_ms, until_ms): (i64, i64),
    ) -> HashMap<String, i64> {
        let timer = |index: i64| {
            let delay_ms = from_ms + (until_ms - from_ms) * index / count;
            let seconds = format!("PT{}.{:03}S", delay_ms / 1_000, delay_ms % 1_000);
            json!({ "length": { "duration": seconds }, "target": { "url": url } })
        };
        let timers: Vec<Value> = (0..count).map(timer).collect();
        let data = self.ask(TIMERS, json!({ "input": { "timers": timers } })).await;
        let made = data["timersStart"]["timers"].as_array().expect("timers").clone();
        assert_eq!(made.len() as i64, count);
        made.iter().map(|timer| (text(&timer["id"]), millis(&timer["firesAt"]))).collect()
    }

    /// Every firing of a cause, with `due, started, status, attempts`.
    pub async fn firings(&self, cause: &str) -> Vec<Value> {
        let query = "query($cause: FiringCause!, $after: String) { firings(first: 100, \
             after: $after, filter: {cause: {eq: $cause}}) { nodes { id status dueAt startedAt \
             attempts { number status } } pageInfo { hasNextPage endCursor } } }";
        let mut found = Vec::new();
        let mut after = Value::Null;
        loop {
            let page = self.ask(query, json!({ "cause": cause, "after": after })).await;
            let page = &page["firings"];
            found.extend(page["nodes"].as_array().expect("nodes").clone());
            if page["pageInfo"]["hasNextPage"] != json!(true) {
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// Reads the live log from now on.
    pub async fn live(&self) -> Live {
        let url = format!("{}/graphql", self.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a request");
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = connect_async(request).await.expect("a socket");
        let mut live = Live { socket };
        let key = format!("Bearer {}", self.key);
        live.send(json!({ "type": "connection_init", "payload": { "authorization": key } })).await;
        let head = self.ask("{ events(first: 0) { headCursor } }", json!({})).await;
        let after = head["events"]["headCursor"].clone();
        let payload = json!({ "query": LIVE, "variables": { "after": after } });
        live.send(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        live
    }
}

impl Live {
    /// The next batch of events.
    pub async fn next(&mut self) -> Vec<Value> {
        loop {
            let message = self.socket.next().await.expect("the socket is open").expect("a message");
            let Message::Text(text) = message else { continue };
            let value: Value = serde_json::from_str(&text).expect("JSON");
            match value["type"].as_str() {
                Some("ping") => self.send(json!({ "type": "pong" })).await,
                Some("next") => {
                    let batch = &value["payload"]["data"]["events"]["events"];
                    return batch.as_array().expect("a batch").clone();
                }
                Some("connection_ack") => {}
                other => panic!("the live log ended: {other:?} {value}"),
            }
        }
    }

    async fn send(&mut self, value: Value) {
        self.socket.send(Message::text(value.to_string())).await.expect("it is sent");
    }
}

/// A text of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// An instant of an answer, in milliseconds since 1970.
pub fn millis(value: &Value) -> i64 {
    Instant::parse(value.as_str().expect("an instant")).expect("RFC 3339").millis()
}
