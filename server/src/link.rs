//! Floor 1: the link to Redis: one server, one behind Sentinel, or a Cluster.
//!
//! The queue and the bus open their connections here. Everything has a timeout, so that a server
//! that hangs is noticed; what an error says never holds a password.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    Pipeline, RedisError, RedisFuture, RedisResult, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long one command may take before its server counts as hung.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one connection may take, Sentinel's word or a cluster's map included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The oldest server that is understood.
const VERSION_MIN: u32 = 7;
/// What every message begins with.
const SETTING: &str = "--redis-url";
/// What a URL may look like.
const FORMS: &str = "redis://HOST:PORT, rediss://HOST:PORT, \
    redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT";

/// Where Redis is, and how to reach it.
pub struct Link {
    kind: Kind,
    /// Where it is, without credentials.
    shown: String,
}

enum Kind {
    One(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster { client: Box<ClusterClient>, nodes: Vec<Client> },
}

/// An open connection; cheap to clone, shared by many callers.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Link {
    /// The link that a URL means. Connects to nothing.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("{SETTING}: expected {FORMS}");
        let unfit = |_: RedisError| wrong();
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (format!("{credentials}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<&str> = hosts.split(',').filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            return Err(wrong());
        }
        let shown = hosts.join(",");
        let node = |host: &str, credentials: &str, path: &str| {
            format!("redis://{credentials}{host}/{path}").into_connection_info()
        };
        let kind = match scheme {
            "redis" | "rediss" => Kind::One(Box::new(Client::open(url).map_err(unfit)?)),
            "redis+cluster" if path.is_empty() => {
                let infos: RedisResult<Vec<ConnectionInfo>> =
                    hosts.iter().map(|host| node(host, &credentials, "")).collect();
                cluster(infos.map_err(unfit)?).map_err(unfit)?
            }
            "redis+sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(wrong());
                }
                let infos: RedisResult<Vec<ConnectionInfo>> =
                    hosts.iter().map(|host| node(host, "", "")).collect();
                let own = node(hosts[0], &credentials, database).map_err(unfit)?;
                sentinel(infos.map_err(unfit)?, service, &own).map_err(unfit)?
            }
            _ => return Err(wrong()),
        };
        Ok(Self { kind, shown })
    }

    /// Refuses what waiting will not mend: a wrong password, database or version. A server that
    /// cannot be reached now is no error.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub async fn check(&self) -> Result<(), String> {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) if is_refusal(&error) => return Err(self.refusal(&error)),
            Err(_) => return Ok(()),
        };
        match self.version(&mut connection).await {
            Ok(Some(version)) if version < VERSION_MIN => Err(format!(
                "{SETTING}: Redis at {} is version {version}; expected {VERSION_MIN} or newer",
                self.shown
            )),
            Err(error) if is_refusal(&error) => Err(self.refusal(&error)),
            _ => Ok(()),
        }
    }

    /// Opens a connection for commands.
    ///
    /// # Errors
    /// The server's, or that it took too long.
    pub async fn connect(&self) -> RedisResult<Connection> {
        in_time(async {
            Ok(match &self.kind {
                Kind::One(client) => Connection::One(
                    client.get_multiplexed_async_connection_with_config(&timeouts()).await?,
                ),
                Kind::Sentinel(client) => Connection::One(
                    client.lock().await.get_async_connection_with_config(&timeouts()).await?,
                ),
                Kind::Cluster { client, .. } => {
                    Connection::Cluster(client.get_async_connection().await?)
                }
            })
        })
        .await
    }

    /// Opens a connection that hears what is published on `channel`.
    ///
    /// # Errors
    /// The server's, or that it took too long.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        in_time(async {
            let mut listener = match &self.kind {
                Kind::One(client) => client.get_async_pubsub().await?,
                Kind::Sentinel(client) => {
                    let client = client.lock().await.async_get_client().await?;
                    client.get_async_pubsub().await?
                }
                // A cluster carries what is published to all its nodes.
                Kind::Cluster { nodes, .. } => any_of(nodes).await?,
            };
            listener.subscribe(channel).await?;
            Ok(listener)
        })
        .await
    }

    /// Over how many shards keys should be spread: on one server more would only cost round trips.
    #[must_use]
    pub fn shards(&self) -> usize {
        match self.kind {
            Kind::Cluster { .. } => 8,
            Kind::One(_) | Kind::Sentinel(_) => 1,
        }
    }

    /// Where it is, without credentials.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The first number of the server's version; of one node in a cluster.
    async fn version(&self, connection: &mut Connection) -> RedisResult<Option<u32>> {
        let ask = redis::cmd("INFO").arg("server").to_owned();
        let said: redis::InfoDict = match (&self.kind, connection) {
            (Kind::Cluster { nodes, .. }, _) => {
                let Some(node) = nodes.first() else { return Ok(None) };
                let config = timeouts();
                let mut one = node.get_multiplexed_async_connection_with_config(&config).await?;
                ask.query_async(&mut one).await?
            }
            (_, connection) => ask.query_async(connection).await?,
        };
        let version: Option<String> = said.get("redis_version");
        Ok(version.and_then(|version| version.split('.').next()?.parse().ok()))
    }

    fn refusal(&self, error: &RedisError) -> String {
        let said = error.detail().unwrap_or("the connection was refused");
        let code = error.code().map_or(String::new(), |code| format!("{code} "));
        format!("{SETTING}: Redis at {} refuses: {code}{said}", self.shown)
    }
}

/// Whether a later try will end the same way: the server does not take us as we are.
#[must_use]
pub fn is_refusal(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM" | "DENIED")
        || matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed
                | ErrorKind::InvalidClientConfig
                | ErrorKind::MasterNameNotFoundBySentinel
        )
        || error.detail().is_some_and(|said| said.contains("DB index"))
}

fn timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(COMMAND_TIMEOUT))
        .set_response_timeout(Some(COMMAND_TIMEOUT))
}

fn cluster(infos: Vec<ConnectionInfo>) -> RedisResult<Kind> {
    let nodes: RedisResult<Vec<Client>> = infos.iter().cloned().map(Client::open).collect();
    let client = ClusterClient::builder(infos)
        .connection_timeout(COMMAND_TIMEOUT)
        .response_timeout(COMMAND_TIMEOUT)
        .overall_response_timeout(Some(COMMAND_TIMEOUT))
        .retries(2)
        .build()?;
    Ok(Kind::Cluster { client: Box::new(client), nodes: nodes? })
}

fn sentinel(infos: Vec<ConnectionInfo>, service: &str, own: &ConnectionInfo) -> RedisResult<Kind> {
    let settings = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(own.redis_settings().clone());
    let server = SentinelServerType::Master;
    let client = SentinelClient::build(infos, service, Some(settings), server)?;
    Ok(Kind::Sentinel(Box::new(Mutex::new(client))))
}

async fn any_of(nodes: &[Client]) -> RedisResult<PubSub> {
    let mut last = None;
    for node in nodes {
        match node.get_async_pubsub().await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| (ErrorKind::InvalidClientConfig, "a cluster has nodes").into()))
}

async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(done) => done,
        Err(_) => Err((ErrorKind::Io, "the connection took too long").into()),
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Link;

    #[test]
    fn every_form_of_url_is_understood() {
        for url in [
            "redis://127.0.0.1:6379",
            "redis://user:secret@redis.example/3",
            "redis+sentinel://one:26379,two:26379/main",
            "redis+sentinel://:secret@one:26379/main/2",
            "redis+cluster://:secret@one:7000,two:7000",
        ] {
            assert!(Link::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_none_is_refused_without_its_password() {
        for url in [
            "localhost:6379",
            "http://:secret@localhost",
            "redis+sentinel://:secret@one:26379",
            "redis+cluster://:secret@one:7000/3",
            "redis://:secret@localhost:port",
            "redis://",
        ] {
            let refusal = Link::parse(url).err().expect(url);
            assert!(refusal.starts_with("--redis-url: expected redis://"), "{refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
    }
}
