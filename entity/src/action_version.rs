//! One immutable graph of stages: what a firing was accepted with.

use sea_orm::entity::prelude::*;

use crate::{ActionId, Instant};

/// One row of `action_version`; never changed once written.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "action_version")]
pub struct Model {
    /// The action.
    #[sea_orm(primary_key, auto_increment = false)]
    pub action_id: ActionId,
    /// Counts from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// The stages as JSON text.
    pub body: String,
    /// When it was made.
    pub created_at: Instant,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
