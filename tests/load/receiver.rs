//! The receiver: answers 204 at once, on threads of its own, and remembers of each request only
//! what it was and when it came. Below `/hang` it answers after half a minute.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::pace;

/// Threads: on a small machine more would only take turns with what is measured.
const THREADS: usize = 2;
/// How long a target that hangs lets its callers wait.
const HANG_MS: i64 = 30_000;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The firing, from its `webhook-id`.
    pub firing: Uuid,
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A receiver on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    seen: Seen,
    runtime: Option<Runtime>,
}

/// What came, apart for those who hang.
#[derive(Clone, Default)]
struct Seen {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    hanging: Arc<Mutex<Vec<Arrival>>>,
}

impl Receiver {
    /// Starts one.
    pub fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).enable_all().build().expect("threads");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("it does not block");
        let address = listener.local_addr().expect("an address");
        let seen = Seen::default();
        let router = Router::new()
            .route("/hook", post(answer))
            .route("/hang", post(hang))
            .with_state(seen.clone());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let listener = listener.tap_io(|socket| {
                let _ = socket.set_nodelay(true);
            });
            axum::serve(listener, router).await
        });
        Self { address, seen, runtime: Some(runtime) }
    }

    /// Where it answers at once.
    pub fn hook(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Where it hangs.
    pub fn hang(&self) -> String {
        format!("http://{}/hang", self.address)
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.seen.arrivals.lock().unwrap().len()
    }

    /// How many came to where it hangs.
    pub fn hanging(&self) -> usize {
        self.seen.hanging.lock().unwrap().len()
    }

    /// Everything that came, in order; it is forgotten here.
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.seen.arrivals.lock().unwrap())
    }

    /// Waits until `count` requests came; how many there are then.
    pub async fn wait_for(&self, count: usize, patience_ms: i64) -> usize {
        let enough = || async { (count <= self.count()).then_some(()) };
        pace::poll(patience_ms, enough).await;
        self.count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(seen): State<Seen>, headers: HeaderMap) -> StatusCode {
    let arrival = arrival(&headers);
    seen.arrivals.lock().unwrap().push(arrival);
    StatusCode::NO_CONTENT
}

async fn hang(State(seen): State<Seen>, headers: HeaderMap) -> StatusCode {
    let arrival = arrival(&headers);
    seen.hanging.lock().unwrap().push(arrival);
    pace::pause(HANG_MS).await;
    StatusCode::NO_CONTENT
}

/// `webhook-id` is `<firing>_<stage>`.
fn arrival(headers: &HeaderMap) -> Arrival {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let firing = id.rsplit_once('_').and_then(|(firing, _)| entity::id::split(firing));
    Arrival { firing: firing.map_or(Uuid::nil(), |(_, uuid)| uuid), at_ms: pace::now_ms() }
}
