//! The task that writes to Redis what the process pushed and settled, many at a time.
//!
//! Nobody waits for it but [`Queue::flush`](crate::queue::Queue::flush). What it cannot write is
//! not kept: the queue becomes degraded, and the sweeper reads it from SQL.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use entity::Instant;
use redis::RedisResult;
use tokio::sync::mpsc;

use super::{Inner, Open, by_shard};
use crate::domain::outbox::Due;
use crate::limits::{QUEUE_SCRIPT_ROWS_MAX, SWEEP_MS};

/// Batches that are written together.
const BATCHES_MAX: usize = 256;

/// What is to be written.
#[derive(Debug)]
pub(super) enum Write {
    /// Entries to add.
    Push(Vec<Due>),
    /// Entries to forget.
    Settle(Vec<Due>),
}

/// Writes until every sender is gone.
pub(super) async fn run(inner: Arc<Inner>, mut writes: mpsc::Receiver<Write>) {
    let mut batches = Vec::with_capacity(BATCHES_MAX);
    loop {
        let count = writes.recv_many(&mut batches, BATCHES_MAX).await as u64;
        if count == 0 {
            return;
        }
        let (mut pushed, mut settled) = (Vec::new(), Vec::new());
        for batch in batches.drain(..) {
            match batch {
                Write::Push(mut entries) => pushed.append(&mut entries),
                Write::Settle(mut entries) => settled.append(&mut entries),
            }
        }
        if let Some(open) = inner.open() {
            let done = write(&inner, &open, pushed, settled).await;
            inner.noted(&open, done);
        }
        inner.written.send_modify(|written| *written += count);
    }
}

async fn write(inner: &Inner, open: &Open, pushed: Vec<Due>, settled: Vec<Due>) -> RedisResult<()> {
    let dropped = inner.lock().dropped.take();
    if let Some(first) = dropped {
        inner.lower(open, first.plus_ms(-1)).await?;
        inner.lost.notify_one();
    }
    let connection = &mut open.connection.clone();
    for (shard, entries) in by_shard(inner, settled) {
        for some in entries.chunks(QUEUE_SCRIPT_ROWS_MAX) {
            inner.scripts.settle(connection, &inner.shards[shard], some).await?;
        }
    }
    let Some(first) = pushed.iter().map(|due| due.due_at).min() else { return Ok(()) };
    let bounds = (inner.clock.now(), inner.entries_max.div_ceil(inner.shards.len()));
    for (shard, entries) in by_shard(inner, pushed) {
        for some in entries.chunks(QUEUE_SCRIPT_ROWS_MAX) {
            let name = &inner.shards[shard];
            if !inner.scripts.push(connection, name, some, bounds).await? {
                inner.lost.notify_one();
            }
        }
    }
    wake(inner, open, first).await
}

/// Tells whoever would sleep past `first`: this process, and the others.
async fn wake(inner: &Inner, open: &Open, first: Instant) -> RedisResult<()> {
    if first.millis() < inner.next_at.load(Ordering::SeqCst) {
        inner.changed.notify_one();
    }
    // What is due later an executor finds by itself: it never sleeps longer.
    if inner.clock.now().plus_ms(SWEEP_MS) < first {
        return Ok(());
    }
    let word = format!("{} {:x}", first.millis(), inner.origin);
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(&inner.channel).arg(word).query_async(&mut open.connection.clone()).await
}
