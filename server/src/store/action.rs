//! Actions and their immutable versions.

use entity::action::{Column, Entity, Model};
use entity::{ActionId, ProjectId, TypedId, action_version};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter,
};

use super::page::{self, Sort};
use super::{Change, Store, ensure_affected, taken_name};
use crate::domain::page::{Page, Slice};
use crate::error::Result;

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// One action that lives.
pub async fn find(store: &Store, project: ProjectId, id: ActionId) -> Result<Option<Model>> {
    find_in(store.readers(), project, id).await
}

/// One action that lives, by name.
pub async fn find_by_name(store: &Store, project: ProjectId, name: &str) -> Result<Option<Model>> {
    let select = live(project).filter(Column::Name.eq(name));
    Ok(select.one(store.readers()).await?)
}

/// One action that lives, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: ActionId) -> Result<Option<Model>> {
    find_in(change.tx(), project, id).await
}

/// Several actions that live, in any order.
pub async fn find_many(store: &Store, project: ProjectId, ids: &[ActionId]) -> Result<Vec<Model>> {
    let select = live(project).filter(Column::Id.is_in(page::uuids(ids)));
    Ok(select.all(store.readers()).await?)
}

/// A page of the actions that live.
pub async fn list(store: &Store, project: ProjectId, page: &Page) -> Result<Slice<Model>> {
    page::read(store.readers(), live(project), SORT, page, |row| (0, row.id.uuid())).await
}

/// How many live.
pub async fn count(store: &Store, project: ProjectId) -> Result<u64> {
    Ok(live(project).count(store.readers()).await?)
}

/// The stages of one version, as JSON text.
pub async fn find_body(
    store: &Store,
    project: ProjectId,
    id: ActionId,
    number: i32,
) -> Result<Option<String>> {
    let mut of_project = Query::select();
    of_project
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::Id)).eq(id))
        .and_where(Expr::col((Entity, Column::ProjectId)).eq(project));
    let select = action_version::Entity::find_by_id((id, number)).filter(Expr::exists(of_project));
    Ok(select.one(store.readers()).await?.map(|row| row.body))
}

/// Adds an action with its first version.
pub async fn insert(change: &Change, row: Model, version: action_version::Model) -> Result<()> {
    let name = row.name.clone();
    Entity::insert(row.into_active_model())
        .exec_without_returning(change.tx())
        .await
        .map_err(|error| taken_name(error, "action", &name))?;
    insert_version(change, version).await
}

/// Adds a version.
pub async fn insert_version(change: &Change, version: action_version::Model) -> Result<()> {
    action_version::Entity::insert(version.into_active_model())
        .exec_without_returning(change.tx())
        .await?;
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
        .map_err(|error| taken_name(error, "action", &name))?;
    ensure_affected(done.rows_affected, "action")
}

fn live(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project)).filter(Column::DeletedAt.is_null())
}

async fn find_in(
    db: &impl ConnectionTrait,
    project: ProjectId,
    id: ActionId,
) -> Result<Option<Model>> {
    Ok(live(project).filter(Column::Id.eq(id)).one(db).await?)
}
