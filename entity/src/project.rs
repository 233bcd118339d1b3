//! A tenant: owns everything that carries its id.

use sea_orm::entity::prelude::*;

use crate::{Instant, ProjectId};

/// One row of `project`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProjectId,
    /// Unique among projects.
    pub name: String,
    /// Which signing secret is derived for it; raised to rotate.
    pub signing_generation: i32,
    /// When it was made.
    pub created_at: Instant,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
