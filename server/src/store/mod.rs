//! Floor 3: everything that is durable, and the only place where SQL stands.
//!
//! One file per noun with the same verbs in the same order (`find get list insert set_… delete`),
//! each taking the project, so that not-yours and not-there are the same. The hot statements of the
//! engine (claim, record, plan, sweep, retention) have their own files with raw SQL.
//!
//! Reads use a pool of readers. Every mutation is a [`Change`]: one transaction that is either
//! there or not, with an [`Outbox`] of what the queue and the bus hear once it is committed.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlErr};

use crate::domain::outbox::{Due, Notice, Outbox};
use crate::error::{Error, Result};

pub mod action;
pub mod api_key;
pub mod attempt;
mod bulk;
pub mod claim;
pub mod event;
pub mod event_filter;
pub mod firing;
pub mod idempotency;
pub mod page;
pub mod plan;
pub mod project;
pub mod record;
pub mod retention;
pub mod schedule;
mod sqlite;
pub mod sweep;
pub mod transfer;
pub mod trigger;
mod writer;

pub use writer::Origin;

use writer::Writer;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: DatabaseConnection,
    writer: Writer,
}

/// What happens after a commit, before it is acknowledged; must not block.
pub type AfterCommit = Arc<dyn Fn(Outbox) + Send + Sync>;

/// One mutation in progress: a savepoint of its own inside a group commit.
pub struct Change {
    tx: DatabaseTransaction,
    outbox: Mutex<Outbox>,
}

impl Store {
    /// Opens the database at `url` (`sqlite://path` or `sqlite:path`), makes it when it is missing
    /// and brings its schema up to date.
    ///
    /// # Errors
    /// A sentence that names what is wrong with the URL, the file or its schema.
    pub async fn open(url: &str, after_commit: AfterCommit) -> Result<Self, String> {
        let (write, readers) = sqlite::open(url).await?;
        let writer = Writer::start(write, after_commit);
        Ok(Self { readers, writer })
    }

    /// The pool of readers: sees everything that was committed.
    #[must_use]
    pub fn readers(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// Runs `work` as one change and returns once it is durable. `work` is finished even when the
    /// caller leaves.
    ///
    /// # Errors
    /// Those of `work`, after which nothing was changed; [`Error::Unavailable`] when the commit
    /// itself failed or the server stops.
    pub async fn change<T, F>(&self, origin: Origin, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer.change(origin, work).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// The database's own.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.readers.ping().await?)
    }

    /// Gives disk space of deleted rows back, a few pages at a time; whether there is more to give.
    ///
    /// # Errors
    /// The database's own.
    pub async fn vacuum_some(&self) -> Result<bool> {
        self.writer.vacuum_some().await
    }

    /// Ends the writer after what it was given, and closes the pools.
    pub async fn close(&self) {
        self.writer.close().await;
        let _ = self.readers.clone().close().await;
    }
}

impl Change {
    /// The transaction, for the files of this floor.
    pub(super) fn tx(&self) -> &DatabaseTransaction {
        &self.tx
    }

    /// The engine that statements are written for.
    pub(super) fn backend(&self) -> DbBackend {
        sea_orm::ConnectionTrait::get_database_backend(&self.tx)
    }

    /// Once committed, the due queue hears of `due`.
    pub fn due(&self, due: Due) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).due.push(due);
    }

    /// Once committed, the bus carries `notice`.
    pub fn notify(&self, notice: Notice) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).notices.push(notice);
    }
}

/// A statement that changes one row of `what` must have found it.
fn ensure_affected(rows: u64, what: &str) -> Result<()> {
    match rows {
        1 => Ok(()),
        rows => Err(Error::Internal(format!("{what}: {rows} rows were affected instead of 1"))),
    }
}

/// The name of the unique index that `error` broke, or `None` when it is another error.
fn broken_unique(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(message)) => Some(message),
        _ => None,
    }
}

/// Maps the violation of a unique name to a problem of the field `name`.
fn taken_name(error: DbErr, noun: &str, name: &str) -> Error {
    match broken_unique(&error) {
        Some(message) if message.contains("name") => {
            Error::conflict("name", format!("another {noun} is already named {name:?}"))
        }
        _ => Error::Database(error),
    }
}
