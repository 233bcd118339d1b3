//! What tells this database from every other, and who runs it.

use entity::installation::{Column, Entity, Model};
use entity::{Instant, ProjectId};
use futures_util::FutureExt as _;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{EntityTrait, IntoActiveModel, QuerySelect};
use uuid::Uuid;

use super::{Change, Origin, Store, ensure_affected};
use crate::domain::zone::tzdata_version;
use crate::error::{Error, Result};

/// The identity of this database: `new` when it has none yet. Whoever is first decides.
pub async fn find_or_insert(store: &Store, new: Uuid, now: Instant) -> Result<Uuid> {
    if let Some(row) = Entity::find().one(store.readers()).await? {
        return Ok(row.id);
    }
    store
        .change(Origin::Api, move |change| {
            async move { Ok(get_or_insert(change, new, now).await?.id) }.boxed()
        })
        .await
}

/// The project of whoever runs the server; none before the first start.
pub async fn operator(store: &Store) -> Result<Option<ProjectId>> {
    Ok(Entity::find().one(store.readers()).await?.and_then(|row| row.operator_id))
}

/// The row, as a change sees it that relies on it; none before the first start.
pub async fn get(change: &Change) -> Result<Option<Model>> {
    Ok(Entity::find().one(change.tx()).await?)
}

/// The same for a change that will write it.
pub async fn get_locked(change: &Change) -> Result<Option<Model>> {
    Ok(Entity::find().lock_exclusive().one(change.tx()).await?)
}

/// Notes the version of the time zone database that is planned with, by a process that works `now`.
pub async fn set_tzdata(change: &Change, version: &str, now: Instant) -> Result<()> {
    let done = Entity::update_many()
        .col_expr(Column::Tzdata, Expr::value(version))
        .col_expr(Column::TzdataSeenAt, Expr::value(now.millis()))
        .exec(change.tx())
        .await?;
    ensure_affected(done.rows_affected, "installation")
}

/// The row, as a change sees it; it is made when there is none.
pub async fn get_or_insert(change: &Change, new: Uuid, now: Instant) -> Result<Model> {
    let row = Model {
        number: 1,
        id: new,
        operator_id: None,
        tzdata: tzdata_version().to_owned(),
        tzdata_seen_at: now,
        created_at: now,
    };
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(Column::Number).do_nothing().to_owned())
        .exec_without_returning(change.tx())
        .await?;
    let row = Entity::find().one(change.tx()).await?;
    row.ok_or_else(|| Error::Internal("no installation".to_owned()))
}

/// Makes a project the operator's. For a change that holds [`super::Lock::FirstStart`].
pub async fn set_operator(change: &Change, project: ProjectId) -> Result<()> {
    let done = Entity::update_many()
        .col_expr(Column::OperatorId, Expr::value(project))
        .exec(change.tx())
        .await?;
    ensure_affected(done.rows_affected, "installation")
}
