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

/// What is known of a schedule before the step.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Every instant up to here is planned, folded or fired.
    pub planned_until: Instant,
    /// Planned and unclaimed instants at or before now, oldest first.
    pub waiting: Vec<Planned>,
    /// Planned instants after now.
    pub ahead: usize,
    /// Instants after `planned_until` that have a firing all the same: an edit put the cursor back
    /// behind one that a person had cancelled, or the clock was set back. They stay as they are.
    pub recorded: Vec<Instant>,
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
    /// Whether so much is left out that the step did not come as far as it should.
    pub is_spent: bool,
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
            is_spent: false,
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
    let due = due_instants(table, cursor, &mut work, now);
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
    step.is_spent = work.is_spent();
    step
}

/// What was due before this and is unclaimed `now` was missed. The claim leaves it to the planner.
#[must_use]
pub fn missed_before(now: Instant) -> Instant {
    now.plus_ms(-CATCH_UP_GRACE_MS)
}

/// Ranges of `skipped`, oldest first, none of which encloses one of `others`.
#[must_use]
pub fn ranges(skipped: &[Instant], others: &[Instant], reason: Reason) -> Vec<Skip> {
    let group = |at: &Instant| others.iter().filter(|other| *other < at).count();
    let runs = skipped.chunk_by(|one, next| group(one) == group(next));
    runs.filter_map(|run| range(run, reason)).collect()
}

fn step_paused(table: &Timetable, cursor: &Cursor, now: Instant) -> Step {
    let planned_until = cursor.planned_until;
    if cursor.left == Some(0) {
        return Step::at(planned_until);
    }
    let mut work = Work::new(PLAN_WORK_MAX);
    let due = due_instants(table, cursor, &mut work, now);
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
        is_spent: work.is_spent(),
        ..Step::at(planned_until)
    }
}

struct DueInstants {
    instants: Vec<Instant>,
    until: Instant,
    is_cut: bool,
}

/// The unplanned instants up to now, as many as one step may fold or make firings.
fn due_instants(table: &Timetable, cursor: &Cursor, work: &mut Work, now: Instant) -> DueInstants {
    let policy = table.policy();
    let fires_from = match policy.catch_up {
        CatchUp::All if !cursor.is_paused => now.plus_ms(-policy.catch_up_window_ms),
        _ => Instant::MAX,
    };
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
        if !cursor.recorded.contains(&next) {
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
        if !cursor.recorded.contains(&next) {
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
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domain::calendar::Entry;
    use crate::domain::plan::Spec;
    use crate::domain::policy::Policy;
    use crate::limits::CATCH_UP_WINDOW_MS;

    const START: i64 = 1_800_000_000_000;

    fn at(secs: i64) -> Instant {
        Instant::from_millis(START + secs * 1_000)
    }

    fn under(secs: i64, policy: Policy) -> Timetable {
        let spec = Spec::every(secs * 1_000, at(0));
        Timetable::new(&spec, policy, &HashMap::new(), 7).expect("a timetable")
    }

    fn every(secs: i64) -> Timetable {
        under(secs, Policy::default())
    }

    fn skip(step: &Step) -> Option<Skip> {
        range(&step.skipped, step.reason)
    }

    fn nominal(step: &Step) -> Vec<Instant> {
        step.plan.iter().map(|planned| planned.nominal_at).collect()
    }

    fn fresh(secs: i64) -> Cursor {
        Cursor {
            planned_until: at(secs),
            waiting: Vec::new(),
            ahead: 0,
            recorded: Vec::new(),
            left: None,
            is_paused: false,
        }
    }

    fn waiting(secs: &[i64]) -> Vec<Planned> {
        secs.iter().map(|secs| Planned { nominal_at: at(*secs), due_at: at(*secs) }).collect()
    }

    #[test]
    fn the_horizon_is_filled_and_the_next_look_is_set() {
        let step = step(&every(60), &fresh(0), at(0));
        assert_eq!(nominal(&step), [at(60), at(120), at(180), at(240), at(300)]);
        assert_eq!(step.planned_until, at(300));
        assert_eq!(step.next_at, Some(at(360)));
        assert_eq!(step.plan_at, Some(at(60)));
        assert_eq!(skip(&step), None);
    }

    #[test]
    fn no_more_rows_lie_ahead_than_the_limit() {
        let full = step(&every(1), &fresh(0), at(0));
        assert_eq!(full.plan.len(), PLANNED_AHEAD_MAX);
        assert_eq!(full.plan_at, Some(at(32)));
        let mut cursor = fresh(64);
        cursor.ahead = PLANNED_AHEAD_MAX - 1;
        assert_eq!(nominal(&step(&every(1), &cursor, at(1))), [at(65)]);
    }

    #[test]
    fn of_what_was_missed_the_newest_fires_and_the_rest_is_one_range() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[120, 180, 240, 300]);
        let step = step(&every(60), &cursor, at(3_600));
        assert_eq!(nominal(&step)[..2], [at(3_600), at(3_660)]);
        let skip = Skip { from: at(120), until: at(3_540), count: 58, reason: Reason::CatchUp };
        assert_eq!(self::skip(&step), Some(skip));
        assert_eq!(step.folded, [at(120), at(180), at(240), at(300)]);
    }

    #[test]
    fn an_outage_shorter_than_the_horizon_keeps_the_newest_row() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[60, 120, 180]);
        cursor.ahead = 2;
        let step = step(&every(60), &cursor, at(200));
        let skip = Skip { from: at(60), until: at(120), count: 2, reason: Reason::CatchUp };
        assert_eq!(self::skip(&step), Some(skip));
        assert_eq!(step.folded, [at(60), at(120)]);
        assert_eq!(nominal(&step), [at(360), at(420), at(480)]);
    }

    #[test]
    fn what_is_late_by_the_grace_still_fires_and_one_past_it_is_missed() {
        let mut cursor = fresh(300);
        cursor.waiting = waiting(&[60, 90]);
        assert_eq!(skip(&step(&every(30), &cursor, at(120))), None);
        let late = step(&every(30), &cursor, at(120).plus_ms(1));
        assert_eq!(skip(&late).map(|skip| skip.count), Some(1));
    }

    #[test]
    fn what_is_caught_up_is_due_from_then_on_and_not_missed_again() {
        let mut cursor = fresh(600);
        cursor.waiting = waiting(&[600]);
        let first = step(&every(600), &cursor, at(900));
        assert_eq!((first.revived, first.folded), (vec![at(600)], vec![]));
        cursor.waiting = vec![Planned { nominal_at: at(600), due_at: at(900) }];
        cursor.planned_until = first.planned_until;
        assert_eq!(step(&every(600), &cursor, at(900)).revived, []);
        // Nobody took it within the grace: it is still the newest, and due again.
        assert_eq!(step(&every(600), &cursor, at(961)).revived, [at(600)]);
        // By then the next one has come: it gives way.
        cursor.waiting.extend(waiting(&[1_200]));
        assert_eq!(step(&every(600), &cursor, at(1_230)).folded, [at(600)]);
    }

    #[test]
    fn an_instant_that_has_a_firing_gets_no_second_one() {
        let mut cursor = fresh(0);
        cursor.recorded = vec![at(60), at(180)];
        let step = step(&every(60), &cursor, at(61));
        assert_eq!(nominal(&step), [at(120), at(240), at(300), at(360)]);
        cursor.is_paused = true;
        let paused = super::step(&every(60), &cursor, at(121));
        assert_eq!(skip(&paused).map(|skip| (skip.from, skip.count)), Some((at(120), 1)));
    }

    #[test]
    fn what_is_older_than_the_window_is_not_caught_up() {
        let once = Timetable::bare(Spec::At { at: at(0) }.compile().expect("a plan"));
        let day = CATCH_UP_WINDOW_MS / 1_000;
        assert_eq!(nominal(&step(&once, &fresh(-1), at(day))), [at(0)]);
        let past = step(&once, &fresh(-1), at(day).plus_ms(1));
        assert!(past.plan.is_empty());
        assert_eq!(skip(&past).map(|skip| skip.count), Some(1));
        assert_eq!(past.plan_at, None);
    }

    #[test]
    fn a_paused_schedule_folds_what_passes() {
        let mut cursor = fresh(0);
        cursor.is_paused = true;
        let step = step(&every(1), &cursor, at(10));
        let skip = Skip { from: at(1), until: at(10), count: 10, reason: Reason::Paused };
        assert_eq!(self::skip(&step), Some(skip));
        assert!(step.plan.is_empty());
        assert_eq!(step.planned_until, at(10));
        assert_eq!(step.plan_at, Some(at(70)));
    }

    #[test]
    fn a_long_outage_is_folded_in_bounded_steps() {
        let now = at(250_000);
        let first = step(&every(1), &fresh(0), now);
        assert_eq!(skip(&first).map(|skip| skip.count), Some(100_000));
        assert!(first.plan.is_empty());
        assert_eq!((first.planned_until, first.plan_at), (at(100_000), Some(now)));
        let last = step(&every(1), &fresh(200_000), now);
        assert_eq!(nominal(&last)[0], now);
        assert_eq!(skip(&last).map(|skip| skip.count), Some(49_999));
    }

    fn caught_up(policy: Policy, waits: &[i64], now: i64) -> (Vec<i64>, Option<(i64, i64, i64)>) {
        let mut cursor = fresh(waits.last().copied().unwrap_or(0));
        cursor.waiting = waiting(waits);
        let step = step(&under(60, policy), &cursor, at(now));
        let secs = |instant: Instant| instant.ms_since(at(0)) / 1_000;
        let fires = step.revived.iter().copied().chain(nominal(&step)).map(secs);
        let skip = skip(&step).map(|skip| (secs(skip.from), secs(skip.until), skip.count));
        (fires.filter(|secs| *secs <= now).collect(), skip)
    }

    #[test]
    fn what_was_missed_is_skipped_or_fires_as_the_policy_says() {
        let policy = |catch_up| Policy { catch_up, ..Policy::default() };
        // 60 to 180 wait as rows, 240 to 600 never became any; 540 is late by the grace.
        let by = |catch_up| caught_up(policy(catch_up), &[60, 120, 180], 600);
        assert_eq!(by(CatchUp::Skip), (vec![540, 600], Some((60, 480, 8))));
        assert_eq!(by(CatchUp::Last), (vec![600], Some((60, 540, 9))));
        let all: Vec<i64> = (1..=10).map(|minute| minute * 60).collect();
        assert_eq!(by(CatchUp::All), (all, None));
    }

    #[test]
    fn nothing_beyond_the_window_is_caught_up() {
        let policy =
            |catch_up| Policy { catch_up, catch_up_window_ms: 240_000, ..Policy::default() };
        let by = |catch_up, now| caught_up(policy(catch_up), &[60, 120], now);
        assert_eq!(by(CatchUp::All, 600), (vec![360, 420, 480, 540, 600], Some((60, 300, 5))));
        assert_eq!(by(CatchUp::Last, 600), (vec![600], Some((60, 540, 9))));
    }

    #[test]
    fn all_that_was_missed_comes_in_bounded_steps() {
        let policy = Policy { catch_up: CatchUp::All, ..Policy::default() };
        let first = step(&under(1, policy), &fresh(0), at(5_000));
        assert_eq!((first.plan.len(), first.plan_at), (CATCH_UP_ROWS_MAX, Some(at(5_000))));
        assert!(first.plan.iter().all(|planned| planned.due_at == at(5_000)));
        assert_eq!(first.planned_until, at(1_000));
    }

    #[test]
    fn no_more_instants_become_firings_than_are_left() {
        let mut cursor = fresh(0);
        cursor.left = Some(2);
        let ahead = step(&every(60), &cursor, at(0));
        assert_eq!(nominal(&ahead), [at(60), at(120)]);
        assert_eq!((ahead.next_at, ahead.plan_at), (None, None));
        // What folds gives its place back.
        cursor.waiting = waiting(&[60, 120]);
        (cursor.planned_until, cursor.left) = (at(120), Some(0));
        let late = step(&every(60), &cursor, at(600));
        assert_eq!((late.folded.len(), nominal(&late)), (2, vec![at(600), at(660)]));
        assert_eq!((late.next_at, late.plan_at), (None, None));
    }

    #[test]
    fn jitter_is_not_lateness() {
        let table = under(60, Policy { jitter_ms: 3_600_000, ..Policy::default() });
        let first = step(&table, &fresh(0), at(0));
        let mut cursor = fresh(300);
        cursor.waiting = first.plan.clone();
        assert!(first.plan.iter().any(|planned| at(400) < planned.due_at));
        let second = step(&table, &cursor, at(400));
        assert_eq!((second.skipped, second.folded), (vec![], vec![]));
    }

    #[test]
    fn a_step_that_gets_nowhere_goes_on_where_it_ended() {
        let days = "* * * 16-25 1 *".to_owned();
        let policy =
            Policy { excluded: vec![Entry::Cron { expression: days }], ..Policy::default() };
        let table = under(1, policy);
        // 2027-01-15T08:00:00Z is where the counting starts: the next ten days are left out.
        let mut cursor = fresh(57_599);
        let (mut now, mut steps) = (at(57_599), 0);
        let planned = loop {
            let step = step(&table, &cursor, now);
            now = step.plan_at.expect("it goes on");
            cursor.planned_until = step.planned_until;
            steps += 1;
            if let Some(first) = step.plan.first() {
                break first.nominal_at;
            }
        };
        // Five to get over it, and one when it is near.
        assert_eq!((planned, steps), (at(57_600 + 10 * 86_400), 6));
    }

    #[test]
    fn ranges_enclose_nothing_that_has_a_record_of_its_own() {
        let skipped: Vec<Instant> = [60, 120, 240, 300, 420].map(at).to_vec();
        let ranges = ranges(&skipped, &[at(0), at(180), at(360)], Reason::CatchUp);
        let shown: Vec<_> = ranges.iter().map(|skip| (skip.from, skip.until, skip.count)).collect();
        assert_eq!(shown, [(at(60), at(120), 2), (at(240), at(300), 2), (at(420), at(420), 1)]);
    }
}
