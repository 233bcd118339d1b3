//! Schedules: the time plans of triggers.

use entity::firing;
use entity::schedule::{Column, Entity, Kind, Model, State};
use entity::{Instant, ProjectId, ScheduleId, TriggerId, TypedId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum as _, ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend,
    EntityTrait, FromQueryResult, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use super::page::{self, Sort, compare};
use super::{Change, Store, bulk, ensure_affected};
use crate::domain::comparator::Comparator;
use crate::domain::page::{Page, Slice};
use crate::error::Result;

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// Which schedules a list shows; every set condition must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By trigger.
    pub trigger: Option<Comparator<TriggerId>>,
    /// By kind.
    pub kind: Option<Comparator<Kind>>,
    /// By state.
    pub state: Option<Comparator<State>>,
}

/// One schedule that lives.
pub async fn find(store: &Store, project: ProjectId, id: ScheduleId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// The schedules of several triggers, oldest first.
pub async fn find_of_triggers(
    store: &Store,
    project: ProjectId,
    triggers: &[TriggerId],
) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::TriggerId.is_in(page::uuids(triggers)));
    Ok(select.order_by_asc(Column::Id).all(store.readers()).await?)
}

/// Several schedules that live, in any order.
pub async fn find_many(
    store: &Store,
    project: ProjectId,
    ids: &[ScheduleId],
) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::Id.is_in(page::uuids(ids)));
    Ok(select.all(store.readers()).await?)
}

/// The first instant that is planned and unclaimed, for each of several schedules that has one.
pub async fn first_planned(
    store: &Store,
    project: ProjectId,
    ids: &[ScheduleId],
) -> Result<Vec<(ScheduleId, Instant)>> {
    #[derive(FromQueryResult)]
    struct Row {
        schedule_id: ScheduleId,
        first: Instant,
    }
    let rows = firing::Entity::find()
        .select_only()
        .column(firing::Column::ScheduleId)
        .column_as(firing::Column::NominalAt.min(), "first")
        .filter(firing::Column::ScheduleId.is_in(page::uuids(ids)))
        .filter(firing::Column::ProjectId.eq(project))
        .filter(firing::Column::Status.eq(firing::Status::Scheduled))
        .filter(firing::Column::Cause.eq(firing::Cause::Schedule))
        .filter(firing::Column::BlockedBy.is_null())
        .group_by(firing::Column::ScheduleId)
        .into_model::<Row>()
        .all(store.readers())
        .await?;
    Ok(rows.into_iter().map(|row| (row.schedule_id, row.first)).collect())
}

/// How many instants of a schedule after `now` are planned and unclaimed.
pub async fn count_planned(
    store: &Store,
    project: ProjectId,
    id: ScheduleId,
    now: Instant,
) -> Result<u64> {
    use firing::{Column, Entity};
    let planned = Entity::find()
        .filter(Column::ScheduleId.eq(id))
        .filter(Column::ProjectId.eq(project))
        // In the words of the index `firing_ahead`.
        .filter(Expr::cust("firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE'"))
        .filter(Column::NominalAt.gt(now));
    Ok(planned.count(store.readers()).await?)
}

/// One schedule that lives, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: ScheduleId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).lock_exclusive().one(change.tx()).await?)
}

/// One schedule that lives, as a change sees it that only relies on it to stay and has
/// [`super::Lock::DefinitionsShared`] for that.
pub async fn peek(change: &Change, project: ProjectId, id: ScheduleId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(change.tx()).await?)
}

/// Schedules that have nothing to plan any more and are not known to be over.
pub async fn last(store: &Store, rows_max: u64) -> Result<Vec<ScheduleId>> {
    let select = Entity::find()
        .select_only()
        .column(Column::Id)
        // In the words of the index `schedule_last`.
        .filter(Expr::cust("plan_at IS NULL AND state = 'SCHEDULED'"))
        .limit(rows_max);
    Ok(select.into_tuple().all(store.readers()).await?)
}

/// The schedules of a trigger that live, as a change sees them.
pub async fn get_of_trigger(
    change: &Change,
    project: ProjectId,
    trigger: TriggerId,
) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::TriggerId.eq(trigger));
    Ok(select.order_by_asc(Column::Id).lock_exclusive().all(change.tx()).await?)
}

/// A page of the schedules that live.
pub async fn list(
    store: &Store,
    project: ProjectId,
    filter: &Filter,
    page: &Page,
) -> Result<Slice<Model>> {
    let select = live(project).filter(condition(filter));
    page::read(store.readers(), select, SORT, page, |row| (0, row.id.uuid())).await
}

/// How many live and match.
pub async fn count(store: &Store, project: ProjectId, filter: &Filter) -> Result<u64> {
    Ok(live(project).filter(condition(filter)).count(store.readers()).await?)
}

/// How many live, as a change sees them.
pub async fn count_live(change: &Change, project: ProjectId) -> Result<u64> {
    Ok(live(project).count(change.tx()).await?)
}

/// Adds a schedule.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

/// Replaces the row.
pub async fn set(change: &Change, row: &Model) -> Result<()> {
    set_in(change.tx(), row).await
}

/// Where the planner stands with each of `rows`, in as few statements as possible.
pub(super) async fn set_cursors(change: &Change, rows: &[Model]) -> Result<()> {
    for statement in cursor_statements(change, rows) {
        change.tx().execute_raw(statement).await?;
    }
    Ok(())
}

async fn set_in(db: &impl ConnectionTrait, row: &Model) -> Result<()> {
    let done = Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(row.id))
        .filter(Column::ProjectId.eq(row.project_id))
        .exec(db)
        .await?;
    ensure_affected(done.rows_affected, "schedule")
}

fn cursor_statements(change: &Change, rows: &[Model]) -> Vec<Statement> {
    if rows.is_empty() {
        return Vec::new();
    }
    if change.backend() == DbBackend::Postgres {
        let cursors: Vec<serde_json::Value> = rows.iter().map(cursor_json).collect();
        let cursors = serde_json::Value::Array(cursors).to_string();
        return vec![change.statement(include_str!("cursor_postgres.sql"), [cursors.into()])];
    }
    let statement = |run: &[Model]| {
        let places = vec!["(?, ?, ?, ?, ?, ?, ?)"; run.len()].join(", ");
        let sql = format!(include_str!("cursor.sql"), rows = places);
        change.statement(&sql, run.iter().flat_map(cursor_values))
    };
    bulk::runs(rows).map(statement).collect()
}

fn cursor_json(row: &Model) -> serde_json::Value {
    serde_json::json!({
        "id": row.id.uuid().to_string(),
        "state": row.state.to_value(),
        "planned_until": row.planned_until.millis(),
        "next_at": row.next_at.map(Instant::millis),
        "plan_at": row.plan_at.map(Instant::millis),
        "open_range_id": row.open_range_id.map(|id| id.uuid().to_string()),
        "firings": row.firings,
    })
}

fn cursor_values(row: &Model) -> [Value; 7] {
    [
        row.id.uuid().into(),
        row.state.to_value().into(),
        row.planned_until.millis().into(),
        row.next_at.map(Instant::millis).into(),
        row.plan_at.map(Instant::millis).into(),
        row.open_range_id.map(TypedId::uuid).into(),
        row.firings.into(),
    ]
}

fn live(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project)).filter(Column::DeletedAt.is_null())
}

fn condition(filter: &Filter) -> Condition {
    let mut all = Condition::all();
    if let Some(trigger) = &filter.trigger {
        all = all.add(compare(Column::TriggerId, trigger));
    }
    if let Some(kind) = &filter.kind {
        all = all.add(compare(Column::Kind, kind));
    }
    if let Some(state) = &filter.state {
        all = all.add(compare(Column::State, state));
    }
    all
}
