//! One time plan of a trigger, with the planner's cursor over it.

use sea_orm::entity::prelude::*;

use crate::{FiringId, Instant, ProjectId, ScheduleId, TriggerId};

/// One row of `schedule`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedule")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ScheduleId,
    /// Owner.
    pub project_id: ProjectId,
    /// The trigger that it fires.
    pub trigger_id: TriggerId,
    /// What a person calls it.
    pub name: Option<String>,
    /// Which of the four specs it has.
    pub kind: Kind,
    /// The spec as JSON text.
    pub spec: String,
    /// Where it stands.
    pub state: State,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// Raised by every change of the row; the number that `expectedVersion` compares.
    pub version: i32,
    /// Raised when the time plan changes; planned firings carry it and the claim checks it.
    pub plan_version: i32,
    /// Every instant up to here is planned, folded or fired; what stops re-planning.
    pub planned_until: Instant,
    /// The first instant that is not yet planned; none when there is none.
    pub next_at: Option<Instant>,
    /// When the planner has to look at it again; none when never.
    pub plan_at: Option<Instant>,
    /// The SKIPPED row that the next skipped instants extend.
    pub open_range_id: Option<FiringId>,
    /// The SKIPPED row that the next instants skipped by overlap extend.
    pub open_overlap_id: Option<FiringId>,
    /// How many of its instants became firings; what `maxFirings` bounds.
    pub firings: i64,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was deleted.
    pub deleted_at: Option<Instant>,
    /// What it does beyond its spec, as JSON text.
    pub policy: String,
    /// What it fires with, as JSON text.
    pub payload: String,
}

/// The four kinds of time plan.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// At one instant.
    At,
    /// After a delay from its creation.
    In,
    /// At a fixed interval from an anchor.
    Every,
    /// By a cron expression in a zone.
    Cron,
}

/// Where a schedule stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Not yet expanded into firings.
    Pending,
    /// Firings lie ahead.
    Scheduled,
    /// No firing will follow.
    Processed,
    /// A person stopped it.
    Paused,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
