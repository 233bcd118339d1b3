//! The due queue in Redis, shared by any number of processes.
//!
//! The structures and the name of each key stand in `redis/structure.lua`; every script touches the
//! keys of one shard only. An entry waits in the lane of its project and trigger, moves to `leased`
//! when it is handed out, and goes when it is settled or waits again when its lease ends.
//!
//! ```text
//!  push, settle ──► bounded channel ──► writer ──► Redis ◄── pull, cover
//!                                                   │
//!            watcher: is it there, is its cover there? ──► lost(): the sweeper fills it from SQL
//! ```
//! **Redis may do what it likes.** When a command fails or takes too long, this process goes on
//! over a [`MemoryQueue`] of its own, which the sweeper fills from SQL, and says so in
//! [`RedisQueue::health`]. Every second it tries again. Once Redis takes writes, the cover is
//! removed, because nobody knows what was missed, and the sweeper reads SQL anew. Keys that are not
//! what the scripts wrote are deleted first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use entity::{Instant, TypedId as _};
use redis::{RedisError, RedisResult};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::script::Scripts;
use self::writer::Write;
use super::{Health, MemoryQueue, Pulled, Queue, Room};
use crate::clock::Clock;
use crate::domain::outbox::Due;
use crate::limits::QUEUE_WRITES_MAX;
use crate::link::{Connection, Link};

mod script;
mod watcher;
mod writer;

/// See the module.
pub struct RedisQueue {
    inner: Arc<Inner>,
    /// Ends the tasks in the background.
    _stop: DropGuard,
}

/// What the tasks share.
struct Inner {
    link: Link,
    /// What the keys of each shard begin with.
    shards: Vec<String>,
    /// Where processes wake each other.
    channel: String,
    /// This process in what it publishes.
    origin: u64,
    scripts: Scripts,
    clock: Arc<dyn Clock>,
    entries_max: usize,
    fallback: MemoryQueue,
    state: Mutex<State>,
    writes: mpsc::Sender<Write>,
    sent: AtomicU64,
    written: watch::Sender<u64>,
    changed: Notify,
    lost: Notify,
    failed: Notify,
    /// When the executor of this process will ask again by itself.
    next_at: AtomicI64,
    /// The shard that the next pull begins with.
    turn: AtomicUsize,
}

struct State {
    /// None while degraded; the number tells connections apart.
    connection: Option<Connection>,
    number: u64,
    health: Health,
    /// Keys are not what the scripts wrote.
    is_broken: bool,
    /// The earliest of what found no room in the channel.
    dropped: Option<Instant>,
}

/// A connection to use, with its number.
struct Open {
    connection: Connection,
    number: u64,
}

impl RedisQueue {
    /// The queue of `namespace` behind `link`, holding up to `entries_max`. When Redis cannot be
    /// reached it starts degraded.
    ///
    /// # Errors
    /// A sentence that names the setting when Redis refuses us: waiting would not mend that.
    pub async fn connect(
        link: Link,
        namespace: &str,
        entries_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        link.check().await?;
        let connected = link.connect().await;
        let (writes, waiting) = mpsc::channel(QUEUE_WRITES_MAX);
        let shards = 0..link.shards();
        let inner = Arc::new(Inner {
            shards: shards.map(|shard| format!("{{{namespace}:{shard}}}")).collect(),
            channel: format!("{namespace}:due"),
            origin: rand::random(),
            scripts: Scripts::new(),
            entries_max,
            fallback: MemoryQueue::new(entries_max, clock.clone()),
            clock,
            state: Mutex::new(State::new()),
            writes,
            sent: AtomicU64::new(0),
            written: watch::Sender::new(0),
            changed: Notify::new(),
            lost: Notify::new(),
            failed: Notify::new(),
            next_at: AtomicI64::new(i64::MAX),
            turn: AtomicUsize::new(0),
            link,
        });
        match connected {
            Ok(connection) => inner.lock().open(connection),
            Err(error) => inner.start_degraded(&error),
        }
        let stop = CancellationToken::new();
        for task in [
            tokio::spawn(
                stop.clone().run_until_cancelled_owned(writer::run(inner.clone(), waiting)),
            ),
            tokio::spawn(stop.clone().run_until_cancelled_owned(watcher::run(inner.clone()))),
            tokio::spawn(stop.clone().run_until_cancelled_owned(watcher::listen(inner.clone()))),
        ] {
            drop(task);
        }
        Ok(Self { inner, _stop: stop.drop_guard() })
    }
}

#[async_trait]
impl Queue for RedisQueue {
    fn push(&self, entries: &[Due]) {
        if self.inner.open().is_none() {
            self.inner.fallback.push(entries);
            self.inner.changed.notify_one();
            return;
        }
        if !self.inner.send(Write::Push(entries.to_vec())) {
            let first = entries.iter().map(|due| due.due_at).min();
            let mut state = self.inner.lock();
            state.dropped = match (state.dropped, first) {
                (Some(before), Some(first)) => Some(before.min(first)),
                (before, first) => before.or(first),
            };
        }
    }

    async fn pull(&self, now: Instant, room: &Room) -> Pulled {
        // From here on every push may be what the caller would wait for.
        self.inner.next_at.store(i64::MAX, Ordering::SeqCst);
        let Some(open) = self.inner.open() else {
            return self.inner.fallback.pull(now, room).await;
        };
        let pulled = self.inner.pull(open, now, room).await;
        let next_at = pulled.next_at.map_or(i64::MAX, Instant::millis);
        self.inner.next_at.store(next_at, Ordering::SeqCst);
        pulled
    }

    fn settle(&self, entries: &[Due]) {
        if self.inner.open().is_none() {
            self.inner.fallback.settle(entries);
        } else {
            // One that is not sent comes back when its lease ends, and the claim refuses it.
            self.inner.send(Write::Settle(entries.to_vec()));
        }
    }

    async fn flush(&self) {
        let sent = self.inner.sent.load(Ordering::SeqCst);
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = self.inner.written.subscribe().wait_for(|written| sent <= *written).await;
    }

    async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    async fn lost(&self) {
        self.inner.lost.notified().await;
    }

    async fn cover(&self) -> Instant {
        let Some(open) = self.inner.open() else { return self.inner.fallback.cover().await };
        let mut covers = Vec::with_capacity(self.inner.shards.len());
        for shard in &self.inner.shards {
            let cover = self.inner.scripts.cover(&mut open.connection.clone(), shard).await;
            let Some(cover) = self.inner.noted(&open, cover) else { return Instant::MIN };
            covers.push(cover);
        }
        covers.into_iter().min().unwrap_or(Instant::MIN)
    }

    async fn raise_cover(&self, from: Instant, until: Instant) -> bool {
        let Some(open) = self.inner.open() else {
            return self.inner.fallback.raise_cover(from, until).await;
        };
        for shard in &self.inner.shards {
            let connection = &mut open.connection.clone();
            let raised = self.inner.scripts.raise(connection, shard, from, until).await;
            if self.inner.noted(&open, raised) != Some(true) {
                return false;
            }
        }
        true
    }

    async fn lower_cover(&self, until: Instant) {
        let Some(open) = self.inner.open() else {
            return self.inner.fallback.lower_cover(until).await;
        };
        let lowered = self.inner.lower(&open, until).await;
        self.inner.noted(&open, lowered);
    }

    async fn len(&self) -> usize {
        let Some(open) = self.inner.open() else { return self.inner.fallback.len().await };
        let mut sum = 0;
        for shard in &self.inner.shards {
            let len = self.inner.scripts.len(&mut open.connection.clone(), shard).await;
            sum += self.inner.noted(&open, len).unwrap_or(0);
        }
        sum
    }

    fn entries_max(&self) -> usize {
        self.inner.entries_max
    }

    fn health(&self) -> Health {
        self.inner.lock().health.clone()
    }
}

impl Inner {
    async fn pull(&self, open: Open, now: Instant, room: &Room) -> Pulled {
        let mut pulled = Pulled::default();
        let mut room = room.clone();
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.shards.len() {
            let shard = &self.shards[(start + step) % self.shards.len()];
            let answer = self.scripts.pull(&mut open.connection.clone(), shard, now, &room).await;
            let Some((is_covered, found)) = self.noted(&open, answer) else { break };
            if !is_covered {
                self.lost.notify_one();
            }
            shrink(&mut room, &found.due);
            pulled.due.extend(found.due);
            pulled.next_at = match (pulled.next_at, found.next_at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        pulled
    }

    async fn lower(&self, open: &Open, until: Instant) -> RedisResult<()> {
        for shard in &self.shards {
            self.scripts.lower(&mut open.connection.clone(), shard, until).await?;
        }
        Ok(())
    }

    /// Hands something to the writer; `false` when there is no room.
    fn send(&self, write: Write) -> bool {
        let Ok(place) = self.writes.try_reserve() else { return false };
        self.sent.fetch_add(1, Ordering::SeqCst);
        place.send(write);
        true
    }

    /// Where an entry lies; the last bits of a UUIDv7 are random.
    fn shard_of(&self, due: &Due) -> usize {
        let bits = due.firing.uuid().as_u128() % self.shards.len() as u128;
        usize::try_from(bits).unwrap_or(0)
    }

    /// The connection, unless degraded.
    fn open(&self) -> Option<Open> {
        let state = self.lock();
        let connection = state.connection.clone()?;
        Some(Open { connection, number: state.number })
    }

    /// What a command came to; a failure makes the queue degraded.
    fn noted<T>(&self, open: &Open, done: RedisResult<T>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.fail(open, &error);
                None
            }
        }
    }

    fn fail(&self, open: &Open, error: &RedisError) {
        let mut state = self.lock();
        // A late word of a connection that was given up already says nothing new.
        if state.connection.is_none() || state.number != open.number {
            return;
        }
        state.connection = None;
        state.is_broken |= watcher::is_broken(error);
        let reason = self.degrade(&mut state, error);
        drop(state);
        tracing::warn!(reason, "the due queue does without Redis until it is well: {reason}");
        self.fallback.clear();
        self.lost.notify_one();
        self.changed.notify_one();
        self.failed.notify_one();
    }

    fn start_degraded(&self, error: &RedisError) {
        let reason = self.degrade(&mut self.lock(), error);
        tracing::warn!(reason, "the due queue starts without Redis: {reason}");
    }

    fn degrade(&self, state: &mut State, error: &RedisError) -> String {
        let reason = format!("Redis at {}: {error}", self.link.shown());
        state.health = Health::Degraded(reason.clone());
        reason
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new() -> Self {
        Self {
            connection: None,
            number: 0,
            health: Health::Healthy,
            is_broken: false,
            dropped: None,
        }
    }

    fn open(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.number += 1;
        self.health = Health::Healthy;
        self.is_broken = false;
    }
}

/// What is left of `room` once `taken` were handed out.
fn shrink(room: &mut Room, taken: &[Due]) {
    room.rows_max = room.rows_max.saturating_sub(taken.len());
    room.slots_free = room.slots_free.saturating_sub(taken.len());
    for due in taken {
        *room.projects.entry(due.project).or_default() += 1;
        if let Some(trigger) = due.trigger {
            *room.triggers.entry(trigger).or_default() += 1;
        }
    }
}

/// Entries by the shard that they lie in.
fn by_shard(inner: &Inner, entries: Vec<Due>) -> HashMap<usize, Vec<Due>> {
    let mut shards: HashMap<usize, Vec<Due>> = HashMap::new();
    for due in entries {
        shards.entry(inner.shard_of(&due)).or_default().push(due);
    }
    shards
}
