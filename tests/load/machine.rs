//! What the machine did meanwhile, from `/proc`: the processor time of the harness with all that it
//! started (servers, PostgreSQL, Redis), and of everybody else. On a machine that others use too,
//! processor time per firing is a steadier figure than firings per second.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;

use belfry::clock::{Clock as _, SystemClock};

/// Ticks of `/proc` in a second: what Linux shows on every architecture.
const TICKS_PER_SEC: f64 = 100.0;

/// Processor time until now.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    ours: f64,
    everybody: f64,
}

/// Processor time between two instants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Seconds that the harness and what it started used.
    pub ours_secs: f64,
    /// Seconds that everything else used.
    pub others_secs: f64,
}

impl Used {
    /// Seconds that everybody used; never 0.
    pub fn total_secs(self) -> f64 {
        (self.ours_secs + self.others_secs).max(0.01)
    }
}

impl Usage {
    /// Until now.
    pub fn now() -> Self {
        Self { ours: family_ticks(), everybody: busy_ticks() }
    }

    /// Since then.
    pub fn until_now(self) -> Used {
        let now = Self::now();
        let ours = (now.ours - self.ours).max(0.0);
        let others = (now.everybody - self.everybody - ours).max(0.0);
        Used { ours_secs: ours / TICKS_PER_SEC, others_secs: others / TICKS_PER_SEC }
    }
}

/// One line about the machine: its cores, how busy it is, and how long its disk takes to keep
/// what a commit writes, which no commit can beat.
pub fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let sync = match sync_ms() {
        Ok((p50, p99)) => format!("{p50:.1} ms p50, {p99:.1} ms p99"),
        Err(error) => error.to_string(),
    };
    format!("{cores} cores, load average {load}, fdatasync of 64 KiB {sync}")
}

/// How long `fdatasync` takes where temporary files lie: the median, and all but the worst.
fn sync_ms() -> std::io::Result<(f64, f64)> {
    const TIMES: usize = 100;
    let mut file = tempfile::tempfile()?;
    let clock = SystemClock::new();
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        file.write_all(&[0; 64 * 1_024])?;
        let begun = clock.mono();
        file.sync_data()?;
        took.push((clock.mono() - begun).as_secs_f64() * 1_000.0);
    }
    took.sort_by(f64::total_cmp);
    Ok((took[TIMES / 2], took[TIMES - 2]))
}

/// MiB that a process holds now, and held at most.
pub fn memory_mib(process: u32) -> (i64, i64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<i64>().ok()).unwrap_or(0) / 1_024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Ticks of this process and of all that descend from it, the dead ones included.
fn family_ticks() -> f64 {
    let mut parents = HashMap::new();
    let mut ticks = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold blanks and brackets; what follows the last bracket does not.
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<f64> =
            rest.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // From the parent on: see proc(5), fields 4 and 14 to 17.
        let (Some(parent), Some(times)) = (fields.first(), fields.get(10..14)) else { continue };
        parents.insert(process, *parent as u32);
        ticks.insert(process, times.iter().sum::<f64>());
    }
    let own = std::process::id();
    let is_ours = |process: u32| {
        std::iter::successors(Some(process), |id| parents.get(id).copied()).any(|id| id == own)
    };
    ticks.iter().filter(|(process, _)| is_ours(**process)).map(|(_, ticks)| ticks).sum()
}

/// Ticks that any process had on any core.
fn busy_ticks() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq …
    fields.iter().take(7).enumerate().filter(|(at, _)| !(3..=4).contains(at)).map(|(_, t)| t).sum()
}
