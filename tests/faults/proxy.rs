//! A TCP proxy in front of PostgreSQL that knows one word of its protocol: COMMIT.
//!
//! It can lose the answer to one (the transaction is done, and the client never learns), or hold
//! one back (the transaction stays open while others commit).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tests::services::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::book::pass;

/// A running proxy.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    /// Answers that are still to be lost.
    lose: AtomicUsize,
    /// How long the next COMMIT is held.
    hold_ms: AtomicI64,
    done: AtomicUsize,
}

impl Proxy {
    /// Starts one in front of `upstream` on 127.0.0.1.
    pub async fn start(upstream: u16) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let orders = Arc::new(Orders::default());
        let proxy = Self { port, orders: orders.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let orders = orders.clone();
                tokio::spawn(async move {
                    let _ = carry(client, upstream, &orders).await;
                });
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Loses the answer to the next COMMIT, and its connection.
    pub fn lose_one(&self) {
        self.orders.lose.store(1, Ordering::SeqCst);
    }

    /// Holds the next COMMIT for so long.
    pub fn hold_one(&self, ms: i64) {
        self.orders.hold_ms.store(ms, Ordering::SeqCst);
    }

    /// How many it lost or held.
    pub fn done(&self) -> usize {
        self.orders.done.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, upstream: u16, orders: &Orders) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let piece = &asked[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                let is_commit = piece.windows(7).any(|word| word == b"COMMIT\0");
                let hold_ms = if is_commit { orders.hold_ms.swap(0, Ordering::SeqCst) } else { 0 };
                if 0 < hold_ms {
                    pass(hold_ms).await;
                    orders.done.fetch_add(1, Ordering::SeqCst);
                }
                to_server.write_all(piece).await?;
                if is_commit && orders.lose.swap(0, Ordering::SeqCst) == 1 {
                    // The answer shows that it is done; nobody else sees it.
                    let _ = from_server.read(&mut answered).await?;
                    orders.done.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
            }
            read = from_server.read(&mut answered) => {
                let piece = &answered[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                to_client.write_all(piece).await?;
            }
        }
    }
}
