//! What is played: overlaps, outages, bounds.

use std::collections::HashMap;

use entity::Instant;
use entity::firing::Status;
use entity::trigger::Overlap;

use super::{Setting, Simulation, simulate};
use crate::domain::calendar::Entry;
use crate::domain::plan::Spec;
use crate::domain::policy::{CatchUp, Policy};
use crate::domain::timetable::Timetable;
use crate::limits::{SIMULATED_INSTANTS_MAX, SIMULATED_WORK_MAX};

const START: Instant = Instant::from_millis(1_800_000_000_000);

fn minutely(policy: Policy) -> Timetable {
    let spec = Spec::every(60_000, START);
    Timetable::new(&spec, policy, &HashMap::new(), 7).expect("it is right")
}

fn setting(minutes: i64) -> Setting {
    Setting {
        from: START,
        until: START.plus_ms(minutes * 60_000 + 1),
        overlap: Overlap::Skip,
        outages: Vec::new(),
        durations_ms: Vec::new(),
        instants_max: 1_000_000,
        work_max: 1_000_000_000,
    }
}

fn shown(simulation: &Simulation) -> Vec<String> {
    let secs = |at: Instant| at.ms_since(START) / 1_000;
    let line = |fate: &super::Fate| {
        let run = fate.started_at.map(|at| format!(" from {}", secs(at))).unwrap_or_default();
        let end = fate.finished_at.map(|at| format!(" until {}", secs(at))).unwrap_or_default();
        let why = fate.reason.map(|why| format!(" {}", why.as_str())).unwrap_or_default();
        format!("{}: {:?}{why}{run}{end}", secs(fate.nominal_at), fate.status)
    };
    simulation.fates.iter().map(line).collect()
}

fn long_runs(overlap: Overlap) -> Vec<String> {
    let setting = Setting { overlap, durations_ms: vec![150_000], ..setting(6) };
    shown(&simulate(&minutely(Policy::default()), &setting))
}

#[test]
fn runs_that_last_longer_than_the_interval_meet_the_policy() {
    let skip = [
        "60: Completed from 60 until 210",
        "120: Skipped OVERLAP until 120",
        "180: Skipped OVERLAP until 180",
        "240: Executing from 240",
        "300: Skipped OVERLAP until 300",
        "360: Skipped OVERLAP until 360",
    ];
    assert_eq!(long_runs(Overlap::Skip), skip);
    let buffer = [
        "60: Completed from 60 until 210",
        "120: Completed from 210 until 360",
        "180: Skipped OVERLAP until 180",
        "240: Executing from 360",
        "300: Skipped OVERLAP until 300",
        "360: Scheduled",
    ];
    assert_eq!(long_runs(Overlap::BufferOne), buffer);
    let cancel = long_runs(Overlap::CancelOther);
    assert_eq!(cancel[0], "60: Cancelled OVERLAP from 60 until 120");
    assert_eq!(cancel[5], "360: Executing from 360");
}

#[test]
fn an_outage_is_caught_up_as_the_policy_says() {
    let outage = (START.plus_ms(90_000), START.plus_ms(310_000));
    let setting = Setting { outages: vec![outage], ..setting(7) };
    let by =
        |catch_up| shown(&simulate(&minutely(Policy { catch_up, ..Policy::default() }), &setting));
    let missed = |minute: i64| format!("{}: Skipped CATCH_UP until 310", minute * 60);
    let last = by(CatchUp::Last);
    assert_eq!(
        last[..4],
        ["60: Completed from 60 until 60".into(), missed(2), missed(3), missed(4)]
    );
    assert_eq!(last[4], "300: Completed from 310 until 310");
    // The first of them runs, and is in the way of the others that are due at the same moment.
    let all = by(CatchUp::All);
    assert_eq!(all[1], "120: Completed from 310 until 310");
    assert_eq!(all[2], "180: Skipped OVERLAP until 310");
}

#[test]
fn it_ends_early_when_there_are_too_many_instants() {
    let cut = |instants_max| {
        simulate(&minutely(Policy::default()), &Setting { instants_max, ..setting(5) })
    };
    assert_eq!((cut(5).fates.len(), cut(5).is_cut), (5, false));
    assert_eq!((cut(4).fates.len(), cut(4).is_cut), (4, true));
}

#[test]
fn each_minute_of_a_leap_year_has_its_fate() {
    let (instants_max, work_max) = (SIMULATED_INSTANTS_MAX, SIMULATED_WORK_MAX);
    let year = Setting { instants_max, work_max, ..setting(366 * 24 * 60) };
    let played = simulate(&minutely(Policy::default()), &year);
    assert_eq!((played.fates.len(), played.is_cut), (366 * 24 * 60, false));
    assert!(played.fates.iter().all(|fate| fate.status == Status::Completed));
    assert!(played.work < SIMULATED_WORK_MAX / 2, "{}", played.work);
}

#[test]
fn it_ends_early_when_there_is_too_much_work() {
    let play =
        |work_max| simulate(&minutely(Policy::default()), &Setting { work_max, ..setting(60) });
    let work = play(u64::MAX).work;
    assert_eq!((play(work).fates.len(), play(work).is_cut), (60, false));
    assert!(play(work - 1).is_cut);
}

/// Each step of the planner finds an instant before its work is used up, after some seconds of
/// them.
#[test]
fn instants_that_are_hard_to_find_are_too_much_work() {
    let rules = ["* * 1-7,9-15,17-23 * * *", "* 1-59 * * * *", "1-59 * * * * *"];
    let entry = |text: &&str| Entry::Cron { expression: (*text).to_owned() };
    let excluded = rules.iter().map(entry).collect();
    let policy = Policy { excluded, ..Policy::default() };
    let table = Timetable::new(&Spec::cron("* * * * * *", "UTC"), policy, &HashMap::new(), 7);
    let work_max = 2_000_000;
    let setting = Setting { until: START.plus_ms(400 * 366 * 86_400_000), work_max, ..setting(0) };
    let played = simulate(&table.expect("it is right"), &setting);
    assert!(played.is_cut && !played.fates.is_empty(), "{played:?}");
    assert!(played.work < 2 * work_max, "{}", played.work);
}

#[test]
fn rows_that_wait_for_their_jitter_are_work() {
    let play = |jitter_ms| {
        let policy = Policy { jitter_ms, ..Policy::default() };
        simulate(&minutely(policy), &setting(600)).work
    };
    assert!(play(0) + 600 * 50 < play(300 * 60_000), "{} {}", play(0), play(300 * 60_000));
}

#[test]
fn outages_that_touch_are_one() {
    let at = |secs: i64| START.plus_ms(secs * 1_000);
    let play = |outages| {
        shown(&simulate(&minutely(Policy::default()), &Setting { outages, ..setting(7) }))
    };
    let two = play(vec![(at(90), at(200)), (at(200), at(310))]);
    assert_eq!(two, play(vec![(at(90), at(310))]));
    assert_eq!(two[1], "120: Skipped CATCH_UP until 310");
}

#[test]
fn what_is_buffered_goes_on_when_all_that_followed_was_missed() {
    let at = |secs: i64| START.plus_ms(secs * 1_000);
    // The third minute waits for the first; by the end of the outage nothing else may fire.
    let policy = Policy { ends_at: Some(at(400)), catch_up_window_ms: 60_000, ..Policy::default() };
    let setting = Setting {
        overlap: Overlap::BufferAll,
        durations_ms: vec![150_000],
        outages: vec![(at(190), at(900))],
        ..setting(20)
    };
    let shown = shown(&simulate(&minutely(policy), &setting));
    assert_eq!(shown[0], "60: Completed from 60 until 900");
    // The second got the slot at the moment at which it was found to be long missed.
    assert_eq!(shown[1], "120: Skipped CATCH_UP until 900");
    assert_eq!(shown[2], "180: Completed from 900 until 1050");
    assert_eq!(shown[5], "360: Skipped CATCH_UP until 900");
}
