//! A real receiver of webhooks that answers as it is told and remembers everything.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What no story waits for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    is_held: bool,
}

/// A receiver on a port of its own.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Answer>>,
    came: Notify,
    released: Notify,
}

impl Answer {
    /// A status and an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), is_held: false }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Only after [`Receiver::release`].
    #[must_use]
    pub fn held(mut self) -> Self {
        self.is_held = true;
        self
    }
}

impl Receiver {
    /// Starts one; it answers 204 unless told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Shared::default());
        let router = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request is answered so; further ones by further calls.
    pub fn answer(&self, answer: Answer) {
        self.state.answers.lock().unwrap().push_back(answer);
    }

    /// Lets a held answer go.
    pub fn release(&self) {
        self.state.released.notify_one();
    }

    /// Everything that came, in order.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// The bodies that came, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.body).collect()
    }

    /// Returns when at least `count` requests came.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let came = self.state.came.notified();
            let seen = self.state.received.lock().unwrap().len();
            if count <= seen {
                return;
            }
            let came = tokio::time::timeout(PATIENCE, came).await;
            came.unwrap_or_else(|_| panic!("{seen} of {count} requests came"));
        }
    }
}

impl Received {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }
}

async fn receive(
    State(state): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received {
        method: method.to_string(),
        path: uri.path().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    state.received.lock().unwrap().push(received);
    state.came.notify_waiters();
    let answer = state.answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or_else(|| Answer::status(204));
    if answer.is_held {
        state.released.notified().await;
    }
    let status = StatusCode::from_u16(answer.status).expect("a status");
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        let value = HeaderValue::from_str(&value).expect("a header value");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
