//! Many at once: workers on one instant, and edits that race firings.

use tests::checker::Trust;

use super::Seen;
use crate::book::{now, pass};
use crate::workload::{Goal, every};
use crate::world::{Ground, World};

/// Eight processes and 500 timers that end at the same millisecond, three times.
pub async fn at_one_instant() -> Seen {
    let mut world = World::scaled(Ground { processes: 8, ..Ground::default() }).await;
    let goal = Goal::Url(world.shared.target.ok());
    for _ in 0..3 {
        world.shared.timers(&goal, 500, (4_000, 4_000)).await;
        world.book().struck();
        pass(6_000).await;
    }
    Ok(world.history(3, Trust::Receiver).await)
}

/// Plans are given up within 50 ms of their instants, before and after.
pub async fn edited(mut world: World, edits: usize) -> Seen {
    let url = world.shared.target.ok();
    let schedules = world.shared.schedules(&url, 4, "ALLOW").await;
    let started = now();
    let turns = (0..edits).map(|turn| {
        let (shared, schedules) = (world.shared.clone(), schedules.clone());
        async move {
            let schedule = &schedules[turn % schedules.len()];
            // A second for each turn of all schedules; the offset goes from -50 to +50 ms.
            let second =
                started / 1_000 + 3 + i64::try_from(turn / schedules.len()).unwrap_or(0) * 2;
            let offset_ms = i64::try_from(turn * 37 % 101).unwrap_or(0) - 50;
            let instant = second * 1_000;
            pass(instant + offset_ms - now()).await;
            shared.edit(schedule, every(1_000, instant - 10_000 + offset_ms)).await;
            shared.book.struck();
        }
    });
    futures_util::future::join_all(turns).await;
    pass(2_000).await;
    Ok(world.history(edits, Trust::Receiver).await)
}

/// On one process.
pub async fn edited_alone() -> Seen {
    edited(World::embedded(Ground::default()).await, 40).await
}

/// On three.
pub async fn edited_among_others() -> Seen {
    let ground = Ground { processes: 3, ..Ground::default() };
    edited(World::scaled(ground).await, 40).await
}
