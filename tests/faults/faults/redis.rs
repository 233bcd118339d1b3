//! A Redis that forgets, freezes, or is gone.

use tests::checker::Trust;

use super::Seen;
use crate::book::{now, pass};
use crate::world::{Ground, World};

/// Lateness without Redis: the poll of SQL (5 s when nothing is said) and 5 s.
const DEGRADED_MS: i64 = 10_000;

/// FLUSHALL every 100 ms while firings become due.
pub async fn flushed() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    let load = world.load(10_000).await;
    let from = now();
    while now() < from + 10_000 {
        world.redis.as_ref().expect("it has one").flush_all().await;
        world.book().struck();
        pass(100).await;
    }
    world.book().degraded(from, DEGRADED_MS);
    load.await.expect("the load is acknowledged");
    Ok(world.history(20, Trust::Receiver).await)
}

/// Killed and started again empty; frozen, so that connections hang; then gone for good.
pub async fn broken() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    let load = world.load(40_000).await;
    pass(3_000).await;
    let redis = world.redis.as_mut().expect("it has one");
    let from = now();
    redis.kill().await;
    pass(6_000).await;
    redis.start_again().await;
    world.shared.book.degraded(from, DEGRADED_MS);
    world.shared.book.struck();
    pass(3_000).await;
    let from = now();
    redis.pause();
    pass(10_000).await;
    redis.resume();
    world.shared.book.degraded(from, DEGRADED_MS);
    world.shared.book.struck();
    pass(3_000).await;
    let from = now();
    redis.kill().await;
    world.shared.book.struck();
    load.await.expect("the load is acknowledged");
    world.book().degraded(from, DEGRADED_MS);
    Ok(world.history(3, Trust::Receiver).await)
}
