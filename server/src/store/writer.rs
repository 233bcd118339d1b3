//! The one writer of SQLite: commands from the API and from the engine, in group commits.
//!
//! ```text
//!  API  ──► bounded queue ─┐  in turn   BEGIN IMMEDIATE
//!                          ├──────────►   SAVEPOINT · command · RELEASE   (each one)
//!  engine ► bounded queue ─┘            COMMIT  (up to 256 commands or 2 ms) ──► outbox ──► ack
//! ```
//!
//! A command that fails rolls its own savepoint back and disturbs no other. A command that was
//! begun is finished though its caller left. Nothing is acknowledged before the commit that
//! carries it. While a commit waits for the disk the next commands gather, so that load makes the
//! groups larger instead of the queue longer.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{AfterCommit, Change};
use crate::domain::outbox::Outbox;
use crate::error::{Error, Result};
use crate::limits::{WRITE_COMMANDS_MAX, WRITE_COMMIT_MS_MAX, WRITE_QUEUE_MAX};

const STOPPED: Error = Error::Unavailable("the server is stopping");
const NOT_COMMITTED: &str = "the database could not commit; nothing was changed";
/// Pages that one vacuum step gives back (4 KiB each).
const VACUUM_PAGES: u32 = 1_000;

/// Who asks for a change; each has its own queue, so that neither can starve the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's request.
    Api,
    /// Belfry's own duties.
    Engine,
}

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    api: mpsc::Sender<Box<dyn Command>>,
    engine: mpsc::Sender<Box<dyn Command>>,
    db: DatabaseConnection,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Writer {
    pub(super) fn start(db: DatabaseConnection, after_commit: AfterCommit) -> Self {
        let (api, from_api) = mpsc::channel(WRITE_QUEUE_MAX);
        let (engine, from_engine) = mpsc::channel(WRITE_QUEUE_MAX);
        let stop = CancellationToken::new();
        let stopped = CancellationToken::new();
        let queues = Queues { api: from_api, engine: from_engine, turn: Origin::Engine };
        let run = run(db.clone(), queues, after_commit, stop.clone());
        tokio::spawn({
            let stopped = stopped.clone();
            async move {
                let _guard = stopped.drop_guard();
                run.await;
            }
        });
        Self { api, engine, db, stop, stopped }
    }

    pub(super) async fn change<T, F>(&self, origin: Origin, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command: Job<T, F> =
            Job { work: Some(work), done: None, outbox: Outbox::default(), reply };
        let queue = match origin {
            Origin::Api => &self.api,
            Origin::Engine => &self.engine,
        };
        queue.send(Box::new(command)).await.map_err(|_| STOPPED)?;
        answer.await.unwrap_or(Err(STOPPED))
    }

    pub(super) async fn vacuum_some(&self) -> Result<bool> {
        let before = self.free_pages().await?;
        if before == 0 {
            return Ok(false);
        }
        let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
        self.db.execute_unprepared(&sql).await?;
        let after = self.free_pages().await?;
        // A file that was made without incremental vacuum never gets any smaller.
        Ok(0 < after && after < before)
    }

    async fn free_pages(&self) -> Result<i64> {
        let sql = "PRAGMA freelist_count";
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
        let _ = self.db.clone().close().await;
    }
}

/// One change with whatever it returns hidden away.
#[async_trait]
trait Command: Send {
    /// Runs in a savepoint of `tx`; an error means that the group cannot go on.
    async fn run(&mut self, tx: &DatabaseTransaction) -> Result<(), DbErr>;
    /// What there is to say once committed.
    fn take_outbox(&mut self) -> Outbox;
    /// Answers the caller.
    fn settle(self: Box<Self>, is_committed: bool);
}

struct Job<T, F> {
    work: Option<F>,
    done: Option<Result<T>>,
    outbox: Outbox,
    reply: oneshot::Sender<Result<T>>,
}

#[async_trait]
impl<T, F> Command for Job<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    async fn run(&mut self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let change = Change { tx: tx.begin().await?, outbox: Mutex::default() };
        let done = AssertUnwindSafe(async { work(&change).await }).catch_unwind().await;
        let done = done.unwrap_or_else(|_| Err(Error::Internal("a change panicked".to_owned())));
        if done.is_ok() {
            change.tx.commit().await?;
            self.outbox = change.outbox.into_inner().unwrap_or_else(PoisonError::into_inner);
        } else {
            change.tx.rollback().await?;
        }
        self.done = Some(done);
        Ok(())
    }

    fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    fn settle(self: Box<Self>, is_committed: bool) {
        let answer = match self.done {
            Some(Err(error)) => Err(error),
            Some(Ok(value)) if is_committed => Ok(value),
            _ => Err(Error::Unavailable(NOT_COMMITTED)),
        };
        // A caller that left is told nothing; its change stands all the same.
        let _ = self.reply.send(answer);
    }
}

struct Queues {
    api: mpsc::Receiver<Box<dyn Command>>,
    engine: mpsc::Receiver<Box<dyn Command>>,
    turn: Origin,
}

impl Queues {
    /// Waits for a command; `None` when the writer is to stop and both queues are empty.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Box<dyn Command>> {
        if let Some(command) = self.ready() {
            return Some(command);
        }
        tokio::select! {
            command = self.api.recv() => command,
            command = self.engine.recv() => command,
            () = stop.cancelled() => None,
        }
    }

    /// A command that waits already, from the queues in turn.
    fn ready(&mut self) -> Option<Box<dyn Command>> {
        self.turn = if self.turn == Origin::Api { Origin::Engine } else { Origin::Api };
        let (first, second) = match self.turn {
            Origin::Api => (&mut self.api, &mut self.engine),
            Origin::Engine => (&mut self.engine, &mut self.api),
        };
        first.try_recv().or_else(|_| second.try_recv()).ok()
    }
}

async fn run(
    db: DatabaseConnection,
    mut queues: Queues,
    after_commit: AfterCommit,
    stop: CancellationToken,
) {
    while let Some(first) = queues.next(&stop).await {
        let mut group = vec![first];
        let committed = commit(&db, &mut queues, &mut group).await;
        if let Err(error) = &committed {
            tracing::error!(%error, commands = group.len(), "a group of changes was not committed");
        } else {
            let mut outbox = Outbox::default();
            for command in &mut group {
                outbox.merge(command.take_outbox());
            }
            if !outbox.is_empty() {
                after_commit(outbox);
            }
        }
        for command in group {
            command.settle(committed.is_ok());
        }
    }
}

/// Runs the group in one transaction, taking in more commands while there is time.
async fn commit(
    db: &DatabaseConnection,
    queues: &mut Queues,
    group: &mut Vec<Box<dyn Command>>,
) -> Result<(), DbErr> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = db.begin_with_options(immediate).await?;
    let budget = Duration::from_millis(WRITE_COMMIT_MS_MAX);
    let deadline = tokio::time::timeout(budget, std::future::pending::<()>());
    tokio::pin!(deadline);
    let mut done = 0;
    while done < group.len() {
        group[done].run(&tx).await?;
        done += 1;
        let is_late = deadline.as_mut().now_or_never().is_some();
        if !is_late
            && done < WRITE_COMMANDS_MAX
            && let Some(command) = queues.ready()
        {
            group.push(command);
        }
    }
    tx.commit().await
}
