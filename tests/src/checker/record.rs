//! What must be recorded: each timer once, each planned instant once or in one skipped range, all
//! of it brought to an end.

use std::collections::HashMap;

use belfry::domain::plan::Plan;
use entity::Instant;

use super::history::{Firing, History, PlanVersion, Running, Schedule, Timer};
use super::{Found, Rule};

/// A paused schedule extends its range once in a while: what passed in the last of it may be open.
const FOLD_MS: i64 = 65_000;

pub(super) fn judge(history: &History, found: &mut Found) {
    timers(history, found);
    for schedule in &history.schedules {
        instants(history, schedule, found);
    }
    for row in &history.firings {
        row_by_itself(history, row, found);
    }
}

fn timers(history: &History, found: &mut Found) {
    let mut rows: HashMap<u64, Vec<&Firing>> = HashMap::new();
    for row in history.firings.iter().filter(|row| row.schedule.is_none()) {
        match row.number {
            Some(number) => rows.entry(number).or_default().push(row),
            None => found.broken(Rule::Unplanned, format!("{} has no number", row.id)),
        }
    }
    for timer in &history.timers {
        let of_it = rows.remove(&timer.number).unwrap_or_default();
        if 1 < of_it.len() {
            let ids: Vec<&str> = of_it.iter().map(|row| row.id.as_str()).collect();
            found.broken(Rule::Doubled, format!("timer {}: {}", timer.number, ids.join(" ")));
        }
        match of_it.first() {
            Some(row) => timer_row(timer, row, found),
            None if timer.acked_at.is_some() => {
                found.broken(Rule::Lost, format!("timer {} has no firing", timer.number));
            }
            None => {}
        }
    }
    for row in rows.into_values().flatten() {
        found.broken(Rule::Unplanned, format!("{}: nobody asked for such a timer", row.id));
    }
}

fn timer_row(timer: &Timer, row: &Firing, found: &mut Found) {
    let number = timer.number;
    if timer.firing.as_ref().is_some_and(|id| *id != row.id) {
        found.broken(Rule::Doubled, format!("timer {number} is {}, not what was said", row.id));
    }
    if timer.fires_at.is_some_and(|at| at != row.nominal_at) {
        found.broken(Rule::Lost, format!("timer {number} is due at another instant than was said"));
    }
    let Some(cancel) = timer.cancel else {
        if row.status == "CANCELLED" {
            found.broken(Rule::Lost, format!("timer {number} is CANCELLED, and nobody asked"));
        }
        return;
    };
    let claimed_after = cancel.acked_at.zip(row.started_at).filter(|(acked, at)| acked < at);
    if let Some((acked, at)) = claimed_after {
        let late = at - acked;
        found.broken(Rule::Fence, format!("timer {number} was claimed {late} ms after its cancel"));
    }
}

/// A stretch of a schedule's life in which one plan held.
struct Stretch<'a> {
    version: &'a PlanVersion,
    plan: Plan,
    /// From here on it may hold, and from `sure.0` on it does.
    may: (i64, i64),
    sure: (i64, i64),
}

fn stretches<'a>(history: &History, schedule: &'a Schedule) -> Vec<Stretch<'a>> {
    let mut all = Vec::new();
    for (index, version) in schedule.versions.iter().enumerate() {
        let next = schedule.versions.get(index + 1);
        let until = history.facts.until;
        let may_until = next.map_or(until, |next| next.acked_at.unwrap_or(until));
        let sure_until = next.map_or(until, |next| next.asked_at);
        let plan = version.spec.compile().expect("the server took it");
        let sure_from = version.acked_at.unwrap_or(may_until);
        let (may, sure) = ((version.asked_at, may_until), (sure_from, sure_until));
        all.push(Stretch { version, plan, may, sure });
    }
    all
}

fn instants(history: &History, schedule: &Schedule, found: &mut Found) {
    let rows: Vec<&Firing> =
        history.firings.iter().filter(|row| row.schedule.as_ref() == Some(&schedule.id)).collect();
    let stretches = stretches(history, schedule);
    let mut recorded: HashMap<i64, Vec<&Firing>> = HashMap::new();
    for row in rows.iter().filter(|row| row.range.is_none()) {
        recorded.entry(row.nominal_at).or_default().push(row);
        belongs(schedule, &stretches, row, found);
    }
    for (at, rows) in recorded.iter().filter(|(_, rows)| 1 < rows.len()) {
        let what = format!("{} at {} has {} firings", schedule.id, shown(*at), rows.len());
        found.broken(Rule::Doubled, what);
    }
    let ranges: Vec<&Firing> = rows.iter().copied().filter(|row| row.range.is_some()).collect();
    for row in &ranges {
        range(&stretches, row, &recorded, found);
    }
    let skips_at = |at: i64| {
        let holds = |row: &&&Firing| row.range.is_some_and(|it| it.from <= at && at <= it.until);
        ranges.iter().filter(holds).count()
    };
    for stretch in &stretches {
        if stretch.version.running == Running::Deleted {
            continue;
        }
        let (from, until) = stretch.sure;
        let open_from = match stretch.version.running {
            Running::Paused => history.facts.until - FOLD_MS,
            // What is due this very moment may be on its way.
            _ => history.facts.until - history.facts.bounds.healthy_ms,
        };
        for at in enumerated(&stretch.plan, from, until.min(open_from)) {
            let (fired, skipped) = (recorded.contains_key(&at), skips_at(at));
            let what = || format!("{} at {}", schedule.id, shown(at));
            match (fired, skipped) {
                (false, 0) => found.broken(Rule::Lost, what()),
                (true, 0) if stretch.version.running == Running::Paused => {
                    found.broken(Rule::Fence, format!("{} fired while paused", what()));
                }
                (true, 0) | (false, 1) => {}
                _ => {
                    let what = format!("{}: fired {fired}, skipped {skipped} times", what());
                    found.broken(Rule::Doubled, what);
                }
            }
        }
    }
}

/// Whether a planned firing stands for an instant of the plan that it names, while that held.
fn belongs(schedule: &Schedule, stretches: &[Stretch<'_>], row: &Firing, found: &mut Found) {
    let at = row.nominal_at;
    let named = stretches.iter().find(|it| Some(it.version.number) == row.number);
    let Some(stretch) = named else {
        let what = format!("{} at {} names no plan of its schedule", row.id, shown(at));
        found.broken(Rule::Unplanned, what);
        return;
    };
    let is_instant = stretch.plan.next_after(millis(at - 1)) == Some(millis(at));
    if !is_instant || at <= stretch.may.0 {
        let what =
            format!("{} has {} at {}, which was not planned", schedule.id, row.id, shown(at));
        found.broken(Rule::Unplanned, what);
        return;
    }
    // The next plan holds once its acknowledgement went out.
    let number = stretch.version.number;
    let next = schedule.versions.iter().find(|it| number < it.number);
    let Some(over_at) = next.and_then(|next| next.acked_at) else { return };
    if let Some(claimed) = row.started_at.filter(|claimed| over_at < *claimed) {
        let late = claimed - over_at;
        let what = format!("{}: plan {number} claimed {late} ms after its end was said", row.id);
        found.broken(Rule::Fence, what);
    }
}

fn range(
    stretches: &[Stretch<'_>],
    row: &Firing,
    recorded: &HashMap<i64, Vec<&Firing>>,
    found: &mut Found,
) {
    let Some(range) = row.range else { return };
    let mut all: Vec<i64> = Vec::new();
    for stretch in stretches {
        let (from, until) = (range.from.max(stretch.may.0), range.until.min(stretch.may.1));
        all.extend(enumerated(&stretch.plan, from - 1, until));
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|at| !recorded.contains_key(at));
    let ends = [range.from, range.until].iter().all(|end| all.contains(end));
    if !ends || i64::try_from(all.len()) != Ok(range.count) {
        let (from, until) = (shown(range.from), shown(range.until));
        let what = format!(
            "{} says {} from {from} to {until}, but {} lie there",
            row.id,
            range.count,
            all.len()
        );
        found.broken(Rule::WrongRange, what);
    }
    found.figures.skipped += usize::try_from(range.count).unwrap_or(0);
}

/// What can be said about a row without knowing who asked for it.
fn row_by_itself(history: &History, row: &Firing, found: &mut Found) {
    let is_due = row.nominal_at + history.facts.bounds.healthy_ms < history.facts.until;
    let is_for_later = row.attempts.last().and_then(|last| last.retry_at);
    let waits = is_for_later.is_some_and(|at| history.facts.until < at);
    if is_due && !row.is_over() && !waits {
        let what = format!("{} is {} at {}", row.id, row.status, shown(history.facts.until));
        found.broken(Rule::Unfinished, what);
    }
    let succeeded = row.count("SUCCEEDED");
    if 1 < succeeded || (row.is_completed() && succeeded == 0) {
        found.broken(Rule::Doubled, format!("{} has {succeeded} successful attempts", row.id));
    }
    if row.started_at.is_some_and(|at| at < row.nominal_at) {
        found.broken(Rule::Early, format!("{} was claimed before {}", row.id, row.nominal_at));
    }
    for pair in row.attempts.windows(2) {
        // When a try began that was lost with its process, nobody knows.
        let is_known = pair[1].status != "LEASE_EXPIRED";
        if is_known && pair[0].retry_at.is_some_and(|at| pair[1].started_at < at) {
            found.broken(Rule::Early, format!("{} was tried again before its pause", row.id));
        }
    }
}

/// The instants after `from`, up to and with `until`.
fn enumerated(plan: &Plan, from: i64, until: i64) -> Vec<i64> {
    let mut all = Vec::new();
    let mut last = millis(from);
    while let Some(next) = plan.next_after(last).filter(|next| next.millis() <= until) {
        all.push(next.millis());
        last = next;
    }
    all
}

fn millis(at: i64) -> Instant {
    Instant::from_millis(at)
}

fn shown(at: i64) -> String {
    millis(at).to_string()
}
