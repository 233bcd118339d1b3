//! Projects: the tenants.

use entity::ProjectId;
use entity::project::{Column, Entity, Model};
use sea_orm::{EntityTrait, IntoActiveModel, QueryOrder};

use super::{Change, Store, taken_name};
use crate::error::Result;

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

/// Adds a project; its name must be free.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    let name = row.name.clone();
    let done = Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await;
    done.map_err(|error| taken_name(error, "project", &name))?;
    Ok(())
}

/// The project that was made first; adds `row` when there is none. For a change that holds
/// [`super::Lock::FirstStart`].
pub async fn insert_first(change: &Change, row: Model) -> Result<Model> {
    let first = Entity::find().order_by_asc(Column::Id).one(change.tx()).await?;
    if let Some(first) = first {
        return Ok(first);
    }
    insert(change, row.clone()).await?;
    Ok(row)
}
