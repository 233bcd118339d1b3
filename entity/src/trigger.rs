//! A definition of what fires: by API call, by the clock, or (later) by signals.

use sea_orm::entity::prelude::*;

use crate::{ActionId, Instant, ProjectId, TriggerId};

/// One row of `trigger`: what changes. What is immutable lies in `trigger_version`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trigger")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TriggerId,
    /// Owner.
    pub project_id: ProjectId,
    /// Unique in the project among triggers that live.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Raised by every change of the row; the number that `expectedVersion` compares.
    pub version: i32,
    /// The `trigger_version` that new firings run.
    pub definition: i32,
    /// The action of that definition, when it names one.
    pub action_id: Option<ActionId>,
    /// Whether its schedules run.
    pub state: State,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// Fires exactly once and then goes.
    pub is_test: bool,
    /// How many of its firings one process executes at a time; any number when not set.
    pub concurrency: Option<i32>,
    /// What becomes of a planned firing while an earlier one runs.
    pub overlap: Overlap,
    /// After how many FAILED firings in a row it is paused; never when not set.
    pub pause_after_failures: Option<i32>,
    /// How many FAILED firings in a row there are, counted while `pause_after_failures` is set.
    pub failures: i32,
    /// Which secret is derived for those who fire it with a signature; raised to rotate.
    pub inbound_generation: i32,
    /// When a test trigger was used up.
    pub consumed_at: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was deleted; the row lives as long as a firing refers to it.
    pub deleted_at: Option<Instant>,
}

/// Whether the schedules of a trigger run.
#[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// They run.
    Active,
    /// They do not; API firings and timers still do.
    Paused,
    /// It was deleted, and what was accepted for it is being cancelled: nothing of it begins.
    Ending,
}

/// What becomes of a planned firing while an earlier one of the same trigger runs.
#[derive(
    Copy,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    EnumIter,
    DeriveActiveEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Overlap {
    /// It runs beside it.
    Allow,
    /// It is skipped.
    #[default]
    Skip,
    /// One waits until the earlier one is over; further ones are skipped.
    BufferOne,
    /// It waits until all earlier ones are over.
    BufferAll,
    /// The earlier one is cancelled, and it runs.
    CancelOther,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
