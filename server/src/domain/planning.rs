//! The planner's one decision: what to do about a schedule now. Pure; `engine/planner.rs` asks it,
//! `store/plan.rs` does it, and the simulation does it in its head.
//!
//! ```text
//!        planned_until            now                       now + horizon
//!  ───────────┼───────────────────┼─────────────────────────────┼────────►
//!             │ missed, or late   │ planned ahead, PLANNED_AHEAD_MAX at most
//! ```
//! An instant that was not taken within the grace (60 s) of its time is *missed*: the system was
//! down or out of breath. Rows that were planned before the outage count as well as instants that
//! never became rows. What becomes of them is the policy's word: SKIP, the LAST of all that is
//! due by now, or ALL within the window; the others fold into one SKIPPED range. While a schedule is
//! paused its instants fold likewise.
//!
//! An instant's time is that of its jitter: it is missed once the last moment that jitter allows
//! lies a grace back. Where the number of firings is bounded, those that fold do not count.

use entity::Instant;

use super::policy::CatchUp;
use super::timetable::{Found, Timetable, Work};
use crate::limits::{
    CATCH_UP_GRACE_MS, CATCH_UP_ROWS_MAX, FOLD_INSTANTS_MAX, PAUSED_FOLD_MS, PLAN_HORIZON_MS,
    PLAN_WORK_MAX, PLANNED_AHEAD_MAX,
};

mod reason;
mod recorded;

pub use reason::Reason;
pub use recorded::Recorded;

/// What is known of a schedule before the step.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Every instant up to here is planned, folded or fired.
    pub planned_until: Instant,
    /// Planned and unclaimed instants at or before now, oldest first.
    pub waiting: Vec<Planned>,
    /// Planned instants after now.
    pub ahead: usize,
    /// What lies after `planned_until` and has a record all the same: an edit put the cursor back
    /// behind a firing that a person had cancelled, or the clock was set back. It stays as it is.
    pub recorded: Recorded,
    /// How many more instants may become firings; any number when not set.
    pub left: Option<usize>,
    /// Whether a person paused it.
    pub is_paused: bool,
}

/// A planned instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The instant that it stands for.
    pub nominal_at: Instant,
    /// From when on it may be claimed: later than the instant by its jitter, or when it was caught
    /// up.
    pub due_at: Instant,
}

/// Consecutive instants that do not fire, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The first.
    pub from: Instant,
    /// The last.
    pub until: Instant,
    /// How many.
    pub count: i64,
    /// Why.
    pub reason: Reason,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Instants that become firings, in order.
    pub plan: Vec<Planned>,
    /// Instants that become part of SKIPPED ranges, in order.
    pub skipped: Vec<Instant>,
    /// Why.
    pub reason: Reason,
    /// Those of `skipped` that waited as rows, which are removed.
    pub folded: Vec<Instant>,
    /// Instants that wait as rows since long ago, and are due from now on.
    pub revived: Vec<Instant>,
    /// The new cursor; never before the old one.
    pub planned_until: Instant,
    /// The first instant that is not yet planned.
    pub next_at: Option<Instant>,
    /// When to look again; `None` when nothing will follow.
    pub plan_at: Option<Instant>,
    /// What it cost, in comparisons.
    pub work: u64,
}

impl Step {
    /// Nothing but a cursor.
    fn at(planned_until: Instant) -> Self {
        Self {
            plan: Vec::new(),
            skipped: Vec::new(),
            reason: Reason::CatchUp,
            folded: Vec::new(),
            revived: Vec::new(),
            planned_until,
            next_at: None,
            plan_at: None,
            work: 0,
        }
    }
}

/// Decides for one schedule.
#[must_use]
pub fn step(table: &Timetable, cursor: &Cursor, now: Instant) -> Step {
    if cursor.is_paused {
        return step_paused(table, cursor, now);
    }
    let mut work = Work::new(PLAN_WORK_MAX);
    let fires_from = match table.policy().catch_up {
        CatchUp::All => now.plus_ms(-table.policy().catch_up_window_ms),
        CatchUp::Skip | CatchUp::Last => Instant::MAX,
    };
    let due = due_instants(table, cursor, fires_from, &mut work, now);
    let mut step = Step::at(cursor.planned_until.max(due.until));
    let mut left = cursor.left;
    settle_due(table, cursor, &due, &mut left, &mut step, now);
    if due.is_cut && left != Some(0) {
        step.next_at = table.walk(step.planned_until, &mut work).next();
        // With a full house there is nothing to do but to wait for room.
        let is_full = due.instants.is_empty() && !work.is_spent();
        step.plan_at = Some(if is_full { now.plus_ms(1_000) } else { now });
    } else {
        plan_ahead(table, &mut step, cursor, left, &mut work, now);
    }
    step.work = work.done();
    step
}

/// Decides that nothing of what is due and unclaimed fires, whatever the policy would catch up: the
/// plan is about to be replaced, for `reason`.
#[must_use]
pub fn give_up(table: &Timetable, cursor: &Cursor, reason: Reason, now: Instant) -> Step {
    let mut work = Work::new(PLAN_WORK_MAX);
    let due = due_instants(table, cursor, Instant::MAX, &mut work, now);
    let folded: Vec<Instant> = cursor.waiting.iter().map(|planned| planned.nominal_at).collect();
    let mut skipped = folded.clone();
    skipped.extend(due.instants);
    skipped.sort_unstable();
    Step {
        skipped,
        reason,
        folded,
        plan_at: Some(now),
        work: work.done(),
        ..Step::at(cursor.planned_until.max(due.until))
    }
}

/// What was due before this and is unclaimed `now` was missed. The claim leaves it to the planner.
#[must_use]
pub fn missed_before(now: Instant) -> Instant {
    now.plus_ms(-CATCH_UP_GRACE_MS)
}

/// Ranges of `skipped`, oldest first, none of which encloses one of `others`.
#[must_use]
pub fn ranges(skipped: &[Instant], others: &[Instant], reason: Reason) -> Vec<Skip> {
    let mut others = others.to_vec();
    others.sort_unstable();
    let group = |at: &Instant| others.partition_point(|other| other < at);
    let runs = skipped.chunk_by(|one, next| group(one) == group(next));
    runs.filter_map(|run| range(run, reason)).collect()
}

fn step_paused(table: &Timetable, cursor: &Cursor, now: Instant) -> Step {
    let planned_until = cursor.planned_until;
    if cursor.left == Some(0) {
        return Step::at(planned_until);
    }
    let mut work = Work::new(PLAN_WORK_MAX);
    let due = due_instants(table, cursor, Instant::MAX, &mut work, now);
    let planned_until = planned_until.max(due.until);
    let found = table.search(planned_until, &mut work);
    let (next_at, look_at) = match found {
        Found::At(next) => (Some(next), Some(next)),
        Found::Never => (None, None),
        Found::NotUpTo(searched) => (None, Some(searched)),
    };
    let pace = now.plus_ms(PAUSED_FOLD_MS);
    Step {
        skipped: due.instants,
        reason: Reason::Paused,
        next_at,
        plan_at: if due.is_cut { Some(now) } else { look_at.map(|look| look.max(pace)) },
        work: work.done(),
        ..Step::at(planned_until)
    }
}

struct DueInstants {
    instants: Vec<Instant>,
    until: Instant,
    is_cut: bool,
}

/// The unplanned instants up to now, as many as one step may fold, or make firings of those from
/// `fires_from` on.
fn due_instants(
    table: &Timetable,
    cursor: &Cursor,
    fires_from: Instant,
    work: &mut Work,
    now: Instant,
) -> DueInstants {
    let mut instants = Vec::new();
    // What waits to be caught up goes first.
    let mut firing = if fires_from == Instant::MAX { 0 } else { cursor.waiting.len() };
    let mut last = cursor.planned_until;
    loop {
        let next = match table.search(last, work) {
            Found::At(next) if next <= now => next,
            Found::NotUpTo(searched) => {
                let until = last.max(searched);
                return DueInstants { instants, until, is_cut: until < now };
            }
            Found::At(_) | Found::Never => break,
        };
        if instants.len() == FOLD_INSTANTS_MAX || CATCH_UP_ROWS_MAX <= firing {
            return DueInstants { instants, until: last, is_cut: true };
        }
        if !cursor.recorded.covers(next) {
            instants.push(next);
            firing += usize::from(fires_from <= next);
        }
        last = next;
    }
    DueInstants { instants, until: now, is_cut: false }
}

/// Decides about everything whose instant has come, whether it waits as a row or not.
fn settle_due(
    table: &Timetable,
    cursor: &Cursor,
    due: &DueInstants,
    left: &mut Option<usize>,
    step: &mut Step,
    now: Instant,
) {
    let waits = cursor.waiting.iter().map(|planned| (*planned, true));
    let comes = due.instants.iter().map(|instant| {
        let planned = Planned { nominal_at: *instant, due_at: table.due_at(*instant) };
        (planned, false)
    });
    let mut all: Vec<(Planned, bool)> = waits.chain(comes).collect();
    all.sort_by_key(|(planned, _)| planned.nominal_at);
    let fires = fires(table, &all, due.is_cut, now);
    let folded = all.iter().zip(&fires).filter(|((_, waits), fires)| *waits && !**fires).count();
    *left = left.map(|left| left + folded);
    for ((planned, waits), fires) in all.into_iter().zip(fires) {
        let is_late = planned.due_at < missed_before(now);
        match (waits, fires) {
            (true, true) if is_late => step.revived.push(planned.nominal_at),
            (true, true) => {}
            (false, true) if *left == Some(0) => {
                step.planned_until = step.planned_until.min(planned.nominal_at.plus_ms(-1));
                break;
            }
            (false, true) => {
                *left = left.map(|left| left - 1);
                let due_at = if is_late { now } else { planned.due_at };
                step.plan.push(Planned { due_at, ..planned });
            }
            (_, false) => {
                if waits {
                    step.folded.push(planned.nominal_at);
                }
                step.skipped.push(planned.nominal_at);
            }
        }
    }
}

/// Which of `all`, oldest first, fire: each, unless some were missed.
fn fires(table: &Timetable, all: &[(Planned, bool)], more_follow: bool, now: Instant) -> Vec<bool> {
    let policy = table.policy();
    let is_missed = |planned: &Planned| {
        let latest = planned.nominal_at.plus_ms(policy.jitter_ms).max(planned.due_at);
        latest < missed_before(now)
    };
    if !all.iter().any(|(planned, _)| is_missed(planned)) {
        return vec![true; all.len()];
    }
    let window = now.plus_ms(-policy.catch_up_window_ms);
    let last = all.iter().rposition(|(planned, _)| planned.due_at <= now);
    let fires = |(index, (planned, _)): (usize, &(Planned, bool))| match policy.catch_up {
        CatchUp::Skip => !is_missed(planned),
        CatchUp::Last if planned.due_at <= now => {
            !more_follow && Some(index) == last && window <= planned.nominal_at
        }
        CatchUp::Last => true,
        CatchUp::All => !is_missed(planned) || window <= planned.nominal_at,
    };
    all.iter().enumerate().map(fires).collect()
}

fn plan_ahead(
    table: &Timetable,
    step: &mut Step,
    cursor: &Cursor,
    left: Option<usize>,
    work: &mut Work,
    now: Instant,
) {
    let horizon = now.plus_ms(PLAN_HORIZON_MS);
    let mut room = PLANNED_AHEAD_MAX.saturating_sub(cursor.ahead);
    let mut left = left.unwrap_or(usize::MAX);
    let mut last = step.planned_until;
    loop {
        let found = if left == 0 { Found::Never } else { table.search(last, work) };
        let next = match found {
            Found::At(next) => next,
            Found::Never => {
                step.planned_until = last;
                return;
            }
            Found::NotUpTo(searched) => {
                step.planned_until = last.max(searched);
                let look_at = searched.plus_ms(-PLAN_HORIZON_MS);
                step.plan_at = Some(look_at.max(now.plus_ms(1_000)));
                return;
            }
        };
        step.next_at = Some(next);
        if horizon < next {
            step.planned_until = last.max(horizon);
            step.plan_at = Some(next.plus_ms(-PLAN_HORIZON_MS));
            return;
        }
        if room == 0 {
            step.planned_until = last;
            // Half of what is planned will be used up by then.
            let half = last.ms_since(now) / 2;
            step.plan_at = Some(now.plus_ms(half.max(1_000)));
            return;
        }
        if !cursor.recorded.covers(next) {
            step.plan.push(Planned { nominal_at: next, due_at: table.due_at(next) });
            room -= 1;
            left -= 1;
        }
        step.next_at = None;
        last = next;
    }
}

fn range(instants: &[Instant], reason: Reason) -> Option<Skip> {
    let (from, until) = (*instants.first()?, *instants.last()?);
    let count = i64::try_from(instants.len()).unwrap_or(i64::MAX);
    Some(Skip { from, until, count, reason })
}

#[cfg(test)]
mod tests;
