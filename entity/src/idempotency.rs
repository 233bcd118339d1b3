//! What a client's idempotency key stands for: an effect that happened.

use sea_orm::entity::prelude::*;

use crate::{Instant, ProjectId};

/// One row of `idempotency`, written in the transaction of the effect.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// Owner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// The client's key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Which mutation used it.
    pub operation: String,
    /// SHA-256 of the coerced input.
    pub input_hash: Vec<u8>,
    /// Ids of what was made, separated by blanks.
    pub result_ids: String,
    /// When it was used.
    pub created_at: Instant,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
