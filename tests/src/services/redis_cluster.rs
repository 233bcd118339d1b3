//! A small Redis Cluster: masters without replicas that share all slots.

use tempfile::TempDir;

use super::daemon::{Daemon, free_port, poll};
use super::redis::{cli, server};

/// Slots of every cluster.
const SLOTS: usize = 16_384;

/// A running cluster; gone with the value.
pub struct RedisCluster {
    nodes: Vec<Node>,
    _folder: TempDir,
}

struct Node {
    port: u16,
    _daemon: Daemon,
}

impl RedisCluster {
    /// Starts so many masters and waits until each knows that the cluster is whole.
    pub async fn start(masters: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("belfry-cluster-").tempdir();
        let folder = folder.expect("a folder for the cluster");
        let mut nodes = Vec::new();
        for index in 0..masters {
            let place = folder.path().join(index.to_string());
            std::fs::create_dir(&place).expect("a folder for a node");
            let (port, bus) = (free_port(), free_port());
            let mut command = server(port, &place);
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]);
            command.args(["--cluster-node-timeout", "2000"]);
            let daemon = Daemon::start("a node", &command, &place.join("log"));
            nodes.push((Node { port, _daemon: daemon }, bus));
        }
        for (index, (node, _)) in nodes.iter().enumerate() {
            poll("a node to answer", async || cli(node.port, &["PING"]).await.ok()).await;
            let from = (index * SLOTS / masters).to_string();
            let until = ((index + 1) * SLOTS / masters - 1).to_string();
            let epoch = (index + 1).to_string();
            said_ok(node.port, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            said_ok(node.port, &["CLUSTER", "ADDSLOTSRANGE", &from, &until]).await;
        }
        let first = nodes[0].0.port;
        for (node, bus) in &nodes[1..] {
            let (port, bus) = (node.port.to_string(), bus.to_string());
            said_ok(first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        let nodes: Vec<Node> = nodes.into_iter().map(|(node, _)| node).collect();
        for node in &nodes {
            poll("the cluster to be whole", async || {
                let info = cli(node.port, &["CLUSTER", "INFO"]).await.ok()?;
                let knows_all = info.contains(&format!("cluster_known_nodes:{masters}"));
                (info.contains("cluster_state:ok") && knows_all).then_some(())
            })
            .await;
        }
        Self { nodes, _folder: folder }
    }

    /// `redis+cluster://127.0.0.1:<port>,127.0.0.1:<port>…`
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Where each node listens.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// What a command answers at one node.
    pub async fn command(&self, node: usize, words: &[&str]) -> String {
        let answer = cli(self.nodes[node].port, words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Makes every node forget everything.
    pub async fn flush_all(&self) {
        for node in 0..self.nodes.len() {
            self.command(node, &["FLUSHALL"]).await;
        }
    }
}

async fn said_ok(port: u16, words: &[&str]) {
    let answer = cli(port, words).await.expect("it answers");
    assert_eq!(answer, "OK", "{words:?}");
}
