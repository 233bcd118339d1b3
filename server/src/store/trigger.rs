//! Triggers and their immutable versions.

use std::collections::HashMap;

use entity::trigger::{Column, Entity, Model, State};
use entity::{
    ActionId, Instant, ProjectId, TriggerId, TypedId, firing, schedule, schedule_calendar,
    trigger_version as version,
};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DbBackend, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _,
};

use super::page::{self, Sort, compare, compare_text};
use super::{Change, Store, bulk, ensure_affected, taken_name};
use crate::domain::comparator::Comparator;
use crate::domain::page::{Page, Slice};
use crate::error::{Error, Result};

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// Which triggers a list shows; every set condition must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By name.
    pub name: Option<Comparator<String>>,
    /// By state; `COMPLETED` is derived: schedules, and none that will fire again.
    pub states: Option<Vec<DerivedState>>,
    /// By the action that it names.
    pub action: Option<Comparator<ActionId>>,
    /// Test triggers only, or none; either when not set.
    pub is_test: Option<bool>,
    /// By creation.
    pub created_at: Option<Comparator<Instant>>,
}

/// What a client sees as the state of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivedState {
    /// Its schedules run.
    Active,
    /// They do not, until resumed.
    Paused,
    /// It has schedules, and none of them will fire again.
    Completed,
}

/// One trigger that lives.
pub async fn find(store: &Store, project: ProjectId, id: TriggerId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// One trigger that lives, by name.
pub async fn find_by_name(store: &Store, project: ProjectId, name: &str) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Name.eq(name)).one(store.readers()).await?)
}

/// Several triggers that live, in any order.
pub async fn find_many(store: &Store, project: ProjectId, ids: &[TriggerId]) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::Id.is_in(page::uuids(ids)));
    Ok(select.all(store.readers()).await?)
}

/// One trigger that lives, whatever its project: for a sender whom only its signature names.
pub async fn find_for_sender(store: &Store, id: TriggerId) -> Result<Option<Model>> {
    let select = Entity::find_by_id(id).filter(Column::DeletedAt.is_null());
    Ok(select.one(store.readers()).await?)
}

/// One version, also of a trigger that was deleted.
pub async fn find_version(
    store: &Store,
    project: ProjectId,
    id: TriggerId,
    number: i32,
) -> Result<Option<version::Model>> {
    let found = find_versions(store, project, &[(id, number)]).await?;
    Ok(found.into_iter().next())
}

/// Several versions, in any order.
pub async fn find_versions(
    store: &Store,
    project: ProjectId,
    keys: &[(TriggerId, i32)],
) -> Result<Vec<version::Model>> {
    let keys = keys.iter().map(|(id, number)| {
        let id = version::Column::TriggerId.eq(*id);
        Condition::all().add(id).add(version::Column::Number.eq(*number))
    });
    let select = versions(project).filter(keys.fold(Condition::any(), Condition::add));
    Ok(select.all(store.readers()).await?)
}

/// One trigger that lives, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: TriggerId) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(change.tx()).await?)
}

/// One version, as a change sees it.
pub async fn get_version(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
    number: i32,
) -> Result<version::Model> {
    versions(project)
        .filter(version::Column::TriggerId.eq(id))
        .filter(version::Column::Number.eq(number))
        .one(change.tx())
        .await?
        .ok_or_else(|| Error::Internal(format!("{id} has no version {number}")))
}

/// The triggers among `ids` whose owner bounds how many of their firings a process executes at a
/// time, each with that bound.
pub async fn limits(
    change: &Change,
    project: ProjectId,
    ids: impl Iterator<Item = TriggerId>,
) -> Result<HashMap<TriggerId, i32>> {
    let mut ids: Vec<TriggerId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let mut limits = HashMap::new();
    for run in bulk::runs(&ids) {
        let rows = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Concurrency])
            .filter(Column::Id.is_in(page::uuids(run)))
            .filter(Column::ProjectId.eq(project))
            .filter(Column::Concurrency.is_not_null())
            .into_tuple::<(TriggerId, i32)>()
            .all(change.tx())
            .await?;
        limits.extend(rows);
    }
    Ok(limits)
}

/// One trigger that was deleted and of which something is yet to be cancelled.
pub async fn get_ending(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
) -> Result<Option<Model>> {
    let select = Entity::find_by_id(id)
        .filter(Column::ProjectId.eq(project))
        .filter(Column::State.eq(State::Ending));
    Ok(select.one(change.tx()).await?)
}

/// Those of all projects, oldest first.
pub async fn ending(store: &Store, rows_max: u64) -> Result<Vec<(ProjectId, TriggerId)>> {
    let select = Entity::find()
        .select_only()
        .columns([Column::ProjectId, Column::Id])
        // In the words of the index `trigger_ending`.
        .filter(Expr::cust("trigger.state = 'ENDING'"))
        .order_by_asc(Column::Id)
        .limit(rows_max);
    Ok(select.into_tuple().all(store.readers()).await?)
}

/// How many triggers that live name this action.
pub async fn count_naming(change: &Change, project: ProjectId, action: ActionId) -> Result<u64> {
    Ok(live(project).filter(Column::ActionId.eq(action)).count(change.tx()).await?)
}

/// How many live, as a change sees them.
pub async fn count_live(change: &Change, project: ProjectId) -> Result<u64> {
    Ok(live(project).count(change.tx()).await?)
}

/// A page of the triggers that live.
pub async fn list(
    store: &Store,
    project: ProjectId,
    filter: &Filter,
    page: &Page,
) -> Result<Slice<Model>> {
    let select = live(project).filter(condition(filter, store.backend()));
    page::read(store.readers(), select, SORT, page, |row| (0, row.id.uuid())).await
}

/// How many live and match.
pub async fn count(store: &Store, project: ProjectId, filter: &Filter) -> Result<u64> {
    Ok(live(project).filter(condition(filter, store.backend())).count(store.readers()).await?)
}

/// Adds a trigger with its first version.
pub async fn insert(change: &Change, row: Model, version: version::Model) -> Result<()> {
    let name = row.name.clone();
    Entity::insert(row.into_active_model())
        .exec_without_returning(change.tx())
        .await
        .map_err(|error| taken_name(error, "trigger", &name))?;
    insert_version(change, version).await
}

/// Adds a version.
pub async fn insert_version(change: &Change, row: version::Model) -> Result<()> {
    version::Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

/// Replaces the row, but for what the engine writes meanwhile: its count of failures, and that a
/// test was used up or went.
pub async fn set(change: &Change, row: &Model) -> Result<()> {
    let mut values = row.clone().into_active_model().reset_all();
    values.failures = ActiveValue::NotSet;
    values.consumed_at = ActiveValue::NotSet;
    if row.deleted_at.is_none() {
        values.deleted_at = ActiveValue::NotSet;
    }
    let done = Entity::update_many()
        .set(values)
        .filter(Column::Id.eq(row.id))
        .filter(Column::ProjectId.eq(row.project_id))
        .exec(change.tx())
        .await
        .map_err(|error| taken_name(error, "trigger", &row.name))?;
    ensure_affected(done.rows_affected, "trigger")
}

/// Counts firings that ended, in their order, each as failed or not; whether so many failed in a
/// row that the trigger is to be paused. Nothing is counted of one that is never paused for that.
pub async fn count_failures(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
    failed: &[bool],
) -> Result<bool> {
    let select = live(project).filter(Column::Id.eq(id)).lock_exclusive();
    let Some(row) = select.one(change.tx()).await? else { return Ok(false) };
    let Some(most) = row.pause_after_failures else { return Ok(false) };
    let mut failures = row.failures;
    let mut is_reached = false;
    for is_failed in failed {
        failures = if *is_failed { failures.saturating_add(1) } else { 0 };
        is_reached |= most <= failures;
    }
    // Once reached it stays, until whoever pauses has seen it.
    let failures = if is_reached { Ord::max(failures, most) } else { failures };
    if failures != row.failures {
        set_failures(change, project, id, failures).await?;
    }
    Ok(is_reached && row.state == State::Active)
}

/// Sets the count of failures in a row.
pub async fn set_failures(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
    failures: i32,
) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Failures, Expr::value(failures))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .exec(change.tx())
        .await?;
    Ok(())
}

/// Marks that nothing of a deleted trigger is left to cancel.
pub async fn set_ended(change: &Change, project: ProjectId, id: TriggerId) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(State::Paused))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .filter(Column::State.eq(State::Ending))
        .exec(change.tx())
        .await?;
    Ok(())
}

/// Uses a test trigger up; `false` when somebody else did before. What its schedules planned goes
/// with it.
pub async fn set_consumed(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
    at: Instant,
) -> Result<bool> {
    let done = Entity::update_many()
        .col_expr(Column::ConsumedAt, Expr::value(at.millis()))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .filter(Column::ConsumedAt.is_null())
        .exec(change.tx())
        .await?;
    if done.rows_affected == 1 {
        end_schedules(change, id).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Deletes a test trigger whose one firing is over, with its schedules; a trigger that is no test
/// stays.
pub async fn delete_test(
    change: &Change,
    project: ProjectId,
    id: TriggerId,
    at: Instant,
) -> Result<()> {
    let db = change.tx();
    Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(at.millis()))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .filter(Column::IsTest.eq(true))
        .filter(Column::DeletedAt.is_null())
        .exec(db)
        .await?;
    end_schedules(change, id).await?;
    schedule::Entity::update_many()
        .col_expr(schedule::Column::DeletedAt, Expr::value(at.millis()))
        .filter(schedule::Column::TriggerId.eq(id))
        .filter(schedule::Column::DeletedAt.is_null())
        .exec(db)
        .await?;
    // A calendar counts who refers to it.
    let schedules = schedule::Entity::find()
        .select_only()
        .column(schedule::Column::Id)
        .filter(schedule::Column::TriggerId.eq(id))
        .into_query();
    schedule_calendar::Entity::delete_many()
        .filter(schedule_calendar::Column::ScheduleId.in_subquery(schedules))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes what the schedules of a trigger planned and nobody took; they plan nothing any more.
async fn end_schedules(change: &Change, id: TriggerId) -> Result<()> {
    firing::Entity::delete_many()
        .filter(firing::Column::TriggerId.eq(id))
        .filter(firing::Column::Status.eq(firing::Status::Scheduled))
        .filter(firing::Column::Cause.eq(firing::Cause::Schedule))
        .filter(firing::Column::Epoch.eq(0))
        .exec(change.tx())
        .await?;
    let nothing = || Expr::value(Option::<i64>::None);
    schedule::Entity::update_many()
        .col_expr(schedule::Column::State, Expr::value(schedule::State::Processed))
        .col_expr(schedule::Column::NextAt, nothing())
        .col_expr(schedule::Column::PlanAt, nothing())
        .filter(schedule::Column::TriggerId.eq(id))
        .filter(schedule::Column::DeletedAt.is_null())
        .exec(change.tx())
        .await?;
    Ok(())
}

fn live(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project)).filter(Column::DeletedAt.is_null())
}

/// The versions of a project's triggers, also of those that were deleted.
fn versions(project: ProjectId) -> sea_orm::Select<version::Entity> {
    let mut of_project = Query::select();
    of_project
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(
            Expr::col((Entity, Column::Id)).equals((version::Entity, version::Column::TriggerId)),
        )
        .and_where(Expr::col((Entity, Column::ProjectId)).eq(project));
    version::Entity::find().filter(Expr::exists(of_project))
}

fn condition(filter: &Filter, backend: DbBackend) -> Condition {
    let mut all = Condition::all();
    if let Some(name) = &filter.name {
        all = all.add(compare_text(Column::Name, name, backend));
    }
    if let Some(action) = &filter.action {
        all = all.add(compare(Column::ActionId, action));
    }
    if let Some(created_at) = &filter.created_at {
        all = all.add(compare(Column::CreatedAt, created_at));
    }
    if let Some(is_test) = filter.is_test {
        all = all.add(Column::IsTest.eq(is_test));
    }
    if let Some(states) = &filter.states {
        let any = states.iter().fold(Condition::any(), |any, state| any.add(in_state(*state)));
        // An empty list names no state, so that nothing matches.
        all = if states.is_empty() { all.add(Expr::val(1).eq(0)) } else { all.add(any) };
    }
    all
}

fn in_state(state: DerivedState) -> Condition {
    let schedules = |will_fire: bool| {
        let mut query = Query::select();
        query
            .expr(Expr::val(1))
            .from(schedule::Entity)
            .and_where(
                Expr::col((schedule::Entity, schedule::Column::TriggerId))
                    .equals((Entity, Column::Id)),
            )
            .and_where(schedule::Column::DeletedAt.is_null());
        if will_fire {
            query.and_where(schedule::Column::State.ne(schedule::State::Processed));
        }
        Expr::exists(query)
    };
    let is_completed = Condition::all().add(schedules(false)).add(schedules(true).not());
    let state_is = |state: State| Column::State.eq(state);
    match state {
        DerivedState::Paused => Condition::all().add(state_is(State::Paused)),
        DerivedState::Completed => Condition::all().add(state_is(State::Active)).add(is_completed),
        DerivedState::Active => {
            Condition::all().add(state_is(State::Active)).add(is_completed.not())
        }
    }
}
