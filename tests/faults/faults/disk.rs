//! A disk that is full: a small file system of its own, where this machine lets us mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::checker::Trust;
use tests::services::{Postgres, PostgresOptions, Redis};

use super::{Seen, Stopped};
use crate::book::{now, pass};
use crate::workload::Goal;
use crate::world::{Ground, World};

/// How long nothing can be written: shorter than a lease, so that nothing is sent again.
const FULL_MS: i64 = 8_000;

/// SQLite on a full disk.
pub async fn full_under_sqlite() -> Seen {
    let disk = Disk::mount(48)?;
    let within = Some(disk.path.clone());
    let mut world = World::embedded(Ground { within, ..Ground::default() }).await;
    fill_for_a_while(&mut world, &disk).await;
    struck(&world, &world.nodes[0].log(), "disk is full");
    let history = world.history(1, Trust::Receiver).await;
    drop(world);
    Ok(history)
}

/// PostgreSQL on a full disk.
pub async fn full_under_postgres() -> Seen {
    let disk = Disk::mount(160)?;
    let options = PostgresOptions { within: Some(disk.path.clone()), ..Default::default() };
    let (postgres, redis) = tokio::join!(Postgres::start_with(options), Redis::start());
    let ground = Ground { processes: 2, ..Ground::default() };
    let mut world = World::over(postgres, redis, ground).await;
    fill_for_a_while(&mut world, &disk).await;
    let log = world.postgres.as_ref().map(Postgres::log).unwrap_or_default();
    struck(&world, &log, "No space left on device");
    // PostgreSQL stops when it cannot write its log; a supervisor would start it again.
    let postgres = world.postgres.as_mut().expect("it is on PostgreSQL");
    if postgres.try_psql("postgres", "SELECT 1").await.is_err() {
        let from = now();
        postgres.start_again().await;
        world.book().broken(from);
    }
    let history = world.history(1, Trust::Receiver).await;
    drop(world);
    Ok(history)
}

async fn fill_for_a_while(world: &mut World, disk: &Disk) {
    let load = world.load(4_000).await;
    let goal = Goal::Url(world.shared.target.ok());
    world.shared.timers(&goal, 60, (500, 12_000)).await;
    pass(2_000).await;
    let from = now();
    disk.fill();
    pass(FULL_MS).await;
    disk.free();
    world.book().broken(from);
    // PostgreSQL may have to be started again before clients are heard.
    if world.postgres.is_none() {
        load.await.expect("the load is acknowledged");
    }
}

/// It struck as often as the log complains.
fn struck(world: &World, log: &str, complaint: &str) {
    let complaints = log.lines().filter(|line| line.contains(complaint)).count();
    world.book().pages().injected = complaints;
}

/// A mounted file system; gone with the value.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(mib: u32) -> Result<Self, Stopped> {
        Self::try_mount(mib).map_err(Stopped::NotHere)
    }

    fn try_mount(mib: u32) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("belfry-disk-").tempdir();
        let path = folder.map_err(|error| error.to_string())?.keep();
        let size = format!("size={mib}m,mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        match mount.output() {
            Ok(output) if output.status.success() => Ok(Self { path }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves no room, not even in files that are there already.
    fn fill(&self) {
        let written = write_until_full(&self.ballast());
        assert!(written.is_err(), "the disk was never full");
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("it was written");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn write_until_full(path: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    for _ in 0..1_000_000 {
        file.write_all(&[0; 4_096])?;
    }
    Ok(())
}
