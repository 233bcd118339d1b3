//! Several processes on one PostgreSQL: roles, the first start, and everything behind the balancer
//! of `deploy/haproxy.cfg`, in real processes.

use std::path::Path;
use std::process::Command;

use belfry::clock::{Clock as _, SystemClock};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::services::shared::{self, Database};
use tests::services::{Daemon, poll};
use tests::{Answer, Receiver};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::process::{Process, Server, belfry, folder, installed};

const ADMIN_KEY: &str = "an-admin-key-of-thirty-two-chars";
const MASTER_KEY: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
const TIMER_START: &str = "mutation ($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { message } } }";
const WORKER: &str = "planner,executor,retention";

/// A database that processes share, and the folder that they run in.
struct Site {
    database: Database,
    folder: TempDir,
}

impl Site {
    /// `None` where there is no PostgreSQL.
    async fn new() -> Option<Self> {
        installed("psql")?;
        Some(Self { database: shared::database(None).await, folder: folder() })
    }

    /// The binary with the settings that all processes share.
    fn belfry(&self) -> Command {
        let mut command = belfry(self.folder.path(), &[]);
        command.env("DATABASE_URL", &self.database.url).env("BELFRY_MASTER_KEY", MASTER_KEY);
        command
    }

    fn api(&self, args: &[&str]) -> Server {
        let role = ["--role", "api", "--admin-key", ADMIN_KEY];
        Server::start_as(self.belfry(), &[&role, args].concat())
    }

    /// A process that executes; with its address.
    fn worker(&self, args: &[&str]) -> (Process, String) {
        let mut command = self.belfry();
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-targets", "127.0.0.0/8"]);
        command.args(["--role", WORKER, "--admin-key", ADMIN_KEY, "--poll-secs", "1"]).args(args);
        let mut process = Process::start(&mut command);
        let line = process.wait_for(&["  Health      http://…/readyz"]).remove(0);
        let address = line.trim_start_matches("  Health      http://").trim_end_matches("/readyz");
        (process, address.to_owned())
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn timer(url: &str) -> Value {
    json!({ "input": { "length": { "duration": "PT0.2S" }, "target": { "url": url } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_accepts_another_executes() {
    let Some(site) = Site::new().await else { return };
    let receiver = Receiver::start().await;
    let api = site.api(&[]);
    let (worker, address) = site.worker(&[]);
    let started = api.graphql(ADMIN_KEY, TIMER_START, &timer(&receiver.url("/done")));
    assert_eq!(started["timerStart"]["userErrors"], json!([]));
    receiver.wait_for(1).await;
    assert_eq!(receiver.received()[0].path, "/done");

    let client = client();
    let ask = async |path: &str| {
        let answer = client.get(format!("http://{address}{path}")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    assert_eq!(ask("/livez").await.0, 200);
    assert_eq!(ask("/readyz").await.0, 200);
    let none = "{\"errors\":[{\"field\":null,\"message\":\"this process does not serve the API; its \
                roles are planner,executor,retention\"}]}";
    for path in ["/", "/graphql", "/playground", "/event", "/timer/x"] {
        assert_eq!(ask(path).await, (404, none.to_owned()), "{path}");
    }
    for process in [worker, api.process] {
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_processes_that_start_at_once_one_makes_the_key() {
    let Some(site) = Site::new().await else { return };
    let start = |_| {
        let mut command = site.belfry();
        Process::start(command.args(["serve", "--listen", "127.0.0.1:0"]))
    };
    let mut processes: Vec<Process> = (0..4).map(start).collect();
    let mut printed = Vec::new();
    for process in &mut processes {
        printed.extend(process.read_until("Belfry … is ready"));
    }
    let first: Vec<&String> = printed.iter().filter(|line| line.contains("First start")).collect();
    assert_eq!(first, ["First start: the admin key is shown once"]);
    let keys: Vec<&String> = printed.iter().filter(|line| line.starts_with("  blf_")).collect();
    assert_eq!(keys.len(), 1, "{printed:?}");
    let listed = crate::process::run(site.belfry().args(["key", "list"]));
    assert_eq!(listed.out.matches("[ADMIN]").count(), 1, "{}{}", listed.out, listed.err);
    let projects = crate::process::run(site.belfry().args(["project", "list"]));
    assert_eq!(projects.out.lines().count(), 1, "{}", projects.out);
    assert!(crate::process::files(site.folder.path()).is_empty(), "nothing lies beside PostgreSQL");

    // Nor does it ever happen again, though nobody can get in any more.
    let id = listed.out.split_whitespace().next().expect("an id").to_owned();
    assert_eq!(crate::process::run(site.belfry().args(["key", "revoke", &id])).code, 0);
    let later = start(0).read_until("Belfry … is ready");
    assert!(later.iter().all(|line| !line.contains("First start")), "{later:?}");
    let listed = crate::process::run(site.belfry().args(["key", "list"]));
    assert_eq!(listed.out.lines().count(), 1, "{}", listed.out);
}

/// The balancer as it is deployed, in front of `apis`; with its address.
fn balancer(program: &Path, folder: &Path, apis: &[&Server]) -> (Daemon, String) {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = port.expect("a port").to_string();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/haproxy.cfg");
    let mut text = std::fs::read_to_string(path).expect("deploy/haproxy.cfg");
    let mut swap = |from: &str, to: &str| {
        assert!(text.contains(from), "{path} says nothing of {from}");
        text = text.replacen(from, to, 1);
    };
    swap("bind :8080", &format!("bind {address}"));
    for (number, api) in apis.iter().enumerate() {
        let name = format!("api-{}", number + 1);
        swap(&format!("{name} {name}:8000"), &format!("{name} {}", api.address));
    }
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(file);
    (Daemon::start("haproxy", &command, &folder.join("haproxy.log")), address)
}

/// Reads messages until one holds a batch of events of which one has this type.
async fn wait_for_event(
    socket: &mut (impl Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
    kind: &str,
) {
    let find = async {
        loop {
            let message = socket.next().await.expect("the socket is open").expect("a message");
            let Message::Text(text) = message else { continue };
            if text.contains(&format!("\"type\":\"{kind}\"")) {
                return;
            }
        }
    };
    tokio::time::timeout(tests::services::PATIENCE, find).await.expect("the event in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_balancer_everything_works_also_when_a_process_dies() {
    let (Some(site), Some(haproxy)) = (Site::new().await, installed("haproxy")) else { return };
    let receiver = Receiver::start().await;
    let redis = tests::services::Redis::start().await;
    let with_redis = ["--redis-url", &redis.url()];
    let (first, second) = (site.api(&with_redis), site.api(&with_redis));
    let (one, two) = (site.worker(&with_redis), site.worker(&with_redis));
    let (_balancer, address) = balancer(&haproxy, site.folder.path(), &[&first, &second]);
    let client = client();
    let url = |path: &str| format!("http://{address}{path}");
    poll("the balancer", async || {
        client.get(url("/readyz")).send().await.ok().filter(|answer| answer.status() == 200)
    })
    .await;

    let mut request = format!("ws://{address}/graphql").into_client_request().expect("a request");
    let protocol = "graphql-transport-ws".parse().expect("a header");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a WebSocket");
    let authorization = format!("Bearer {ADMIN_KEY}");
    let subscribe = "subscription { events { events { type } } }";
    for message in [
        json!({ "type": "connection_init", "payload": { "authorization": authorization } }),
        json!({ "type": "subscribe", "id": "1", "payload": { "query": subscribe } }),
    ] {
        socket.send(Message::text(message.to_string())).await.expect("the socket takes it");
    }

    let start_timer = async |path: &str| {
        let body = json!({ "query": TIMER_START, "variables": timer(&receiver.url(path)) });
        let request = client.post(url("/graphql")).bearer_auth(ADMIN_KEY);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.ok()?.text().await.ok()?;
        answer.contains("\"userErrors\":[]").then_some(())
    };
    start_timer("/one").await.expect("a timer through the balancer");
    receiver.wait_for(1).await;
    wait_for_event(&mut socket, "firing.completed").await;
    assert_eq!(client.get(url("/metrics")).send().await.expect("an answer").status(), 404);

    // One of each dies without a word.
    receiver.answer(Answer::status(204));
    first.process.signal("KILL");
    one.0.signal("KILL");
    let killed_at = SystemClock::new().now();
    poll("the balancer to go on", async || start_timer("/two").await).await;
    let waited_ms = SystemClock::new().now().ms_since(killed_at);
    assert!(waited_ms < 10_000, "{waited_ms} ms");
    poll("the timer", async || {
        receiver.received().iter().any(|request| request.path == "/two").then_some(())
    })
    .await;
    drop((second, two));
}
