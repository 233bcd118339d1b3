//! The checker of the fault suite is right: a good history passes, and each of those that break
//! one promise fails for that promise.

use belfry::domain::plan::Spec;
use entity::Instant;
use tests::checker::{
    Attempt, Bounds, Cancel, Death, Delivery, Facts, Firing, History, LogEntry, PlanVersion, Range,
    Rule, Running, Schedule, Tail, Timer, Trust, Verdict, Window, judge,
};

const START: i64 = 1_800_000_000_000;

/// Three timers, of which the second was tried twice and the third was sent again because the
/// process was killed; and a schedule of each second that was edited to each other second.
fn good() -> History {
    let mut history = History {
        facts: Facts {
            until: START + 20_000,
            injected: 1,
            injected_min: 1,
            deaths: vec![Death { from: START + 3_010, until: START + 3_600 }],
            windows: vec![Window { from: START + 3_010, until: START + 3_600, late_ms: None }],
            bounds: Bounds {
                healthy_ms: 500,
                recovery_ms: 2_000,
                skew_ms: 0,
                record_ms: 300,
                in_flight_ms: 200,
            },
            trust: Trust::Receiver,
        },
        timers: Vec::new(),
        schedules: vec![schedule()],
        deliveries: Vec::new(),
        firings: Vec::new(),
        log: Vec::new(),
        tails: Vec::new(),
    };
    for number in 1..=3 {
        history.timers.push(timer(number));
        fired(&mut history, None, number, START + 1_000 * i64::try_from(number).unwrap());
    }
    for second in 1..=3 {
        fired(&mut history, Some("sch_a"), 1, START + 1_000 * second);
    }
    // Due while the process was down.
    history.deliveries.last_mut().unwrap().at = START + 3_700;
    history.firings.push(skipped(4_000, 5_000, 2));
    for at in (7_500..=19_500).step_by(2_000) {
        fired(&mut history, Some("sch_a"), 2, START + at);
    }
    tried_twice(&mut history);
    sent_twice(&mut history);
    history.deliveries.sort_by_key(|delivery| delivery.at);
    let all: Vec<String> = history.log.iter().map(|entry| entry.id.clone()).collect();
    history.tails = vec![
        Tail { name: "early".into(), after: None, seen: all.clone() },
        Tail { name: "late".into(), after: Some(all[3].clone()), seen: all[4..].to_vec() },
    ];
    history
}

fn timer(number: u64) -> Timer {
    Timer {
        number,
        asked_at: START,
        acked_at: Some(START + 20),
        firing: Some(format!("frg_t{number}")),
        fires_at: Some(START + 1_000 * i64::try_from(number).unwrap()),
        cancel: None,
    }
}

fn schedule() -> Schedule {
    let every =
        |interval_ms, anchor| Spec::every(interval_ms, Instant::from_millis(START + anchor));
    let version = |number, spec, asked, acked| PlanVersion {
        number,
        spec,
        running: Running::Active,
        asked_at: START + asked,
        acked_at: Some(START + acked),
    };
    let versions =
        vec![version(1, every(1_000, 0), 0, 10), version(2, every(2_000, 5_500), 5_480, 5_500)];
    Schedule { id: "sch_a".into(), versions }
}

fn attempt(status: &str, at: i64) -> Attempt {
    Attempt { status: status.into(), started_at: at, retry_at: None }
}

/// A firing that went well: row, delivery, entry of the log.
fn fired(history: &mut History, schedule: Option<&str>, number: u64, at: i64) {
    let id = match schedule {
        None => format!("frg_t{number}"),
        Some(_) => format!("frg_s{at}"),
    };
    history.firings.push(Firing {
        id: id.clone(),
        schedule: schedule.map(str::to_owned),
        number: Some(number),
        nominal_at: at,
        status: "COMPLETED".into(),
        range: None,
        started_at: Some(at),
        attempts: vec![attempt("SUCCEEDED", at + 1)],
    });
    history.deliveries.push(Delivery {
        at: at + 5,
        answered_at: Some(at + 6),
        webhook_id: format!("{id}_post"),
        body_hash: number,
        timer: schedule.is_none().then_some(number),
    });
    history.log.push(LogEntry {
        id: format!("evt_{id}"),
        kind: "firing.completed".into(),
        firing: Some(id),
    });
}

fn skipped(from: i64, until: i64, count: i64) -> Firing {
    Firing {
        id: format!("frg_r{from}"),
        schedule: Some("sch_a".into()),
        number: Some(1),
        nominal_at: START + from,
        status: "SKIPPED".into(),
        range: Some(Range { from: START + from, until: START + until, count }),
        started_at: None,
        attempts: Vec::new(),
    }
}

fn tried_twice(history: &mut History) {
    let at = START + 2_000;
    let failed = Attempt { retry_at: Some(at + 200), ..attempt("FAILED", at) };
    row(history, "frg_t2").attempts = vec![failed, attempt("SUCCEEDED", at + 300)];
    let first = delivery(history, "frg_t2").clone();
    history.deliveries.push(Delivery { at: at + 301, answered_at: Some(at + 302), ..first });
}

fn sent_twice(history: &mut History) {
    let at = START + 3_000;
    row(history, "frg_t3").attempts =
        vec![attempt("LEASE_EXPIRED", at), attempt("SUCCEEDED", at + 1_000)];
    let first = delivery(history, "frg_t3").clone();
    history.deliveries.push(Delivery { at: at + 1_000, answered_at: Some(at + 1_001), ..first });
}

fn row<'a>(history: &'a mut History, id: &str) -> &'a mut Firing {
    history.firings.iter_mut().find(|row| row.id == id).unwrap()
}

fn delivery<'a>(history: &'a mut History, id: &str) -> &'a mut Delivery {
    let webhook_id = format!("{id}_post");
    history.deliveries.iter_mut().find(|it| it.webhook_id == webhook_id).unwrap()
}

/// The rules that a history breaks after `change`, each once.
fn broken_by(change: impl FnOnce(&mut History)) -> Vec<Rule> {
    let mut history = good();
    change(&mut history);
    let Verdict::Fail(_, violations) = judge(&history) else { return Vec::new() };
    let mut rules: Vec<Rule> = violations.into_iter().map(|violation| violation.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// Takes the row, the deliveries and the log entries of a firing away.
fn without(history: &mut History, id: &str) {
    history.firings.retain(|row| row.id != id);
    history.deliveries.retain(|it| it.webhook_id != format!("{id}_post"));
    history.log.retain(|entry| entry.firing.as_deref() != Some(id));
    for tail in &mut history.tails {
        tail.seen.retain(|seen| *seen != format!("evt_{id}"));
    }
}

const SEVENTH: &str = "frg_s1800000007500";

#[test]
fn a_good_history_passes_with_its_figures() {
    let Verdict::Pass(figures) = judge(&good()) else { panic!("{:#?}", judge(&good())) };
    insta::assert_debug_snapshot!(figures, @r"
    Figures {
        injected: 1,
        firings: 13,
        skipped: 2,
        deliveries: 15,
        lost: 0,
        doubled: 0,
        early: 0,
        resent: 1,
        recovery_ms: 100,
        lateness_ms: 5,
    }
    ");
}

#[test]
fn a_history_in_which_something_is_lost_fails() {
    assert_eq!(broken_by(|it| without(it, "frg_t1")), [Rule::Lost]);
    assert_eq!(broken_by(|it| without(it, SEVENTH)), [Rule::Lost]);
    assert_eq!(broken_by(|it| without(it, "frg_r4000")), [Rule::Lost]);
    let undelivered = |it: &mut History| it.deliveries.retain(|it| it.webhook_id != "frg_t1_post");
    assert_eq!(broken_by(undelivered), [Rule::Undelivered]);
    assert_eq!(broken_by(|it| row(it, "frg_t1").nominal_at += 1), [Rule::Lost, Rule::Early]);
    let given_up = |it: &mut History| row(it, "frg_t1").status = "CANCELLED".into();
    assert_eq!(broken_by(given_up), [Rule::Lost]);
}

#[test]
fn a_history_in_which_something_is_recorded_twice_fails() {
    let copied = |id: &'static str| {
        move |it: &mut History| {
            let copy = Firing { id: "frg_x".into(), ..row(it, id).clone() };
            it.firings.push(Firing { status: "FAILED".into(), attempts: Vec::new(), ..copy });
        }
    };
    assert_eq!(broken_by(copied("frg_t1")), [Rule::Doubled]);
    assert_eq!(broken_by(copied(SEVENTH)), [Rule::Doubled]);
    let twice_skipped = |it: &mut History| {
        it.firings.push(Firing { id: "frg_y".into(), ..skipped(5_000, 5_000, 1) })
    };
    assert_eq!(broken_by(twice_skipped), [Rule::Doubled]);
    let twice_done =
        |it: &mut History| row(it, "frg_t1").attempts.push(attempt("SUCCEEDED", START + 1_002));
    assert_eq!(broken_by(twice_done), [Rule::Doubled]);
}

#[test]
fn a_history_with_a_wrong_range_fails() {
    let count =
        |count| move |it: &mut History| row(it, "frg_r4000").range.as_mut().unwrap().count = count;
    assert_eq!(broken_by(count(3)), [Rule::WrongRange]);
    assert_eq!(broken_by(count(2)), []);
}

#[test]
fn a_history_in_which_something_comes_early_fails() {
    assert_eq!(broken_by(|it| delivery(it, "frg_t1").at = START + 999), [Rule::Early]);
    assert_eq!(broken_by(|it| delivery(it, "frg_t1").at = START + 1_000), []);
    assert_eq!(broken_by(|it| row(it, "frg_t1").started_at = Some(START + 999)), [Rule::Early]);
    let impatient = |it: &mut History| row(it, "frg_t2").attempts[1].started_at = START + 2_199;
    assert_eq!(broken_by(impatient), [Rule::Early]);
}

#[test]
fn a_history_in_which_something_comes_late_fails_unless_a_fault_held_it_up() {
    assert_eq!(broken_by(|it| delivery(it, "frg_t1").at = START + 1_501), [Rule::Late]);
    assert_eq!(broken_by(|it| delivery(it, "frg_t1").at = START + 1_500), []);
    let held_up = |at| move |it: &mut History| delivery(it, "frg_s1800000003000").at = START + at;
    assert_eq!(broken_by(held_up(5_600)), []);
    assert_eq!(broken_by(held_up(5_601)), [Rule::Late]);
    // Where firing goes on without what is broken, it has a bound of its own.
    let degraded = |at| {
        move |it: &mut History| {
            it.facts.windows[0].late_ms = Some(1_000);
            delivery(it, "frg_s1800000003000").at = START + at;
        }
    };
    assert_eq!(broken_by(degraded(4_000)), []);
    assert_eq!(broken_by(degraded(4_001)), [Rule::Late]);
    // On a server whose clock was moved, lateness says nothing.
    let moved = |it: &mut History| {
        it.facts.trust = Trust::Server;
        delivery(it, "frg_t1").at = START + 1_501;
    };
    assert_eq!(broken_by(moved), []);
}

#[test]
fn a_history_in_which_something_is_sent_again_fails_unless_a_process_died_in_between() {
    let resent = |id: &'static str, after: i64| {
        move |it: &mut History| {
            let first = delivery(it, id).clone();
            it.deliveries.push(Delivery { at: first.at + after, ..first });
        }
    };
    assert_eq!(broken_by(resent("frg_t1", 100)), [Rule::Resent]);
    // The death came long after it must have been recorded.
    assert_eq!(broken_by(resent("frg_t1", 4_000)), [Rule::Resent]);
    assert_eq!(broken_by(|it| it.facts.deaths.clear()), [Rule::Resent]);
    // One retry earns one repeat, not two.
    assert_eq!(broken_by(resent("frg_t2", 100)), [Rule::Resent]);
}

#[test]
fn a_history_in_which_an_id_or_a_body_changes_fails() {
    let last = |it: &mut History| it.deliveries.iter().rposition(|it| it.timer == Some(3)).unwrap();
    let other_id = |it: &mut History| {
        let at = last(it);
        it.deliveries[at].webhook_id = "frg_t3_other".into();
    };
    assert_eq!(broken_by(other_id), [Rule::Changed]);
    let other_body = |it: &mut History| {
        let at = last(it);
        it.deliveries[at].body_hash = 99;
    };
    assert_eq!(broken_by(other_body), [Rule::Changed]);
    assert_eq!(broken_by(|it| delivery(it, "frg_t1").timer = Some(2)), [Rule::Changed]);
}

#[test]
fn a_history_in_which_a_given_up_plan_is_claimed_fails() {
    let claimed_at =
        |at| move |it: &mut History| row(it, "frg_s1800000003000").started_at = Some(START + at);
    assert_eq!(broken_by(claimed_at(5_500)), []);
    assert_eq!(broken_by(claimed_at(5_501)), [Rule::Fence]);
    // An instant of the old plan after the edit, and one that no plan has.
    let old = |it: &mut History| fired(it, Some("sch_a"), 1, START + 6_000);
    assert!(broken_by(old).contains(&Rule::Fence));
    assert!(broken_by(|it| fired(it, Some("sch_a"), 2, START + 8_000)).contains(&Rule::Unplanned));
    let cancelled = |it: &mut History| {
        it.timers[0].cancel = Some(Cancel { asked_at: START + 500, acked_at: Some(START + 510) });
    };
    assert_eq!(broken_by(cancelled), [Rule::Fence]);
}

#[test]
fn a_history_with_an_incomplete_log_fails() {
    let missed = |it: &mut History| drop(it.tails[0].seen.remove(5));
    assert_eq!(broken_by(missed), [Rule::Missed]);
    assert_eq!(broken_by(|it| drop(it.tails[1].seen.pop())), [Rule::Missed]);
    assert_eq!(broken_by(|it| drop(it.tails[1].seen.remove(0))), [Rule::Missed]);
    let twice = |it: &mut History| {
        let id = it.tails[0].seen[5].clone();
        it.tails[0].seen.insert(6, id);
    };
    assert_eq!(broken_by(twice), [Rule::Disordered]);
    assert_eq!(broken_by(|it| it.tails[0].seen.swap(5, 6)), [Rule::Disordered]);
    let unsaid = |it: &mut History| {
        let gone = it.log.remove(0).id;
        it.tails[0].seen.retain(|id| *id != gone);
    };
    assert_eq!(broken_by(unsaid), [Rule::Missed]);
}

#[test]
fn a_history_in_which_something_never_ends_fails() {
    let stuck = |it: &mut History| {
        let row = row(it, "frg_t1");
        row.status = "EXECUTING".into();
        row.attempts.clear();
    };
    assert_eq!(broken_by(stuck), [Rule::Unfinished]);
}

#[test]
fn a_run_in_which_nothing_happened_is_unknown() {
    let unknown = |change: fn(&mut History)| {
        let mut history = good();
        change(&mut history);
        let Verdict::Unknown(why) = judge(&history) else { panic!("it was judged") };
        why
    };
    let nothing = |it: &mut History| {
        (it.timers, it.schedules, it.deliveries) = (Vec::new(), Vec::new(), Vec::new());
    };
    assert_eq!(unknown(nothing), "nothing was acknowledged");
    assert_eq!(unknown(|it| it.deliveries.clear()), "the receiver got 0 deliveries");
    assert_eq!(unknown(|it| it.facts.injected = 0), "the fault struck 0 times, not 1");
}

#[test]
fn what_was_not_acknowledged_may_have_happened_or_not() {
    let unsaid = |it: &mut History| {
        (it.timers[0].acked_at, it.timers[0].firing, it.timers[0].fires_at) = (None, None, None);
    };
    assert_eq!(broken_by(unsaid), []);
    let neither = |it: &mut History| {
        unsaid(it);
        without(it, "frg_t1");
    };
    assert_eq!(broken_by(neither), []);
}
