//! Processes that die or stand still.

use tests::checker::Trust;

use super::Seen;
use crate::book::{now, pass};
use crate::workload::Goal;
use crate::world::{Ground, World};

/// Three leases (`LEASE_MS` is 15 s).
const THREE_LEASES_MS: i64 = 45_000;

/// kill -9, three times, at moments that nobody chose.
pub async fn killed_at_random() -> Seen {
    let mut world = World::embedded(Ground::default()).await;
    let load = world.load(20_000).await;
    for pause_ms in [2_713, 3_391, 4_177] {
        pass(pause_ms + now() % 500).await;
        world.shared.cancel_last().await;
        world.kill(0, 300).await;
    }
    load.await.expect("the load is acknowledged");
    Ok(world.history(3, Trust::Receiver).await)
}

/// The same among three processes, one after the other.
pub async fn killed_at_random_among_others() -> Seen {
    let mut world = World::scaled(Ground { processes: 3, ..Ground::default() }).await;
    let load = world.load(25_000).await;
    for place in [0, 1, 2, 0] {
        pass(2_500 + now() % 1_000).await;
        world.kill(place, 500).await;
    }
    load.await.expect("the load is acknowledged");
    Ok(world.history(4, Trust::Receiver).await)
}

/// The receiver holds its answer and gives the signal; then the process is killed.
pub async fn killed_between_send_and_record() -> Seen {
    let mut world = World::embedded(Ground::default()).await;
    killed_while_held(&mut world, 3).await;
    Ok(world.history(3, Trust::Receiver).await)
}

/// The same among two processes: the other one takes over when the lease ends.
pub async fn killed_between_send_and_record_among_others() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    killed_while_held(&mut world, 1).await;
    Ok(world.history(1, Trust::Receiver).await)
}

async fn killed_while_held(world: &mut World, times: usize) {
    let load = world.load(6_000).await;
    let goal = Goal::Url(world.shared.target.bad("hold"));
    for _ in 0..times {
        let before = world.shared.target.held();
        world.shared.target.release(false);
        world.shared.timers(&goal, 3, (200, 300)).await;
        world.shared.target.wait_for_more_than(before + 2).await;
        // Whoever sent: all of them die between send and record.
        let from = now();
        for node in &mut world.nodes {
            node.kill().await;
        }
        world.book().died(from);
        world.book().struck();
        world.shared.target.release(true);
        for node in &mut world.nodes {
            node.start_again().await;
        }
        world.book().broken(from);
    }
    load.await.expect("the load is acknowledged");
}

/// A process stands still for three leases in the middle of sending, and then goes on.
pub async fn stopped_alone() -> Seen {
    let mut world = World::embedded(Ground::default()).await;
    stopped_while_held(&mut world).await;
    Ok(world.history(1, Trust::Receiver).await)
}

/// The same beside another process, which takes over: the stale result is refused.
pub async fn stopped_beside_another() -> Seen {
    let mut world = World::scaled(Ground { processes: 2, ..Ground::default() }).await;
    stopped_while_held(&mut world).await;
    Ok(world.history(1, Trust::Receiver).await)
}

async fn stopped_while_held(world: &mut World) {
    let load = world.load(6_000).await;
    let goal = Goal::Url(world.shared.target.bad("hold"));
    world.shared.timers(&goal, 6, (200, 300)).await;
    world.shared.target.wait_for_more_than(5).await;
    let stopped = world.stop(0, THREE_LEASES_MS);
    stopped.await;
    // The answers to what it sent before it stood still: results of an epoch that is over.
    world.shared.target.release(true);
    load.await.expect("the load is acknowledged");
}
