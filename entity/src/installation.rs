//! What tells this database from every other, and what it was last worked on with.

use sea_orm::entity::prelude::*;

use crate::{Instant, ProjectId};

/// The one row of `installation`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    /// Always 1, so that there is one row only.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// Random; names the keys of this database in a Redis that others use too.
    pub id: Uuid,
    /// The project of whoever runs the server; set by the first start, and never again.
    pub operator_id: Option<ProjectId>,
    /// Version of the time zone database that its schedules were planned with.
    pub tzdata: String,
    /// When a process with that version last said that it works.
    pub tzdata_seen_at: Instant,
    /// When the database was first opened.
    pub created_at: Instant,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
