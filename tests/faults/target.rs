//! The receiver: writes every request down and answers by its path, well or badly.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tests::checker::Delivery;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::book::{now, pass};

/// The answer of `/huge`.
const HUGE_BYTES: usize = 10 * 1024 * 1024 * 1024;
/// One piece of it.
const PIECE_BYTES: usize = 64 * 1024;

/// A running receiver.
#[derive(Clone)]
pub struct Target {
    url: String,
    resetting: String,
    state: Arc<Shared>,
}

struct Shared {
    deliveries: Mutex<Vec<Delivery>>,
    came: watch::Sender<usize>,
    is_released: watch::Sender<bool>,
}

impl Target {
    /// Starts one.
    pub async fn start() -> Self {
        let state = Arc::new(Shared {
            deliveries: Mutex::new(Vec::new()),
            came: watch::Sender::new(0),
            is_released: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let resetting = format!("http://{}/reset", listener.local_addr().expect("an address"));
        tokio::spawn(reset(listener, state.clone()));
        Self { url, resetting, state }
    }

    /// Answers 204 at once.
    pub fn ok(&self) -> String {
        format!("{}/ok", self.url)
    }

    /// Answers in the way of `path`: `hold`, `hang`, `drip`, `huge`, `flaky` or `reset`.
    pub fn bad(&self, path: &str) -> String {
        if path == "reset" { self.resetting.clone() } else { format!("{}/{path}", self.url) }
    }

    /// Everything that came.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.deliveries.lock().expect("nobody panics with it").clone()
    }

    /// How many requests came to `/hold`.
    pub fn held(&self) -> usize {
        *self.state.came.borrow()
    }

    /// Returns when more than `count` requests came to `/hold`.
    pub async fn wait_for_more_than(&self, count: usize) {
        let mut came = self.state.came.subscribe();
        let more = came.wait_for(|came| count < *came);
        tokio::time::timeout(Duration::from_secs(60), more)
            .await
            .expect("a request comes within a minute")
            .expect("the receiver lives");
    }

    /// Whether `/hold` answers at once; those that wait are answered as well.
    pub fn release(&self, is_released: bool) {
        self.state.is_released.send_replace(is_released);
    }
}

impl Shared {
    /// Writes a request down; returns its place.
    fn note(&self, webhook_id: &str, body: &[u8]) -> usize {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let delivery = Delivery {
            at: now(),
            answered_at: None,
            webhook_id: webhook_id.to_owned(),
            body_hash: hasher.finish(),
            timer: value["timer"].as_u64(),
        };
        let mut deliveries = self.deliveries.lock().expect("nobody panics with it");
        deliveries.push(delivery);
        deliveries.len() - 1
    }

    fn answered(&self, place: usize) {
        self.deliveries.lock().expect("nobody panics with it")[place].answered_at = Some(now());
    }
}

async fn receive(
    State(state): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let place = state.note(id, &body);
    let response = match uri.path() {
        "/hold" => {
            state.came.send_modify(|came| *came += 1);
            let mut released = state.is_released.subscribe();
            let _ = released.wait_for(|is_released| *is_released).await;
            StatusCode::NO_CONTENT.into_response()
        }
        "/hang" => std::future::pending().await,
        "/drip" => Body::from_stream(stream::unfold((), |()| async {
            pass(1_000).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
        }))
        .into_response(),
        "/huge" => {
            let piece = Bytes::from(vec![b'.'; PIECE_BYTES]);
            let pieces = stream::iter(0..HUGE_BYTES / PIECE_BYTES);
            let pieces = pieces.map(move |_| Ok::<_, std::io::Error>(piece.clone()));
            Body::from_stream(pieces).into_response()
        }
        "/flaky" if place.is_multiple_of(2) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    };
    state.answered(place);
    response
}

/// Reads requests and resets their connections instead of answering.
async fn reset(listener: TcpListener, state: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let _ = reset_one(stream, &state).await;
        });
    }
}

async fn reset_one(mut stream: TcpStream, state: &Shared) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).await?;
        text.extend_from_slice(&piece[..read]);
        let request = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            if read == 0 {
                return Ok(());
            }
            continue;
        };
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        if length <= body.len() || read == 0 {
            let place = state.note(&header("webhook-id").unwrap_or_default(), body.as_bytes());
            // A reset, not an end: what was sent before is lost as well.
            stream.set_zero_linger()?;
            stream.flush().await?;
            state.answered(place);
            return Ok(());
        }
    }
}
