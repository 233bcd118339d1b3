//! Projects: the tenants.

use entity::project::{Column, Entity, Model};
use entity::{ProjectId, TypedId};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, Select,
};

use super::page::{self, Sort};
use super::{Change, Store, ensure_affected, taken_name};
use crate::domain::page::{Page, Slice};
use crate::error::Result;

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// One project.
pub async fn find(store: &Store, id: ProjectId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(store.readers()).await?)
}

/// Every project, oldest first, for the command line.
pub async fn all(store: &Store) -> Result<Vec<Model>> {
    Ok(Entity::find().order_by_asc(Column::Id).all(store.readers()).await?)
}

/// One project, as a change sees it. Whoever changes it holds its definitions' lock.
pub async fn get(change: &Change, id: ProjectId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(change.tx()).await?)
}

/// The project that was made first, as a change sees it.
pub async fn get_oldest(change: &Change) -> Result<Option<Model>> {
    Ok(Entity::find().order_by_asc(Column::Id).one(change.tx()).await?)
}

/// A page of every project, or of `only` one.
pub async fn list(store: &Store, only: Option<ProjectId>, page: &Page) -> Result<Slice<Model>> {
    page::read(store.readers(), among(only), SORT, page, |row| (0, row.id.uuid())).await
}

/// How many there are in that list.
pub async fn count(store: &Store, only: Option<ProjectId>) -> Result<u64> {
    Ok(among(only).count(store.readers()).await?)
}

/// Adds a project; its name must be free.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    let name = row.name.clone();
    let done = Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await;
    done.map_err(|error| taken_name(error, "project", &name))?;
    Ok(())
}

/// Replaces the row.
pub async fn set(change: &Change, row: &Model) -> Result<()> {
    let done = Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(row.id))
        .exec(change.tx())
        .await
        .map_err(|error| taken_name(error, "project", &row.name))?;
    ensure_affected(done.rows_affected, "project")
}

fn among(only: Option<ProjectId>) -> Select<Entity> {
    match only {
        Some(id) => Entity::find_by_id(id),
        None => Entity::find(),
    }
}
