//! A PostgreSQL that restarts, ends connections, answers too late or not at all.

use tests::checker::Trust;
use tests::services::{Postgres, Redis};

use super::Seen;
use crate::book::{now, pass};
use crate::proxy::Proxy;
use crate::workload::Goal;
use crate::world::{Ground, World};

/// How long it is away: longer than results used to be kept, and shorter than a lease.
const AWAY_MS: i64 = 8_000;

/// Restarted in order, then killed and started again. What had been sent and was answered while it
/// was away is recorded when it is back, and not sent again.
pub async fn restarted() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    let load = world.load(30_000).await;
    let goal = Goal::Url(world.shared.target.bad("hold"));
    for turn in 0..3 {
        pass(3_000).await;
        let held = world.shared.target.held();
        world.shared.target.release(false);
        world.shared.timers(&goal, 4, (200, 300)).await;
        world.shared.target.wait_for_more_than(held + 3).await;
        let from = now();
        let postgres = world.postgres.as_mut().expect("it is on PostgreSQL");
        match turn {
            0 | 1 => postgres.stop().await,
            _ => postgres.kill().await,
        }
        world.shared.target.release(true);
        pass(if turn == 1 { AWAY_MS } else { 1_000 }).await;
        postgres.start_again().await;
        world.book().broken(from);
        world.book().struck();
    }
    load.await.expect("the load is acknowledged");
    Ok(world.history(3, Trust::Receiver).await)
}

/// Every connection is ended once a second.
pub async fn terminated() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    let load = world.load(12_000).await;
    let from = now();
    for _ in 0..10 {
        pass(1_000).await;
        world.postgres.as_ref().expect("it is on PostgreSQL").terminate_backends().await;
        world.book().struck();
    }
    world.book().broken(from);
    load.await.expect("the load is acknowledged");
    Ok(world.history(10, Trust::Receiver).await)
}

/// The answer to a COMMIT is lost with its connection: was it done or not?
pub async fn unanswered() -> Seen {
    let (mut world, proxy) = behind_proxy().await;
    let load = world.load(14_000).await;
    let from = now();
    while now() < from + 14_000 {
        proxy.lose_one();
        pass(400).await;
    }
    world.book().broken(from);
    world.book().pages().injected = proxy.done();
    load.await.expect("the load is acknowledged");
    Ok(world.history(10, Trust::Receiver).await)
}

/// One process's transaction stays open for 2 s while the other's commit: no tail misses an entry.
pub async fn held_open() -> Seen {
    let (mut world, proxy) = behind_proxy().await;
    let load = world.load(16_000).await;
    let from = now();
    while now() < from + 16_000 {
        proxy.hold_one(2_000);
        pass(3_000).await;
    }
    world.book().broken(from);
    world.book().pages().injected = proxy.done();
    load.await.expect("the load is acknowledged");
    Ok(world.history(3, Trust::Receiver).await)
}

/// Two processes, the first of which speaks to PostgreSQL through a proxy.
async fn behind_proxy() -> (World, Proxy) {
    let (postgres, redis) = tokio::join!(Postgres::start(), Redis::start());
    let proxy = Proxy::start(postgres.port()).await;
    let ground = Ground { processes: 2, database_port: Some(proxy.port()), ..Ground::default() };
    (World::over(postgres, redis, ground).await, proxy)
}
