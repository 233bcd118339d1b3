//! The tasks that watch Redis: whether it is well, and what other processes say.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::{RedisError, RedisResult};
use tokio::time::timeout;

use super::{Inner, Open};

/// Pace of looking at Redis, and of trying to reach it again.
const PACE: Duration = Duration::from_secs(1);

/// Codes of a server that is not to be used now, while its keys may be as they should.
const NOT_NOW: [&str; 14] = [
    "LOADING",
    "OOM",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "READONLY",
    "BUSY",
    "MASTERDOWN",
    "MISCONF",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOREPLICAS",
];

/// Whether the error came from what lies in the keys: something else than the scripts wrote.
pub(super) fn is_broken(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    !error.is_io_error() && !code.is_empty() && !NOT_NOW.contains(&code)
}

/// Looks each second: a queue that lost its cover says so, one that is degraded tries again.
pub(super) async fn run(inner: Arc<Inner>) {
    loop {
        let was_open = inner.open();
        match was_open {
            Some(open) => {
                let looked = look(&inner, &open).await;
                inner.noted(&open, looked);
                let _ = timeout(PACE, inner.failed.notified()).await;
            }
            None => {
                if let Err(error) = heal(&inner).await {
                    inner.degrade(&mut inner.lock(), &error);
                }
                // Not sooner: what fails again at once must not keep two processors busy.
                let _ = timeout(PACE, pending::<()>()).await;
            }
        }
    }
}

/// Hears what other processes pushed, so that an executor does not sleep past it.
pub(super) async fn listen(inner: Arc<Inner>) {
    loop {
        if let Ok(listener) = inner.link.subscribe(&inner.channel).await {
            inner.changed.notify_one();
            let mut words = listener.into_on_message();
            while let Some(word) = words.next().await {
                hear(&inner, word.get_payload_bytes());
            }
        }
        let _ = timeout(PACE, pending::<()>()).await;
    }
}

async fn look(inner: &Inner, open: &Open) -> RedisResult<()> {
    for shard in &inner.shards {
        if !inner.scripts.has_cover(&mut open.connection.clone(), shard).await? {
            inner.lost.notify_one();
        }
    }
    Ok(())
}

async fn heal(inner: &Inner) -> RedisResult<()> {
    let mut connection = inner.link.connect().await?;
    let is_broken = inner.lock().is_broken;
    for shard in &inner.shards {
        if is_broken {
            inner.scripts.wipe(&mut connection, shard).await?;
        }
        inner.scripts.heal(&mut connection, shard).await?;
    }
    // From here on pushes go to Redis again. Those before went to this process alone: they are
    // committed, so that the sweep which the missing cover causes reads them.
    let open = {
        let mut state = inner.lock();
        state.open(connection.clone());
        Open { connection, number: state.number }
    };
    for shard in &inner.shards {
        let healed = inner.scripts.heal(&mut open.connection.clone(), shard).await;
        if inner.noted(&open, healed).is_none() {
            return Ok(());
        }
    }
    tracing::info!("the due queue is in Redis again");
    inner.fallback.clear();
    inner.lost.notify_one();
    inner.changed.notify_one();
    Ok(())
}

/// A word is `<earliest due> <who>`; anything else is ignored.
fn hear(inner: &Inner, word: &[u8]) {
    let Some((due, origin)) = std::str::from_utf8(word).ok().and_then(|word| word.split_once(' '))
    else {
        return;
    };
    let is_own = u64::from_str_radix(origin, 16) == Ok(inner.origin);
    let Ok(due) = due.parse::<i64>() else { return };
    if !is_own && due < inner.next_at.load(Ordering::SeqCst) {
        inner.changed.notify_one();
    }
}
