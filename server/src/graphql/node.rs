//! `node(id)`: any object by its id, whose prefix says of which noun it is.

use async_graphql::{Context, ID, Interface, Object};
use entity::{
    ActionId, CalendarId, EventId, FiringId, KeyId, OperationId, ProjectId, ScheduleId, TimerId,
    TriggerId, TypedId,
};

use super::action::Action;
use super::api_key::ApiKey;
use super::calendar::Calendar;
use super::error::Result;
use super::event::Event;
use super::firing::Firing;
use super::loader::{app, caller};
use super::operation::Operation;
use super::project::Project;
use super::schedule::Schedule;
use super::timer::Timer;
use super::trigger::Trigger;
use crate::error::Error;
use crate::limits::NODES_MAX;
use crate::service::{
    Scope, action, api_key, calendar, event, firing, operation, project, schedule, timer, trigger,
};

/// Anything that has an id.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Identity: a prefix that names the noun, and a UUIDv7."
))]
pub enum Node {
    /// An action.
    Action(Action),
    /// An API key; needs ADMIN.
    ApiKey(ApiKey),
    /// A calendar.
    Calendar(Calendar),
    /// An entry of the log.
    Event(Event),
    /// A firing.
    Firing(Firing),
    /// An operation.
    Operation(Operation),
    /// A project.
    Project(Project),
    /// A schedule.
    Schedule(Schedule),
    /// A timer.
    Timer(Timer),
    /// A trigger.
    Trigger(Trigger),
}

/// Any object, to read.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Any object by its id; null when there is none.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Node>> {
        caller(ctx).require(Scope::Read)?;
        find(ctx, &id).await
    }

    /// Objects by their ids, in their order; null where there is none.
    #[graphql(complexity = "ids.len().saturating_mul(child_complexity).saturating_add(1)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which: at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        caller(ctx).require(Scope::Read)?;
        if NODES_MAX < ids.len() {
            return Err(Error::invalid("ids", format!("expected at most {NODES_MAX} ids")).into());
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in &ids {
            found.push(find(ctx, id).await?);
        }
        Ok(found)
    }
}

async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some((prefix, uuid)) = entity::id::split(id) else {
        return Err(
            Error::invalid("id", "expected an id such as trg_01h2xcejqtf2nbrexx3vqjhp41").into()
        );
    };
    let (app, caller) = (app(ctx), caller(ctx));
    Ok(match prefix.as_str() {
        ActionId::PREFIX => {
            action::find(app, caller, ActionId(uuid)).await?.map(|row| Action(row).into())
        }
        CalendarId::PREFIX => {
            calendar::find(app, caller, CalendarId(uuid)).await?.map(|row| Calendar(row).into())
        }
        EventId::PREFIX => {
            event::find(app, caller, EventId(uuid)).await?.map(|row| Event(row).into())
        }
        FiringId::PREFIX => {
            firing::find(app, caller, FiringId(uuid)).await?.map(|row| Firing(row).into())
        }
        KeyId::PREFIX => {
            api_key::find(app, caller, KeyId(uuid)).await?.map(|row| ApiKey(row).into())
        }
        OperationId::PREFIX => {
            operation::find(app, caller, OperationId(uuid)).await?.map(|row| Operation(row).into())
        }
        ProjectId::PREFIX => {
            project::find(app, caller, ProjectId(uuid)).await?.map(|row| Project(row).into())
        }
        ScheduleId::PREFIX => {
            schedule::find(app, caller, ScheduleId(uuid)).await?.map(|row| Schedule(row).into())
        }
        TimerId::PREFIX => {
            timer::find(app, caller, TimerId(uuid)).await?.map(|row| Timer(row).into())
        }
        TriggerId::PREFIX => {
            trigger::find(app, caller, TriggerId(uuid)).await?.map(|row| Trigger(row).into())
        }
        _ => None,
    })
}
