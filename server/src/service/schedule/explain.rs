//! Why a schedule did, did not, or will fire at an instant.
//!
//! What is recorded goes first: the firing that stands for the instant, or the range that it was
//! skipped in. Only where there is no record does the schedule as it is now explain, because the
//! plan may have been another when the instant came.

use entity::firing::{self, Status};
use entity::schedule::{self as row, State};
use entity::{Instant, trigger};

use super::spec::timetable_of;
use crate::app::App;
use crate::domain::firing::status_word;
use crate::domain::timetable::{Membership, Timetable, WORK_MAX, Work};
use crate::error::Result;
use crate::store::{firing as firings, trigger as triggers};

/// The answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The instant that was asked for.
    pub at: Instant,
    /// The same on the wall of the schedule.
    pub local: String,
    /// In one word.
    pub verdict: Verdict,
    /// In a sentence.
    pub message: String,
    /// What a change of clocks did to it.
    pub note: Option<String>,
    /// The firing, or the range of skipped instants, that is recorded for it.
    pub firing: Option<firing::Model>,
    /// The last instant of the schedule as it is now before it.
    pub previous_at: Option<Instant>,
    /// The first one after it.
    pub next_at: Option<Instant>,
}

/// Why, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fired: the firing says what came of it.
    Fired,
    /// A firing stands for it and has not begun yet.
    Planned,
    /// It was skipped: the firing says why.
    Skipped,
    /// Its firing was cancelled.
    Cancelled,
    /// It will fire.
    WillFire,
    /// It will be skipped unless the schedule is resumed before.
    Paused,
    /// The time plan has no such instant.
    NotPlanned,
    /// The policy or a calendar leaves it out.
    Excluded,
    /// It lies before the schedule starts or was made.
    BeforeStart,
    /// It lies after the schedule ends.
    AfterEnd,
    /// As many instants became firings as may.
    LimitReached,
    /// It passed, and its record is gone or never was: deleted by age, or of another plan.
    NotRecorded,
}

/// Explains an instant of a stored schedule.
///
/// # Errors
/// The database's own.
pub async fn explain(app: &App, row: &row::Model, at: Instant) -> Result<Explanation> {
    let table = timetable_of(app, row).await?;
    let firing = firings::find_of_instant(app.store(), row.project_id, row.id, at).await?;
    // A range of the same plan holds instants, and not what lies between them.
    let is_within = |firing: &firing::Model| {
        firing.nominal_at == at
            || firing.plan_version != Some(row.plan_version)
            || table.membership(at) == Membership::Instant
    };
    let firing = firing.filter(is_within);
    let (verdict, message) = match &firing {
        Some(firing) => recorded(firing),
        None => {
            let trigger = triggers::find(app.store(), row.project_id, row.trigger_id).await?;
            let is_paused = row.state == State::Paused
                || trigger.is_none_or(|trigger| trigger.state == trigger::State::Paused);
            unrecorded(&table, row, at, is_paused)
        }
    };
    Ok(Explanation {
        at,
        local: table.plan().local(at),
        verdict,
        message,
        note: table.plan().note_at(at).filter(|_| table.membership(at) == Membership::Instant),
        firing,
        previous_at: previous(&table, at),
        next_at: table.next_after(at),
    })
}

fn recorded(firing: &firing::Model) -> (Verdict, String) {
    let why = firing.reason.as_deref().unwrap_or("no reason was noted");
    match firing.status {
        Status::Skipped => {
            let among = match firing.range_count {
                Some(count) if 1 < count => format!(" with {} others", count - 1),
                _ => String::new(),
            };
            (Verdict::Skipped, format!("it was skipped{among}: {why}"))
        }
        Status::Cancelled => (Verdict::Cancelled, format!("its firing was cancelled: {why}")),
        Status::Scheduled if firing.blocked_by.is_some() => {
            (Verdict::Planned, "it waits until an earlier firing of its trigger has ended".into())
        }
        Status::Scheduled if firing.epoch == 0 => {
            (Verdict::Planned, format!("it is planned, and due at {}", firing.due_at))
        }
        status => (Verdict::Fired, format!("it fired, and is {}", status_word(status))),
    }
}

fn unrecorded(
    table: &Timetable,
    row: &row::Model,
    at: Instant,
    is_paused: bool,
) -> (Verdict, String) {
    let left_out = |by: &str| (Verdict::Excluded, format!("it is left out by {by}"));
    match table.membership(at) {
        Membership::NotPlanned => {
            return (Verdict::NotPlanned, "the time plan has no such instant".to_owned());
        }
        Membership::BeforeStart(start) => {
            return (Verdict::BeforeStart, format!("the schedule starts at {start}"));
        }
        Membership::AfterEnd(end) => {
            return (Verdict::AfterEnd, format!("the schedule ends at {end}"));
        }
        Membership::Excluded => return left_out("the exclusions of the schedule"),
        Membership::ExcludedBy(name) => return left_out(&format!("the calendar {name}")),
        Membership::NotAllowed => return left_out("the calendars that the schedule keeps to"),
        Membership::Instant => {}
    }
    if at <= row.created_at {
        return (Verdict::BeforeStart, format!("the schedule was made at {}", row.created_at));
    }
    if at <= row.planned_until {
        let message = "it passed without a record that is kept: it was deleted by age, or the \
                       schedule had another plan then";
        return (Verdict::NotRecorded, message.to_owned());
    }
    let is_beyond = |max: &i64| {
        let left = (max - row.firings).max(0).unsigned_abs();
        let (from, until) = (row.planned_until.plus_ms(1), at.plus_ms(1));
        left < table.count(from, until, &mut Work::new(WORK_MAX))
    };
    if let Some(max) = table.policy().max_firings.filter(is_beyond) {
        return (Verdict::LimitReached, format!("the schedule fires {max} times at most"));
    }
    if is_paused {
        let message = "it will be skipped, unless the schedule and its trigger are resumed before";
        return (Verdict::Paused, message.to_owned());
    }
    (Verdict::WillFire, format!("it will fire, and be due at {}", table.due_at(at)))
}

/// The last instant before `at`, looked for in stretches that grow backwards.
fn previous(table: &Timetable, at: Instant) -> Option<Instant> {
    const HOUR_MS: i64 = 3_600_000;
    let mut work = Work::new(WORK_MAX);
    for hours in [1, 24, 32 * 24, 367 * 24, 3_660 * 24, 36_600 * 24] {
        let start = at.plus_ms(-hours * HOUR_MS).max(Instant::MIN);
        let first = table.walk(start, &mut work).next().filter(|next| *next < at);
        if let Some(first) = first {
            let last = table.last_before(first, at, &mut work);
            return Some(last).filter(|_| !work.is_spent());
        }
        if start == Instant::MIN {
            return None;
        }
    }
    None
}
