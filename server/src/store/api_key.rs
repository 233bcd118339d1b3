//! API keys: found by the hash of the whole key, listed and revoked by id.

use entity::api_key::{Column, Entity, Model};
use entity::{Instant, KeyId, ProjectId, TypedId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    Select,
};

use super::page::{self, Sort};
use super::{Change, Store};
use crate::domain::page::{Page, Slice};
use crate::error::Result;

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// The key with this SHA-256, whatever its project: the one look-up that precedes the tenant.
pub async fn find_by_hash(store: &Store, hash: &[u8]) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Hash.eq(hash)).one(store.readers()).await?)
}

/// One key of a project, also one that was revoked.
pub async fn find(store: &Store, project: ProjectId, id: KeyId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// Every key of a project, oldest first, for the command line.
pub async fn all(store: &Store, project: ProjectId) -> Result<Vec<Model>> {
    Ok(of(project).order_by_asc(Column::Id).all(store.readers()).await?)
}

/// One key of a project, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: KeyId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).one(change.tx()).await?)
}

/// The keys of a project that hold at `now`, as a change sees them.
pub async fn get_holding(change: &Change, project: ProjectId, now: Instant) -> Result<Vec<Model>> {
    let ends_later =
        Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now));
    let select = of(project).filter(Column::RevokedAt.is_null()).filter(ends_later);
    Ok(select.order_by_asc(Column::Id).all(change.tx()).await?)
}

/// Whether a project has any key, also one that was revoked, as this change sees it.
pub async fn exists(change: &Change, project: ProjectId) -> Result<bool> {
    Ok(of(project).one(change.tx()).await?.is_some())
}

/// A page of the keys of a project.
pub async fn list(store: &Store, project: ProjectId, page: &Page) -> Result<Slice<Model>> {
    page::read(store.readers(), of(project), SORT, page, |row| (0, row.id.uuid())).await
}

/// How many a project has, revoked ones included.
pub async fn count(store: &Store, project: ProjectId) -> Result<u64> {
    Ok(of(project).count(store.readers()).await?)
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

/// Notes that a key was used at `at`, when the last use that is known lies before `until`; whether
/// it did.
pub async fn set_used(
    change: &Change,
    project: ProjectId,
    id: KeyId,
    at: Instant,
    until: Instant,
) -> Result<bool> {
    let is_older =
        Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(until));
    let done = Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(at.millis()))
        .filter(Column::Id.eq(id))
        .filter(Column::ProjectId.eq(project))
        .filter(is_older)
        .exec(change.tx())
        .await?;
    Ok(done.rows_affected == 1)
}

fn of(project: ProjectId) -> Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project))
}
