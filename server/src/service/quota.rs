//! Whether a project may have more: each check stands before the change that adds, and refuses it
//! whole.

use entity::ProjectId;

use super::Caller;
use crate::app::App;
use crate::domain::quota::{Quotas, Room};
use crate::error::{Error, Result};
use crate::store::{Change, firing, project, schedule, trigger};

/// The quotas of a project, as a change that holds its definitions' lock sees them.
pub(super) async fn of(change: &Change, project: ProjectId) -> Result<Quotas> {
    let row = project::get(change, project).await?;
    Ok(row.as_ref().map(Quotas::from).unwrap_or_default())
}

/// Whether one more trigger with so many schedules fits.
pub(super) async fn admit_trigger(
    change: &Change,
    project: ProjectId,
    schedules: usize,
) -> Result<()> {
    let quotas = of(change, project).await?;
    if quotas.triggers.is_some() {
        let there = trigger::count_live(change, project).await?;
        check("", "triggers", quotas.triggers, there + 1)?;
    }
    admit_schedules(change, project, "schedules", schedules).await
}

/// Whether `more` schedules fit.
pub(super) async fn admit_schedules(
    change: &Change,
    project: ProjectId,
    field: &str,
    more: usize,
) -> Result<()> {
    let quota = of(change, project).await?.schedules;
    if more == 0 || quota.is_none() {
        return Ok(());
    }
    let there = schedule::count_live(change, project).await?;
    check(field, "schedules", quota, there + more as u64)
}

/// Whether `more` firings may wait beside those that do. What is accepted then is to be noted with
/// [`crate::domain::quota::Waiting::accepted`].
pub(super) async fn check_waiting(
    app: &App,
    caller: &Caller,
    field: &str,
    more: usize,
) -> Result<()> {
    let Some(quota) = caller.quotas.waiting_firings else { return Ok(()) };
    let most = u64::try_from(quota).unwrap_or(0);
    let (project, more, now) = (caller.project, more as u64, app.clock().now());
    let mut room = app.waiting().room(project, most, more, now);
    if room == Room::Unknown {
        let waiting = firing::count_waiting(app.store(), project, most + 1).await?;
        app.waiting().counted(project, waiting, now);
        room = app.waiting().room(project, most, more, now);
    }
    if room == Room::Enough { Ok(()) } else { Err(used_up(field, "waiting firings", quota)) }
}

/// Refuses `count` of `what` when that is more than the quota.
pub(super) fn check(field: &str, what: &str, quota: Option<i32>, count: u64) -> Result<()> {
    match quota {
        Some(quota) if u64::try_from(quota).unwrap_or(0) < count => {
            Err(used_up(field, what, quota))
        }
        _ => Ok(()),
    }
}

fn used_up(field: &str, what: &str, quota: i32) -> Error {
    Error::quota(field, format!("the project has a quota of {quota} {what}, which is used up"))
}
