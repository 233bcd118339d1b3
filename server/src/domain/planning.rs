//! The planner's one decision: what to do about a schedule now. Pure; `engine/planner.rs` asks it
//! and `store/plan.rs` does it.
//!
//! ```text
//!        planned_until            now                       now + horizon
//!  ───────────┼───────────────────┼─────────────────────────────┼────────►
//!             │ missed, or late   │ planned ahead, PLANNED_AHEAD_MAX at most
//! ```
//! An instant that was not taken within the grace (60 s) of its time is *missed*: the system was
//! down or out of breath. Of everything missed the newest fires (catch-up LAST, within 24 h) and
//! the rest folds into one SKIPPED range. Rows that were planned before the outage count as well
//! as instants that never became rows. While a schedule is paused its instants fold likewise.

use entity::Instant;

use super::plan::Plan;
use crate::limits::{
    CATCH_UP_GRACE_MS, CATCH_UP_WINDOW_MS, FOLD_INSTANTS_MAX, PAUSED_FOLD_MS, PLAN_HORIZON_MS,
    PLANNED_AHEAD_MAX,
};

/// What is known of a schedule before the step.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Every instant up to here is planned, folded or fired.
    pub planned_until: Instant,
    /// Planned and unclaimed instants at or before now, oldest first.
    pub waiting: Vec<Waiting>,
    /// Planned instants after now.
    pub ahead: usize,
    /// Instants after `planned_until` that have a firing all the same: an edit put the cursor back
    /// behind one that a person had cancelled, or the clock was set back. They stay as they are.
    pub recorded: Vec<Instant>,
    /// Whether a person paused it.
    pub is_paused: bool,
}

/// A planned and unclaimed instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The instant that it stands for.
    pub nominal_at: Instant,
    /// From when on it may be claimed: later than the instant when that was caught up.
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

/// Why instants did not fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Missed while the system was down; a newer one was caught up, or all are too old.
    CatchUp,
    /// The schedule or its trigger was paused.
    Paused,
    /// An edit of the schedule replaced the plan before they were claimed.
    Superseded,
    /// An earlier firing of the trigger still ran.
    Overlap,
    /// An earlier firing of the trigger still ran, and as many as may waited for it.
    BufferFull,
}

impl Reason {
    /// The text in `firing.reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CatchUp => "CATCH_UP",
            Self::Paused => "PAUSED",
            Self::Superseded => "SUPERSEDED",
            Self::Overlap => "OVERLAP",
            Self::BufferFull => "BUFFER_FULL",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Instants that become firings, in order.
    pub plan: Vec<Instant>,
    /// Instants that become (part of) a SKIPPED range.
    pub skip: Option<Skip>,
    /// The missed instant that fires after all, and is due from now on. It is in `plan`, unless it
    /// waits already.
    pub caught_up: Option<Instant>,
    /// Waiting rows up to here went into `skip` and are removed.
    pub fold_until: Option<Instant>,
    /// The new cursor; never before the old one.
    pub planned_until: Instant,
    /// The first instant that is not yet planned.
    pub next_at: Option<Instant>,
    /// When to look again; `None` when nothing will follow.
    pub plan_at: Option<Instant>,
}

/// Decides for one schedule.
#[must_use]
pub fn step(plan: &Plan, cursor: &Cursor, now: Instant) -> Step {
    if cursor.is_paused {
        return step_paused(plan, cursor, now);
    }
    let due = due_instants(plan, cursor, now);
    let mut step = Step {
        plan: due.instants,
        skip: None,
        caught_up: None,
        fold_until: None,
        planned_until: cursor.planned_until.max(due.until),
        next_at: None,
        plan_at: None,
    };
    let is_missed = |due_at: Instant| due_at < missed_before(now);
    let oldest = cursor.waiting.iter().map(|waiting| waiting.due_at).min();
    if oldest.or(step.plan.first().copied()).is_some_and(is_missed) {
        catch_up(&mut step, &cursor.waiting, due.is_cut, now);
    }
    if due.is_cut {
        step.next_at = plan.next_after(step.planned_until);
        step.plan_at = Some(now);
        return step;
    }
    plan_ahead(plan, &mut step, cursor, now);
    step
}

/// What was due before this and is unclaimed `now` was missed. The claim leaves it to the planner.
#[must_use]
pub fn missed_before(now: Instant) -> Instant {
    now.plus_ms(-CATCH_UP_GRACE_MS)
}

fn step_paused(plan: &Plan, cursor: &Cursor, now: Instant) -> Step {
    let due = due_instants(plan, cursor, now);
    let planned_until = cursor.planned_until.max(due.until);
    let next_at = plan.next_after(planned_until);
    let pace = now.plus_ms(PAUSED_FOLD_MS);
    Step {
        skip: range(&due.instants, Reason::Paused),
        plan: Vec::new(),
        caught_up: None,
        fold_until: None,
        planned_until,
        next_at,
        plan_at: if due.is_cut { Some(now) } else { next_at.map(|next| next.max(pace)) },
    }
}

/// The instants that ended by an edit before anybody claimed them, as one range.
#[must_use]
pub fn superseded(waiting: &[Instant]) -> Option<Skip> {
    range(waiting, Reason::Superseded)
}

struct DueInstants {
    instants: Vec<Instant>,
    until: Instant,
    is_cut: bool,
}

/// The unplanned instants up to now, `FOLD_INSTANTS_MAX` at most.
fn due_instants(plan: &Plan, cursor: &Cursor, now: Instant) -> DueInstants {
    let mut instants = Vec::new();
    let mut last = cursor.planned_until;
    while let Some(next) = plan.next_after(last).filter(|next| *next <= now) {
        if instants.len() == FOLD_INSTANTS_MAX {
            return DueInstants { instants, until: last, is_cut: true };
        }
        if !cursor.recorded.contains(&next) {
            instants.push(next);
        }
        last = next;
    }
    DueInstants { instants, until: now, is_cut: false }
}

/// Keeps the newest of what was missed, when it is recent enough and the last; folds the rest.
fn catch_up(step: &mut Step, waiting: &[Waiting], more_follow: bool, now: Instant) {
    let mut missed: Vec<Instant> = waiting.iter().map(|waiting| waiting.nominal_at).collect();
    missed.append(&mut step.plan);
    let newest = missed.last().copied();
    let window = now.plus_ms(-CATCH_UP_WINDOW_MS);
    let kept = newest.filter(|newest| !more_follow && window <= *newest);
    if kept.is_some() {
        missed.pop();
    }
    let waiting_kept = waiting.iter().find(|waiting| Some(waiting.nominal_at) == kept);
    let folded = waiting.iter().rev().find(|waiting| Some(waiting.nominal_at) != kept);
    step.fold_until = folded.map(|waiting| waiting.nominal_at);
    step.plan = kept.filter(|_| waiting_kept.is_none()).into_iter().collect();
    let due_at = waiting_kept.map_or(kept, |waiting| Some(waiting.due_at));
    step.caught_up = kept.filter(|_| due_at.is_some_and(|due_at| due_at < missed_before(now)));
    step.skip = range(&missed, Reason::CatchUp);
}

fn plan_ahead(plan: &Plan, step: &mut Step, cursor: &Cursor, now: Instant) {
    let horizon = now.plus_ms(PLAN_HORIZON_MS);
    let mut room = PLANNED_AHEAD_MAX.saturating_sub(cursor.ahead);
    let mut last = step.planned_until;
    loop {
        step.next_at = plan.next_after(last);
        let Some(next) = step.next_at else {
            step.planned_until = last;
            step.plan_at = None;
            return;
        };
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
        if !cursor.recorded.contains(&next) {
            step.plan.push(next);
            room -= 1;
        }
        last = next;
    }
}

fn range(instants: &[Instant], reason: Reason) -> Option<Skip> {
    let (from, until) = (*instants.first()?, *instants.last()?);
    let count = i64::try_from(instants.len()).unwrap_or(i64::MAX);
    Some(Skip { from, until, count, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Spec;

    const START: i64 = 1_800_000_000_000;

    fn at(secs: i64) -> Instant {
        Instant::from_millis(START + secs * 1_000)
    }

    fn every(secs: i64) -> Plan {
        let spec = Spec::Every { interval_ms: secs * 1_000, anchor: at(0) };
        spec.compile().expect("a plan")
    }

    fn fresh(secs: i64) -> Cursor {
        Cursor {
            planned_until: at(secs),
            waiting: Vec::new(),
            ahead: 0,
            recorded: Vec::new(),
            is_paused: false,
        }
    }

    fn waiting(secs: &[i64]) -> Vec<Waiting> {
        secs.iter().map(|secs| Waiting { nominal_at: at(*secs), due_at: at(*secs) }).collect()
    }

    #[test]
    fn the_horizon_is_filled_and_the_next_look_is_set() {
        let step = step(&every(60), &fresh(0), at(0));
        assert_eq!(step.plan, [at(60), at(120), at(180), at(240), at(300)]);
        assert_eq!(step.planned_until, at(300));
        assert_eq!(step.next_at, Some(at(360)));
        assert_eq!(step.plan_at, Some(at(60)));
        assert_eq!(step.skip, None);
    }

    #[test]
    fn no_more_rows_lie_ahead_than_the_limit() {
        let full = step(&every(1), &fresh(0), at(0));
        assert_eq!(full.plan.len(), PLANNED_AHEAD_MAX);
        assert_eq!(full.plan_at, Some(at(32)));
        let mut cursor = fresh(64);
        cursor.ahead = PLANNED_AHEAD_MAX - 1;
        assert_eq!(step(&every(1), &cursor, at(1)).plan, [at(65)]);
    }

    #[test]
    fn of_what_was_missed_the_newest_fires_and_the_rest_is_one_range() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[120, 180, 240, 300]);
        let step = step(&every(60), &cursor, at(3_600));
        assert_eq!(step.plan[0], at(3_600));
        assert_eq!(step.plan[1], at(3_660));
        let skip = Skip { from: at(120), until: at(3_540), count: 58, reason: Reason::CatchUp };
        assert_eq!(step.skip, Some(skip));
        assert_eq!(step.fold_until, Some(at(300)));
    }

    #[test]
    fn an_outage_shorter_than_the_horizon_keeps_the_newest_row() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[60, 120, 180]);
        cursor.ahead = 2;
        let step = step(&every(60), &cursor, at(200));
        let skip = Skip { from: at(60), until: at(120), count: 2, reason: Reason::CatchUp };
        assert_eq!(step.skip, Some(skip));
        assert_eq!(step.fold_until, Some(at(120)));
        assert_eq!(step.plan, [at(360), at(420), at(480)]);
    }

    #[test]
    fn what_is_late_by_the_grace_still_fires_and_one_past_it_is_missed() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[60, 90]);
        assert_eq!(step(&every(30), &cursor, at(120)).skip, None);
        let late = step(&every(30), &cursor, at(120).plus_ms(1));
        assert_eq!(late.skip.map(|skip| skip.count), Some(1));
    }

    #[test]
    fn what_is_caught_up_is_due_from_then_on_and_not_missed_again() {
        let mut cursor = fresh(600);
        cursor.waiting = waiting(&[600]);
        let first = step(&every(600), &cursor, at(900));
        assert_eq!((first.caught_up, first.fold_until), (Some(at(600)), None));
        cursor.waiting = vec![Waiting { nominal_at: at(600), due_at: at(900) }];
        cursor.planned_until = first.planned_until;
        assert_eq!(step(&every(600), &cursor, at(900)).caught_up, None);
        // Nobody took it within the grace: it is still the newest, and due again.
        assert_eq!(step(&every(600), &cursor, at(961)).caught_up, Some(at(600)));
        // By then the next one has come: it gives way.
        cursor.waiting.extend(waiting(&[1_200]));
        assert_eq!(step(&every(600), &cursor, at(1_230)).fold_until, Some(at(600)));
    }

    #[test]
    fn an_instant_that_has_a_firing_gets_no_second_one() {
        let mut cursor = fresh(0);
        cursor.recorded = vec![at(60), at(180)];
        let step = step(&every(60), &cursor, at(61));
        assert_eq!(step.plan, [at(120), at(240), at(300), at(360)]);
        cursor.is_paused = true;
        let paused = super::step(&every(60), &cursor, at(121));
        assert_eq!(paused.skip.map(|skip| (skip.from, skip.count)), Some((at(120), 1)));
    }

    #[test]
    fn what_is_older_than_the_window_is_not_caught_up() {
        let once = Spec::At { at: at(0) }.compile().expect("a plan");
        let day = CATCH_UP_WINDOW_MS / 1_000;
        assert_eq!(step(&once, &fresh(-1), at(day)).plan, [at(0)]);
        let past = step(&once, &fresh(-1), at(day).plus_ms(1));
        assert!(past.plan.is_empty());
        assert_eq!(past.skip.map(|skip| skip.count), Some(1));
        assert_eq!(past.plan_at, None);
    }

    #[test]
    fn a_paused_schedule_folds_what_passes() {
        let mut cursor = fresh(0);
        cursor.is_paused = true;
        let step = step(&every(1), &cursor, at(10));
        let skip = Skip { from: at(1), until: at(10), count: 10, reason: Reason::Paused };
        assert_eq!(step.skip, Some(skip));
        assert!(step.plan.is_empty());
        assert_eq!(step.planned_until, at(10));
        assert_eq!(step.plan_at, Some(at(70)));
    }

    #[test]
    fn a_long_outage_is_folded_in_bounded_steps() {
        let now = at(250_000);
        let first = step(&every(1), &fresh(0), now);
        assert_eq!(first.skip.map(|skip| skip.count), Some(100_000));
        assert!(first.plan.is_empty());
        assert_eq!((first.planned_until, first.plan_at), (at(100_000), Some(now)));
        let last = step(&every(1), &fresh(200_000), now);
        assert_eq!(last.skip.map(|skip| skip.count), Some(49_999));
        assert_eq!(last.plan[0], now);
    }
}
