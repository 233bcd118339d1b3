//! Why a schedule did, did not, or will fire at an instant.
//!
//! What is recorded goes first: the firing that stands for the instant, or the range that it was
//! skipped in. Only where there is no record does the schedule as it is now explain, because the
//! plan may have been another when the instant came. What a backfill did later goes before what was
//! skipped at the time.

use entity::firing::{self, Status};
use entity::schedule::{self as row, State};
use entity::{Instant, trigger};

use self::record::{recorded, why};
use super::spec::timetable_of;
use crate::app::App;
use crate::domain::plan::Absence;
use crate::domain::timetable::{Membership, Timetable, Work};
use crate::error::Result;
use crate::limits::EXPLAIN_WORK_MAX;
use crate::store::{firing as firings, trigger as triggers};

mod record;

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
    /// The first one after it that may become a firing.
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
    /// The time comes twice because clocks go back, and the other pass fires.
    OtherPass,
    /// The time does not exist because clocks go forward, and is skipped.
    DoesNotExist,
    /// The time does not exist because clocks go forward, and the instant after the gap stands for
    /// it.
    Moved,
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
    let membership = table.membership(at);
    let mut work = Work::new(EXPLAIN_WORK_MAX);
    let is_beyond = |at: Instant, work: &mut Work| is_beyond(&table, row, at, work);
    let record = find_record(app, row, &membership, at).await?;
    let (verdict, message) = match &record {
        Record::Firing(firing) => recorded(firing),
        Record::Backfilled(firing, skipped) => {
            let (verdict, message) = recorded(firing);
            let before = skipped.as_ref().map(|why| format!("; at its time it was skipped: {why}"));
            (verdict, format!("{message}{}", before.unwrap_or_default()))
        }
        Record::Encloses(range) => (Verdict::NotPlanned, enclosed(range)),
        Record::None => {
            let trigger = triggers::find(app.store(), row.project_id, row.trigger_id).await?;
            let is_paused = row.state == State::Paused
                || trigger.is_none_or(|trigger| trigger.state == trigger::State::Paused);
            unrecorded(&table, membership.clone(), at)
                .unwrap_or_else(|| to_come(&table, row, at, (is_beyond(at, &mut work), is_paused)))
        }
    };
    let next_at = table.walk(at, &mut work).next();
    Ok(Explanation {
        at,
        local: table.plan().local(at),
        verdict,
        message,
        note: table.plan().note_at(at).filter(|_| membership == Membership::Instant),
        firing: record.firing(),
        next_at: next_at.filter(|next| is_beyond(*next, &mut work) != Some(true)),
        previous_at: previous(&table, at, &mut work),
    })
}

/// What is recorded for an instant.
enum Record {
    None,
    /// Its firing, or the range that it was skipped in.
    Firing(firing::Model),
    /// A firing of a backfill, and why the schedule itself had skipped it, if it had.
    Backfilled(firing::Model, Option<String>),
    /// A range of an earlier plan, in which it lies without being an instant of today's plan.
    Encloses(firing::Model),
}

impl Record {
    fn firing(self) -> Option<firing::Model> {
        match self {
            Self::None => None,
            Self::Firing(firing) | Self::Backfilled(firing, _) | Self::Encloses(firing) => {
                Some(firing)
            }
        }
    }
}

async fn find_record(
    app: &App,
    row: &row::Model,
    membership: &Membership,
    at: Instant,
) -> Result<Record> {
    let own = firings::find_of_instant(app.store(), row.project_id, row.id, at).await?;
    // A range holds instants of its plan, and not what lies between them.
    let is_end = |range: &firing::Model| range.nominal_at == at || range.range_until == Some(at);
    let is_older = |range: &firing::Model| range.plan_version != Some(row.plan_version);
    let own = match own {
        Some(range) if is_end(&range) || *membership == Membership::Instant => {
            Record::Firing(range)
        }
        Some(range) if is_older(&range) && *membership == Membership::NotPlanned => {
            Record::Encloses(range)
        }
        Some(range) if is_older(&range) => Record::Firing(range),
        Some(_) | None => Record::None,
    };
    if matches!(&own, Record::Firing(firing) if firing.status != Status::Skipped) {
        return Ok(own);
    }
    let later = firings::find_backfilled(app.store(), row.project_id, row.id, at).await?;
    let Some(later) = later else { return Ok(own) };
    let skipped = match own {
        Record::Firing(range) => Some(why(&range).to_owned()),
        Record::None | Record::Backfilled(..) | Record::Encloses(_) => None,
    };
    Ok(Record::Backfilled(later, skipped))
}

fn enclosed(range: &firing::Model) -> String {
    let (from, until) = (range.nominal_at, range.range_until.unwrap_or(range.nominal_at));
    let count = range.range_count.unwrap_or(1);
    format!(
        "the time plan has no such instant; an earlier plan skipped {count} from {from} to {until}: {}",
        why(range)
    )
}

/// Why the schedule as it is now leaves an instant out, if it does.
fn unrecorded(table: &Timetable, membership: Membership, at: Instant) -> Option<(Verdict, String)> {
    let left_out = |by: &str| (Verdict::Excluded, format!("it is left out by {by}"));
    Some(match membership {
        Membership::NotPlanned => match table.plan().absence_at(at) {
            Some(Absence::OtherPass(words)) => (Verdict::OtherPass, words),
            Some(Absence::Skipped(words)) => (Verdict::DoesNotExist, words),
            Some(Absence::Moved(words)) => (Verdict::Moved, words),
            None => (Verdict::NotPlanned, "the time plan has no such instant".to_owned()),
        },
        Membership::BeforeStart(start) => {
            (Verdict::BeforeStart, format!("the schedule starts at {start}"))
        }
        Membership::AfterEnd(end) => (Verdict::AfterEnd, format!("the schedule ends at {end}")),
        Membership::Excluded => left_out("the exclusions of the schedule"),
        Membership::ExcludedBy(name) => left_out(&format!("the calendar {name}")),
        Membership::NotAllowed => left_out("the calendars that the schedule keeps to"),
        Membership::Instant => return None,
    })
}

/// What becomes of an instant of the schedule that has no record.
fn to_come(
    table: &Timetable,
    row: &row::Model,
    at: Instant,
    (is_beyond, is_paused): (Option<bool>, bool),
) -> (Verdict, String) {
    if at <= row.created_at {
        return (Verdict::BeforeStart, format!("the schedule was made at {}", row.created_at));
    }
    if at <= row.planned_until {
        let message = "it passed without a record that is kept: it was deleted by age, or the \
                       schedule had another plan then";
        return (Verdict::NotRecorded, message.to_owned());
    }
    let max = table.policy().max_firings.unwrap_or(0);
    if is_beyond == Some(true) {
        return (Verdict::LimitReached, format!("the schedule fires {max} times at most"));
    }
    if is_paused {
        let message = "it will be skipped, unless the schedule and its trigger are resumed before";
        return (Verdict::Paused, message.to_owned());
    }
    let due_at = table.due_at(at);
    let unless = match is_beyond {
        Some(_) => String::new(),
        None => format!(", unless the {max} firings are used up before, which is too far to count"),
    };
    (Verdict::WillFire, format!("it will fire, and be due at {due_at}{unless}"))
}

/// Whether more instants lie up to `at` than may become firings; `None` when that is too far to
/// count.
fn is_beyond(table: &Timetable, row: &row::Model, at: Instant, work: &mut Work) -> Option<bool> {
    let Some(max) = table.policy().max_firings else { return Some(false) };
    let left = (max - row.firings).max(0).unsigned_abs();
    let ahead = (row.planned_until.plus_ms(1), at.plus_ms(1));
    Some(left < table.count_up_to(left.saturating_add(1), ahead, work)?)
}

/// The last instant before `at`, looked for in stretches that grow backwards.
fn previous(table: &Timetable, at: Instant, work: &mut Work) -> Option<Instant> {
    const HOUR_MS: i64 = 3_600_000;
    for hours in [1, 24, 32 * 24, 367 * 24, 3_660 * 24, 36_600 * 24] {
        let start = at.plus_ms(-hours * HOUR_MS).max(Instant::MIN);
        let first = table.walk(start, work).next().filter(|next| *next < at);
        if let Some(first) = first {
            let last = table.last_before(first, at, work);
            return Some(last).filter(|_| !work.is_spent());
        }
        if start == Instant::MIN {
            return None;
        }
    }
    None
}
