//! A client of the server: GraphQL over HTTP, and the live log over a WebSocket.

use entity::Instant;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use crate::pace;

/// Timers of one mutation: what the server takes at most.
const BULK: usize = 5_000;

const TIMERS: &str = "mutation($input: TimersStartInput!) { timersStart(input: $input) \
     { timers { id firesAt } userErrors { field message } } }";
const TRIGGER: &str = "mutation($input: TriggerCreateInput!) { triggerCreate(input: $input) \
     { trigger { id } userErrors { field message } } }";
const FIRE: &str = "mutation($input: TriggerFireInput!) { triggerFire(input: $input) \
     { firing { id } userErrors { field message } } }";
const LIVE: &str = "subscription($after: String) { events(after: $after, batchSize: 1000, \
     heartbeat: \"PT1S\") { cursor events { id type firingId } } }";

/// A client with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A timer that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// Its firing.
    pub firing: Uuid,
    /// When it is due, in milliseconds since 1970.
    pub due_ms: i64,
}

/// A reader of the live log.
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// A client of the server at `url`.
    pub fn new(url: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, url: url.to_owned(), key: key.to_owned() }
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
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(value.get("errors").is_none(), "{text}");
        value["data"].take()
    }

    /// The body of a GET.
    pub async fn get(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        answer.text().await.expect("a body")
    }

    /// Starts `count` timers to `url`, due evenly from `from_ms` on over `span_ms`.
    ///
    /// Each bulk takes timers from the whole span, so that the load stays even though a length
    /// counts from when its bulk is accepted.
    pub async fn start_timers(
        &self,
        url: &str,
        count: i64,
        (from_ms, span_ms): (i64, i64),
    ) -> Vec<Timer> {
        let dues: Vec<i64> = pace::evenly(count, from_ms, span_ms).collect();
        let bulks = dues.len().div_ceil(BULK);
        let mut timers = Vec::with_capacity(dues.len());
        for bulk in 0..bulks {
            let dues = dues.iter().skip(bulk).step_by(bulks);
            timers.extend(self.start_bulk(url, dues).await);
        }
        assert_eq!(timers.len() as i64, count);
        timers
    }

    async fn start_bulk(&self, url: &str, dues: impl Iterator<Item = &i64>) -> Vec<Timer> {
        let now = pace::now_ms();
        let timer = |due: &i64| {
            let left_ms = (due - now).max(0);
            let duration = format!("PT{}.{:03}S", left_ms / 1_000, left_ms % 1_000);
            json!({ "length": { "duration": duration }, "target": { "url": url } })
        };
        let timers: Vec<Value> = dues.map(timer).collect();
        let data = self.ask(TIMERS, json!({ "input": { "timers": timers } })).await;
        let made = data["timersStart"]["timers"].as_array().expect("timers");
        let timer =
            |made: &Value| Timer { firing: uuid(&made["id"]), due_ms: millis(&made["firesAt"]) };
        made.iter().map(timer).collect()
    }

    /// Makes a trigger that posts to `url`; returns its id.
    pub async fn make_trigger(&self, name: &str, url: &str, schedules: Vec<Value>) -> Value {
        let stage = json!({ "name": "post", "config": { "http": { "url": url } } });
        let action = json!({ "inline": { "stages": [stage] } });
        // Schedules that share a trigger would be in each other's way by default.
        let overlap = if schedules.len() < 2 { "SKIP" } else { "ALLOW" };
        let input = json!({
            "name": name, "action": action, "schedules": schedules, "overlap": overlap,
        });
        let made = self.ask(TRIGGER, json!({ "input": input })).await;
        assert_eq!(made["triggerCreate"]["userErrors"], json!([]));
        made["triggerCreate"]["trigger"]["id"].clone()
    }

    /// Fires a trigger; returns the firing.
    pub async fn fire(&self, trigger: &Value, payload: Value) -> Uuid {
        let input = json!({ "triggerId": trigger, "payload": payload });
        let done = self.ask(FIRE, json!({ "input": input })).await;
        assert_eq!(done["triggerFire"]["userErrors"], json!([]));
        uuid(&done["triggerFire"]["firing"]["id"])
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

/// The UUID of an id of an answer.
pub fn uuid(value: &Value) -> Uuid {
    entity::id::split(value.as_str().expect("an id")).expect("a TypeID").1
}

/// An instant of an answer, in milliseconds since 1970.
pub fn millis(value: &Value) -> i64 {
    Instant::parse(value.as_str().expect("an instant")).expect("RFC 3339").millis()
}
