//! A Redis of our own, that keeps nothing on disk. Valkey serves as well.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::daemon::{Daemon, find_program, free_port, poll};

/// Starts that are tried, in case another process takes the port.
const STARTS_MAX: usize = 3;

/// A running Redis; gone with the value.
pub struct Redis {
    daemon: Option<Daemon>,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with options such as `--requirepass secret`, each word for itself.
    pub async fn start_with(options: &[&str]) -> Self {
        for _ in 1..STARTS_MAX {
            if let Ok(server) = Self::try_start(options).await {
                return server;
            }
        }
        let last = Self::try_start(options).await;
        last.unwrap_or_else(|log| panic!("Redis did not start:\n{log}"))
    }

    async fn try_start(options: &[&str]) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("belfry-redis-").tempdir();
        let folder = folder.expect("a folder for Redis");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { daemon: None, port: free_port(), options, folder };
        server.launch();
        server.ready().await?;
        Ok(server)
    }

    /// `redis://127.0.0.1:<port>`, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a command answers, as redis-cli shows it to programs.
    pub async fn command(&self, words: &[&str]) -> String {
        self.try_command(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same when it may fail.
    ///
    /// # Errors
    /// What redis-cli says, also when there is no answer within five seconds.
    pub async fn try_command(&self, words: &[&str]) -> Result<String, String> {
        cli(self.port, words).await
    }

    /// Forgets everything.
    pub async fn flush_all(&self) {
        self.command(&["FLUSHALL"]).await;
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal("KILL");
        daemon.ended().await;
    }

    /// Starts it again after [`Redis::kill`], on the same port, empty.
    pub async fn start_again(&mut self) {
        self.launch();
        self.ready().await.unwrap_or_else(|log| panic!("Redis did not start again:\n{log}"));
    }

    /// Ends it and starts it again.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Freezes it: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.daemon.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.daemon.as_ref().expect("it runs").signal("CONT");
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::log).unwrap_or_default()
    }

    fn launch(&mut self) {
        let mut command = server(self.port, self.folder.path());
        command.args(&self.options);
        self.daemon = Some(Daemon::start("Redis", &command, &self.folder.path().join("log")));
    }

    /// Waits until it answers; its log when it ended instead.
    async fn ready(&mut self) -> Result<(), String> {
        let port = self.port;
        let daemon = self.daemon.as_mut().expect("it was launched");
        poll("Redis to answer", async || {
            if !daemon.is_running() {
                return Some(Err(daemon.log()));
            }
            // A Redis with a password answers, too: that it wants one.
            let answer = cli(port, &["PING"]).await;
            answer.is_ok_and(|said| said == "PONG" || said.starts_with("NOAUTH")).then_some(Ok(()))
        })
        .await
    }
}

/// The command of a server that keeps nothing.
pub(super) fn server(port: u16, folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command
}

/// `redis-server`, or what took its place.
pub(super) fn program() -> PathBuf {
    find_program(&["redis-server", "valkey-server"], &[])
}

/// Runs one command, in five seconds at most.
pub(super) async fn cli(port: u16, words: &[&str]) -> Result<String, String> {
    let program = find_program(&["redis-cli", "valkey-cli"], &[]);
    let output = tokio::process::Command::new("timeout")
        .arg("5")
        .arg(program)
        .args(["-p", &port.to_string()])
        .args(words)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
