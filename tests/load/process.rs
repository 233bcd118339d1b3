//! One server process on a database of its own, and the receiver beside it.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use belfry::clock::{Clock as _, SystemClock};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// A running server.
pub struct Server {
    child: Child,
    /// Where it is.
    pub url: String,
    /// Its admin key.
    pub key: String,
    /// How long it took from its start until it said that it is ready.
    pub ready_ms: i64,
}

/// One delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its `webhook-id`.
    pub webhook_id: String,
    /// Its body.
    pub body: String,
}

/// Remembers every delivery.
#[derive(Clone, Default)]
pub struct Sink {
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

/// A folder for the database of one scenario.
pub fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

impl Server {
    /// Starts the binary of `BELFRY_BIN` on the database in `folder`.
    pub async fn start(folder: &Path) -> Self {
        let clock = SystemClock::new();
        let binary = std::env::var("BELFRY_BIN").expect("BELFRY_BIN names the binary");
        let began = clock.now();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--allow-targets", "127.0.0.0/8"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let mut url = None;
        let mut ready_ms = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            if line.ends_with("is ready") {
                ready_ms = clock.now().ms_since(began);
            }
            if let Some(found) = line.strip_prefix("  GraphQL     ") {
                url = found.strip_suffix("/graphql").map(str::to_owned);
            }
            if line.starts_with("  Playground") {
                break;
            }
        }
        let url = url.expect("the server says where it is");
        let key = loop {
            if let Ok(key) = std::fs::read_to_string(folder.join("belfry.db.admin-key")) {
                break key.trim().to_owned();
            }
            tokio::task::yield_now().await;
        };
        Self { child, url, key, ready_ms }
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the process is killed");
    }

    /// Memory that it holds, in MiB.
    pub fn memory_mib(&self) -> i64 {
        let id = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib: i64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        kib / 1024
    }
}

impl Sink {
    /// Starts a receiver; returns its URL.
    pub async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(receive).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/hook")
    }

    /// Everything that came until now.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }
}

async fn receive(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let at_ms = SystemClock::new().now().millis();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let delivery = Delivery {
        at_ms,
        webhook_id: id.to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    sink.deliveries.lock().unwrap().push(delivery);
    StatusCode::NO_CONTENT
}
