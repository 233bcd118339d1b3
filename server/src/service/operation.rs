//! Operations: long work that goes on by itself, to read and to stop. What each kind does is in a
//! file of its own: `backfill.rs`.

use entity::operation::{self as row, Status};
use entity::{Instant, OperationId, ProjectId};
use futures_util::FutureExt as _;

use super::audit::{self, What};
use super::{Caller, Scope, backfill, firing};
use crate::app::App;
use crate::domain::page::{Page, Slice};
use crate::error::{Error, Result};
use crate::limits::OPERATIONS_RUNNING_MAX;
pub use crate::store::operation::Turn;
use crate::store::{Change, Origin, event, operation as store};

/// Stops an operation: nothing more comes of it, and what it made and nobody has begun is
/// cancelled. What runs is finished.
///
/// # Errors
/// Not found; a conflict when it is over.
pub async fn cancel(app: &App, caller: &Caller, id: OperationId) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let db = app.store().clone();
    db.change(Origin::Edit, move |change| {
        async move {
            let found = store::get(change, caller.project, id).await?;
            let row = found.ok_or_else(|| Error::not_found("id", "operation", id))?;
            if row.status != Status::Running {
                let expected = "expected an operation that is RUNNING";
                let message = format!("{expected}; this one is {}", word(row.status));
                return Err(Error::conflict("id", message));
            }
            let now = app.clock().now();
            for waiting in store::get_waiting(change, caller.project, id).await? {
                firing::cancel_one(&app, change, &caller, &waiting, now).await?;
            }
            backfill::end_ranges(&app, change, &row).await?;
            end(&app, change, &caller, row, Status::Cancelled, now).await
        }
        .boxed()
    })
    .await
}

/// One operation.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: OperationId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// A page of operations, newest first.
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

/// How many operations match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, filter: &store::Filter) -> Result<u64> {
    store::count(app.store(), caller.project, filter).await
}

/// Begins an operation, unless too many go on.
pub(super) async fn begin(
    app: &App,
    change: &Change,
    caller: &Caller,
    row: &row::Model,
) -> Result<()> {
    if OPERATIONS_RUNNING_MAX <= store::count_running(change, row.project_id).await? {
        let message = format!("expected at most {OPERATIONS_RUNNING_MAX} operations at a time");
        return Err(Error::conflict("triggerId", message));
    }
    store::insert(change, row.clone()).await?;
    event::insert(change, vec![entry(app, caller, "operation.started", row)]).await
}

/// Ends an operation, with its event.
pub(super) async fn end(
    app: &App,
    change: &Change,
    caller: &Caller,
    mut row: row::Model,
    status: Status,
    now: Instant,
) -> Result<row::Model> {
    row.status = status;
    row.finished_at = Some(now);
    store::set(change, &row).await?;
    let kind = match status {
        Status::Running => "operation.started",
        Status::Completed => "operation.completed",
        Status::Cancelled => "operation.cancelled",
        Status::Failed => "operation.failed",
    };
    event::insert(change, vec![entry(app, caller, kind, &row)]).await?;
    Ok(row)
}

/// Those that go on, of every project in turn: what the engine takes steps of, and the turn after.
///
/// # Errors
/// The database's own.
pub async fn running(
    app: &App,
    turn: Turn,
    rows_max: u64,
) -> Result<(Vec<(ProjectId, OperationId)>, Turn)> {
    store::running(app.store(), turn, rows_max).await
}

fn entry(app: &App, caller: &Caller, kind: &str, row: &row::Model) -> entity::event::Model {
    let name = match row.kind {
        row::Kind::Backfill => format!("backfill, {} of {} instants", row.done, row.total),
    };
    let what = What { noun: "operation", id: &row.id, name: &name };
    let mut event = audit::entry(app, caller, kind, &what);
    event.trigger_id = row.trigger_id;
    event
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Running => "RUNNING",
        Status::Completed => "COMPLETED",
        Status::Cancelled => "CANCELLED",
        Status::Failed => "FAILED",
    }
}
