//! Clocks that are moved, with libfaketime: the process reads its offset from a file at each look.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tests::checker::Trust;

use super::{Seen, Stopped};
use crate::book::{now, pass};
use crate::node::Plan;
use crate::workload::Goal;
use crate::world::{Ground, World};

/// By how many seconds the clock is wrong: an hour behind, right again, an hour ahead. It ends
/// ahead, so that everything becomes due that was asked for on the way.
const OFFSETS: [i64; 4] = [-3_600, 0, -1_800, 3_600];

/// What of a process's time is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// The time of day, as when an operator sets it.
    Wall,
    /// The monotonic clock as well, as when a machine was suspended or restored.
    Both,
}

/// One process on SQLite whose wall clock is moved, which is the clock that it promises by.
pub async fn moved_alone() -> Seen {
    alone(Moved::Wall).await
}

/// The same with the monotonic clock.
pub async fn moved_wholly() -> Seen {
    alone(Moved::Both).await
}

async fn alone(moved: Moved) -> Seen {
    let folder = tempfile::TempDir::new().expect("a folder");
    let offset = folder.path().join("offset");
    let plan = Plan { variables: variables(&offset, moved)?, ..Plan::default() };
    let mut world = World::embedded(Ground { plan, ..Ground::default() }).await;
    let goal = Goal::Url(world.shared.target.ok());
    for secs in OFFSETS {
        world.shared.timers(&goal, 20, (300, 3_000)).await;
        pass(1_000).await;
        let from = now();
        set(&offset, secs);
        world.shared.ahead_ms.store(secs * 1_000, Ordering::Relaxed);
        world.book().struck();
        // By a clock that leaps ahead the leases of what is under way have ended.
        world.book().died(from);
        world.shared.timers(&goal, 20, (300, 3_000)).await;
        pass(3_000).await;
    }
    Ok(world.history(OFFSETS.len(), Trust::Server).await)
}

/// Two processes on PostgreSQL, one of which has its own idea of the time of day: the database's
/// clock decides, so that nothing comes early and nothing late.
pub async fn moved_among_others() -> Seen {
    let folder = tempfile::TempDir::new().expect("a folder");
    let offset = folder.path().join("offset");
    let mut world = World::scaled(Ground { processes: 1, ..Ground::default() }).await;
    world.join(Plan { variables: variables(&offset, Moved::Wall)?, ..Plan::default() }).await;
    let load = world.load(20_000).await;
    for secs in OFFSETS {
        pass(2_500).await;
        set(&offset, secs);
        world.book().struck();
        pass(2_000).await;
    }
    load.await.expect("the load is acknowledged");
    Ok(world.history(OFFSETS.len(), Trust::Receiver).await)
}

fn set(offset: &Path, secs: i64) {
    // In one step: a half-written offset would be one that nobody chose.
    let next = offset.with_extension("next");
    std::fs::write(&next, format!("{secs:+}")).expect("our own folder");
    std::fs::rename(&next, offset).expect("our own folder");
}

fn variables(offset: &Path, moved: Moved) -> Result<Vec<(String, String)>, Stopped> {
    let missing = || Stopped::NotHere("libfaketime is missing".to_owned());
    let library = library().ok_or_else(missing)?;
    set(offset, 0);
    let wall_only = if moved == Moved::Wall { "1" } else { "0" };
    let pairs = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", wall_only.to_owned()),
    ];
    Ok(pairs.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|library| library.is_file())
}
