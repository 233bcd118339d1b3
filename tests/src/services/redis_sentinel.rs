//! A master, a replica, and three Sentinels that watch them.

use tempfile::TempDir;

use super::daemon::{Daemon, free_port, poll};
use super::redis::{cli, program, server};

/// The name that the Sentinels know the master by.
const SERVICE: &str = "belfry";

/// How many Sentinels there are; two agree.
const SENTINELS: usize = 3;

/// All of them; gone with the value.
pub struct RedisSentinel {
    servers: Vec<(u16, Option<Daemon>)>,
    sentinels: Vec<(u16, Daemon)>,
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts them and waits until every Sentinel knows the replica and its peers.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("belfry-sentinel-").tempdir();
        let folder = folder.expect("a folder for the Sentinels");
        let master = free_port();
        let mut servers = Vec::new();
        for (name, port) in [("master", master), ("replica", free_port())] {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a folder for a server");
            let mut command = server(port, &place);
            command.args(["--repl-diskless-sync-delay", "0"]);
            if port != master {
                command.args(["--replicaof", "127.0.0.1", &master.to_string()]);
            }
            servers.push((port, Some(Daemon::start(name, &command, &place.join("log")))));
        }
        poll("the replica to follow", async || {
            let info = cli(master, &["INFO", "replication"]).await.ok()?;
            info.contains("state=online").then_some(())
        })
        .await;
        let mut sentinels = Vec::new();
        for index in 0..SENTINELS {
            let place = folder.path().join(format!("sentinel{index}"));
            std::fs::create_dir(&place).expect("a folder for a Sentinel");
            let port = free_port();
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {master} 2\n\
                 sentinel down-after-milliseconds {SERVICE} 1000\n\
                 sentinel failover-timeout {SERVICE} 3000\n"
            );
            std::fs::write(place.join("sentinel.conf"), settings).expect("a file");
            let mut command = std::process::Command::new(program());
            command.current_dir(&place).args(["sentinel.conf", "--sentinel"]);
            sentinels.push((port, Daemon::start("a Sentinel", &command, &place.join("log"))));
        }
        for (port, _) in &sentinels {
            poll("the Sentinels to know one another", async || {
                let known = cli(*port, &["SENTINEL", "MASTER", SERVICE]).await.ok()?;
                let mut words = known.lines();
                let mut after = |name| words.find(|word| *word == name).and_then(|_| words.next());
                let replicas = after("num-slaves");
                let others = after("num-other-sentinels");
                (replicas == Some("1") && others == Some("2")).then_some(())
            })
            .await;
        }
        Self { servers, sentinels, _folder: folder }
    }

    /// `redis+sentinel://127.0.0.1:<port>,…/<service>`
    #[must_use]
    pub fn url(&self) -> String {
        let all: Vec<String> =
            self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{SERVICE}", all.join(","))
    }

    /// Where the master listens now, by the word of the first Sentinel.
    pub async fn master(&self) -> u16 {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        let answer = cli(self.sentinels[0].0, &words).await.expect("a Sentinel answers");
        answer.lines().nth(1).and_then(|port| port.parse().ok()).expect("a port")
    }

    /// What a command answers at the master.
    pub async fn command(&self, words: &[&str]) -> String {
        let answer = cli(self.master().await, words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Kills the master and waits until the replica took over.
    pub async fn fail_over(&mut self) {
        let master = self.master().await;
        let found = self.servers.iter_mut().find(|(port, _)| *port == master);
        let daemon = found.and_then(|(_, daemon)| daemon.take());
        drop(daemon.expect("the master runs"));
        poll("the replica to take over", async || (self.master().await != master).then_some(()))
            .await;
    }
}
