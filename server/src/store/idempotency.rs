//! Idempotency keys: what a repeated request answers with.

use entity::ProjectId;
use entity::idempotency::{Column, Entity, Model};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::{Change, Lock, Store};
use crate::error::Result;

/// What `key` stands for in this project.
pub async fn find(store: &Store, project: ProjectId, key: &str) -> Result<Option<Model>> {
    find_in(store.readers(), project, key).await
}

/// The same, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, key: &str) -> Result<Option<Model>> {
    // Of two calls at the same time the second waits, and then sees what the first made.
    change.lock(Lock::Key(project, key)).await?;
    find_in(change.tx(), project, key).await
}

/// Remembers an effect, in its transaction. A key older than 24 h that was not yet swept away is
/// taken over.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    Entity::delete_many()
        .filter(Column::ProjectId.eq(row.project_id))
        .filter(Column::Key.eq(row.key.as_str()))
        .exec(change.tx())
        .await?;
    Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

async fn find_in(
    db: &impl ConnectionTrait,
    project: ProjectId,
    key: &str,
) -> Result<Option<Model>> {
    let select = Entity::find().filter(Column::ProjectId.eq(project)).filter(Column::Key.eq(key));
    Ok(select.one(db).await?)
}
