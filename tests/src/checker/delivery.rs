//! What the receiver must have seen: each completed firing at least once, none early, again only
//! where a process died between send and record, always with the same id and body, in time.

use std::collections::HashMap;

use super::history::{Delivery, Firing, History, Trust};
use super::{Found, Rule};

pub(super) fn judge(history: &History, found: &mut Found) {
    let rows: HashMap<&str, &Firing> =
        history.firings.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut deliveries: HashMap<&str, Vec<&Delivery>> = HashMap::new();
    for delivery in &history.deliveries {
        let firing = firing_of(&delivery.webhook_id);
        deliveries.entry(firing).or_default().push(delivery);
        let Some(row) = rows.get(firing) else {
            let what = format!("{} belongs to no firing", delivery.webhook_id);
            found.broken(Rule::Changed, what);
            continue;
        };
        if delivery.timer.is_some() && delivery.timer != row.number {
            found.broken(Rule::Changed, format!("{} came with another's body", row.id));
        }
    }
    for row in &history.firings {
        let own = deliveries.get(row.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        if row.is_completed() && own.is_empty() {
            found.broken(Rule::Undelivered, format!("{} is COMPLETED", row.id));
        }
        let Some(first) = own.first() else { continue };
        same(row, own, found);
        again(history, row, own, found);
        if history.facts.trust == Trust::Receiver {
            in_time(history, row, first, found);
            fenced(history, row, first, found);
        }
    }
}

/// The firing that a `webhook-id` names: `<firing>_<stage>`.
fn firing_of(webhook_id: &str) -> &str {
    webhook_id.rsplit_once('_').map_or(webhook_id, |(firing, _)| firing)
}

fn same(row: &Firing, own: &[&Delivery], found: &mut Found) {
    for pair in own.windows(2) {
        if pair[0].webhook_id != pair[1].webhook_id {
            let what = format!("{} and then {}", pair[0].webhook_id, pair[1].webhook_id);
            found.broken(Rule::Changed, what);
        }
        if pair[0].body_hash != pair[1].body_hash {
            found.broken(Rule::Changed, format!("{} came with another body", row.id));
        }
    }
}

fn again(history: &History, row: &Firing, own: &[&Delivery], found: &mut Found) {
    let failed = row.count("FAILED");
    let repeats = own.len() - 1;
    // The last delivery ends in success, unless the firing failed for good.
    let earned = if row.is_completed() { failed } else { failed.saturating_sub(1) };
    let Some(unearned) = repeats.checked_sub(earned).filter(|count| 0 < *count) else { return };
    let excused = own.windows(2).filter(|pair| is_excused(history, pair[0], pair[1])).count();
    if excused < unearned {
        let times: Vec<i64> = own.iter().map(|delivery| delivery.at).collect();
        let what = format!("{} came {} times: {times:?}", row.id, own.len());
        found.broken(Rule::Resent, what);
    }
    found.figures.resent += unearned;
}

/// Whether a process may have died between sending `first` and recording it.
fn is_excused(history: &History, first: &Delivery, second: &Delivery) -> bool {
    let recorded_by = first.answered_at.map_or(i64::MAX, |at| at + history.facts.bounds.record_ms);
    let is_between = |death: &super::Death| {
        // A request that is under way when its process ends may arrive a little later.
        let sent_before = first.at <= death.until + history.facts.bounds.in_flight_ms;
        sent_before && death.from <= recorded_by && death.from <= second.at
    };
    history.facts.deaths.iter().any(is_between)
}

fn in_time(history: &History, row: &Firing, first: &Delivery, found: &mut Found) {
    let bounds = history.facts.bounds;
    let lateness = first.at - row.nominal_at;
    if lateness < -bounds.skew_ms {
        found.broken(Rule::Early, format!("{} came {} ms early", row.id, -lateness));
    }
    let (deadline, healed_at) = deadline(history, row.nominal_at);
    match healed_at {
        None => found.figures.lateness_ms = found.figures.lateness_ms.max(lateness),
        Some(healed_at) => {
            // Late by its own time or by that of the healing, whichever is less.
            let recovery = (first.at - healed_at).min(lateness);
            found.figures.recovery_ms = found.figures.recovery_ms.max(recovery);
        }
    }
    if deadline < first.at {
        found.broken(Rule::Late, format!("{} came {lateness} ms late", row.id));
    }
}

/// By when what is due at `due_at` must have been tried, and when the last fault that excuses
/// lateness had healed. A fault that strikes before the deadline moves it.
fn deadline(history: &History, due_at: i64) -> (i64, Option<i64>) {
    let bounds = history.facts.bounds;
    let mut deadline = due_at + bounds.healthy_ms;
    let mut healed_at = None;
    loop {
        let moved = history.facts.windows.iter().find_map(|window| {
            let recovered = window.until + bounds.recovery_ms;
            let by = window.late_ms.map_or(recovered, |late_ms| recovered.min(due_at + late_ms));
            // Where firing goes on, nothing waits for the healing.
            let healed_at = window.late_ms.map_or(window.until, |_| due_at);
            (window.from <= deadline && deadline < by).then_some((by, healed_at))
        });
        let Some((by, healed)) = moved else { return (deadline, healed_at) };
        (deadline, healed_at) = (by, Some(healed));
    }
}

/// Nothing is sent for a plan that was given up, but for what was under way.
fn fenced(history: &History, row: &Firing, first: &Delivery, found: &mut Found) {
    let Some(schedule) = history.schedules.iter().find(|it| Some(&it.id) == row.schedule.as_ref())
    else {
        return;
    };
    let next = schedule.versions.iter().find(|next| row.number.is_some_and(|it| it < next.number));
    let Some(over_at) = next.and_then(|next| next.acked_at) else { return };
    let late = first.at - over_at;
    let is_broken =
        history.facts.windows.iter().any(|it| it.from <= first.at && over_at <= it.until);
    if history.facts.bounds.in_flight_ms < late && !is_broken {
        let what = format!("{} was sent {late} ms after its plan was given up", row.id);
        found.broken(Rule::Fence, what);
    }
}
