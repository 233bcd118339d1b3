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
    /// Raised by every change; the number that `expectedVersion` compares.
    pub version: i32,
    /// Which signing secret is derived for it; raised to rotate.
    pub signing_generation: i32,
    /// Most triggers; any number when not set, as with every bound here.
    pub triggers_max: Option<i32>,
    /// Most schedules.
    pub schedules_max: Option<i32>,
    /// Most API keys that hold.
    pub keys_max: Option<i32>,
    /// Most firings that wait.
    pub waiting_max: Option<i32>,
    /// Most cost of requests in a second.
    pub cost_max: Option<i32>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

impl Model {
    /// A project without bounds, made at `now`.
    #[must_use]
    pub fn new(id: ProjectId, name: String, now: Instant) -> Self {
        Self {
            id,
            name,
            version: 1,
            signing_generation: 1,
            triggers_max: None,
            schedules_max: None,
            keys_max: None,
            waiting_max: None,
            cost_max: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
