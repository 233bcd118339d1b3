//! The live log: a cursor read over the stored log, woken by the bus.
//!
//! A [`Tail`] holds a place in the log and reads forward from it. The bus only says that looking
//! is worth while, and a poll each second makes even that unnecessary; so a reader that is late,
//! slow or reconnects with its cursor loses nothing and sees nothing twice. It registers with the
//! bus before it reads, so that an entry committed meanwhile is not missed. An entry is visible to
//! it only when every entry before it is, because one writer commits in the order of `seq`.

use entity::Instant;
use entity::event::{Class, Model};

use super::event::{Selection, place};
use super::{Caller, Scope};
use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::domain::page::Cursor;
use crate::error::{Error, Result};
use crate::limits::{
    HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, RETENTION_MS, TAIL_BATCH_MAX, TAIL_POLL_MS,
};
use crate::metrics::TailPlace;
use crate::store::event as store;

/// How a client reads the live log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to begin; at the head when not said.
    pub after: Option<String>,
    /// What to see.
    pub selection: Selection,
    /// Entries of one batch at most.
    pub batch_rows: i32,
    /// An empty batch is sent after this long without a full one.
    pub heartbeat_ms: i64,
}

/// Some entries, or none after a heartbeat, and the place after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Resumes exactly after this batch.
    pub cursor: Cursor,
    /// In log order.
    pub events: Vec<Model>,
    /// What this reader missed because it came too late.
    pub gap: Option<Gap>,
}

/// Entries of Belfry's own behind the reader's place were deleted by retention; those of
/// applications follow all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Everything after this place is still there.
    pub available_from: Cursor,
    /// How many were deleted at most.
    pub missed: i64,
}

/// One reader of the live log.
pub struct Tail {
    app: App,
    caller: Caller,
    selection: Selection,
    listener: Listener,
    at: i64,
    batch_rows: u64,
    heartbeat_ms: i64,
    /// When it was last asked what retention deleted.
    checked_at: Option<Instant>,
    /// Up to where its reader was told of a gap.
    told: i64,
    /// How far it is, for the metrics.
    place: TailPlace,
}

impl Tail {
    /// Begins to read.
    ///
    /// # Errors
    /// Problems of `after`, `batchSize` and `heartbeat`.
    pub async fn open(app: &App, caller: &Caller, options: Options) -> Result<Self> {
        caller.require(Scope::Read)?;
        let listener = app.bus().listen();
        let batch_rows = u64::try_from(options.batch_rows)
            .ok()
            .filter(|rows| (1..=TAIL_BATCH_MAX as u64).contains(rows))
            .ok_or_else(|| {
                let message = format!("expected a number from 1 to {TAIL_BATCH_MAX}");
                Error::invalid("batchSize", message)
            })?;
        if !(HEARTBEAT_MS_MIN..=HEARTBEAT_MS_MAX).contains(&options.heartbeat_ms) {
            let message = "expected a duration from 1 second to 1 hour";
            return Err(Error::invalid("heartbeat", message));
        }
        let head = store::head(app.store()).await?;
        let at = match &options.after {
            None => head,
            Some(text) => log_place(text).ok_or_else(|| {
                Error::invalid("after", "expected a cursor of events in log order")
            })?,
        };
        Ok(Self {
            app: app.clone(),
            caller: caller.clone(),
            selection: options.selection,
            listener,
            at: at.min(head),
            batch_rows,
            heartbeat_ms: options.heartbeat_ms,
            checked_at: None,
            told: 0,
            place: app.metrics().wire.tails.enter(at.min(head)),
        })
    }

    /// The next batch; waits until there is one, or for the heartbeat.
    ///
    /// # Errors
    /// The database's own; the place stands, so that calling again goes on.
    pub async fn next(&mut self) -> Result<Batch> {
        if let Some(gap) = self.gap().await? {
            return Ok(self.batch(Vec::new(), Some(gap)));
        }
        let clock = self.app.clock().clone();
        let heartbeat_at = clock.now().plus_ms(self.heartbeat_ms);
        loop {
            let events = self.read().await?;
            if !events.is_empty() || heartbeat_at <= clock.now() {
                return Ok(self.batch(events, None));
            }
            let poll_at = clock.now().plus_ms(TAIL_POLL_MS).min(heartbeat_at);
            tokio::select! {
                () = clock.sleep_until(poll_at) => {}
                () = heard(&mut self.listener, self.caller.project) => {}
            }
        }
    }

    fn batch(&self, events: Vec<Model>, gap: Option<Gap>) -> Batch {
        Batch { cursor: place(self.at), events, gap }
    }

    /// Reads what is new and moves the place over it, and over what the filter passed by.
    async fn read(&mut self) -> Result<Vec<Model>> {
        let head = store::head(self.app.store()).await?;
        if head <= self.at {
            return Ok(Vec::new());
        }
        let condition = self.selection.condition(&self.app, self.app.clock().now());
        let range = (self.at, head);
        let project = self.caller.project;
        let events =
            store::tail(self.app.store(), project, condition, range, self.batch_rows).await?;
        let is_full = events.len() as u64 == self.batch_rows;
        self.at = match events.last() {
            Some(last) if is_full => last.seq,
            _ => head,
        };
        self.place.set(self.at);
        Ok(events)
    }

    /// What retention deleted since the reader was last told. The place stays where it is: between
    /// there and the floor of Belfry's own entries, those of applications are still there. Asked at
    /// the beginning and then at the pace of retention, for readers that fall behind it later.
    async fn gap(&mut self) -> Result<Option<Gap>> {
        let now = self.app.clock().now();
        let is_recent = |at: Instant| now.ms_since(at) < RETENTION_MS;
        if self.checked_at.is_some_and(is_recent) || !self.selection.may_match_own() {
            return Ok(None);
        }
        let floors = store::floors(self.app.store()).await?;
        self.checked_at = Some(now);
        let floor = floors.into_iter().filter(|(class, _)| *class == Class::System);
        let floor = floor.map(|(_, seq)| seq).max().unwrap_or(0);
        let missed = floor - self.at.max(self.told);
        self.told = self.told.max(floor);
        Ok((0 < missed).then(|| Gap { available_from: place(floor), missed }))
    }
}

/// Returns when the log of `project` may have grown.
async fn heard(listener: &mut Listener, project: entity::ProjectId) {
    loop {
        match listener.next().await {
            None => return,
            Some(Notice::Logged(of, _)) if of == project => return,
            Some(_) => {}
        }
    }
}

fn log_place(text: &str) -> Option<i64> {
    Cursor::parse(text).filter(|cursor| cursor.order == store::LOG_ORDER).map(|cursor| cursor.key)
}
