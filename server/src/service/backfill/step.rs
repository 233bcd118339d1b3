//! The steps of a backfill: what one change works off.

use entity::firing::{self as firings, Cause};
use entity::operation::{self as row, Status};
use entity::trigger::State;
use entity::{FiringId, Instant, OperationId, ProjectId, schedule};
use futures_util::FutureExt as _;

use super::{Asked, Position, Which, from_text, to_text};
use crate::app::App;
use crate::domain::policy::CatchUp;
use crate::domain::timetable::{Found, Timetable, Work};
use crate::error::Result;
use crate::limits::{BACKFILL_OPEN_MAX, BACKFILL_STEP_INSTANTS_MAX, FIRING_KEPT_MS, PLAN_WORK_MAX};
use crate::service::{Caller, firing, operation};
use crate::store::{
    Change, Lock, Origin, backfill as ranges, operation as store, schedule as schedules, timetable,
    trigger as triggers,
};

/// Takes one step of an operation, unless somebody else does; how many instants it worked off.
///
/// # Errors
/// The database's own; nothing was changed then.
pub async fn step(app: &App, project: ProjectId, id: OperationId) -> Result<usize> {
    let app = app.clone();
    let db = app.store().clone();
    db.change(Origin::Engine, move |change| {
        async move {
            change.lock(Lock::DefinitionsShared(project)).await?;
            let Some(row) = store::get_idle(change, project, id).await? else { return Ok(0) };
            advance(&app, change, row, app.clock().now()).await
        }
        .boxed()
    })
    .await
}

async fn advance(app: &App, change: &Change, mut row: row::Model, now: Instant) -> Result<usize> {
    let project = row.project_id;
    let asked: Asked = from_text(&row.input)?;
    let mut position: Position = from_text(&row.position)?;
    let ranges = ranges::fold(change, app.ids(), &row, &asked.schedules, &position.open).await?;
    if ranges != position.open {
        position.open = ranges;
        row.position = to_text(&position)?;
        store::set(change, &row).await?;
    }
    let open = store::count_open(change, project, row.id).await?;
    let open = usize::try_from(open).unwrap_or(usize::MAX);
    let Some(id) = asked.schedules.get(position.schedule).copied() else {
        if open == 0 {
            let belfry = Caller::belfry(project);
            end_ranges(app, change, &row).await?;
            operation::end(app, change, &belfry, row, Status::Completed, now).await?;
        }
        return Ok(0);
    };
    let room = BACKFILL_OPEN_MAX.saturating_sub(open);
    if room == 0 {
        return Ok(0);
    }
    let Some(schedule) = schedules::get(change, project, id).await? else {
        end_ranges(app, change, &row).await?;
        row.error = Some(format!("{id} was deleted"));
        operation::end(app, change, &Caller::belfry(project), row, Status::Failed, now).await?;
        return Ok(0);
    };
    let tables = timetable::get_many(change, &[(&schedule).into()]).await?;
    let looked = tables.first().map(|table| instants(table, position.next, asked.until));
    let (looked, searched) = looked.unwrap_or_default();
    let missing = match (asked.which, tables.first()) {
        (Which::Missing, Some(table)) => {
            let found = missing(change, &schedule, table, &looked, now).await?;
            // The planner is about to say what becomes of them.
            let Some(found) = found else { return Ok(0) };
            found
        }
        _ => looked.clone(),
    };
    let taken = &missing[..missing.len().min(room)];
    let is_over = taken.len() == missing.len();
    // Past what was taken, or past all that was looked at.
    let last = if is_over { looked.last() } else { taken.last() };
    let passed = looked.iter().filter(|at| Some(*at) <= last).count();
    make(app, change, (&row, &asked), &schedule, taken, now).await?;
    row.done = row.done.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
    row.made = row.made.saturating_add(i64::try_from(taken.len()).unwrap_or(i64::MAX));
    let ended = if is_over { searched } else { last.copied() };
    position = match ended {
        Some(last) => Position { next: last.plus_ms(1), ..position },
        None => Position { schedule: position.schedule + 1, next: asked.from, ..position },
    };
    row.position = to_text(&position)?;
    store::set(change, &row).await?;
    Ok(passed)
}

/// Ends the ranges of an operation that ends.
pub(in crate::service) async fn end_ranges(
    app: &App,
    change: &Change,
    row: &row::Model,
) -> Result<()> {
    let asked: Asked = from_text(&row.input)?;
    let position: Position = from_text(&row.position)?;
    let open = ranges::fold(change, app.ids(), row, &asked.schedules, &position.open).await?;
    let open: Vec<FiringId> = open.into_values().collect();
    ranges::close(change, app.ids(), row, &open).await
}

/// Those of `looked` that have no firing which was, is or will be executed. Of what is so old that
/// its firing may have been deleted nothing is missing. None while the planner has yet to decide
/// about one of them.
async fn missing(
    change: &Change,
    schedule: &schedule::Model,
    table: &Timetable,
    looked: &[Instant],
    now: Instant,
) -> Result<Option<Vec<Instant>>> {
    let (Some(first), Some(last)) = (looked.first(), looked.last()) else {
        return Ok(Some(Vec::new()));
    };
    let coming = coming(change, schedule, table, now).await?;
    if let Coming::Undecided = coming
        && schedule.planned_until < *last
    {
        return Ok(None);
    }
    let range = (*first, *last);
    let mut present = store::get_present(change, schedule.project_id, schedule.id, range).await?;
    present.sort_unstable();
    let known_from = now.plus_ms(-FIRING_KEPT_MS);
    let is_missing = |at: &Instant| {
        let is_coming = matches!(coming, Coming::From(from) if from <= *at);
        known_from < *at && !is_coming && present.binary_search(at).is_err()
    };
    Ok(Some(looked.iter().copied().filter(is_missing).collect()))
}

/// What the planner will make of the instants that are past and not planned.
enum Coming {
    /// Nothing.
    Nothing,
    /// Firings, from this instant on.
    From(Instant),
    /// Firings or ranges of skipped instants: it will have decided with its next pass.
    Undecided,
}

async fn coming(
    change: &Change,
    schedule: &schedule::Model,
    table: &Timetable,
    now: Instant,
) -> Result<Coming> {
    if schedule.plan_at.is_none() || schedule.state == schedule::State::Paused {
        return Ok(Coming::Nothing);
    }
    let trigger = triggers::get(change, schedule.project_id, schedule.trigger_id).await?;
    if trigger.is_none_or(|trigger| trigger.state == State::Paused) {
        return Ok(Coming::Nothing);
    }
    let policy = table.policy();
    if policy.catch_up != CatchUp::All {
        return Ok(Coming::Undecided);
    }
    let from = now.plus_ms(-policy.catch_up_window_ms);
    Ok(Coming::From(from.max(schedule.planned_until.plus_ms(1))))
}

async fn make(
    app: &App,
    change: &Change,
    (row, asked): (&row::Model, &Asked),
    schedule: &schedule::Model,
    instants: &[Instant],
    now: Instant,
) -> Result<()> {
    let caller = Caller::belfry(row.project_id);
    if instants.is_empty() {
        return Ok(());
    }
    let model = firing::accept(change, app, &caller, schedule.trigger_id, now, now).await?;
    let made = instants.iter().map(|at| {
        let id = app.ids().make();
        firings::Model {
            id,
            root_id: id,
            cause: Cause::Backfill,
            nominal_at: *at,
            schedule_id: Some(schedule.id),
            schedule_kind: Some(schedule.kind),
            operation_id: Some(row.id),
            overlap: asked.overlap,
            payload: schedule.payload.clone(),
            ..model.clone()
        }
    });
    firing::insert(change, row.project_id, made.collect()).await
}

/// The instants from `from` on and before `until`, as many as one step looks at, and up to where it
/// looked, when it did not come to the end. The one place that walks over them.
fn instants(table: &Timetable, from: Instant, until: Instant) -> (Vec<Instant>, Option<Instant>) {
    let mut work = Work::new(PLAN_WORK_MAX);
    let mut found = Vec::new();
    let mut last = from.plus_ms(-1);
    while found.len() < BACKFILL_STEP_INSTANTS_MAX {
        match table.search(last, &mut work) {
            Found::At(next) if next < until => {
                found.push(next);
                last = next;
            }
            Found::NotUpTo(searched) if searched < until => {
                return (found, Some(last.max(searched)));
            }
            Found::At(_) | Found::Never | Found::NotUpTo(_) => return (found, None),
        }
    }
    (found, Some(last))
}
