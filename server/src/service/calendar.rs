//! Calendars: named sets of dates that schedules leave out or keep to.
//!
//! A change of a calendar is a change of every schedule that refers to it: what they had planned and
//! nobody claimed is gone, and they are planned anew, in the same transaction.

use entity::{CalendarId, Instant, ProjectId, ScheduleId, calendar as row, trigger};
use futures_util::FutureExt as _;
use serde::Serialize;

use super::action::{check_description, expect_version};
use super::audit::{self, What};
use super::once::Once;
use super::schedule;
use super::{Caller, Scope};
use crate::app::App;
use crate::domain::calendar::{DateSet, Entry};
use crate::domain::outbox::Notice;
use crate::domain::page::{Page, Slice};
use crate::domain::planning::Reason;
use crate::domain::text::Check;
use crate::domain::zone::Zone;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{CALENDAR_SCHEDULES_MAX, NAME_CHARS_MAX};
use crate::store::{
    Change, Lock, Origin, calendar as store, event, plan, schedule as schedules,
    trigger as triggers,
};

/// A calendar as it shall be, whether it is there or not.
#[derive(Clone, Debug, Serialize)]
pub struct Set {
    /// Unique in the project; what finds it.
    pub name: String,
    /// What it is for; none any more when not said.
    pub description: Option<String>,
    /// IANA name of the zone on whose wall its dates are read; each schedule's own when not said.
    pub time_zone: Option<String>,
    /// All its entries.
    pub entries: Vec<Entry>,
    /// The version that the client saw; 0 when it must not be there yet.
    pub expected_version: Option<i32>,
    /// See [`Once`].
    pub idempotency_key: Option<String>,
}

/// Makes a calendar, or replaces the one of the same name.
///
/// # Errors
/// Every problem of the input; a conflict with somebody else's change.
pub async fn set(app: &App, caller: &Caller, input: Set) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let once = Once::new(input.idempotency_key.clone(), "calendarSet", &input)?;
    let now = app.clock().now();
    if let Some(ids) = once.answered(app.store(), caller.project, now).await? {
        let row = store::find(app.store(), caller.project, ids[0]).await?;
        return row.ok_or_else(|| Error::not_found("idempotencyKey", "calendar", ids[0]));
    }
    check(&input)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                if let Some(ids) = once.repeated(change, caller.project, now).await? {
                    return get(change, caller.project, ids[0]).await;
                }
                let now = app.clock().now();
                let found = store::get_by_name(change, caller.project, &input.name).await?;
                let version = found.as_ref().map_or(0, |row| row.version);
                expect_version(input.expected_version, version)?;
                let made = match found {
                    Some(row) => replace(&app, &caller, change, row, &input, now).await?,
                    None => insert(&app, &caller, change, &input, now).await?,
                };
                once.remember(change, caller.project, &[made.id], now).await?;
                Ok(made)
            }
            .boxed()
        })
        .await
}

/// Deletes a calendar that no schedule refers to any more.
///
/// # Errors
/// Not found; a conflict while schedules refer to it, stating how many.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: CalendarId,
    expected_version: Option<i32>,
) -> Result<CalendarId> {
    caller.require(Scope::Write)?;
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, id).await?;
                expect_version(expected_version, row.version)?;
                let count = store::get_schedules(change, caller.project, id).await?.len();
                if 0 < count {
                    let message = match count {
                        1 => "1 schedule refers to this calendar; change it first".to_owned(),
                        more => {
                            format!("{more} schedules refer to this calendar; change them first")
                        }
                    };
                    return Err(Error::conflict("id", message));
                }
                row.deleted_at = Some(app.clock().now());
                row.version += 1;
                let event = changed(&app, &caller, "calendar.deleted", &row);
                store::set(change, row).await?;
                event::insert(change, vec![event]).await?;
                Ok(id)
            }
            .boxed()
        })
        .await
}

/// One calendar.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: CalendarId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// A page of calendars, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(app: &App, caller: &Caller, page: &Page) -> Result<Slice<row::Model>> {
    store::list(app.store(), caller.project, page).await
}

/// How many calendars there are.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller) -> Result<u64> {
    store::count(app.store(), caller.project).await
}

/// The entries of a stored calendar.
///
/// # Errors
/// A fault when what is stored cannot be read.
pub fn entries(row: &row::Model) -> Result<Vec<Entry>> {
    let fault = |error| Error::Internal(format!("the stored calendar {}: {error}", row.id));
    serde_json::from_str(&row.entries).map_err(fault)
}

fn check(input: &Set) -> Result<()> {
    let mut check = Check::new();
    check.name("name", &input.name, NAME_CHARS_MAX);
    check_description(&mut check, input.description.as_deref());
    if let Some(Err(why)) = input.time_zone.as_deref().map(Zone::parse) {
        check.problem("timeZone", why);
    }
    if let Err(problems) = DateSet::compile(&input.entries, None) {
        check.under("entries", problems);
    }
    refuse_if_any(check.problems)
}

async fn insert(
    app: &App,
    caller: &Caller,
    change: &Change,
    input: &Set,
    now: Instant,
) -> Result<row::Model> {
    let row = row::Model {
        id: app.ids().make(),
        project_id: caller.project,
        name: input.name.clone(),
        description: input.description.clone(),
        time_zone: input.time_zone.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        entries: schedule::to_text(&input.entries),
    };
    store::insert(change, row.clone()).await?;
    event::insert(change, vec![changed(app, caller, "calendar.created", &row)]).await?;
    Ok(row)
}

async fn replace(
    app: &App,
    caller: &Caller,
    change: &Change,
    mut row: row::Model,
    input: &Set,
    now: Instant,
) -> Result<row::Model> {
    let entries = schedule::to_text(&input.entries);
    let is_moved = entries != row.entries || input.time_zone != row.time_zone;
    let mut plans = Vec::new();
    if is_moved {
        // What passed under the old entries counts as what it was.
        for plan in store::get_schedules(change, caller.project, row.id).await? {
            plans.push(schedule::settle(app, change, plan, Reason::Superseded, now).await?);
        }
    }
    row.description.clone_from(&input.description);
    row.time_zone.clone_from(&input.time_zone);
    row.entries = entries;
    row.version += 1;
    row.updated_at = now;
    store::set(change, row.clone()).await?;
    replan(app, change, plans, now).await?;
    event::insert(change, vec![changed(app, caller, "calendar.updated", &row)]).await?;
    Ok(row)
}

/// Ends what `plans` had planned, and plans anew.
async fn replan(
    app: &App,
    change: &Change,
    plans: Vec<entity::schedule::Model>,
    now: Instant,
) -> Result<()> {
    let mut cut = Vec::with_capacity(plans.len());
    for mut plan in plans {
        let trigger = get_trigger(change, &plan).await?;
        schedule::replan(app, change, &mut plan, &trigger, Reason::Superseded, now).await?;
        schedules::set(change, &plan).await?;
        cut.push(plan);
    }
    plan::advance(change, app.ids(), now, cut).await?;
    change.notify(Notice::Replan);
    Ok(())
}

/// Refuses one more schedule than `except` that refers to a calendar, when there are enough; `field`
/// is where it is named.
pub(super) async fn admit(
    change: &Change,
    project: ProjectId,
    id: CalendarId,
    except: ScheduleId,
    field: &str,
) -> Result<()> {
    if store::get(change, project, id).await?.is_none() {
        return Err(Error::not_found(field, "calendar", id));
    }
    if store::count_schedules(change, id, except).await? < CALENDAR_SCHEDULES_MAX as u64 {
        return Ok(());
    }
    let message = format!("expected at most {CALENDAR_SCHEDULES_MAX} schedules of a calendar");
    Err(Error::invalid(field, message))
}

async fn get(change: &Change, project: ProjectId, id: CalendarId) -> Result<row::Model> {
    let row = store::get(change, project, id).await?;
    row.ok_or_else(|| Error::not_found("id", "calendar", id))
}

async fn get_trigger(change: &Change, plan: &entity::schedule::Model) -> Result<trigger::Model> {
    let row = triggers::get(change, plan.project_id, plan.trigger_id).await?;
    row.ok_or_else(|| Error::Internal(format!("{} has no trigger", plan.id)))
}

fn changed(app: &App, caller: &Caller, kind: &str, row: &row::Model) -> entity::event::Model {
    audit::entry(app, caller, kind, &What { noun: "calendar", id: &row.id, name: &row.name })
}
