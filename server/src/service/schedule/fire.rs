//! Run now: a schedule's firing by hand, which changes nothing of its plan.

use entity::firing::{self as firings, Cause};
use entity::{FiringId, ScheduleId};
use futures_util::FutureExt as _;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::once::Once;
use crate::service::{Caller, Scope, firing, quota};
use crate::store::{Lock, Origin, event, firing as rows, schedule as store};

/// Fires the trigger of a schedule now, with the schedule's payload, also while either is paused.
///
/// # Errors
/// Not found; a conflict when a test trigger is used up.
pub async fn fire(
    app: &App,
    caller: &Caller,
    id: ScheduleId,
    idempotency_key: Option<String>,
) -> Result<firings::Model> {
    caller.require(Scope::Fire)?;
    let once = Once::new(idempotency_key, "scheduleFire", &id)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = rows::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| gone(ids[0]));
    }
    quota::check_waiting(app, caller, "", 1).await?;
    app.waiting().accepted(caller.project, 1);
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Api, move |change| {
        async move {
            if let Some(ids) = once.repeated(change, caller.project, now).await? {
                let row = rows::get(change, caller.project, ids[0]).await?;
                return row.ok_or_else(|| gone(ids[0]));
            }
            change.lock(Lock::DefinitionsShared(caller.project)).await?;
            let plan = store::peek(change, caller.project, id).await?;
            let plan = plan.ok_or_else(|| Error::not_found("id", "schedule", id))?;
            let row = firing::accept(change, &app, &caller, plan.trigger_id, now, now).await?;
            let row = firings::Model {
                cause: Cause::Manual,
                schedule_id: Some(plan.id),
                schedule_kind: Some(plan.kind),
                payload: plan.payload,
                ..row
            };
            let name = firing::trigger_name(change, &row).await?;
            let entry = firing::accepted(&app, &caller, &row, name.as_deref());
            event::insert(change, vec![entry]).await?;
            once.remember(change, caller.project, &[row.id], now).await?;
            firing::insert(change, caller.project, vec![row.clone()]).await?;
            Ok(row)
        }
        .boxed()
    })
    .await
}

fn gone(id: FiringId) -> Error {
    Error::not_found("idempotencyKey", "firing", id)
}
