//! What a process says about itself on its own: log lines for machines, and spans for a collector.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::process::{PATIENCE, Process, Server, belfry, folder};

const ADMIN_KEY: &str = "an-admin-key-of-thirty-two-chars";
const TIMER_START: &str = "mutation ($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { message } }
}";

#[test]
fn json_logs_are_one_object_a_line_with_what_an_error_is_about() {
    let folder = folder();
    let path = folder.path().join("log");
    let mut command = belfry(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--log", "debug"]);
    command.stderr(Stdio::from(File::create(&path).expect("a file")));
    let mut server = Process::start(&mut command);
    server.wait_for(&["Belfry … is ready"]);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let text = std::fs::read_to_string(path).expect("the log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect();
    assert!(!lines.is_empty());
    for line in &lines {
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
        assert!(line["fields"].is_object(), "{line}");
    }
    assert!(lines.iter().any(|line| line["fields"]["message"] == "stopped"), "{text}");
}

#[test]
fn spans_of_a_request_and_of_a_firing_reach_the_collector() {
    let (collector, batches) = collect();
    let folder = folder();
    let endpoint = format!("http://{collector}/");
    let arguments = ["--admin-key", ADMIN_KEY, "--otlp-endpoint", &endpoint];
    let server = Server::start(folder.path(), &arguments);
    let mut receiver = belfry(folder.path(), &["receive", "--listen", "127.0.0.1:0"]);
    let mut receiver = Process::start(&mut receiver);
    let line = receiver.wait_for(&["receiving on http://…/, answering …; ctrl-c ends"]).remove(0);
    let address = line.trim_start_matches("receiving on http://").split('/').next().unwrap();
    let target = json!({ "url": format!("http://{address}/traced") });
    let input = json!({ "length": { "duration": "PT0.1S" }, "target": target });
    let made = server.graphql(ADMIN_KEY, TIMER_START, &json!({ "input": input }));
    receiver.wait_for(&["…  POST /traced  answered 204"]);
    server.process.signal("TERM");
    assert_eq!(server.process.ended().code(), Some(0));

    // What was not sent yet is sent before the process ends.
    let mut spans = Vec::new();
    while let Ok((path, body)) = batches.try_recv() {
        assert_eq!(path, "/v1/traces");
        spans.extend(spans_of(&body));
    }
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    for name in ["request", "claim", "stage", "record"] {
        assert!(!named(name).is_empty(), "{name} is missing in {spans:#?}");
    }
    let timer = made["timerStart"]["timer"]["id"].as_str().expect("a timer");
    let firing = timer.replacen("tmr_", "frg_", 1);
    assert!(named("stage")[0].has("firing.id", &firing), "{spans:#?}");
    assert!(named("record").iter().any(|span| span.has("firing.ids", &firing)), "{spans:#?}");
    assert!(named("request").iter().any(|span| span.has("http.route", "/graphql")), "{spans:#?}");
}

#[test]
fn a_collector_that_is_not_there_delays_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let endpoint = format!("http://{}", closed.expect("a port that nobody listens on"));
    let folder = folder();
    let arguments = ["--admin-key", ADMIN_KEY, "--otlp-endpoint", &endpoint];
    let server = Server::start(folder.path(), &arguments);
    assert_eq!(server.get("/livez", None).status, 200);
    server.process.signal("TERM");
    assert_eq!(server.process.ended().code(), Some(0));
}

/// One span: its name, and its attributes that are texts.
#[derive(Debug)]
struct Span {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Span {
    fn has(&self, key: &str, value: &str) -> bool {
        self.attributes.iter().any(|(of, is)| of == key && is == value)
    }
}

/// A collector: its address, and the path and body of each request that it answers.
fn collect() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, batches) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                while let Some(request) = read(&mut stream) {
                    // Known before the sender is told that it was received.
                    let _ = sender.send(request);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, batches)
}

fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    let mut body = vec![0; length?];
    stream.read_exact(&mut body).ok()?;
    Some((path, body))
}

/// The spans of an `ExportTraceServiceRequest` (opentelemetry-proto, `trace/v1/trace.proto`).
fn spans_of(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in fields(request, 1) {
        for scope in fields(resource, 2) {
            spans.extend(fields(scope, 2).into_iter().map(|span| Span {
                name: fields(span, 5).first().map(|name| utf8(name)).unwrap_or_default(),
                attributes: fields(span, 9).into_iter().filter_map(attribute).collect(),
            }));
        }
    }
    spans
}

fn attribute(pair: &[u8]) -> Option<(String, String)> {
    let key = utf8(fields(pair, 1).first()?);
    let value = fields(pair, 2);
    Some((key, utf8(fields(value.first()?, 1).first()?)))
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The values of the length-delimited fields of a protobuf message that have this number.
fn fields(mut message: &[u8], wanted: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).expect("a length"),
            5 => 4,
            other => panic!("a wire type {other}"),
        };
        let (value, rest) = message.split_at(length);
        message = rest;
        if tag & 7 == 2 && tag >> 3 == wanted {
            found.push(value);
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = message.split_first().expect("a whole number");
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
