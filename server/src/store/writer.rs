//! The writer: changes from the API and from the engine, each in a transaction or in the savepoint
//! of one that many share.
//!
//! ```text
//!            SQLite: one lane, one transaction at a time
//!  API, edits ──► bounded queue ─┐  in turn   BEGIN IMMEDIATE
//!                                ├──────────►   SAVEPOINT · change · RELEASE   (each one)
//!  engine ──────► bounded queue ─┘              the events of all
//!                                             COMMIT  (up to 256 changes or 2 ms) ──► outbox ──► ack
//!
//!            PostgreSQL: a lane per origin, each with a few connections
//!  API ─────► bounded queue ──► BEGIN · SAVEPOINT · change · RELEASE · events of all · COMMIT
//!  edits ───► bounded queue ──► BEGIN · change · events · COMMIT
//!  engine ──► bounded queue ──► BEGIN · change · events · COMMIT
//! ```
//!
//! A change that fails rolls its own savepoint back and disturbs no other. One that was begun is
//! finished though its caller left. Nothing is acknowledged before the commit that carries it.
//! While a commit waits for the disk the next changes gather, so that load makes the groups larger
//! instead of the queue longer.
//!
//! **Events come last**, those of a whole group in one statement: on PostgreSQL they take the lock
//! that makes the log commit in its order (`event.rs`), which is therefore held for one statement
//! and the commit, and never while waiting for a row. Only changes that add rows share a
//! transaction there; those that lock what exists have one each, so that no two groups can wait for
//! each other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use prometheus::Histogram;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::command::{Command, command};
use super::{AfterCommit, Change, event};
use crate::domain::outbox::Outbox;
use crate::error::{Error, Result};
use crate::limits::{
    WRITE_API_CONNECTIONS, WRITE_COMMANDS_MAX, WRITE_COMMIT_MS_MAX, WRITE_EDIT_CONNECTIONS,
    WRITE_ENGINE_CONNECTIONS, WRITE_QUEUE_MAX,
};

const STOPPED: Error = Error::Unavailable("the server is stopping");
const UNREACHABLE: &str = "the database cannot be reached; nothing was changed";
const NOT_COMMITTED: &str = "the database could not commit; nothing was changed";
const NOT_CONFIRMED: &str = "the database did not confirm the commit: the change may have been \
     made or not; the same idempotencyKey finds out";

/// Who asks for a change; each has its own queue, so that none can starve the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's request that adds something.
    Api,
    /// A client's request that changes what exists.
    Edit,
    /// Belfry's own duties.
    Engine,
}

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    api: Sender,
    edit: Sender,
    engine: Sender,
    stop: CancellationToken,
    lanes: TaskTracker,
}

impl Writer {
    /// The writer over the one connection that SQLite lets write.
    pub(super) fn start_single(
        db: DatabaseConnection,
        after_commit: AfterCommit,
        seconds: Histogram,
    ) -> Self {
        let ((api, from_api), (engine, from_engine)) = (queue(), queue());
        let writer = Self::new(api.clone(), api, engine);
        let target = Target { db, after_commit, home: Home::Sqlite, seconds };
        let lane = Lane { queues: vec![from_api, from_engine], turn: 0 };
        writer.lanes.spawn(run_alone(target, lane, writer.stop.clone()));
        writer
    }

    /// The writer over a pool of PostgreSQL.
    pub(super) fn start_pooled(
        db: DatabaseConnection,
        after_commit: AfterCommit,
        seconds: Histogram,
    ) -> Self {
        let ((api, from_api), (edit, from_edit), (engine, from_engine)) =
            (queue(), queue(), queue());
        let writer = Self::new(api, edit, engine);
        let target = Target { db, after_commit, home: Home::Postgres, seconds };
        let lanes = [
            (from_api, WRITE_API_CONNECTIONS, WRITE_COMMANDS_MAX),
            (from_edit, WRITE_EDIT_CONNECTIONS, 1),
            (from_engine, WRITE_ENGINE_CONNECTIONS, 1),
        ];
        for (from, connections, commands_max) in lanes {
            let lane = Lane { queues: vec![from], turn: 0 };
            let shape = Shape { connections, commands_max };
            writer.lanes.spawn(run_beside(target.clone(), lane, shape, writer.stop.clone()));
        }
        writer
    }

    fn new(api: Sender, edit: Sender, engine: Sender) -> Self {
        Self { api, edit, engine, stop: CancellationToken::new(), lanes: TaskTracker::new() }
    }

    pub(super) async fn change<T, F>(&self, origin: Origin, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (command, answer) = command(work);
        let queue = match origin {
            Origin::Api => &self.api,
            Origin::Edit => &self.edit,
            Origin::Engine => &self.engine,
        };
        queue.send(command).await.map_err(|_| STOPPED)?;
        answer.await.unwrap_or(Err(STOPPED))
    }

    /// Finishes what was given until now.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.lanes.close();
        self.lanes.wait().await;
    }
}

/// The two ends of a queue of changes.
type Sender = mpsc::Sender<Box<dyn Command>>;
/// See [`Sender`].
type Receiver = mpsc::Receiver<Box<dyn Command>>;

fn queue() -> (Sender, Receiver) {
    mpsc::channel(WRITE_QUEUE_MAX)
}

/// Where a lane writes to, and whom it tells.
#[derive(Clone)]
struct Target {
    db: DatabaseConnection,
    after_commit: AfterCommit,
    home: Home,
    /// How long transactions take.
    seconds: Histogram,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Sqlite,
    Postgres,
}

/// How much a lane does at a time.
#[derive(Clone, Copy)]
struct Shape {
    connections: usize,
    commands_max: usize,
}

/// The receiving side of one or more queues, taken from in turn.
struct Lane {
    queues: Vec<Receiver>,
    turn: usize,
}

impl Lane {
    /// Waits for a command; `None` when the writer is to stop and every queue is empty.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Box<dyn Command>> {
        if let Some(command) = self.ready() {
            return Some(command);
        }
        let received = self.queues.iter_mut().map(|queue| queue.recv().boxed());
        tokio::select! {
            (command, _, _) = futures_util::future::select_all(received) => command,
            () = stop.cancelled() => None,
        }
    }

    /// A command that waits already.
    fn ready(&mut self) -> Option<Box<dyn Command>> {
        self.turn = (self.turn + 1) % self.queues.len();
        let (behind, from) = self.queues.split_at_mut(self.turn);
        from.iter_mut().chain(behind).find_map(|queue| queue.try_recv().ok())
    }
}

/// One transaction after the other; each takes in more changes while it runs.
async fn run_alone(target: Target, mut lane: Lane, stop: CancellationToken) {
    while let Some(first) = lane.next(&stop).await {
        let mut group = vec![first];
        let timer = target.seconds.start_timer();
        let committed = target.commit_group(&mut group, || lane.ready()).await;
        timer.observe_duration();
        if committed.is_err() {
            target.begin_afresh().await;
        }
        target.settle(group, committed);
    }
}

/// Several transactions side by side; each takes what had gathered when it began.
async fn run_beside(target: Target, mut lane: Lane, shape: Shape, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(shape.connections));
    let begun = TaskTracker::new();
    while let Some(first) = lane.next(&stop).await {
        // The semaphore is never closed.
        let Ok(place) = free.clone().acquire_owned().await else { break };
        let mut group = vec![first];
        while group.len() < shape.commands_max
            && let Some(command) = lane.ready()
        {
            group.push(command);
        }
        let target = target.clone();
        begun.spawn(async move {
            let timer = target.seconds.start_timer();
            let committed = match group.as_mut_slice() {
                [one] => target.commit_one(one.as_mut()).await,
                _ => target.commit_group(&mut group, || None).await,
            };
            timer.observe_duration();
            drop(place);
            target.settle(group, committed);
        });
    }
    begun.close();
    begun.wait().await;
}

/// What became of a transaction.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// It did not begin.
    #[error("a transaction could not begin: {0}")]
    Begin(DbErr),
    /// Something in it failed; it was rolled back.
    #[error("a transaction was rolled back: {0}")]
    Inside(DbErr),
    /// Nobody knows whether its commit was made, when the connection was lost in it.
    #[error("a commit failed: {0}")]
    Commit(DbErr),
}

impl Target {
    /// Runs the group in one transaction; `more` may add to it while it runs.
    async fn commit_group(
        &self,
        group: &mut Vec<Box<dyn Command>>,
        mut more: impl FnMut() -> Option<Box<dyn Command>>,
    ) -> Result<(), Failed> {
        let tx = self.begin().await?;
        let budget = Duration::from_millis(WRITE_COMMIT_MS_MAX);
        let deadline = tokio::time::timeout(budget, std::future::pending::<()>());
        tokio::pin!(deadline);
        let mut events = Vec::new();
        let mut done = 0;
        while done < group.len() {
            let savepoint = tx.begin().await.map_err(Failed::Inside)?;
            let mut ended = group[done].run(savepoint).await;
            events.append(&mut ended.events);
            ended.finish().await.map_err(Failed::Inside)?;
            done += 1;
            let is_late = deadline.as_mut().now_or_never().is_some();
            if !is_late
                && done < WRITE_COMMANDS_MAX
                && let Some(command) = more()
            {
                group.push(command);
            }
        }
        event::write(&tx, events).await.map_err(Failed::Inside)?;
        tx.commit().await.map_err(Failed::Commit)
    }

    /// Runs one change in a transaction of its own.
    async fn commit_one(&self, command: &mut dyn Command) -> Result<(), Failed> {
        let tx = self.begin().await?;
        let mut ended = command.run(tx).await;
        let events = std::mem::take(&mut ended.events);
        event::write(ended.tx(), events).await.map_err(Failed::Inside)?;
        let is_done = ended.is_done;
        match ended.finish().await {
            Err(error) if is_done => Err(Failed::Commit(error)),
            // A rollback that fails changes nothing either.
            _ => Ok(()),
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, Failed> {
        let mode = match self.home {
            Home::Sqlite => Some(SqliteTransactionMode::Immediate),
            Home::Postgres => None,
        };
        let options =
            TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
        self.db.begin_with_options(options).await.map_err(Failed::Begin)
    }

    /// Gives the one connection of SQLite up; the next transaction opens another.
    ///
    /// A full disk makes SQLite end a transaction by itself, which sqlx does not notice: it goes on
    /// counting it as open and makes the next ones its savepoints. When such a "commit" fails in its
    /// turn, SQLite stays in a transaction that nobody will ever commit, and everything after it
    /// would be acknowledged and lost.
    async fn begin_afresh(&self) {
        let pool = self.db.get_sqlite_connection_pool();
        match pool.acquire().await {
            Ok(mut connection) => connection.close_on_drop(),
            Err(error) => tracing::error!(%error, "the database cannot be opened again"),
        }
    }

    /// Tells queue and bus, then those who wait.
    fn settle(&self, mut group: Vec<Box<dyn Command>>, committed: Result<(), Failed>) {
        let answer = match committed {
            Ok(()) => Ok(()),
            Err(failed) => {
                tracing::error!(error = %failed, changes = group.len(), "nothing was committed");
                Err(match failed {
                    Failed::Begin(_) => UNREACHABLE,
                    Failed::Inside(_) => NOT_COMMITTED,
                    Failed::Commit(_) if self.home == Home::Sqlite => NOT_COMMITTED,
                    Failed::Commit(_) => NOT_CONFIRMED,
                })
            }
        };
        if answer.is_ok() {
            let mut outbox = Outbox::default();
            for command in &mut group {
                outbox.merge(command.take_outbox());
            }
            if !outbox.is_empty() {
                (self.after_commit)(outbox);
            }
        }
        for command in group {
            command.settle(answer);
        }
    }
}
