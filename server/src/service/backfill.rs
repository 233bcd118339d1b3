//! Backfill: firings for the instants of a past range, worked off a step at a time.
//!
//! A step is one change: it holds the operation's row, looks at some instants after its position,
//! makes firings of them, and moves the position. So a process that dies leaves a step whole or not
//! made, any number of processes may work at once, and an instant is neither left out nor fired
//! twice (the unique index of (operation, schedule, instant) holds it to that).
//!
//! **Back-pressure**: a bounded number of firings of an operation is not over at a time, so that a
//! backfill of a year is no queue of a year. It is completed when its last firing is over.
//!
//! The instants are those of the schedules' timetables as they are when they are looked at. What
//! begins a backfill is here, its steps are in `backfill/step.rs`.

use entity::operation::{self as row, Kind, Status};
use entity::trigger::Overlap;
use entity::{Instant, ScheduleId, TriggerId, schedule};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::once::Once;
use super::{Caller, Scope, firing, operation};
use crate::app::App;
use crate::domain::outbox::Notice;
use crate::domain::text::Check;
use crate::domain::timetable::{Timetable, WORK_MAX, Work};
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{BACKFILL_INSTANTS_MAX, BACKFILL_MISSING_MS_MAX, BACKFILL_WORK_MAX};
use crate::store::{
    Change, Lock, Origin, backfill as ranges, operation as store, schedule as schedules, timetable,
    trigger as triggers,
};

mod step;

pub(super) use step::end_ranges;
pub use step::step;

/// A range to fire for.
#[derive(Clone, Debug, Serialize)]
pub struct Backfill {
    /// What fires.
    pub trigger: TriggerId,
    /// For which of its schedules; for all when not said.
    pub schedule: Option<ScheduleId>,
    /// The first instant of the range.
    pub from: Instant,
    /// The first instant after the range.
    pub until: Instant,
    /// Which instants of the range.
    pub which: Which,
    /// What becomes of its firings while an earlier one runs.
    pub overlap: Option<Overlap>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// Which instants of a range are fired for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// Each, also those that fired already.
    All,
    /// Those that neither fired nor will, as far as firings are kept.
    Missing,
}

/// What a backfill comes to.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The operation; none on a dry run.
    pub operation: Option<row::Model>,
    /// Instants of the range, those that are left out included.
    pub total: u64,
    /// The first of them.
    pub first: Option<Instant>,
    /// The last of them.
    pub last: Option<Instant>,
}

/// Begins a backfill, or with `mode` DryRun only says what it would come to.
///
/// # Errors
/// Every problem of the input; not found; a conflict with a test trigger, or when too many
/// operations go on.
pub async fn begin(
    app: &App,
    caller: &Caller,
    input: Backfill,
    mode: firing::Mode,
) -> Result<Begun> {
    caller.require(Scope::Write)?;
    let once = Once::new(input.idempotency_key.clone(), "triggerBackfill", &input)?;
    let now = app.clock().now();
    if mode == firing::Mode::Real
        && let Some(ids) = once.answered(app.store(), caller.project, now).await?
    {
        let found = store::find(app.store(), caller.project, ids[0]).await?;
        let row = found.ok_or_else(|| Error::not_found("idempotencyKey", "operation", ids[0]))?;
        return Ok(Begun { total: row.total.unsigned_abs(), ..Begun::of(row) });
    }
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            if mode == firing::Mode::Real
                && let Some(ids) = once.repeated(change, caller.project, now).await?
            {
                let found = store::get(change, caller.project, ids[0]).await?;
                return found
                    .map(Begun::of)
                    .ok_or_else(|| Error::not_found("idempotencyKey", "operation", ids[0]));
            }
            change.lock(Lock::DefinitionsShared(caller.project)).await?;
            let (range, overlap) = check(change, &caller, &input, now).await?;
            let mut begun = range.begun(&input)?;
            if mode == firing::Mode::DryRun {
                return Ok(begun);
            }
            let asked = Asked {
                schedules: range.rows.iter().map(|row| row.id).collect(),
                from: input.from,
                until: input.until,
                which: input.which,
                overlap,
            };
            let position = Position { schedule: 0, next: input.from, open: ranges::Open::new() };
            let row = row::Model {
                id: app.ids().make(),
                project_id: caller.project,
                kind: Kind::Backfill,
                status: Status::Running,
                trigger_id: Some(input.trigger),
                total: i64::try_from(begun.total).unwrap_or(i64::MAX),
                done: 0,
                made: 0,
                started_by: caller.by.to_string(),
                error: None,
                created_at: now,
                finished_at: None,
                input: to_text(&asked)?,
                position: to_text(&position)?,
            };
            operation::begin(&app, change, &caller, &row).await?;
            once.remember(change, caller.project, &[row.id], now).await?;
            change.notify(Notice::Replan);
            begun.operation = Some(row);
            Ok(begun)
        }
        .boxed()
    })
    .await
}

/// What was asked for, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asked {
    schedules: Vec<ScheduleId>,
    from: Instant,
    until: Instant,
    which: Which,
    overlap: Option<Overlap>,
}

/// How far it has come, as it is stored: the instants of the schedules before this one, and of this
/// one before `next`, are done.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Position {
    schedule: usize,
    next: Instant,
    /// The ranges of skipped instants that may go on.
    #[serde(default)]
    open: ranges::Open,
}

/// The schedules of a range with their timetables.
struct Range {
    rows: Vec<schedule::Model>,
    tables: Vec<Timetable>,
}

impl Range {
    fn begun(&self, input: &Backfill) -> Result<Begun> {
        let (from, until) = (input.from, input.until);
        let mut work = Work::new(BACKFILL_WORK_MAX);
        let total = self.tables.iter().map(|table| table.count(from, until, &mut work)).sum();
        if work.is_spent() {
            let message = "expected a shorter range: the schedules leave out too much within it";
            return Err(Error::invalid("until", message));
        }
        if BACKFILL_INSTANTS_MAX < total {
            let message = format!(
                "expected a range of at most {BACKFILL_INSTANTS_MAX} instants; this one has {total}"
            );
            return Err(Error::invalid("until", message));
        }
        let first = self.tables.iter().filter_map(|table| first_of(table, from, until)).min();
        let last = self.tables.iter().filter_map(|table| last_of(table, from, until)).max();
        Ok(Begun { operation: None, total, first, last })
    }
}

impl Begun {
    fn of(row: row::Model) -> Self {
        let total = row.total.unsigned_abs();
        Self { operation: Some(row), total, first: None, last: None }
    }
}

/// What the range is made of, and what becomes of overlap in it.
async fn check(
    change: &Change,
    caller: &Caller,
    input: &Backfill,
    now: Instant,
) -> Result<(Range, Option<Overlap>)> {
    let mut check = Check::new();
    if input.until <= input.from {
        check.problem("until", "expected an instant after from");
    }
    if now < input.until {
        check.problem("until", format!("expected an instant that is past, at most {now}"));
    }
    let known_from = now.plus_ms(-BACKFILL_MISSING_MS_MAX);
    if input.which == Which::Missing && input.from < known_from {
        let days = BACKFILL_MISSING_MS_MAX / 86_400_000;
        let message = format!(
            "expected at most {days} days ago with onlyMissing, {known_from} or later: of what is \
             older nobody knows whether it fired"
        );
        check.problem("from", message);
    }
    refuse_if_any(check.problems)?;
    let trigger = triggers::get(change, caller.project, input.trigger).await?;
    let trigger = trigger.ok_or_else(|| Error::not_found("triggerId", "trigger", input.trigger))?;
    if trigger.is_test {
        let message = "expected a trigger that is no test: a test trigger fires exactly once";
        return Err(Error::conflict("triggerId", message));
    }
    let mut rows = schedules::get_of_trigger(change, caller.project, trigger.id).await?;
    if let Some(id) = input.schedule {
        rows.retain(|row| row.id == id);
        if rows.is_empty() {
            return Err(Error::not_found("scheduleId", "schedule", id));
        }
    }
    if rows.is_empty() {
        return Err(Error::conflict("triggerId", "expected a trigger that has schedules"));
    }
    let texts: Vec<timetable::Text<'_>> = rows.iter().map(Into::into).collect();
    let tables = timetable::get_many(change, &texts).await?;
    // One after another and none skipped, unless the trigger's firings stand alone.
    let overlap = match (input.overlap, trigger.overlap) {
        (Some(overlap), _) => Some(overlap),
        (None, Overlap::Allow) => None,
        (None, _) => Some(Overlap::BufferAll),
    };
    Ok((Range { rows, tables }, overlap))
}

fn first_of(table: &Timetable, from: Instant, until: Instant) -> Option<Instant> {
    table.next_after(from.plus_ms(-1)).filter(|at| *at < until)
}

fn last_of(table: &Timetable, from: Instant, until: Instant) -> Option<Instant> {
    let first = first_of(table, from, until)?;
    Some(table.last_before(first, until, &mut Work::new(WORK_MAX)))
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(error.to_string()))
}

fn from_text<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    let fault = |error: serde_json::Error| Error::Internal(format!("a stored operation: {error}"));
    serde_json::from_str(text).map_err(fault)
}
