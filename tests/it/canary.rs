//! What is secret never leaves the process but to whom it is meant for: canaries are planted wherever
//! one can be given, everything is made to succeed, to fail and to talk as much as it can, and all
//! that came out is searched for them.

use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Process, Server, belfry, folder};

const MASTER: &str = "ca9a51ca9a51ca9a51ca9a51ca9a51ca9a51ca9a51ca9a51ca9a51ca9a51ca9a";
const ADMIN: &str = "canary-admin-key-of-thirty-two-chars";
/// Every secret that a request, a setting or a definition carries. A definition itself is shown to
/// whoever may read it, as it was written.
const CANARIES: [&str; 10] = [
    MASTER,
    ADMIN,
    "canary-redis",
    "canary-collector",
    "canary-wrong-key",
    "canary-mistyped",
    "canary-target-password",
    "canary-target-token",
    "canary-header",
    "canary-answer-cookie",
];

const CREATE: &str = "mutation($input: TriggerCreateInput!) {
    triggerCreate(input: $input) { trigger { id } userErrors { code field message } } }";
const FIRE: &str = "mutation($input: TriggerFireInput!) {
    triggerFire(input: $input) { firing { id status } userErrors { code field message } } }";
const TIMER: &str = "mutation($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { code field message } } }";
const EVERYTHING: &str = "{ viewer { id name scopes } server { version }
    firings(first: 100) { nodes { id status reason error result
        attempts { errorCode error request response } } }
    events(first: 100, filter: { isTest: INCLUDE }) { nodes { type message data payload actor } }
    timers(first: 100) { nodes { id status } } }";

/// A server that talks as much as it can, into the file `log`.
fn talkative(folder: &Path) -> Server {
    let mut command = belfry(folder, &[]);
    command
        .env("BELFRY_ADMIN_KEY", ADMIN)
        .env("BELFRY_MASTER_KEY", MASTER)
        .env("BELFRY_LOG", "trace")
        .env("BELFRY_REDIS_URL", "redis://belfry:canary-redis@127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:canary-collector@127.0.0.1:1");
    let log = File::create(folder.join("log")).expect("a file");
    Server::start_logging(command, &[], log.into())
}

/// Fires a trigger that posts to the receiver at `address`, which answers as it was told.
fn fire(server: &Server, name: &str, address: &str) -> Vec<String> {
    let url = format!("http://user:canary-target-password@{address}/?token=canary-target-token");
    let http = json!({ "url": url, "headers": { "authorization": "Bearer canary-header" } });
    let retry = json!({ "maxAttempts": 1 });
    let stage = json!({ "name": "post", "config": { "http": http }, "retry": retry });
    let input = json!({ "name": name, "action": { "inline": { "stages": [stage] } } });
    let ask = |query: &str, input: Value| {
        let body = json!({ "query": query, "variables": { "input": input } });
        server.post("/graphql", ADMIN, &body)
    };
    let made = ask(CREATE, input);
    let id = made.json()["data"]["triggerCreate"]["trigger"]["id"].clone();
    assert!(id.is_string(), "{}", made.body);
    let fired = ask(FIRE, json!({ "triggerId": id }));
    let timer = ask(TIMER, json!({ "length": { "duration": "PT0S" }, "target": { "url": url } }));
    vec![made.body, fired.body, timer.body]
}

/// What strangers and clumsy clients are told.
fn refused(server: &Server) -> Vec<String> {
    let query = json!({ "query": "{ viewer { id } }" });
    let bad = [
        json!({ "query": "{ nope(key: \"canary-mistyped\") }" }),
        json!({ "query": "query($x: Int!) { node(id: $x) { id } }",
            "variables": { "x": "canary-mistyped" } }),
    ];
    let wrong_key = server.post("/graphql", "canary-wrong-key-of-thirty-two-chars", &query);
    assert_eq!(wrong_key.status, 401);
    let mut said = vec![wrong_key.body];
    said.extend(["/timer/tmr_x", "/event?q=canary"].map(|path| server.get(path, None).body));
    // What a client wrote into a document may come back to it, and goes no further.
    bad.iter().for_each(|body| drop(server.post("/graphql", ADMIN, body)));
    said
}

#[test]
fn no_secret_leaves_the_process() {
    let folder = folder();
    let server = talkative(folder.path());
    let mut said = Vec::new();
    for (name, args) in [("good", vec!["--status", "200"]), ("bad", vec!["--status", "400"])] {
        let listen = ["receive", "--listen", "127.0.0.1:0"];
        let mut command = belfry(folder.path(), &listen);
        let mut receiver = Process::start(command.args(args));
        let line = receiver.wait_for(&["receiving on http://…/, answering …; ctrl-c ends"]);
        let address = line[0].trim_start_matches("receiving on http://").split('/').next();
        said.extend(fire(&server, name, address.expect("an address")));
        receiver.wait_for(&["…  POST …", "…  POST …"]);
    }
    // Nobody listens there.
    said.extend(fire(&server, "ugly", "127.0.0.1:1"));
    said.extend(refused(&server));
    said.extend(["/metrics", "/readyz", "/livez", "/playground"].map(|path| {
        let answer = server.get(path, None);
        assert!(answer.status < 500 || path == "/readyz", "{path}");
        answer.body
    }));
    let everything = server.post("/graphql", ADMIN, &json!({ "query": EVERYTHING })).body;
    assert!(everything.contains("COMPLETED") && everything.contains("FAILED"), "{everything}");
    said.push(everything);
    server.process.signal("TERM");
    said.push(server.process.ended_with_output());
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    assert!(log.contains("DEBUG") || log.contains("TRACE") || log.contains("WARN"), "{log}");
    said.push(log);
    for canary in CANARIES {
        for text in &said {
            let around = text.find(canary).map(|at| &text[at.saturating_sub(200)..]);
            let around = around.map(|text| text.chars().take(400).collect::<String>());
            assert_eq!(around, None, "{canary} got out");
        }
    }
}
