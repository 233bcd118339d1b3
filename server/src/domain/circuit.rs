//! Circuit breakers: a host that fails again and again is left alone for a while, so that it can
//! recover and what waits for its time-outs holds no places that others could use.
//!
//! ```text
//!            FAILURES_MAX in a row                    the pause is over: one probe
//!  CLOSED ───────────────────────────► OPEN ─────────────────────────────────────► HALF OPEN
//!    ▲ ▲     one success forgets all    ▲      the probe fails: twice the pause        │ │
//!    │ └────────────────────────────────│────────────────────────────────────────────┘ │
//!    └── the probe succeeds             └───────────────────────────────────────────────┘
//! ```
//!
//! Pure: it is told the time. One circuit per project and host, so that the failures of one
//! project's paths on a shared host close nothing for another. An attempt that an open circuit
//! refuses counts as one that failed: it would have, and a firing's attempts end as they would.
//! Source: M. Nygard, *Release It!*, "Circuit Breaker".

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use entity::{Instant, ProjectId};

/// Failures in a row that open a circuit: more than a restart of a receiver causes for one that is
/// asked now and then, few enough that a burst does not wait for hundreds of time-outs.
pub const FAILURES_MAX: u32 = 10;
/// The first pause.
pub const PAUSE_MS: i64 = 10_000;
/// The longest one: a host that is back is found within a minute.
pub const PAUSE_MS_MAX: i64 = 60_000;
/// A probe that has no end by now was lost with its firing; another one may go.
pub const PROBE_MS_MAX: i64 = 5 * 60_000;
/// Hosts that are watched at a time, some 200 bytes each. Only those that failed are; past it those
/// whose last failure is oldest are forgotten.
pub const CIRCUITS_MAX: usize = 10_000;

/// The circuits of one process.
#[derive(Debug, Default)]
pub struct Circuits {
    failing: Mutex<HashMap<Host, Circuit>>,
}

/// Whose requests, and where they go: `host` or `host:port`.
type Host = (ProjectId, String);

/// A host that failed last time.
#[derive(Clone, Copy, Debug)]
struct Circuit {
    /// Failures since its last success.
    failures: u32,
    failed_at: Instant,
    pause_ms: i64,
    /// When it may be tried again; `None` while closed.
    open_until: Option<Instant>,
    /// Since when a probe is under way.
    probed_at: Option<Instant>,
}

/// As what a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As any other.
    Usual,
    /// To find out whether the host is well again.
    Probe,
}

/// What an attempt came to, as far as its host is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, though perhaps to refuse.
    Well,
    /// No connection, no answer in time, or a fault of its own.
    Failing,
    /// The attempt ended before anything was known.
    Unknown,
}

/// What a verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The circuit opened, or stays open after a probe.
    Opened {
        /// When the next probe may go.
        until: Instant,
    },
    /// The circuit closed after it had been open.
    Closed,
}

impl Circuits {
    /// Whether a request may go now, and as what; that is handed back with its verdict.
    ///
    /// # Errors
    /// When one may go at the soonest: the circuit is open, or its probe is under way.
    pub fn enter(&self, project: ProjectId, host: &str, now: Instant) -> Result<Pass, Instant> {
        let mut failing = self.lock();
        if failing.is_empty() {
            return Ok(Pass::Usual);
        }
        let Some(circuit) = failing.get_mut(&(project, host.to_owned())) else {
            return Ok(Pass::Usual);
        };
        let Some(until) = circuit.open_until else { return Ok(Pass::Usual) };
        if now < until {
            return Err(until);
        }
        let probe_ends = circuit.probed_at.map(|at| at.plus_ms(PROBE_MS_MAX));
        if let Some(ends) = probe_ends.filter(|ends| now < *ends) {
            return Err(ends.min(now.plus_ms(circuit.pause_ms)));
        }
        circuit.probed_at = Some(now);
        Ok(Pass::Probe)
    }

    /// Takes the verdict of a request that was let in.
    pub fn leave(
        &self,
        project: ProjectId,
        host: &str,
        (pass, verdict): (Pass, Verdict),
        now: Instant,
    ) -> Option<Turn> {
        let mut failing = self.lock();
        if verdict != Verdict::Failing && failing.is_empty() {
            return None;
        }
        let key = (project, host.to_owned());
        match verdict {
            Verdict::Well => {
                let before = failing.remove(&key)?;
                before.open_until.map(|_| Turn::Closed)
            }
            Verdict::Unknown => {
                if pass == Pass::Probe {
                    failing.get_mut(&key)?.probed_at = None;
                }
                None
            }
            Verdict::Failing => {
                if CIRCUITS_MAX <= failing.len() && !failing.contains_key(&key) {
                    forget_oldest(&mut failing);
                }
                failing.entry(key).or_insert_with(|| Circuit::new(now)).fail(pass, now)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Host, Circuit>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn new(now: Instant) -> Self {
        Self { failures: 0, failed_at: now, pause_ms: 0, open_until: None, probed_at: None }
    }

    fn fail(&mut self, pass: Pass, now: Instant) -> Option<Turn> {
        if pass == Pass::Probe {
            self.probed_at = None;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        // A late word of a request that was sent before it opened prolongs nothing.
        let opens = match self.open_until {
            Some(_) => pass == Pass::Probe,
            None => FAILURES_MAX <= self.failures,
        };
        if !opens {
            return None;
        }
        self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MS, PAUSE_MS_MAX);
        let until = now.plus_ms(self.pause_ms);
        self.open_until = Some(until);
        Some(Turn::Opened { until })
    }
}

/// Room for new ones: a tenth at once, so that this is seldom done.
fn forget_oldest(failing: &mut HashMap<Host, Circuit>) {
    let mut failed: Vec<Instant> = failing.values().map(|circuit| circuit.failed_at).collect();
    let (_, limit, _) = failed.select_nth_unstable(CIRCUITS_MAX / 10);
    let limit = *limit;
    failing.retain(|_, circuit| limit < circuit.failed_at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::TypedId as _;
    use uuid::Uuid;

    const HOST: &str = "example.com";

    fn project(number: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(number))
    }

    fn at(ms: i64) -> Instant {
        Instant::from_millis(ms)
    }

    fn leave(circuits: &Circuits, pass: Pass, verdict: Verdict, ms: i64) -> Option<Turn> {
        circuits.leave(project(1), HOST, (pass, verdict), at(ms))
    }

    fn fail(circuits: &Circuits, ms: i64) -> Option<Turn> {
        leave(circuits, Pass::Usual, Verdict::Failing, ms)
    }

    fn fail_probe(circuits: &Circuits, ms: i64) -> Option<Turn> {
        leave(circuits, Pass::Probe, Verdict::Failing, ms)
    }

    fn enter(circuits: &Circuits, ms: i64) -> Result<Pass, Instant> {
        circuits.enter(project(1), HOST, at(ms))
    }

    /// Open since 0, until [`PAUSE_MS`].
    fn open() -> Circuits {
        let circuits = Circuits::default();
        for _ in 1..FAILURES_MAX {
            assert_eq!(fail(&circuits, 0), None);
        }
        assert_eq!(fail(&circuits, 0), Some(Turn::Opened { until: at(PAUSE_MS) }));
        circuits
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_forgets_them() {
        let circuits = Circuits::default();
        for _ in 1..FAILURES_MAX {
            assert_eq!(fail(&circuits, 0), None);
        }
        assert_eq!(leave(&circuits, Pass::Usual, Verdict::Well, 0), None);
        for _ in 1..FAILURES_MAX {
            assert_eq!(fail(&circuits, 0), None);
            assert_eq!(enter(&circuits, 0), Ok(Pass::Usual));
        }
        assert!(fail(&circuits, 0).is_some());
        assert_eq!(enter(&circuits, 0), Err(at(PAUSE_MS)));
    }

    #[test]
    fn others_are_not_concerned() {
        let circuits = open();
        assert_eq!(circuits.enter(project(2), HOST, at(0)), Ok(Pass::Usual));
        assert_eq!(circuits.enter(project(1), "example.com:8443", at(0)), Ok(Pass::Usual));
    }

    #[test]
    fn one_probe_goes_when_the_pause_is_over_and_closes_it() {
        let circuits = open();
        assert_eq!(enter(&circuits, PAUSE_MS - 1), Err(at(PAUSE_MS)));
        assert_eq!(enter(&circuits, PAUSE_MS), Ok(Pass::Probe));
        assert_eq!(enter(&circuits, PAUSE_MS + 1), Err(at(2 * PAUSE_MS + 1)), "one at a time");
        let turn = leave(&circuits, Pass::Probe, Verdict::Well, PAUSE_MS + 2);
        assert_eq!(turn, Some(Turn::Closed));
        assert_eq!(enter(&circuits, PAUSE_MS + 3), Ok(Pass::Usual));
        assert!(circuits.lock().is_empty());
    }

    #[test]
    fn a_probe_that_fails_doubles_the_pause_up_to_its_limit() {
        let circuits = open();
        let mut now = PAUSE_MS;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(enter(&circuits, now), Ok(Pass::Probe));
            let Some(Turn::Opened { until }) = fail_probe(&circuits, now) else {
                panic!("it opens")
            };
            pauses.push((until.millis() - now) / 1_000);
            now = until.millis();
        }
        assert_eq!(pauses, [20, 40, 60, 60, 60, 60]);
    }

    #[test]
    fn a_late_failure_prolongs_nothing_and_a_lost_probe_is_replaced() {
        let circuits = open();
        assert_eq!(fail(&circuits, PAUSE_MS - 1), None);
        assert_eq!(enter(&circuits, PAUSE_MS), Ok(Pass::Probe));
        assert_eq!(fail(&circuits, PAUSE_MS), None, "nor while a probe is under way");
        assert_eq!(leave(&circuits, Pass::Usual, Verdict::Unknown, PAUSE_MS), None);
        assert!(enter(&circuits, PAUSE_MS + PROBE_MS_MAX - 1).is_err());
        assert_eq!(enter(&circuits, PAUSE_MS + PROBE_MS_MAX), Ok(Pass::Probe));
        assert_eq!(leave(&circuits, Pass::Probe, Verdict::Unknown, PAUSE_MS), None);
        assert_eq!(enter(&circuits, PAUSE_MS), Ok(Pass::Probe), "the probe said nothing");
    }

    #[test]
    fn hosts_are_watched_up_to_the_limit() {
        let circuits = open();
        let watch = |number: usize| {
            let host = format!("{number}.example");
            let said = (Pass::Usual, Verdict::Failing);
            circuits.leave(project(1), &host, said, at(1 + number as i64));
        };
        (1..CIRCUITS_MAX).for_each(watch);
        assert!(enter(&circuits, 0).is_err(), "at the limit all are known");
        watch(CIRCUITS_MAX);
        assert_eq!(enter(&circuits, 0), Ok(Pass::Usual), "past it the oldest are forgotten");
        assert!(circuits.lock().len() <= CIRCUITS_MAX);
    }
}
