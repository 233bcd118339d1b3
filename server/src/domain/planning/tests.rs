//! What the planner decides, step by step.

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
        recorded: Recorded::default(),
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
    cursor.recorded = Recorded::new(vec![(at(180), at(180)), (at(60), at(60))]);
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
    let policy = |catch_up| Policy { catch_up, catch_up_window_ms: 240_000, ..Policy::default() };
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
    // In two halves, so that each second has to be looked at.
    let rules = ["*/2 * * 16-25 1 *", "1-59/2 * * 16-25 1 *"];
    let excluded = rules.map(|rule| Entry::Cron { expression: rule.to_owned() }).to_vec();
    let policy = Policy { excluded, ..Policy::default() };
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
    // Ten to get over it, and one when it is near.
    assert_eq!((planned, steps), (at(57_600 + 10 * 86_400), 11));
}

#[test]
fn ranges_enclose_nothing_that_has_a_record_of_its_own() {
    let skipped: Vec<Instant> = [60, 120, 240, 300, 420].map(at).to_vec();
    let ranges = ranges(&skipped, &[at(0), at(180), at(360)], Reason::CatchUp);
    let shown: Vec<_> = ranges.iter().map(|skip| (skip.from, skip.until, skip.count)).collect();
    assert_eq!(shown, [(at(60), at(120), 2), (at(240), at(300), 2), (at(420), at(420), 1)]);
}

#[test]
fn a_record_covers_its_first_and_its_last_instant_and_what_lies_between() {
    let recorded = Recorded::new(vec![
        (at(300), at(300)),
        (at(60), at(120)),
        (at(100), at(180)),
        (at(70), at(80)),
    ]);
    let covered = (0..=310).step_by(10).filter(|secs| recorded.covers(at(*secs)));
    let expected = (60..=180).step_by(10).chain([300]);
    assert_eq!(covered.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn what_is_given_up_is_skipped_whatever_the_policy_would_catch_up() {
    let all = Policy { catch_up: CatchUp::All, ..Policy::default() };
    // A full house: 1 to 1,000 wait as rows, and the step alone does not come any further.
    let rows: Vec<i64> = (1..=i64::try_from(CATCH_UP_ROWS_MAX).expect("it is small")).collect();
    let cursor = Cursor { waiting: waiting(&rows), ..fresh(1_000) };
    let stuck = step(&under(1, all.clone()), &cursor, at(1_500));
    assert_eq!((stuck.planned_until, stuck.plan_at), (at(1_000), Some(at(1_501))));
    let given_up = give_up(&under(1, all), &cursor, Reason::Superseded, at(1_500));
    assert_eq!((given_up.folded.len(), given_up.planned_until), (1_000, at(1_500)));
    let skip = skip(&given_up).expect("a range");
    assert_eq!((skip.from, skip.until, skip.count), (at(1), at(1_500), 1_500));
}

#[test]
fn each_reason_is_read_back_and_has_words() {
    use Reason::{BufferFull, CatchUp, Overlap, Paused, Superseded};
    for reason in [CatchUp, Paused, Superseded, Overlap, BufferFull] {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        assert!(!reason.words().contains(reason.as_str()), "{}", reason.words());
    }
    assert_eq!(Reason::parse("GIVEN_UP"), None);
}
