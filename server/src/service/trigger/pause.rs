//! Triggers that stop and go on: by a person, or by themselves when their target is gone or they
//! failed too often.

use entity::firing as firing_row;
use entity::trigger::{self as row, State};
use entity::{Instant, ProjectId, TriggerId};
use futures_util::FutureExt as _;

use super::{changed, get};
use crate::app::App;
use crate::domain::planning::Reason;
use crate::error::{Error, Result};
use crate::service::{Caller, Scope, schedule};
use crate::store::{
    Change, Lock, Origin, action as actions, event, schedule as schedules, trigger as store,
};

/// Stops the schedules of a trigger until it is resumed. API firings and timers still run.
///
/// # Errors
/// Not found; a conflict when it is paused already.
pub async fn pause(
    app: &App,
    caller: &Caller,
    id: TriggerId,
    reason: Option<String>,
) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    schedule::check_reason(reason.as_deref())?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let row = get(change, caller.project, id).await?;
                if row.state == State::Paused {
                    return Err(Error::conflict("id", "expected a trigger that is ACTIVE"));
                }
                halt(&app, change, &caller, row, reason).await
            }
            .boxed()
        })
        .await
}

/// Pauses the trigger of a firing whose target is gone, unless it runs something else by now or is
/// paused already. Returns whether it did.
///
/// # Errors
/// The database's own.
pub async fn disable(app: &App, firing: &firing_row::Model) -> Result<bool> {
    let Some(id) = firing.trigger_id else { return Ok(false) };
    // Many may be told so at a time; the first one's edit is enough.
    let seen = store::find(app.store(), firing.project_id, id).await?;
    if seen.is_none_or(|row| row.state != State::Active) {
        return Ok(false);
    }
    let ran = (firing.trigger_version, firing.action_version);
    let (project, reason) = (firing.project_id, firing.error.clone());
    let store = app.store().clone();
    let app = app.clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(project)).await?;
                let row = store::get(change, project, id).await?;
                let Some(row) = row.filter(|row| row.state == State::Active) else {
                    return Ok(false);
                };
                let action = match row.action_id {
                    Some(action) => actions::get(change, project, action).await?,
                    None => None,
                };
                if ran != (Some(row.definition), action.map(|action| action.definition)) {
                    return Ok(false);
                }
                halt(&app, change, &Caller::belfry(project), row, reason).await?;
                Ok(true)
            }
            .boxed()
        })
        .await
}

/// Pauses a trigger that has failed as often in a row as it may, unless somebody was faster.
/// Returns whether it did.
///
/// # Errors
/// The database's own.
pub async fn pause_failing(app: &App, project: ProjectId, id: TriggerId) -> Result<bool> {
    let store = app.store().clone();
    let app = app.clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(project)).await?;
                let row = store::get(change, project, id).await?;
                let Some(row) = row.filter(|row| row.state == State::Active) else {
                    return Ok(false);
                };
                let Some(most) = row.pause_after_failures.filter(|most| *most <= row.failures)
                else {
                    return Ok(false);
                };
                let reason = match most {
                    1 => "1 firing failed".to_owned(),
                    most => format!("{most} firings failed in a row"),
                };
                halt(&app, change, &Caller::belfry(project), row, Some(reason)).await?;
                Ok(true)
            }
            .boxed()
        })
        .await
}

/// Stops the schedules of a trigger that is not paused.
async fn halt(
    app: &App,
    change: &Change,
    caller: &Caller,
    mut row: row::Model,
    reason: Option<String>,
) -> Result<row::Model> {
    use entity::schedule::State as Plan;
    let now = app.clock().now();
    for plan in schedules::get_of_trigger(change, row.project_id, row.id).await? {
        let mut plan = schedule::settle(app, change, plan, Reason::Paused, now).await?;
        if matches!(plan.state, Plan::Pending | Plan::Scheduled) {
            schedule::replan(app, change, &mut plan, &row, Reason::Paused, now).await?;
            schedules::set(change, &plan).await?;
        }
    }
    row.state = State::Paused;
    row.pause_reason = reason;
    row.paused_by = Some(caller.by.to_string());
    row.version += 1;
    row.updated_at = now;
    store::set(change, &row).await?;
    let event = changed(app, caller, "trigger.paused", &row);
    event::insert(change, vec![event]).await?;
    Ok(row)
}

/// Lets the schedules of a paused trigger go on with their next instants.
///
/// # Errors
/// Not found; a conflict when it is not paused.
pub async fn resume(app: &App, caller: &Caller, id: TriggerId) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, id).await?;
                if row.state != State::Paused {
                    return Err(Error::conflict("id", "expected a trigger that is PAUSED"));
                }
                let now = app.clock().now();
                // What passed while it was paused is folded before it goes on.
                for plan in schedules::get_of_trigger(change, caller.project, id).await? {
                    schedule::settle(&app, change, plan, Reason::Paused, now).await?;
                }
                row.state = State::Active;
                row.pause_reason = None;
                row.paused_by = None;
                store::set_failures(change, caller.project, id, 0).await?;
                row.version += 1;
                row.updated_at = now;
                store::set(change, &row).await?;
                advance_all(&app, change, &row, now).await?;
                let event = changed(&app, &caller, "trigger.resumed", &row);
                event::insert(change, vec![event]).await?;
                Ok(row)
            }
            .boxed()
        })
        .await
}

async fn advance_all(app: &App, change: &Change, row: &row::Model, now: Instant) -> Result<()> {
    for plan in schedules::get_of_trigger(change, row.project_id, row.id).await? {
        schedule::advance(app, change, &plan, now).await?;
    }
    Ok(())
}
