//! One immutable definition of a trigger: what a firing was accepted with.

use sea_orm::entity::prelude::*;

use crate::{ActionId, Instant, TriggerId};

/// One row of `trigger_version`; never changed once written.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trigger_version")]
pub struct Model {
    /// The trigger.
    #[sea_orm(primary_key, auto_increment = false)]
    pub trigger_id: TriggerId,
    /// Counts from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// JSON Schema that payloads must satisfy, as text; none accepts every payload.
    pub payload_schema: Option<String>,
    /// The named action to run.
    pub action_id: Option<ActionId>,
    /// Or the action itself, as JSON text.
    pub inline_action: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
