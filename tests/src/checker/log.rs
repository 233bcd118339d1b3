//! What the log must show: each end of a firing once, and every tail all of it in its order.

use std::collections::{HashMap, HashSet};

use super::history::{History, Tail};
use super::{Found, Rule};

pub(super) fn judge(history: &History, found: &mut Found) {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, entry) in history.log.iter().enumerate() {
        if places.insert(&entry.id, place).is_some() {
            found.broken(Rule::Disordered, format!("the log has {} twice", entry.id));
        }
    }
    ends(history, found);
    for tail in &history.tails {
        compare(history, &places, tail, found);
    }
}

fn ends(history: &History, found: &mut Found) {
    let mut completed: HashMap<&str, usize> = HashMap::new();
    for entry in history.log.iter().filter(|entry| entry.kind == "firing.completed") {
        *completed.entry(entry.firing.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for row in history.firings.iter().filter(|row| row.is_completed()) {
        match completed.remove(row.id.as_str()).unwrap_or(0) {
            1 => {}
            0 => found.broken(Rule::Missed, format!("the log has no end of {}", row.id)),
            count => {
                found.broken(Rule::Doubled, format!("the log has {count} ends of {}", row.id));
            }
        }
    }
}

/// From where it began to the end of the log a tail sees everything, once, in order.
fn compare(history: &History, places: &HashMap<&str, usize>, tail: &Tail, found: &mut Found) {
    let first = match &tail.after {
        None => 0,
        Some(id) => match places.get(id.as_str()) {
            Some(place) => place + 1,
            None => {
                found.broken(Rule::Missed, format!("the log has lost {id}"));
                return;
            }
        },
    };
    let mut seen = HashSet::new();
    let mut last = None;
    for id in &tail.seen {
        let Some(place) = places.get(id.as_str()).copied() else {
            found.broken(Rule::Disordered, format!("{} saw {id}, which is not there", tail.name));
            continue;
        };
        if !seen.insert(place) {
            found.broken(Rule::Disordered, format!("{} saw {id} twice", tail.name));
        } else if last.is_some_and(|last| place < last) {
            found.broken(Rule::Disordered, format!("{} saw {id} out of order", tail.name));
        }
        last = Some(place);
    }
    for (place, entry) in history.log.iter().enumerate().skip(first) {
        if !seen.contains(&place) {
            let what = format!("{} missed {} ({})", tail.name, entry.id, entry.kind);
            found.broken(Rule::Missed, what);
        }
    }
}
