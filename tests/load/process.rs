//! One server process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::{machine, pace};

/// The admin key of every server.
pub const ADMIN_KEY: &str = "the-admin-key-of-the-load-harness";

/// A running server.
pub struct Server {
    child: Child,
    /// Where it is.
    pub url: String,
    /// How long it took from its start until it said that it is ready.
    pub ready_ms: i64,
}

/// The binary of `BELFRY_BIN` in `folder`, without the settings of the harness's environment.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let binary = std::env::var_os("BELFRY_BIN").map(PathBuf::from);
    let binary = binary.expect("BELFRY_BIN names the binary");
    let binary = std::path::absolute(binary).expect("a path");
    let mut command = Command::new(binary);
    command.args(args).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("BELFRY_") || name == "DATABASE_URL" {
            command.env_remove(name.as_ref());
        }
    }
    command
}

impl Server {
    /// Starts `command`; its log goes into `folder`.
    pub async fn start(mut command: Command, folder: &Path) -> Self {
        let began = pace::now_ms();
        let path = folder.join(format!("{began}.log"));
        let log = File::create(&path).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let mut ready_ms = 0;
        let url = loop {
            let Ok(Some(line)) = lines.next_line().await else {
                panic!("the server ended: {}", std::fs::read_to_string(&path).unwrap_or_default());
            };
            if line.ends_with("is ready") {
                ready_ms = pace::now_ms() - began;
            }
            let url = line.find("http://").map(|at| &line[at..]);
            // The path depends on the roles of the process.
            if let Some((url, _)) = url.and_then(|url| url.rsplit_once('/')) {
                break url.to_owned();
            }
        };
        // What else it prints is nobody's, but it must not wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url, ready_ms }
    }

    /// A client of the first project.
    pub fn client(&self) -> Client {
        Client::new(&self.url, ADMIN_KEY)
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the process is killed");
    }

    /// Memory that it holds, and held at most, in MiB.
    pub fn memory_mib(&self) -> (i64, i64) {
        machine::memory_mib(self.child.id().expect("it runs"))
    }

    /// The sum of the samples of a metric.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = Client::new(&self.url, "").get("/metrics").await;
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        samples.filter_map(value).sum()
    }
}
