//! Time semantics against tables: when expressions fire, and which are refused.
//!
//! `data/cron_cases.json` holds expressions with the instants that follow; `cron_invalid.json`
//! what must be refused. Both are judged row by row, and the rows are counted, so that a row can
//! neither be skipped nor be lost. `cron/walk.rs` compares with a walk along the clock,
//! `cron/dialect.rs` holds what the API and the documentation say about time plans.

mod dialect;
mod walk;

use belfry::domain::cron::Cron;
use belfry::domain::plan::Spec;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use entity::Instant;
use serde_json::Value;

const CASES: &str = include_str!("../data/cron_cases.json");
const INVALID: &str = include_str!("../data/cron_invalid.json");

const WALL: DstPolicy = DstPolicy::new(Gap::Skip, Overlap::Both);
const ONCE: DstPolicy = DstPolicy::new(Gap::Skip, Overlap::First);

/// Rows that other dialects would take. Ours refuses all of them, and says what to write instead,
/// because those that take them do not agree about what they mean.
const DISPUTED: [(&str, &str); 13] = [
    ("i064", "a step after a single number: from there on, or that number only?"),
    ("i068", "a step after a single number"),
    ("i120", "names of days in full"),
    ("i147", "`?` outside the day fields"),
    ("i148", "`?` outside the day fields"),
    ("i149", "`?` outside the day fields"),
    ("i174", "a time zone inside the expression"),
    ("i190", "letters that fold to ASCII ones"),
    ("i195", "blanks that are not ASCII"),
    ("i211", "a step larger than the field: a slip, or its first number only?"),
    ("i212", "a step larger than the field"),
    ("i214", "a step larger than the field"),
    ("t226", "a zone with leap seconds, which is not in the IANA database"),
];

fn rows(json: &str) -> Vec<Value> {
    match serde_json::from_str(json) {
        Ok(Value::Array(rows)) => rows,
        other => panic!("expected an array of rows, found {other:?}"),
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn from(row: &Value) -> Instant {
    Instant::parse(text(row, "from")).unwrap_or_else(|error| panic!("{row}: {error}"))
}

fn spec(row: &Value) -> Spec {
    let zone = row["tz"].as_str().unwrap_or("UTC").to_owned();
    Spec::cron(text(row, "expr"), zone)
}

/// The instants from `first` on, each the one after the one before.
fn chain(
    from: Instant,
    count: usize,
    next: impl Fn(Instant) -> Option<Instant>,
    show: impl Fn(Instant) -> String,
) -> Vec<String> {
    std::iter::successors(next(from), |after| next(*after)).take(count).map(show).collect()
}

#[test]
fn every_case_fires_as_expected_or_is_refused_for_a_reason() {
    let (mut fired, mut disputed, mut impossible) = (0, 0, 0);
    for row in rows(CASES) {
        let id = text(&row, "id");
        let expected = texts(&row["expect"]);
        match spec(&row).compile() {
            Ok(plan) => {
                let next = |after| plan.next_after(after);
                let found = chain(from(&row), expected.len(), next, |found| plan.local(found));
                assert_eq!(found, expected, "{id}: {row}");
                assert!(!expected.is_empty(), "{id}: an expression that never fires was accepted");
                fired += 1;
                disputed += usize::from(row["disputed"] == true);
            }
            Err(problem) => {
                assert!(expected.is_empty(), "{id}: {problem:?}");
                assert!(problem.message.contains("a day that exists"), "{id}: {problem:?}");
                impossible += 1;
            }
        }
    }
    println!(
        "{fired} rows fire as expected, {disputed} of them disputed; {impossible} are refused"
    );
    assert_eq!((fired, disputed, impossible), (168, 32, 5));
}

#[test]
fn the_other_policies_fire_as_expected() {
    let mut seen = 0;
    for row in rows(CASES) {
        for (name, policy) in [("wall", WALL), ("once", ONCE)] {
            let expected = texts(&row["alt"][name]);
            if expected.is_empty() {
                continue;
            }
            let cron = Cron::parse(text(&row, "expr")).expect("the row fires");
            let zone = Zone::parse(text(&row, "tz")).expect("the row has a zone");
            let next = |after| cron.next_after(zone, policy, after);
            let found = chain(from(&row), expected.len(), next, |found| zone.format(found));
            assert_eq!(found, expected, "{name} of {row}");
            seen += 1;
        }
    }
    println!("{seen} rows fire as expected under other policies");
    assert_eq!(seen, 33);
}

#[test]
fn every_invalid_row_is_refused_with_its_place() {
    let (mut expressions, mut zones) = (0, 0);
    let mut disputed = Vec::new();
    for row in rows(INVALID) {
        if row["disputed"] == true {
            disputed.push(text(&row, "id").to_owned());
        }
        let problem = spec(&row).compile().expect_err(text(&row, "expr"));
        if row["tz"].is_null() {
            let error = Cron::parse(text(&row, "expr")).expect_err("it was refused just now");
            assert!(error.offset <= text(&row, "expr").len(), "{row}: {error}");
            let place = format!("at character {}: expected ", error.offset + 1);
            assert!(problem.message.starts_with(&place), "{row}: {}", problem.message);
            assert_eq!(problem.field, "expression", "{row}");
            expressions += 1;
        } else {
            assert_eq!(problem.field, "zone", "{row}");
            let expected = "expected an IANA time zone such as Europe/Berlin, not `";
            assert!(problem.message.starts_with(expected), "{row}: {}", problem.message);
            zones += 1;
        }
    }
    println!("{expressions} expressions and {zones} zones are refused");
    assert_eq!((expressions, zones), (105, 11));
    disputed.sort();
    assert_eq!(disputed, DISPUTED.map(|(id, _)| id));
}
