//! Schedules: made with or beside a trigger, changed (which re-plans them), paused, previewed.
//!
//! A change of the time plan ends, in its own transaction, what was planned and not yet claimed,
//! and plans anew; a change of the name or of nothing re-plans nothing.

use entity::schedule::{self as row, State};
use entity::{Instant, ProjectId, ScheduleId, TriggerId, trigger};
use futures_util::FutureExt as _;

use crate::app::App;
use crate::domain::outbox::Notice;
use crate::domain::page::{Page, Slice};
use crate::domain::planning::Reason;
use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::service::action::expect_version;
use crate::service::audit::{self, What};
use crate::service::once::Once;
use crate::service::{Caller, Scope, quota};
use crate::store::{
    Change, Lock, Origin, calendar as calendars, event, plan, range, schedule as store,
    trigger as triggers,
};

mod draft;
pub mod explain;
mod fire;
pub mod simulation;
mod spec;
mod update;

pub use draft::Draft;
pub(super) use draft::{check_count, check_draft, insert, payload_problems};
pub use fire::fire;
pub use spec::{
    Preview, PreviewInstant, SpecInput, next_instants, plan_of, policy_of, preview, timetable_of,
};

use draft::{nothing_checked, violations};
pub(super) use spec::to_text;
pub use update::{Update, update};

/// Adds a schedule to a trigger.
///
/// # Errors
/// Every problem of the input, the payload's violations of the trigger's schema among them.
pub async fn create(
    app: &App,
    caller: &Caller,
    trigger: TriggerId,
    draft: Draft,
    idempotency_key: Option<String>,
) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let once = Once::new(idempotency_key, "scheduleCreate", &(trigger, &draft))?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| Error::not_found("idempotencyKey", "schedule", ids[0]));
    }
    let mut check = Check::new();
    let checked = check_draft(&mut check, "", &draft, now);
    refuse_if_any(check.problems)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                if let Some(ids) = once.repeated(change, caller.project, now).await? {
                    return get(change, caller.project, ids[0]).await;
                }
                let trigger = get_trigger(change, caller.project, trigger).await?;
                let others = store::get_of_trigger(change, caller.project, trigger.id).await?;
                check_count(others.len() + 1)?;
                quota::admit_schedules(change, caller.project, "", 1).await?;
                let Some(checked) = checked else { return Err(nothing_checked()) };
                violations(change, &trigger, &checked.payload, "payload").await?;
                let made = insert(&app, change, &trigger, vec![checked], now).await?;
                once.remember(change, caller.project, &[made[0].id], now).await?;
                let event = changed(&app, &caller, "schedule.created", &made[0], &trigger);
                event::insert(change, vec![event]).await?;
                get(change, caller.project, made[0].id).await
            }
            .boxed()
        })
        .await
}

/// Deletes a schedule: nothing that it planned and nobody claimed will fire.
///
/// # Errors
/// Not found; a conflict with somebody else's change.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: ScheduleId,
    expected_version: Option<i32>,
) -> Result<ScheduleId> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, id).await?;
                expect_version(expected_version, row.version)?;
                let trigger = get_trigger(change, caller.project, row.trigger_id).await?;
                remove(&app, change, &mut row, &trigger, app.clock().now()).await?;
                let event = changed(&app, &caller, "schedule.deleted", &row, &trigger);
                event::insert(change, vec![event]).await?;
                Ok(id)
            }
            .boxed()
        })
        .await
}

/// Stops a schedule until it is resumed; its instants fold into SKIPPED ranges meanwhile.
///
/// # Errors
/// Not found; a conflict when it is paused or over already.
pub async fn pause(
    app: &App,
    caller: &Caller,
    id: ScheduleId,
    reason: Option<String>,
) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    check_reason(reason.as_deref())?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let row = get(change, caller.project, id).await?;
                let now = app.clock().now();
                let trigger = get_trigger(change, caller.project, row.trigger_id).await?;
                let mut row = settle(&app, change, row, Reason::Paused, now).await?;
                if matches!(row.state, State::Paused | State::Processed) {
                    let message = "expected a schedule that is PENDING or SCHEDULED";
                    return Err(Error::conflict("id", message));
                }
                if trigger.state == trigger::State::Active {
                    replan(&app, change, &mut row, &trigger, Reason::Paused, now).await?;
                }
                row.state = State::Paused;
                row.pause_reason = reason;
                row.paused_by = Some(caller.by.to_string());
                touch(change, &mut row, now).await?;
                let event = changed(&app, &caller, "schedule.paused", &row, &trigger);
                event::insert(change, vec![event]).await?;
                get(change, caller.project, id).await
            }
            .boxed()
        })
        .await
}

/// Lets a paused schedule go on with its next instant.
///
/// # Errors
/// Not found; a conflict when it is not paused.
pub async fn resume(app: &App, caller: &Caller, id: ScheduleId) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let row = get(change, caller.project, id).await?;
                if row.state != State::Paused {
                    return Err(Error::conflict("id", "expected a schedule that is PAUSED"));
                }
                let now = app.clock().now();
                let trigger = get_trigger(change, caller.project, row.trigger_id).await?;
                // What passed while it was paused is folded before it goes on.
                let mut row = settle(&app, change, row, Reason::Paused, now).await?;
                row.state = State::Pending;
                row.pause_reason = None;
                row.paused_by = None;
                row.plan_at = Some(now);
                touch(change, &mut row, now).await?;
                advance(&app, change, &row, now).await?;
                let event = changed(&app, &caller, "schedule.resumed", &row, &trigger);
                event::insert(change, vec![event]).await?;
                get(change, caller.project, id).await
            }
            .boxed()
        })
        .await
}

/// One schedule.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: ScheduleId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// A page of schedules, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: &store::Filter,
    page: &Page,
) -> Result<Slice<row::Model>> {
    store::list(app.store(), caller.project, filter, page).await
}

/// How many schedules match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, filter: &store::Filter) -> Result<u64> {
    store::count(app.store(), caller.project, filter).await
}

/// Deletes one schedule's row and what it planned.
pub(super) async fn remove(
    app: &App,
    change: &Change,
    row: &mut row::Model,
    trigger: &trigger::Model,
    now: Instant,
) -> Result<()> {
    plan::remove_planned(change, row).await?;
    plan::close_range(change, app.ids(), row, trigger).await?;
    range::close_overlap(change, app.ids(), row, trigger).await?;
    calendars::set_of_schedule(change, row.id, &[]).await?;
    row.deleted_at = Some(now);
    row.plan_at = None;
    row.plan_version += 1;
    touch(change, row, now).await
}

/// Brings the cursor to now under the plan as it is, so that what passed under it counts as what
/// it was: caught up, or folded. Whatever changes the plan, or whether it runs, does this first.
/// What is still to be caught up and finds no room is given up for `reason`, as all is that the
/// caller will cut.
pub(super) async fn settle(
    app: &App,
    change: &Change,
    mut row: row::Model,
    reason: Reason,
    now: Instant,
) -> Result<row::Model> {
    while row.plan_at.is_some() && row.planned_until < now {
        let planned_until = row.planned_until;
        plan::advance(change, app.ids(), now, vec![row.clone()]).await?;
        row = get(change, row.project_id, row.id).await?;
        if planned_until < row.planned_until {
            continue;
        }
        plan::give_up(change, app.ids(), now, row.clone(), reason).await?;
        row = get(change, row.project_id, row.id).await?;
        // A plan that cannot be read, or that is another process's to plan, has no past to count.
        if row.planned_until <= planned_until {
            break;
        }
    }
    Ok(row)
}

/// Ends what is planned and plans anew from now.
pub(super) async fn replan(
    app: &App,
    change: &Change,
    row: &mut row::Model,
    trigger: &trigger::Model,
    reason: Reason,
    now: Instant,
) -> Result<()> {
    plan::cut(change, app.ids(), row, trigger, reason, now).await?;
    if row.state == State::Processed {
        row.state = State::Pending;
    }
    Ok(())
}

/// Plans one schedule now, when it has anything to plan.
pub(super) async fn advance(
    app: &App,
    change: &Change,
    row: &row::Model,
    now: Instant,
) -> Result<()> {
    if row.plan_at.is_some() {
        plan::advance(change, app.ids(), now, vec![row.clone()]).await?;
    }
    change.notify(Notice::Replan);
    Ok(())
}

pub(super) async fn touch(change: &Change, row: &mut row::Model, now: Instant) -> Result<()> {
    row.version += 1;
    row.updated_at = now;
    store::set(change, row).await
}

pub(super) fn check_reason(reason: Option<&str>) -> Result<()> {
    let mut check = Check::new();
    if let Some(reason) = reason {
        check.text("reason", reason, crate::limits::DESCRIPTION_CHARS_MAX);
    }
    refuse_if_any(check.problems)
}

async fn get(change: &Change, project: ProjectId, id: ScheduleId) -> Result<row::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "schedule", id))
}

async fn get_trigger(change: &Change, project: ProjectId, id: TriggerId) -> Result<trigger::Model> {
    let row = triggers::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("triggerId", "trigger", id))
}

fn changed(
    app: &App,
    caller: &Caller,
    kind: &str,
    row: &row::Model,
    trigger: &trigger::Model,
) -> entity::event::Model {
    let name = row.name.as_deref().unwrap_or("unnamed");
    let what = What { noun: "schedule", id: &row.id, name };
    let mut event = audit::entry(app, caller, kind, &what);
    event.trigger_id = Some(trigger.id);
    event.trigger_name = Some(trigger.name.clone());
    event.schedule_kind = Some(row.kind);
    event.is_test = trigger.is_test;
    event
}
