//! How far the log was deleted: a reader below the floor missed something.

use sea_orm::entity::prelude::*;

use crate::event::Class;

/// One row of `log_floor`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_floor")]
pub struct Model {
    /// The retention class.
    #[sea_orm(primary_key, auto_increment = false)]
    pub class: Class,
    /// The greatest `seq` of the class that was deleted.
    pub seq: i64,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
