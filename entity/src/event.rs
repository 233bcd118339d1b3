//! One entry of the event log, from an application or from Belfry itself.

use sea_orm::entity::prelude::*;

use crate::firing::Cause;
use crate::schedule::Kind;
use crate::{EventId, FiringId, Instant, ProjectId, TriggerId};

/// One row of `event`; never changed once written.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Order of the log: rises with every commit.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// Identity; its millisecond is `created_at`.
    pub id: EventId,
    /// Owner.
    pub project_id: ProjectId,
    /// How long it is kept.
    pub class: Class,
    /// What it says, such as `firing.completed` or `app.event`.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// DEBUG 10, INFO 20, WARN 30, ERROR 40.
    pub severity: i16,
    /// Where in the application.
    pub component: Option<String>,
    /// Which installation of the application.
    pub environment: Option<String>,
    /// Whom it concerns.
    pub email: Option<String>,
    /// What happened, in words.
    pub message: Option<String>,
    /// Anything else, as JSON text.
    pub data: Option<String>,
    /// The trigger that it is about.
    pub trigger_id: Option<TriggerId>,
    /// That trigger's name at the time.
    pub trigger_name: Option<String>,
    /// The firing that it is about.
    pub firing_id: Option<FiringId>,
    /// What made that firing.
    pub cause: Option<Cause>,
    /// Which kind of schedule planned it.
    pub schedule_kind: Option<Kind>,
    /// The status that the firing reached.
    pub outcome: Option<String>,
    /// Who did it: the id of an API key.
    pub actor: Option<String>,
    /// The client's word for what belongs together.
    pub correlation_id: Option<String>,
    /// Of a test trigger.
    pub is_test: bool,
    /// When it was written.
    pub created_at: Instant,
    /// What the firing carried, as JSON text.
    pub payload: Option<String>,
}

/// How long an event is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    /// Belfry's own: deleted after 48 h unless configured otherwise.
    System,
    /// An application's: kept until a policy says otherwise.
    App,
}

/// No relations are declared: the store joins by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
