//! A named set of dates that schedules leave out or keep to.

use sea_orm::entity::prelude::*;

use crate::{CalendarId, Instant, ProjectId};

/// One row of `calendar`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "calendar")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CalendarId,
    /// Owner.
    pub project_id: ProjectId,
    /// Unique in the project among calendars that live.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// IANA name of the zone on whose wall its dates are read; the schedule's when not set.
    pub time_zone: Option<String>,
    /// Raised by every change of the row; the number that `expectedVersion` compares.
    pub version: i32,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was deleted.
    pub deleted_at: Option<Instant>,
    /// Its entries, as JSON text.
    pub entries: String,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
