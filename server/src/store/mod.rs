//! Floor 3: everything that is durable, and the only place where SQL stands.
//!
//! One file per noun with the same verbs in the same order (`find get list insert set_… delete`),
//! each taking the project, so that not-yours and not-there are the same. The hot statements of the
//! engine (claim, record, plan, sweep, retention) have their own files with raw SQL.
//!
//! Reads use a pool of readers. Every mutation is a [`Change`]: one transaction that is either
//! there or not, with an [`Outbox`] of what the queue and the bus hear once it is committed.
//!
//! **Two homes**, chosen by the URL. On SQLite there is one writer, so that changes never meet. On
//! PostgreSQL they do: what a change reads in order to decide, it locks (`FOR UPDATE`, in the
//! functions named `get…`; SQLite has no such words and needs none), or it is a compare-and-set,
//! or it holds a [`Change::lock`]. Locks are taken in this order, and the log's is the last:
//! a lock by name, operations, schedules, firings in the order of their ids, triggers.

use std::sync::{Arc, Mutex, PoisonError};

use entity::{Instant, event as log};
use futures_util::future::BoxFuture;
use migration::{Migrator, MigratorTrait as _};
use prometheus::Histogram;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlErr,
    Statement, Value,
};

use crate::domain::outbox::{Due, Notice, Outbox};
use crate::domain::tally::Tally;
use crate::error::{Error, Result};
use crate::metrics::commit_seconds;

pub mod action;
pub mod api_key;
pub mod attempt;
pub mod backfill;
mod bulk;
pub mod calendar;
pub mod claim;
mod command;
pub mod event;
pub mod event_filter;
pub mod firing;
pub mod forecast;
pub mod health;
pub mod idempotency;
pub mod installation;
pub mod operation;
pub mod overlap;
pub mod page;
mod partition;
pub mod plan;
mod postgres;
pub mod project;
pub mod range;
mod reading;
pub mod record;
pub mod retention;
pub mod schedule;
mod sql;
mod sqlite;
pub mod sweep;
pub mod timetable;
pub mod transfer;
pub mod trigger;
mod writer;
pub mod zone;

pub use reading::Reading;
pub use writer::Origin;

use reading::Left;
use writer::Writer;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: DatabaseConnection,
    writers: DatabaseConnection,
    writer: Writer,
    commits: Histogram,
    left: Left,
}

/// What happens after a commit, before it is acknowledged; must not block.
pub type AfterCommit = Arc<dyn Fn(Outbox) + Send + Sync>;

/// One mutation in progress: a transaction, or a savepoint of its own inside a group commit.
pub struct Change {
    tx: DatabaseTransaction,
    outbox: Mutex<Outbox>,
    events: Mutex<Vec<log::Model>>,
}

/// What a change may have to itself.
#[derive(Clone, Copy, Debug)]
pub enum Lock<'a> {
    /// The definitions of a project: its triggers, schedules and actions change one at a time.
    Definitions(entity::ProjectId),
    /// The same, held by many at once, of those who only rely on the definitions to stay.
    DefinitionsShared(entity::ProjectId),
    /// The claim of firings: nobody else claims, and all that was claimed is committed.
    Claims,
    /// The same, held by many at once, of those who claim.
    ClaimsShared,
    /// An idempotency key of a project.
    Key(entity::ProjectId, &'a str),
    /// The first start of a database.
    FirstStart,
}

impl Store {
    /// Opens the database at `url` (`sqlite://path`, which is made when it is missing, or
    /// `postgres://…`) and brings its schema up to date.
    ///
    /// # Errors
    /// A sentence that names what is wrong with the URL, the database or its schema.
    pub async fn open(url: &str, after_commit: AfterCommit) -> Result<Self, String> {
        let commits = commit_seconds()?;
        if is_postgres(url) {
            let left = Left::default();
            let (writers, readers) = postgres::open(url, &left).await?;
            let writer = Writer::start_pooled(writers.clone(), after_commit, commits.clone());
            return Ok(Self { readers, writers, writer, commits, left });
        }
        let (writers, readers) = sqlite::open(url).await?;
        let writer = Writer::start_single(writers.clone(), after_commit, commits.clone());
        Ok(Self { readers, writers, writer, commits, left: Left::default() })
    }

    /// How long the writer's transactions take.
    #[must_use]
    pub fn commits(&self) -> &Histogram {
        &self.commits
    }

    /// The engine that statements are written for.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.readers.get_database_backend()
    }

    /// Whether other processes may work on the same database, so that a lease may be theirs and
    /// the clock is the database's.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }

    /// What time it is at a database that is shared; it was that time or is by now later.
    ///
    /// # Errors
    /// The database's own.
    pub async fn now(&self) -> Result<Option<Instant>> {
        if !self.is_shared() {
            return Ok(None);
        }
        Ok(Some(Instant::from_millis(postgres::now_ms(&self.readers).await?)))
    }

    /// Makes the partitions of the log that will be needed, where there are any.
    ///
    /// # Errors
    /// The database's own.
    pub async fn prepare_log(&self, now: Instant) -> Result<()> {
        if self.is_shared() {
            partition::prepare(&self.writers, now).await?;
        }
        Ok(())
    }

    /// Drops the partitions of Belfry's own events that ended at or before `until`; how many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn drop_log(&self, until: Instant) -> Result<u64> {
        if self.is_shared() {
            Ok(partition::drop_until(&self.writers, until).await?)
        } else {
            Ok(0)
        }
    }

    /// The pool of readers: sees everything that was committed.
    #[must_use]
    pub fn readers(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// To be held by whoever reads for a client that may leave, or that is only waited for so long.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.left.reading()
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
        // PostgreSQL's autovacuum does it by itself.
        if self.is_shared() { Ok(false) } else { Ok(sqlite::vacuum_some(&self.writers).await?) }
    }

    /// Ends the writer after what it was given, and closes the pools.
    pub async fn close(&self) {
        self.writer.close().await;
        let _ = self.writers.clone().close().await;
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
        self.tx.get_database_backend()
    }

    /// A raw statement, written with `?` for each of `values`.
    pub(super) fn statement(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Statement {
        sql::statement(self.backend(), sql, values)
    }

    /// Waits until nobody else has `what`, and has it until the transaction ends. On SQLite, where
    /// changes never meet, there is nothing to do.
    ///
    /// # Errors
    /// The database's own.
    pub async fn lock(&self, what: Lock<'_>) -> Result<()> {
        if self.backend() != DbBackend::Postgres {
            return Ok(());
        }
        let (take, name) = match what {
            Lock::Definitions(project) => ("pg_advisory_xact_lock", project.to_string()),
            Lock::DefinitionsShared(project) => {
                ("pg_advisory_xact_lock_shared", project.to_string())
            }
            Lock::Claims => ("pg_advisory_xact_lock", "claims".to_owned()),
            Lock::ClaimsShared => ("pg_advisory_xact_lock_shared", "claims".to_owned()),
            Lock::Key(project, key) => ("pg_advisory_xact_lock", format!("{project} {key}")),
            Lock::FirstStart => ("pg_advisory_xact_lock", "first start".to_owned()),
        };
        let sql = format!("SELECT {take}(hashtextextended(?, 0))");
        self.tx.execute_raw(self.statement(&sql, [name.into()])).await?;
        Ok(())
    }

    /// Adds entries to the log, once everything else of the transaction is done.
    pub(super) fn log(&self, mut events: Vec<log::Model>) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).append(&mut events);
    }

    /// Once committed, the due queue hears of `due`.
    pub fn due(&self, due: Due) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).due.push(due);
    }

    /// Once committed, the bus carries `notice`.
    pub fn notify(&self, notice: Notice) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).notices.push(notice);
    }

    /// Once committed, the metrics count what `note` adds.
    pub(super) fn count(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner).tally);
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Runs the missing steps; refuses a schema that is newer than this binary.
async fn migrate(db: &DatabaseConnection) -> Result<(), DbErr> {
    let steps = Migrator::migrations();
    // A database without that table is new.
    let applied = applied(db).await.unwrap_or_default();
    if applied.iter().any(|name| steps.iter().all(|step| step.name() != name)) {
        return Err(DbErr::Custom("it was written by a newer version of belfry".to_owned()));
    }
    Migrator::up(db, None).await
}

/// What the due queue hears of a firing that waits.
pub fn due_of(row: &entity::firing::Model, trigger_limit: Option<i32>) -> Due {
    Due {
        due_at: row.due_at,
        firing: row.id,
        project: row.project_id,
        trigger: row.trigger_id,
        trigger_limit: trigger_limit.map(i32::unsigned_abs),
    }
}

/// The names of the steps that a schema has taken.
async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT version FROM seaql_migrations";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
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
