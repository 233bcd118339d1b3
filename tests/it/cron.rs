//! Time semantics against tables: when expressions fire, and which are refused.
//!
//! `data/cron_cases.json` holds expressions with the instants that follow; `cron_invalid.json`
//! what must be refused. Both are judged row by row, and the rows are counted, so that a row can
//! neither be skipped nor be lost. `cron/walk.rs` compares with a walk along the clock.

mod walk;

use belfry::domain::cron::Cron;
use belfry::domain::plan::Spec;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use entity::Instant;
use serde_json::Value;

const CASES: &str = include_str!("../data/cron_cases.json");
const INVALID: &str = include_str!("../data/cron_invalid.json");

const WALL: DstPolicy = DstPolicy::Explicit { gap: Gap::Skip, overlap: Overlap::Both };
const ONCE: DstPolicy = DstPolicy::Explicit { gap: Gap::Skip, overlap: Overlap::First };

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
    Spec::Cron { expression: text(row, "expr").to_owned(), zone }
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
    let (mut fired, mut impossible, mut extensions) = (0, 0, Vec::new());
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
            }
            Err(problem) if expected.is_empty() => {
                assert!(problem.message.contains("a day that exists"), "{id}: {problem:?}");
                impossible += 1;
            }
            Err(problem) => {
                assert!(problem.message.contains("is not supported yet"), "{id}: {problem:?}");
                extensions.push(id.to_owned());
            }
        }
    }
    assert_eq!((fired, impossible), (159, 5));
    let unsupported = ["c295", "c296", "c297", "c300", "c301", "c302", "c304", "c306", "c308"];
    assert_eq!(extensions, unsupported, "rows that wait for L, W and #");
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
    assert_eq!(seen, 33);
}

#[test]
fn every_invalid_row_is_refused_with_its_place() {
    let (mut expressions, mut zones) = (0, 0);
    for row in rows(INVALID) {
        let problem = spec(&row).compile().expect_err(text(&row, "expr"));
        if row["tz"].is_null() {
            let error = Cron::parse(text(&row, "expr")).expect_err("it was refused just now");
            assert!(error.offset <= text(&row, "expr").len(), "{row}: {error}");
            assert_eq!(problem.message, error.to_string());
            assert_eq!(problem.field, "expression", "{row}");
            expressions += 1;
        } else {
            assert_eq!(problem.field, "zone", "{row}");
            zones += 1;
        }
    }
    assert_eq!((expressions, zones), (105, 11));
}
