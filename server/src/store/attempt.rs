//! Attempts: the tries of firings. Written by the recorder and the sweeper only.

use entity::attempt::{Column, Entity, Model};
use entity::{FiringId, ProjectId};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{Change, Store, bulk, page};
use crate::error::Result;

/// The attempts of several firings, oldest first.
pub async fn find_of_firings(
    store: &Store,
    project: ProjectId,
    firings: &[FiringId],
) -> Result<Vec<Model>> {
    let select = Entity::find()
        .filter(Column::ProjectId.eq(project))
        .filter(Column::FiringId.is_in(page::uuids(firings)))
        .order_by_asc(Column::Id);
    Ok(select.all(store.readers()).await?)
}

/// Adds attempts, many in one statement.
pub(super) async fn insert(change: &Change, rows: Vec<Model>) -> Result<()> {
    change.count(|tally| tally.tried(&rows));
    bulk::insert::<Entity, _>(change.tx(), rows.into_iter().map(IntoActiveModel::into_active_model))
        .await
}
