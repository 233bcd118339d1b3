//! The one HTTP client of all stages, which connects to nothing that the guard refuses.
//!
//! A name is resolved by our own [`Guard`], and the connection goes to an address that it let pass:
//! between judgement and connection there is no second look-up that could answer differently (DNS
//! rebinding). HTTP clients skip the resolver when the host is an address, so [`Client::request`]
//! judges those itself. No proxy is taken from the environment, no redirect is followed: either
//! would connect to what nobody judged.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Method};
use tokio::sync::Semaphore;
use url::Url;

use super::address::{Addresses, range_of, refusal};

/// A connection that takes longer than this is taken for dead.
pub const CONNECT_SECS_MAX: u64 = 5;

/// Idle connections are closed sooner than common servers close them (Node.js: 5 s), as a request
/// that meets a closing connection fails.
const POOL_IDLE_SECS_MAX: u64 = 4;

/// Idle connections per receiver: as many as a burst to one receiver uses at the same time.
const POOL_IDLE_MAX: usize = 256;

/// Look-ups at the same time. Each blocks a thread until the resolver of the system gives up, also
/// when nobody waits any more; tokio has 512 such threads, which others need too.
const LOOKUPS_MAX: usize = 128;

/// Response headers over HTTP/2 in bytes, as much as common servers send at most.
const HEADER_BYTES_MAX: u32 = 16 * 1_024;

/// What [`Lookup`] promises.
pub type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name: the system's resolver, or a test's.
pub type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Sends requests to where the guard allows. Cheap to clone: clones share one pool.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    addresses: Arc<Addresses>,
}

/// The guard refused: in the source chain of an error of the client.
#[derive(Debug)]
pub struct Refused(String);

impl Client {
    /// A client over the system's resolver.
    ///
    /// # Errors
    /// A sentence, when TLS cannot be set up.
    pub fn new(addresses: Addresses) -> Result<Self, String> {
        Self::with_lookup(addresses, system_lookup())
    }

    /// A client that finds names by `lookup`.
    ///
    /// # Errors
    /// A sentence, when TLS cannot be set up.
    pub fn with_lookup(addresses: Addresses, lookup: Lookup) -> Result<Self, String> {
        // Fails when there is a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let addresses = Arc::new(addresses);
        let build = |with: fn(ClientBuilder) -> ClientBuilder| {
            let guard = Guard { addresses: Arc::clone(&addresses), lookup: Arc::clone(&lookup) };
            with(builder(guard)).build()
        };
        let http = build(|builder| builder).or_else(|error| {
            // A machine without CA certificates, such as a bare container, can do all the rest.
            tracing::warn!(%error, "no CA certificates were found: https targets will fail");
            build(|builder| builder.tls_certs_only([]))
        });
        let http = http.map_err(|error| format!("the HTTP client: {error}"))?;
        Ok(Self { http, addresses })
    }

    /// What may be reached.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Begins a request, unless the host of `url` is an address that the guard refuses.
    ///
    /// # Errors
    /// A sentence that names the address and the setting that would allow it.
    pub fn request(&self, method: Method, url: &Url) -> Result<reqwest::RequestBuilder, String> {
        self.addresses.judge(url)?;
        Ok(self.http.request(method, url.clone()))
    }
}

fn builder(guard: Guard) -> ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(guard)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(CONNECT_SECS_MAX))
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_SECS_MAX))
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .tcp_nodelay(true)
        .user_agent(concat!("belfry/", env!("CARGO_PKG_VERSION")))
}

/// Why a request that was begun did not connect: the guard's sentence when it was the guard.
#[must_use]
pub fn refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        source = error.source();
    }
    None
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Refused {}

/// Resolves names for the client and passes on only what may be connected to.
struct Guard {
    addresses: Arc<Addresses>,
    lookup: Lookup,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let found = (self.lookup)(name.clone());
        let addresses = Arc::clone(&self.addresses);
        Box::pin(async move {
            let found = found.await?;
            let first = found.first().copied();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|ip| addresses.allows(*ip))
                // Port 0: the client puts that of the URL.
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            match first {
                Some(ip) if allowed.is_empty() => {
                    let target = format!("{name}, which resolves to {ip},");
                    Err(Refused(refusal(&target, range_of(ip).unwrap_or("reserved"))).into())
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The resolver of the system, [`LOOKUPS_MAX`] questions at a time.
fn system_lookup() -> Lookup {
    let slots = Arc::new(Semaphore::new(LOOKUPS_MAX));
    Arc::new(move |name| {
        let slots = Arc::clone(&slots);
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(std::io::Error::other)?;
            let ask = move || {
                // The thread holds the slot, as it goes on when the attempt has timed out.
                let _slot = slot;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(ask).await.map_err(std::io::Error::other)?
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    /// Answers look-ups with the next of `answers`, the last one forever.
    fn lookup(answers: &[&[&str]]) -> Lookup {
        let answers: Vec<Vec<IpAddr>> = answers
            .iter()
            .map(|ips| ips.iter().map(|ip| ip.parse().expect("an address")).collect())
            .collect();
        let asked = AtomicUsize::new(0);
        Arc::new(move |_| {
            let index = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let answer = answers[index].clone();
            Box::pin(async move { Ok(answer) })
        })
    }

    fn only_loopback_2() -> Addresses {
        Addresses::new(vec!["127.0.0.2/32".parse().expect("a network")])
    }

    async fn get(client: &Client, url: &Url) -> Result<reqwest::Response, reqwest::Error> {
        client.request(Method::GET, url).expect("a name is not judged yet").send().await
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_refused_address_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let found = lookup(&[&["127.0.0.1", "::1", "10.0.0.1"]]);
        let client = Client::with_lookup(Addresses::default(), found).expect("a client");
        let error = get(&client, &url(&format!("http://rebound.example:{port}/"))).await;
        let error = error.expect_err("it is refused");
        assert_eq!(
            refused(&error).expect("by the guard").to_string(),
            "rebound.example, which resolves to 127.0.0.1, is not a public address (loopback); \
             BELFRY_ALLOW_TARGETS may allow it"
        );
        let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "nothing connected");
    }

    #[tokio::test]
    async fn a_name_that_is_rebound_is_judged_again_on_the_next_connection() {
        let listener = TcpListener::bind("127.0.0.2:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let server = tokio::spawn(async move {
            let (mut socket, from) = listener.accept().await.expect("a connection");
            let mut request = [0; 1_024];
            let _ = socket.read(&mut request).await.expect("a request");
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            socket.write_all(answer).await.expect("an answer");
            from
        });
        let found = lookup(&[&["127.0.0.2"], &["127.0.0.1"]]);
        let client = Client::with_lookup(only_loopback_2(), found).expect("a client");
        let url = url(&format!("http://rebound.example:{port}/"));
        assert_eq!(get(&client, &url).await.expect("an answer").status(), 204);
        let _ = server.await.expect("the server ends");
        let error = get(&client, &url).await.expect_err("it is refused");
        assert!(refused(&error).is_some());
    }

    #[tokio::test]
    async fn of_several_addresses_only_the_allowed_ones_are_used() {
        let (listener, forbidden, port) = loop {
            let listener = TcpListener::bind("127.0.0.2:0").await.expect("a port");
            let port = listener.local_addr().expect("its address").port();
            if let Ok(forbidden) = TcpListener::bind(("127.0.0.1", port)).await {
                break (listener, forbidden, port);
            }
        };
        let found = lookup(&[&["127.0.0.1", "127.0.0.2"]]);
        let client = Client::with_lookup(only_loopback_2(), found).expect("a client");
        let url = url(&format!("http://mixed.example:{port}/"));
        let request = get(&client, &url);
        tokio::select! {
            _ = request => panic!("nobody answers"),
            accepted = listener.accept() => drop(accepted.expect("a connection")),
            _ = forbidden.accept() => panic!("the refused address was connected to"),
        }
    }

    #[tokio::test]
    async fn an_address_in_the_url_is_judged_although_nothing_is_resolved() {
        let client = Client::with_lookup(only_loopback_2(), lookup(&[&[]])).expect("a client");
        for refused in ["http://127.0.0.1/", "http://2130706433/", "http://[::ffff:7f00:2]/"] {
            assert!(client.request(Method::GET, &url(refused)).is_err(), "{refused}");
        }
        assert!(client.request(Method::GET, &url("http://127.0.0.2/")).is_ok());
    }

    #[tokio::test]
    async fn the_system_resolves_localhost() {
        let found = system_lookup()("localhost".to_owned()).await.expect("it resolves");
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
    }
}
