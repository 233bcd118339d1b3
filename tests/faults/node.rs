//! One `belfry serve` process, which can be killed, stopped and started again in the same place.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::services::{Daemon, free_port, poll};

/// The admin key of every run.
pub const ADMIN_KEY: &str = "the-admin-key-of-the-fault-suite-0123";
/// What signatures are derived from, the same in all processes.
const MASTER_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// What a process is to be.
#[derive(Clone, Default)]
pub struct Plan {
    /// Further arguments of `belfry serve`.
    pub args: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
}

/// One process.
pub struct Node {
    port: u16,
    name: String,
    folder: PathBuf,
    logs: PathBuf,
    plan: Plan,
    daemon: Option<Daemon>,
}

impl Node {
    /// Starts `belfry serve` in `folder`, with its log in `logs`, and waits until it is ready.
    pub async fn start(name: &str, folder: &Path, logs: &Path, plan: Plan) -> Self {
        let (folder, logs) = (folder.to_owned(), logs.to_owned());
        let mut node =
            Self { port: free_port(), name: name.to_owned(), folder, logs, plan, daemon: None };
        node.launch();
        node.ready().await;
        node
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal("KILL");
        daemon.ended().await;
    }

    /// Starts it again after [`Node::kill`] and waits until it is ready.
    pub async fn start_again(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// SIGSTOP.
    pub fn stop(&self) {
        self.daemon.as_ref().expect("it runs").signal("STOP");
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.daemon.as_ref().expect("it runs").signal("CONT");
    }

    /// Memory that it holds, in MiB.
    pub fn memory_mib(&self) -> i64 {
        let id = self.daemon.as_ref().expect("it runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib: i64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        kib / 1024
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name))
    }

    fn launch(&mut self) {
        let binary = std::env::var("BELFRY_BIN").expect("BELFRY_BIN names the binary");
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("BELFRY_") || name == "DATABASE_URL" {
                command.env_remove(name.as_ref());
            }
        }
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--allow-targets", "127.0.0.0/8", "--master-key", MASTER_KEY]);
        command.args(["--admin-key", ADMIN_KEY]).args(&self.plan.args);
        command.current_dir(&self.folder);
        command.envs(self.plan.variables.iter().map(|(name, value)| (name, value)));
        self.daemon = Some(Daemon::start(&self.name, &command, &self.log_file()));
    }

    async fn ready(&mut self) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
        let client = client.build().expect("a client");
        let url = format!("{}/readyz", self.url());
        let daemon = self.daemon.as_mut().expect("it was launched");
        poll(&format!("{} to be ready", self.name), async || {
            assert!(daemon.is_running(), "{} ended:\n{}", self.name, daemon.log());
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
}
