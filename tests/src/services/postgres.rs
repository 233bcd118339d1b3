//! A PostgreSQL of our own.
//!
//! `initdb` takes seconds, so that it is done once per machine, version and user, into a folder
//! from which each server's data is copied. Text sorts as `en-US` by ICU, as on most
//! installations: what must sort by bytes has to say so.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use tempfile::TempDir;

use super::daemon::{Daemon, find_program, free_port, poll};

/// The role that owns everything, and its password.
const OWNER: &str = "belfry";

/// What the folders of servers are called.
const PREFIX: &str = "belfry-postgres-";

/// Starts that are tried, in case another process takes the port.
const STARTS_MAX: usize = 3;

/// A running server; gone with the value.
pub struct Postgres {
    daemon: Option<Daemon>,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
}

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Settings such as `fsync=off`; everything is durable otherwise.
    pub settings: Vec<String>,
    /// Where its data lies, instead of the usual place for temporary files.
    pub within: Option<PathBuf>,
}

impl Postgres {
    /// Starts one with the settings that it has by default, durable.
    pub async fn start() -> Self {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Starts one.
    pub async fn start_with(options: PostgresOptions) -> Self {
        static TIDY: Once = Once::new();
        TIDY.call_once(|| remove_leftovers(&std::env::temp_dir()));
        let within = options.within.unwrap_or_else(std::env::temp_dir);
        for _ in 1..STARTS_MAX {
            if let Ok(server) = Self::try_start(&within, &options.settings).await {
                return server;
            }
        }
        let last = Self::try_start(&within, &options.settings).await;
        last.unwrap_or_else(|log| panic!("PostgreSQL did not start:\n{log}"))
    }

    async fn try_start(within: &Path, settings: &[String]) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(within);
        let folder = folder.expect("a folder for PostgreSQL");
        copy(&template(), &folder.path().join("data"));
        give(folder.path());
        let settings = settings.to_vec();
        let mut server = Self { daemon: None, port: free_port(), settings, folder };
        server.launch();
        server.ready().await?;
        Ok(server)
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}:{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database; returns its URL.
    pub async fn create_database(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(name)
    }

    /// Makes a copy of a database that nobody is connected to; returns its URL.
    pub async fn copy_database(&self, template: &str, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        self.url(name)
    }

    /// What SQL answers, unaligned: columns by `|`, rows by lines.
    pub async fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same when it may fail.
    ///
    /// # Errors
    /// What psql says, also when there is no answer within ten seconds.
    pub async fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        psql(&self.url(database), sql).await
    }

    /// Ends every connection of clients but this one; returns how many.
    pub async fn terminate_backends(&self) -> u64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.psql("postgres", sql).await.parse().expect("a number")
    }

    /// Shuts it down in order; connections are ended.
    pub async fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal("INT");
        daemon.ended().await;
    }

    /// Ends it as a power cut would; nothing is written any more.
    pub async fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal_family("KILL");
        daemon.ended().await;
    }

    /// Starts it again after [`Postgres::stop`] or [`Postgres::kill`], on the same port and data.
    pub async fn start_again(&mut self) {
        poll("PostgreSQL to start again", async || {
            self.launch();
            self.ready().await.ok()
        })
        .await;
    }

    /// Stops it in order and starts it again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Freezes it with all its connections: nothing is refused, nothing is answered.
    pub fn pause(&self) {
        self.daemon.as_ref().expect("it runs").signal_family("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.daemon.as_ref().expect("it runs").signal_family("CONT");
    }

    /// What it printed since it was made.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn launch(&mut self) {
        self.daemon = None;
        let mut command = as_postgres(&program("postgres"));
        command.arg("-D").arg(self.folder.path().join("data"));
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        // Its working folder is nobody's home.
        command.current_dir("/");
        let log = self.log_file();
        // QUIT: it leaves without writing, but takes its shared memory along.
        self.daemon = Some(Daemon::start("PostgreSQL", &command, &log).ending_with("QUIT"));
    }

    /// Waits until it answers; its log when it ended instead.
    async fn ready(&mut self) -> Result<(), String> {
        let url = self.url("postgres");
        let daemon = self.daemon.as_mut().expect("it was launched");
        poll("PostgreSQL to answer", async || {
            if !daemon.is_running() {
                return Some(Err(daemon.log()));
            }
            psql(&url, "SELECT 1").await.ok().map(|_| Ok(()))
        })
        .await
    }
}

/// Runs SQL by psql, in ten seconds at most.
pub(super) async fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = tokio::process::Command::new("timeout")
        .args(["10", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "5")
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Data as `initdb` makes it, made when it is not there yet.
fn template() -> PathBuf {
    let version = output(Command::new(program("postgres")).arg("--version"));
    let version: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
    let user = output(Command::new("id").arg("-u"));
    let template = std::env::temp_dir().join(format!("belfry-initdb-{version}-{}", user.trim()));
    if template.is_dir() {
        return template;
    }
    let made = tempfile::Builder::new().prefix("belfry-initdb-").tempdir().expect("a folder");
    let password = made.path().join("password");
    std::fs::write(&password, OWNER).expect("a password");
    give(made.path());
    let mut command = as_postgres(&program("initdb"));
    command.arg("-D").arg(made.path().join("data")).arg("--pwfile").arg(password);
    command.args(["-U", OWNER, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]);
    command.args(["--locale-provider=icu", "--icu-locale=en-US", "--wal-segsize=4"]);
    output(command.current_dir("/"));
    // Whoever is second keeps what the first one made.
    let _ = std::fs::rename(made.path().join("data"), &template);
    template
}

/// Removes the data of servers whose tests were killed: their process is gone, and its file of
/// identity is still there.
fn remove_leftovers(within: &Path) {
    for entry in std::fs::read_dir(within).into_iter().flatten().flatten() {
        let folder = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let identity = std::fs::read_to_string(folder.join("data/postmaster.pid"));
        let Some(id) = identity.ok().and_then(|text| text.lines().next()?.parse::<u32>().ok())
        else {
            continue;
        };
        if is_ours && !Path::new("/proc").join(id.to_string()).exists() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    output(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    find_program(&[name], &folders)
}

/// PostgreSQL refuses to run as root; Debian's package brings a user for it.
fn unprivileged() -> Option<(u32, u32)> {
    if output(Command::new("id").arg("-u")).trim() != "0" {
        return None;
    }
    let number = |flag| output(Command::new("id").args([flag, "postgres"])).trim().parse().ok();
    Some((number("-u").expect("the user postgres"), number("-g").expect("its group")))
}

fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = unprivileged() {
        let (user, group) = (user.to_string(), group.to_string());
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    }
    // QUIT, so that it takes its shared memory along when the tests are killed.
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
    command
}

/// Makes the folder readable for whoever runs PostgreSQL, and his.
fn give(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("our own folder");
    let Some((user, group)) = unprivileged() else { return };
    chown(folder, Some(user), Some(group)).expect("root may");
}
