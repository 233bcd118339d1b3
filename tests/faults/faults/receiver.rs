//! Receivers that hang, drip, reset, or answer 10 GB, beside one that is well.

use tests::checker::Trust;

use super::{Seen, Stopped};
use crate::workload::Goal;
use crate::world::{Ground, World};

/// What a process may hold while receivers flood it: far less than one answer.
const MEMORY_MIB_MAX: i64 = 400;

/// All of them at once; what goes to the good one is not held up.
pub async fn bad() -> Seen {
    let mut world = World::embedded(Ground::default()).await;
    let load = world.load(12_000).await;
    for way in ["hang", "drip", "reset", "huge", "flaky"] {
        let url = world.shared.target.bad(way);
        let trigger = world.shared.trigger(&url, 2, "PT2S").await;
        world.shared.timers(&Goal::Trigger(trigger), 6, (200, 3_000)).await;
        world.book().struck();
    }
    load.await.expect("the load is acknowledged");
    let memory_mib = world.nodes[0].memory_mib();
    let history = world.history(5, Trust::Receiver).await;
    if MEMORY_MIB_MAX < memory_mib {
        return Err(Stopped::Broken(format!("the process holds {memory_mib} MiB")));
    }
    Ok(history)
}
