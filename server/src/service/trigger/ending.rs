//! The end of a trigger that was deleted: what was accepted for it is cancelled.
//!
//! A few firings are cancelled in the deletion itself. When more than [`TRIGGER_END_ROWS_MAX`] wait,
//! the deletion only marks the trigger as ENDING: the claim takes nothing of such a trigger, so that
//! what is acknowledged holds at once. The operator then cancels them, a batch in each change.
//!
//! ```text
//!   delete ─► few wait ──► CANCELLED, all in one change
//!          └► many wait ─► ENDING: claims drained, what runs is cancelled
//!                             └─► operator: a batch, a batch, … ─► none is left
//! ```
//! A replay that is asked for later is no part of it: it waits until the trigger is no longer
//! ENDING, and then runs.

use entity::trigger::{self as row, State};
use entity::{FiringId, Instant, ProjectId, TriggerId};
use futures_util::FutureExt as _;

use crate::app::App;
use crate::domain::outbox::Notice;
use crate::error::Result;
use crate::limits::TRIGGER_END_ROWS_MAX;
use crate::service::{Caller, firing};
use crate::store::{Change, Lock, Origin, firing as firings, trigger as store};

/// How much was accepted for a trigger and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// So little that one change cancels it.
    Few,
    /// More.
    Many,
}

/// Looks how much is to be cancelled. When that is too much for one change nobody claims anything
/// from here to its end, and whoever claimed before has committed. So this comes before everything
/// that takes a row.
pub(super) async fn prepare(change: &Change, row: &row::Model) -> Result<Extent> {
    let most = TRIGGER_END_ROWS_MAX as u64;
    if firings::count_open_of_trigger(change, row.project_id, row.id, most + 1).await? <= most {
        return Ok(Extent::Few);
    }
    change.lock(Lock::Claims).await?;
    Ok(Extent::Many)
}

/// Cancels what was accepted for a trigger that is being deleted, or what of it runs. The caller
/// stores `row`.
pub(super) async fn begin(
    app: &App,
    change: &Change,
    caller: &Caller,
    row: &mut row::Model,
    extent: Extent,
    now: Instant,
) -> Result<()> {
    let open = match extent {
        Extent::Few => firings::get_open_of_trigger(change, row.project_id, row.id).await?,
        Extent::Many => {
            row.state = State::Ending;
            change.notify(Notice::Replan);
            firings::get_executing_of_trigger(change, row.project_id, row.id).await?
        }
    };
    firing::cancel_all(app, change, caller, &open, &row.name, now).await
}

/// The deleted triggers of which something is yet to be cancelled, oldest first.
///
/// # Errors
/// The database's own.
pub async fn ending(app: &App, rows_max: u64) -> Result<Vec<(ProjectId, TriggerId)>> {
    store::ending(app.store(), rows_max).await
}

/// Cancels a batch of what was accepted for a deleted trigger, after the firing `after`. Returns how
/// many those were, and where the next batch begins.
///
/// # Errors
/// The database's own; nothing was changed then.
pub async fn end_some(
    app: &App,
    project: ProjectId,
    id: TriggerId,
    after: Option<FiringId>,
) -> Result<(usize, Option<FiringId>)> {
    let app = app.clone();
    let db = app.store().clone();
    db.change(Origin::Engine, move |change| {
        async move {
            let Some(row) = store::get_ending(change, project, id).await? else {
                return Ok((0, None));
            };
            let open = firings::get_ending_of_trigger(change, &row, after).await?;
            let (caller, now) = (Caller::belfry(project), app.clock().now());
            firing::cancel_all(&app, change, &caller, &open, &row.name, now).await?;
            if let Some(last) = open.last().filter(|_| open.len() == TRIGGER_END_ROWS_MAX) {
                return Ok((open.len(), Some(last.id)));
            }
            // What others had in hand is looked for once more, from the beginning.
            if !firings::is_any_ending(change, &row).await? {
                store::set_ended(change, project, id).await?;
            }
            Ok((open.len(), None))
        }
        .boxed()
    })
    .await
}
