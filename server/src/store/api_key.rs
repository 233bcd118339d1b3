//! API keys: found by the hash of the whole key, listed and revoked by id.

use entity::api_key::{Column, Entity, Model};
use entity::{Instant, KeyId, ProjectId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{Change, Store};
use crate::error::Result;

/// The key with this SHA-256, whatever its project: the one look-up that precedes the tenant.
pub async fn find_by_hash(store: &Store, hash: &[u8]) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Hash.eq(hash)).one(store.readers()).await?)
}

/// One key of a project.
pub async fn find(store: &Store, project: ProjectId, id: KeyId) -> Result<Option<Model>> {
    let select = Entity::find_by_id(id).filter(Column::ProjectId.eq(project));
    Ok(select.one(store.readers()).await?)
}

/// Every key of a project, oldest first.
pub async fn list(store: &Store, project: ProjectId) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::ProjectId.eq(project)).order_by_asc(Column::Id);
    Ok(select.all(store.readers()).await?)
}

/// Whether a project has any key, as this change sees it.
pub async fn exists(change: &Change, project: ProjectId) -> Result<bool> {
    let select = Entity::find().filter(Column::ProjectId.eq(project));
    Ok(select.one(change.tx()).await?.is_some())
}

/// Adds a key.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

/// Revokes a key; `false` when there is none, or it was revoked before.
pub async fn set_revoked(
    change: &Change,
    project: ProjectId,
    id: KeyId,
    at: Instant,
) -> Result<bool> {
    let done = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(at.millis()))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .filter(Column::RevokedAt.is_null())
        .exec(change.tx())
        .await?;
    Ok(done.rows_affected == 1)
}
