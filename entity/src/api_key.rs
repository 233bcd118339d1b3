//! A credential of one project. The secret itself is never stored, only its SHA-256.

use sea_orm::entity::prelude::*;

use crate::{Instant, KeyId, ProjectId};

/// One row of `api_key`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// Identity; also the public part of a key that Belfry made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: KeyId,
    /// Owner.
    pub project_id: ProjectId,
    /// What a person calls it.
    pub name: String,
    /// SHA-256 of the whole key, unique.
    pub hash: Vec<u8>,
    /// Scopes, separated by blanks, such as `READ FIRE`.
    pub scopes: String,
    /// When it was made.
    pub created_at: Instant,
    /// When it ends by itself.
    pub expires_at: Option<Instant>,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Instant>,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
