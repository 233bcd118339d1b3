//! Projects: the tenants.

use entity::ProjectId;
use entity::project::{Column, Entity, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{Change, Store};
use crate::error::{Error, Result};

/// The project that was made first, which the command line and the first key belong to.
pub async fn first(store: &Store) -> Result<Option<Model>> {
    Ok(Entity::find().order_by_asc(Column::Id).one(store.readers()).await?)
}

/// One project.
pub async fn find(store: &Store, id: ProjectId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(store.readers()).await?)
}

/// Every project; there are few.
pub async fn list(store: &Store) -> Result<Vec<Model>> {
    Ok(Entity::find().order_by_asc(Column::Id).all(store.readers()).await?)
}

/// Adds a project.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

/// Adds `row` when there is no project yet, also where several processes begin at once, and returns
/// the project that was made first, locked until the change ends.
pub async fn insert_first(change: &Change, row: Model) -> Result<Model> {
    if !exists(change.tx()).await? {
        // On PostgreSQL this waits for another process that does the same, and then does nothing.
        let unless_there = OnConflict::column(Column::Name).do_nothing().to_owned();
        Entity::insert(row.into_active_model())
            .on_conflict(unless_there)
            .exec_without_returning(change.tx())
            .await?;
    }
    let first = Entity::find().order_by_asc(Column::Id).lock_exclusive().one(change.tx()).await?;
    first.ok_or_else(|| Error::Internal("the first project is not there".to_owned()))
}

/// Whether there is any project yet.
pub(super) async fn exists(db: &impl ConnectionTrait) -> Result<bool> {
    Ok(Entity::find().filter(Column::Name.is_not_null()).one(db).await?.is_some())
}
