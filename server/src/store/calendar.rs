//! Calendars, and which schedules refer to them.

use std::collections::HashMap;

use entity::calendar::{Column, Entity, Model};
use entity::{CalendarId, ProjectId, ScheduleId, TypedId, schedule, schedule_calendar};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::page::{self, Sort};
use super::{Change, Store, ensure_affected, taken_name};
use crate::domain::calendar::{DateSet, Entry};
use crate::domain::page::{Page, Slice};
use crate::domain::timetable::NamedDates;
use crate::domain::zone::Zone;
use crate::error::{Error, Result};

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// One calendar that lives.
pub async fn find(store: &Store, project: ProjectId, id: CalendarId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// Several calendars that live, in any order.
pub async fn find_many(
    store: &Store,
    project: ProjectId,
    ids: &[CalendarId],
) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::Id.is_in(page::uuids(ids)));
    Ok(select.all(store.readers()).await?)
}

/// The dates of several calendars.
pub async fn find_dates(
    store: &Store,
    ids: &[CalendarId],
) -> Result<HashMap<CalendarId, NamedDates>> {
    dates_in(store.readers(), ids).await
}

/// One calendar that lives, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: CalendarId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).lock_exclusive().one(change.tx()).await?)
}

/// One calendar that lives, by name, as a change sees it.
pub async fn get_by_name(change: &Change, project: ProjectId, name: &str) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Name.eq(name)).lock_exclusive().one(change.tx()).await?)
}

/// How many schedules other than `except` refer to a calendar.
pub async fn count_schedules(change: &Change, id: CalendarId, except: ScheduleId) -> Result<u64> {
    use schedule_calendar::{Column, Entity};
    let others =
        Entity::find().filter(Column::CalendarId.eq(id)).filter(Column::ScheduleId.ne(except));
    Ok(others.count(change.tx()).await?)
}

/// The dates of several calendars, as a change sees them.
pub(super) async fn get_dates(
    change: &Change,
    ids: &[CalendarId],
) -> Result<HashMap<CalendarId, NamedDates>> {
    dates_in(change.tx(), ids).await
}

/// The schedules that live and refer to a calendar, oldest first.
pub async fn get_schedules(
    change: &Change,
    project: ProjectId,
    id: CalendarId,
) -> Result<Vec<schedule::Model>> {
    let refer = schedule_calendar::Entity::find()
        .select_only()
        .column(schedule_calendar::Column::ScheduleId)
        .filter(schedule_calendar::Column::CalendarId.eq(id))
        .into_query();
    Ok(schedule::Entity::find()
        .filter(schedule::Column::ProjectId.eq(project))
        .filter(schedule::Column::DeletedAt.is_null())
        .filter(schedule::Column::Id.in_subquery(refer))
        .order_by_asc(schedule::Column::Id)
        .lock_exclusive()
        .all(change.tx())
        .await?)
}

/// A page of the calendars that live.
pub async fn list(store: &Store, project: ProjectId, page: &Page) -> Result<Slice<Model>> {
    page::read(store.readers(), live(project), SORT, page, |row| (0, row.id.uuid())).await
}

/// How many live.
pub async fn count(store: &Store, project: ProjectId) -> Result<u64> {
    Ok(live(project).count(store.readers()).await?)
}

/// Adds a calendar.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    let name = row.name.clone();
    Entity::insert(row.into_active_model())
        .exec_without_returning(change.tx())
        .await
        .map_err(|error| taken_name(error, "calendar", &name))?;
    Ok(())
}

/// Replaces the row.
pub async fn set(change: &Change, row: Model) -> Result<()> {
    let name = row.name.clone();
    let done = Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(row.id))
        .filter(Column::ProjectId.eq(row.project_id))
        .exec(change.tx())
        .await
        .map_err(|error| taken_name(error, "calendar", &name))?;
    ensure_affected(done.rows_affected, "calendar")
}

/// Says to which calendars a schedule refers from now on.
pub async fn set_of_schedule(
    change: &Change,
    schedule: ScheduleId,
    calendars: &[CalendarId],
) -> Result<()> {
    use schedule_calendar::{ActiveModel, Column, Entity};
    Entity::delete_many().filter(Column::ScheduleId.eq(schedule)).exec(change.tx()).await?;
    if calendars.is_empty() {
        return Ok(());
    }
    let row = |id: &CalendarId| ActiveModel {
        calendar_id: sea_orm::Set(*id),
        schedule_id: sea_orm::Set(schedule),
    };
    Entity::insert_many(calendars.iter().map(row)).exec_without_returning(change.tx()).await?;
    Ok(())
}

fn live(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project)).filter(Column::DeletedAt.is_null())
}

async fn dates_in(
    db: &impl ConnectionTrait,
    ids: &[CalendarId],
) -> Result<HashMap<CalendarId, NamedDates>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find()
        .filter(Expr::col(Column::Id).is_in(page::uuids(ids)))
        .filter(Column::DeletedAt.is_null())
        .all(db)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, dates(row)?))).collect()
}

fn dates(row: Model) -> Result<NamedDates> {
    let fault = |why: String| Error::Internal(format!("the stored calendar {}: {why}", row.id));
    let entries: Vec<Entry> =
        serde_json::from_str(&row.entries).map_err(|error| fault(error.to_string()))?;
    let zone = row.time_zone.as_deref().map(Zone::parse).transpose().map_err(fault)?;
    let dates =
        DateSet::compile(&entries, zone).map_err(|problems| fault(problems[0].message.clone()))?;
    Ok(NamedDates { name: row.name, dates })
}
