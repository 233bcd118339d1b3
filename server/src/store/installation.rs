//! What tells this database from every other.

use entity::Instant;
use entity::installation::{Column, Entity, Model};
use futures_util::FutureExt as _;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{Origin, Store};
use crate::error::{Error, Result};

/// The identity of this database: `new` when it has none yet. Whoever is first decides.
pub async fn find_or_insert(store: &Store, new: Uuid, now: Instant) -> Result<Uuid> {
    if let Some(row) = Entity::find().one(store.readers()).await? {
        return Ok(row.id);
    }
    store
        .change(Origin::Api, move |change| {
            async move {
                let row = Model { number: 1, id: new, created_at: now };
                Entity::insert(row.into_active_model())
                    .on_conflict(OnConflict::column(Column::Number).do_nothing().to_owned())
                    .exec_without_returning(change.tx())
                    .await?;
                let row = Entity::find().one(change.tx()).await?;
                row.map(|row| row.id).ok_or_else(|| Error::Internal("no installation".to_owned()))
            }
            .boxed()
        })
        .await
}
