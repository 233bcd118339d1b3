//! A long, resumable piece of work over many rows, with progress and cancel.

use sea_orm::entity::prelude::*;

use crate::{Instant, OperationId, ProjectId, TriggerId};

/// One row of `operation`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operation")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OperationId,
    /// Owner.
    pub project_id: ProjectId,
    /// What is done.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// The trigger that it is about.
    pub trigger_id: Option<TriggerId>,
    /// What there is to do, counted when it began.
    pub total: i64,
    /// How much of that was worked off, what was left out included.
    pub done: i64,
    /// How many firings came of it.
    pub made: i64,
    /// Who asked for it.
    pub started_by: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Instant,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// What was asked for, as JSON text.
    pub input: String,
    /// How far it has come, as JSON text.
    pub position: String,
}

/// What an operation does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// Fires for the instants of a past range.
    Backfill,
}

/// Where an operation stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It goes on.
    Running,
    /// Everything was done.
    Completed,
    /// A person stopped it.
    Cancelled,
    /// It cannot go on.
    Failed,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
