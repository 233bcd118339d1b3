//! The real binary in processes of its own, and a client for it: for `cli.rs` and `readme.rs`.
//!
//! Whatever a test waits for is a line that a process prints or an answer that a server gives, and
//! it waits at most [`PATIENCE`].

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use belfry::clock::{Clock as _, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

/// What no test should wait for longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary: what `BELFRY_BIN` names, else the one beside the tests.
pub fn binary() -> PathBuf {
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("belfry");
    let path = std::env::var_os("BELFRY_BIN").map_or_else(beside, PathBuf::from);
    assert!(path.exists(), "{} is missing: cargo build --bin belfry", path.display());
    path
}

/// The binary with `args` in `folder`, with no setting from the environment of the tests.
pub fn belfry(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("BELFRY_") || name == "DATABASE_URL" {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// A program of the system, also where only administrators look; `None` when it is not installed,
/// as on a machine where only the embedded half of the tests can run.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {program} is not installed; tests/install.sh does it");
    }
    found
}

/// What a command printed, and how it ended.
pub struct Ended {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("the output is text");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// [`belfry`], run to its end.
pub fn run_belfry(folder: &Path, args: &[&str]) -> Ended {
    run(&mut belfry(folder, args))
}

/// A process that goes on while the test does, with all that it starts; killed with the test.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// What it printed and no [`Process::wait_for`] took.
    pub seen: Vec<String>,
}

impl Process {
    /// Starts `command` and reads its standard output.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("it starts");
        let out = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads until every line of `wanted` (see [`fits`]) was printed, in whatever order, and takes
    /// them out of `seen`. Returns them in the order of `wanted`.
    pub fn wait_for(&mut self, wanted: &[&str]) -> Vec<String> {
        let until = SystemClock::new().now().plus_ms(PATIENCE.as_millis().try_into().unwrap());
        let mut found: Vec<Option<String>> = vec![None; wanted.len()];
        loop {
            for (place, pattern) in found.iter_mut().zip(wanted) {
                if place.is_none() {
                    let at = self.seen.iter().position(|line| fits(pattern, line));
                    *place = at.map(|at| self.seen.remove(at));
                }
            }
            if found.iter().all(Option::is_some) {
                return found.into_iter().flatten().collect();
            }
            let left = until.ms_since(SystemClock::new().now()).max(0).unsigned_abs();
            match self.lines.recv_timeout(Duration::from_millis(left)) {
                Ok(line) => self.seen.push(line),
                Err(why) => panic!("{why} before all of {wanted:#?} came; seen: {:#?}", self.seen),
            }
        }
    }

    /// Reads on until a line that fits `pattern`; returns what was printed before it.
    pub fn read_until(&mut self, pattern: &str) -> Vec<String> {
        let mut before = std::mem::take(&mut self.seen);
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|why| {
                panic!("{why} before {pattern:?} came; before it: {before:#?}")
            });
            if fits(pattern, &line) {
                return before;
            }
            before.push(line);
        }
    }

    /// Its standard input, when the command pipes it.
    pub fn input(&mut self) -> &mut impl std::io::Write {
        self.child.stdin.as_mut().expect("standard input is piped")
    }

    /// Sends a signal such as `TERM` to the process alone.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end, which the caller brought about.
    pub fn ended(mut self) -> ExitStatus {
        self.drain();
        self.child.wait().expect("it ended")
    }

    /// The same; returns what it printed and nobody took.
    pub fn ended_with_output(mut self) -> String {
        self.drain();
        std::mem::take(&mut self.seen).join("\n")
    }

    fn drain(&mut self) {
        // The pipe closes when the process is gone, and it has PATIENCE for that.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(why) => panic!("the process did not end: {why}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ =
            Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// `belfry serve` on a port of its own.
pub struct Server {
    /// The process.
    pub process: Process,
    /// `127.0.0.1:<port>`.
    pub address: String,
}

impl Server {
    /// Starts it on the database of `folder` and waits until it is ready.
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        Self::start_as(belfry(folder, &[]), args)
    }

    /// The same with an environment that is already set.
    pub fn start_as(command: Command, args: &[&str]) -> Self {
        Self::start_logging(command, args, Stdio::null())
    }

    /// The same; what it logs goes to `log`.
    pub fn start_logging(mut command: Command, args: &[&str], log: Stdio) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-targets", "127.0.0.0/8"]);
        command.args(args).stderr(log);
        let mut process = Process::start(&mut command);
        let line = process.wait_for(&["  GraphQL     http://…/graphql"]).remove(0);
        let address = line.trim_start_matches("  GraphQL     http://").trim_end_matches("/graphql");
        let address = address.to_owned();
        // It answers once the rest of the greeting is printed.
        let server = Self { process, address };
        assert_eq!(server.get("/readyz", None).status, 200);
        server
    }

    /// A GET; `key` goes into the header.
    pub fn get(&self, path: &str, key: Option<&str>) -> Answer {
        request(&self.address, "GET", path, key, "")
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        request(&self.address, "POST", path, Some(key), &body.to_string())
    }

    /// The `data` of an operation that must have no errors.
    pub fn graphql(&self, key: &str, query: &str, variables: &Value) -> Value {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let answer = self.post("/graphql", key, &body).json();
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].clone()
    }
}

/// What a server answered.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }
}

fn request(address: &str, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
    let authorization = key.map(|key| format!("authorization: Bearer {key}\r\n"));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        authorization.unwrap_or_default(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    stream.write_all(body.as_bytes()).expect("the server reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, body: body.to_owned() }
}

/// A folder of its own.
pub fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// The names of the files in `folder`, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether `text` is `pattern`, in which each `…` stands for any text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (pattern, text) in [("a", "a"), ("…", ""), ("a…c", "abc"), ("…b…", "abc"), ("a…", "a…")]
    {
        assert!(fits(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a", "ab"), ("a…c", "ab"), ("…b", "abc"), ("a…b…c", "acb")] {
        assert!(!fits(pattern, text), "{pattern} {text}");
    }
}
