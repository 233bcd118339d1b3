//! A named, versioned graph of stages.

use sea_orm::entity::prelude::*;

use crate::{ActionId, Instant, ProjectId};

/// One row of `action`: what changes. The stages lie in `action_version`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "action")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ActionId,
    /// Owner.
    pub project_id: ProjectId,
    /// Unique in the project among actions that live.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Raised by every change of the row; the number that `expectedVersion` compares.
    pub version: i32,
    /// The `action_version` that new firings run.
    pub definition: i32,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was deleted.
    pub deleted_at: Option<Instant>,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
