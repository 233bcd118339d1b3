//! One change on its way through the writer, with whatever it returns hidden away, so that changes
//! of all kinds wait in one queue.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use entity::event;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::oneshot;

use super::Change;
use crate::domain::outbox::Outbox;
use crate::error::{Error, Result};

/// One change that waits, runs, and is answered.
#[async_trait]
pub(super) trait Command: Send {
    /// Runs in `tx`, which the caller then commits or rolls back, as [`Command::is_done`] says.
    async fn run(&mut self, tx: DatabaseTransaction) -> Ended;
    /// What there is to say once committed.
    fn take_outbox(&mut self) -> Outbox;
    /// Answers the caller; `committed` says why nothing may have been changed.
    fn settle(self: Box<Self>, committed: Result<(), &'static str>);
}

/// A change that has run but is not committed.
pub(super) struct Ended {
    tx: DatabaseTransaction,
    /// Whether it is to be committed.
    pub(super) is_done: bool,
    /// What it adds to the log.
    pub(super) events: Vec<event::Model>,
}

impl Ended {
    /// The transaction, for what comes after the change.
    pub(super) fn tx(&self) -> &DatabaseTransaction {
        &self.tx
    }

    /// Commits what was done, rolls back what failed.
    pub(super) async fn finish(self) -> Result<(), DbErr> {
        if self.is_done { self.tx.commit().await } else { self.tx.rollback().await }
    }
}

/// The command that runs `work` and tells whoever waits for the answer.
pub(super) fn command<T, F>(work: F) -> (Box<dyn Command>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Work { work: Some(work), done: None, outbox: Outbox::default(), reply }), answer)
}

struct Work<T, F> {
    work: Option<F>,
    done: Option<Result<T>>,
    outbox: Outbox,
    reply: oneshot::Sender<Result<T>>,
}

#[async_trait]
impl<T, F> Command for Work<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c Change) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    async fn run(&mut self, tx: DatabaseTransaction) -> Ended {
        let change = Change { tx, outbox: Mutex::default(), events: Mutex::default() };
        if let Some(work) = self.work.take() {
            let done = AssertUnwindSafe(async { work(&change).await }).catch_unwind().await;
            let panicked = |_| Err(Error::Internal("a change panicked".to_owned()));
            self.done = Some(done.unwrap_or_else(panicked));
        }
        let Change { tx, outbox, events } = change;
        let is_done = matches!(self.done, Some(Ok(_)));
        if !is_done {
            return Ended { tx, is_done, events: Vec::new() };
        }
        self.outbox = outbox.into_inner().unwrap_or_else(PoisonError::into_inner);
        let events = events.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ended { tx, is_done, events }
    }

    fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    fn settle(self: Box<Self>, committed: Result<(), &'static str>) {
        let answer = match (self.done, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(why)) => Err(Error::Unavailable(why)),
            (None, Ok(())) => Err(Error::Internal("a change was not run".to_owned())),
        };
        // A caller that left is told nothing; its change stands all the same.
        let _ = self.reply.send(answer);
    }
}
