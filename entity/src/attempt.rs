//! One try of one stage of a firing.

use sea_orm::entity::prelude::*;

use crate::{AttemptId, FiringId, Instant, ProjectId};

/// One row of `attempt`; written once, by the recorder.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AttemptId,
    /// Owner.
    pub project_id: ProjectId,
    /// The firing that was tried.
    pub firing_id: FiringId,
    /// Name of the stage that was tried.
    pub stage: String,
    /// Kind of the stage, such as `http`.
    pub kind: String,
    /// Counts from 1.
    pub number: i32,
    /// The claim that it belongs to.
    pub epoch: i32,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Instant,
    /// When it ended.
    pub finished_at: Instant,
    /// Why it failed, for machines.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error: Option<String>,
    /// When the next one was to begin.
    pub retry_at: Option<Instant>,
    /// What was sent, kept short, as JSON text.
    pub request: Option<String>,
    /// What came back, kept short, as JSON text.
    pub response: Option<String>,
}

/// How an attempt ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The stage did its work.
    Succeeded,
    /// It did not.
    Failed,
    /// The process died or lost its lease; whether the stage did its work is unknown.
    LeaseExpired,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
