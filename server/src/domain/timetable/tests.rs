//! What timetables say: starts, ends, what is left out, what it costs to ask.

use std::collections::HashMap;

use entity::{CalendarId, Instant};
use serde_json::json;
use uuid::Uuid;

use super::{COUNT_A_YEAR, Found, Membership, NamedDates, Timetable, WALK, WORK_MAX, Work};
use crate::domain::calendar::{DateSet, Entry};
use crate::domain::plan::Spec;
use crate::domain::policy::Policy;

const CALENDAR: CalendarId = CalendarId(Uuid::from_u128(7));

fn at(text: &str) -> Instant {
    Instant::parse(text).expect(text)
}

fn excluding(expressions: &[&str]) -> Policy {
    let entry = |text: &&str| Entry::Cron { expression: (*text).to_owned() };
    Policy { excluded: expressions.iter().map(entry).collect(), ..Policy::default() }
}

fn table(expression: &str, policy: Policy) -> Timetable {
    let spec = json!({ "kind": "CRON", "expression": expression, "zone": "UTC" });
    let spec: Spec = serde_json::from_value(spec).expect("it is a spec");
    let dates = |from: &str, until: &str| Entry::Dates {
        from: from.parse().expect(from),
        until: until.parse().expect(until),
    };
    let entries = [dates("2026-12-24", "2026-12-26"), dates("2027-01-01", "2027-01-01")];
    let dates = DateSet::compile(&entries, None).expect("they are right");
    let holidays = NamedDates { name: "holidays".to_owned(), dates };
    Timetable::new(&spec, policy, &HashMap::from([(CALENDAR, holidays)]), 1).expect("it is right")
}

fn next(table: &Timetable, from: &str, steps: usize) -> Vec<String> {
    let next = |after: Instant| table.next_after(after);
    let all = std::iter::successors(next(at(from)), |last| next(*last));
    all.take(steps).map(|instant| instant.to_string()[..16].to_owned()).collect()
}

#[test]
fn it_begins_and_ends_where_the_policy_says_both_included() {
    let policy = Policy {
        starts_at: Some(at("2026-11-22T09:00:00Z")),
        ends_at: Some(at("2026-11-23T09:00:00Z")),
        ..Policy::default()
    };
    let table = table("0 9 * * *", policy);
    assert_eq!(next(&table, "2026-01-01T00:00:00Z", 9), ["2026-11-22T09:00", "2026-11-23T09:00"]);
    assert_eq!(table.count(Instant::MIN, Instant::MAX, &mut Work::new(0)), 2);
    assert_eq!(
        table.membership(at("2026-11-21T09:00:00Z")),
        Membership::BeforeStart(at("2026-11-22T09:00:00Z"))
    );
    assert!(matches!(table.membership(at("2026-11-24T09:00:00Z")), Membership::AfterEnd(_)));
    assert_eq!(table.membership(at("2026-11-23T09:00:01Z")), Membership::NotPlanned);
}

#[test]
fn what_is_left_out_is_jumped_over() {
    let table = table("* * * * * *", excluding(&["* * * * SAT,SUN", "* 0-8,17-23 * * *"]));
    assert_eq!(next(&table, "2026-11-20T16:59:58Z", 2), ["2026-11-20T16:59", "2026-11-23T09:00"]);
    assert_eq!(table.membership(at("2026-11-21T12:00:00Z")), Membership::Excluded);
    let day = (at("2026-11-23T00:00:00Z"), at("2026-11-24T00:00:00Z"));
    assert_eq!(table.count(day.0, day.1, &mut Work::new(WORK_MAX)), 8 * 3_600);
}

#[test]
fn calendars_are_left_out_or_kept_to() {
    let out = Policy { excluded_calendars: vec![CALENDAR], ..Policy::default() };
    let out = table("0 9 * * *", out);
    assert_eq!(next(&out, "2026-12-23T00:00:00Z", 2), ["2026-12-23T09:00", "2026-12-27T09:00"]);
    let by = Membership::ExcludedBy("holidays".to_owned());
    assert_eq!(out.membership(at("2026-12-25T09:00:00Z")), by);
    let only = Policy { allowed_calendars: vec![CALENDAR], ..Policy::default() };
    let only = table("0 9 * * *", only);
    let expected = ["2026-12-24T09:00", "2026-12-25T09:00", "2026-12-26T09:00", "2027-01-01T09:00"];
    assert_eq!(next(&only, "2026-11-21T00:00:00Z", 9), expected);
    assert_eq!(only.membership(at("2026-12-27T09:00:00Z")), Membership::NotAllowed);
}

#[test]
fn a_search_that_finds_nothing_ends() {
    let halves = excluding(&["* 0-11 * * *", "* 12-23 * * *"]);
    assert_eq!(table("* * * * *", halves).next_after(at("2026-11-21T00:00:00Z")), None);
    // Each second is a stretch of its own here, and costs a walk and a comparison.
    let table = table("* * * * * *", excluding(&["*/2 * * 21 11 *", "1-59/2 * * 21 11 *"]));
    let from = at("2026-11-20T23:59:59Z");
    let search = |instants| table.search(from, &mut Work::new(instants * (WALK + 2)));
    assert_eq!(search(86_401), Found::At(at("2026-11-22T00:00:00Z")));
    assert_eq!(search(86_400), Found::NotUpTo(at("2026-11-21T23:59:59.999Z")));
    // Going on where it ended comes to the same.
    let mut last = from;
    let found = loop {
        match table.search(last, &mut Work::new(100_000)) {
            Found::NotUpTo(searched) if last < searched => last = searched,
            other => break other,
        }
    };
    assert_eq!(found, Found::At(at("2026-11-22T00:00:00Z")));
}

#[test]
fn the_last_instant_before_another_is_found_without_walking() {
    let table = table("0 9 * * *", excluding(&["* * * * SAT,SUN"]));
    let known = at("2026-01-01T09:00:00Z");
    let last = |end: &str| table.last_before(known, at(end), &mut Work::new(WORK_MAX)).to_string();
    assert_eq!(last("2026-11-23T09:00:00Z"), "2026-11-20T09:00:00Z");
    assert_eq!(last("2026-11-23T09:00:00.001Z"), "2026-11-23T09:00:00Z");
    assert_eq!(last("2026-01-01T09:00:00.001Z"), "2026-01-01T09:00:00Z");
}

#[test]
fn instants_are_counted_as_far_as_somebody_wants_to_know() {
    let table = table("0 9 * * *", Policy::default());
    let from = at("2026-01-01T00:00:00Z");
    let count =
        |most, until: &str, work| table.count_up_to(most, (from, at(until)), &mut Work::new(work));
    assert_eq!(count(u64::MAX, "2027-01-01T00:00:00Z", WORK_MAX), Some(365));
    assert_eq!(count(364, "9999-01-01T00:00:00Z", WORK_MAX), Some(364));
    let three_years = "2029-01-01T00:00:00Z";
    assert_eq!(count(u64::MAX, three_years, 3 * COUNT_A_YEAR), Some(3 * 365 + 1));
    assert_eq!(count(u64::MAX, three_years, 2 * COUNT_A_YEAR), None);
}

#[test]
fn jitter_is_bounded_and_the_same_for_the_same_instant() {
    let table = table("* * * * *", Policy { jitter_ms: 30_000, ..Policy::default() });
    let instants = || {
        let first = at("2026-11-21T00:00:00Z");
        std::iter::successors(Some(first), |last| table.next_after(*last)).take(1_000)
    };
    let late = |at: Instant| table.due_at(at).ms_since(at);
    let all: Vec<i64> = instants().map(late).collect();
    assert!(all.iter().all(|late| (0..=30_000).contains(late)));
    let mean = all.iter().sum::<i64>() / 1_000;
    assert!((13_000..17_000).contains(&mean), "{mean}");
    assert_eq!(instants().map(late).collect::<Vec<_>>(), all);
}
