//! Decides whether a run kept its promises, from what was seen from outside: a pure function over
//! a [`History`].
//!
//! ```text
//!  operations (asked, acknowledged) ─┐
//!  what the receiver got             ├─► judge ─► PASS │ FAIL with every violation │ UNKNOWN
//!  the API's dump, the tails         │
//!  facts of the run (deaths, faults) ┘
//! ```
//! What a schedule should have done is enumerated from its specs by `belfry::domain`; nothing of
//! the engine or the store is asked. What was asked but never acknowledged may have happened or
//! not, once. A run in which nothing happened, or in which its fault never struck, is UNKNOWN.
//!
//! Called by the fault suite (`tests/faults`); its own tests are in `tests/it/checker.rs`.

mod delivery;
mod history;
mod log;
mod record;

pub use history::{
    Attempt, Bounds, Cancel, Death, Delivery, Facts, Firing, History, LogEntry, PlanVersion, Range,
    Running, Schedule, Tail, Timer, Trust, Window,
};

/// What the checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as promised.
    Pass(Figures),
    /// Something was not: all of it.
    Fail(Figures, Vec<Violation>),
    /// Too little happened to judge, and why.
    Unknown(String),
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

/// The promises, as they can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Acknowledged or planned, and neither recorded nor in a skipped range.
    Lost,
    /// Recorded more than once.
    Doubled,
    /// Recorded, and nobody asked for it.
    Unplanned,
    /// Recorded, and never brought to an end.
    Unfinished,
    /// A skipped range that does not say what it left out.
    WrongRange,
    /// COMPLETED, and the receiver saw nothing.
    Undelivered,
    /// Sent, claimed or tried again before its time.
    Early,
    /// Sent after the bound, though no fault excuses it.
    Late,
    /// Sent again, though it was recorded and nobody died in between.
    Resent,
    /// Another `webhook-id` or another body than before.
    Changed,
    /// Of a plan, or of a timer, that had been given up when it was claimed.
    Fence,
    /// An entry of the log that a tail did not see, or that the log lacks.
    Missed,
    /// An entry that a tail saw twice, or out of order.
    Disordered,
}

/// What a run came to, for the fault table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often the fault struck.
    pub injected: usize,
    /// Firings that were recorded.
    pub firings: usize,
    /// Instants in skipped ranges.
    pub skipped: usize,
    /// Deliveries that the receiver got.
    pub deliveries: usize,
    /// Neither recorded nor skipped.
    pub lost: usize,
    /// Recorded more than once.
    pub doubled: usize,
    /// Before their time.
    pub early: usize,
    /// Delivered again after a death, as is allowed.
    pub resent: usize,
    /// The longest time from the end of a fault to the first delivery of what it held up.
    pub recovery_ms: i64,
    /// The most that a first delivery was late outside faults.
    pub lateness_ms: i64,
}

/// Fewest deliveries that say anything.
const DELIVERIES_MIN: usize = 3;

/// Decides.
#[must_use]
pub fn judge(history: &History) -> Verdict {
    if let Some(why) = is_too_little(history) {
        return Verdict::Unknown(why);
    }
    let mut found = Found::default();
    record::judge(history, &mut found);
    delivery::judge(history, &mut found);
    log::judge(history, &mut found);
    let count = |rule| found.violations.iter().filter(|seen| seen.rule == rule).count();
    let figures = Figures {
        injected: history.facts.injected,
        firings: history.firings.iter().filter(|row| row.range.is_none()).count(),
        deliveries: history.deliveries.len(),
        lost: count(Rule::Lost),
        doubled: count(Rule::Doubled),
        early: count(Rule::Early),
        ..found.figures
    };
    if found.violations.is_empty() {
        return Verdict::Pass(figures);
    }
    Verdict::Fail(figures, found.violations)
}

fn is_too_little(history: &History) -> Option<String> {
    let timers = history.timers.iter().filter(|timer| timer.acked_at.is_some()).count();
    let asked = |schedule: &&Schedule| schedule.versions.iter().any(|it| it.acked_at.is_some());
    if timers + history.schedules.iter().filter(asked).count() == 0 {
        return Some("nothing was acknowledged".to_owned());
    }
    if history.deliveries.len() < DELIVERIES_MIN {
        return Some(format!("the receiver got {} deliveries", history.deliveries.len()));
    }
    if history.facts.injected < history.facts.injected_min {
        let (injected, least) = (history.facts.injected, history.facts.injected_min);
        return Some(format!("the fault struck {injected} times, not {least}"));
    }
    None
}

/// What the rules come to.
#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
    figures: Figures,
}

impl Found {
    fn broken(&mut self, rule: Rule, what: impl Into<String>) {
        self.violations.push(Violation { rule, what: what.into() });
    }
}
