//! What becomes of a statement whose reader has left: on PostgreSQL it would run on.
//!
//! A future that is dropped while it waits for rows gives its connection back to the pool, and the
//! pool waits until the connection has nothing more to say. The server meanwhile goes on with a
//! statement that nobody wants, up to its `statement_timeout`, and a few of those take all readers.
//!
//! Whoever reads for a client therefore holds a [`Reading`]. Dropped before it was [`Reading::done`],
//! it makes the pool ask each of the next connections that come back whether it is free. One that
//! does not answer at once is closed, and the server ends what runs for a client that is gone
//! (`client_connection_check_interval`). Asking is a round trip, which is why it is only done then.
//!
//! SQLite has its own way (`sqlite.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

/// How many connections are asked after a reader has left: the one that it held comes back within
/// microseconds, and only as many as there are readers can be before it.
const ASKED: u32 = 64;
/// How long a connection may take to say that it is free.
const ANSWER_MAX: Duration = Duration::from_millis(100);

/// How many of the connections that come back are to be asked. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Left(Arc<AtomicU32>);

/// Held while something is read for a client.
#[derive(Debug)]
pub struct Reading {
    /// `None` once it is done.
    left: Option<Left>,
}

impl Left {
    /// Something begins to read.
    pub(super) fn reading(&self) -> Reading {
        Reading { left: Some(self.clone()) }
    }

    /// Whether a connection that comes back may be used again.
    pub(super) async fn check(self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let count = |count: u32| count.checked_sub(1);
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_err() {
            return Ok(true);
        }
        Ok(matches!(timeout(ANSWER_MAX, connection.ping()).await, Ok(Ok(()))))
    }
}

impl Reading {
    /// It has read all that it wanted.
    pub fn done(mut self) {
        self.left = None;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(left) = &self.left {
            left.0.store(ASKED, Ordering::Relaxed);
        }
    }
}
