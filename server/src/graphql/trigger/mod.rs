//! Triggers on the wire.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use entity::trigger::{Model, Overlap, State};
use entity::{schedule, trigger_version};
use futures_util::FutureExt as _;

use crate::domain::action::Action as Body;
use crate::error::Error;
use crate::graphql::action::{Action, Stage, stages};
use crate::graphql::comparator::Flag;
use crate::graphql::connection::{args, connection, cost};
use crate::graphql::error::{Result, parse_id};
use crate::graphql::firing::{FiringConnection, firings};
use crate::graphql::loader::{ActionKey, SchedulesOfTrigger, TriggerVersionKey, app, caller, load};
use crate::graphql::scalar::{DateTime, Json};
use crate::graphql::schedule::Schedule;
use crate::service::{Scope, trigger};
use crate::store::firing::SortKey;
use crate::store::trigger::{DerivedState, Filter, SORT};

mod input;
mod mutation;

pub use input::{TriggerBy, TriggerFilter};
pub use mutation::{TriggerMutation, payload_of};

/// A definition of what fires: by API call, or by its schedules.
pub struct Trigger(pub Model);

connection!(
    /// A page of triggers.
    TriggerConnection,
    TriggerEdge,
    Trigger,
    Model
);

/// Where a trigger stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "DerivedState")]
pub enum TriggerState {
    /// Its schedules run, or it has none.
    Active,
    /// Its schedules do not run until it is resumed; API calls and timers still fire it.
    Paused,
    /// It has schedules, and none of them will fire again.
    Completed,
}

/// What becomes of a planned firing, of a schedule or of a backfill, while an earlier one of the
/// same trigger runs. One that waits for its next attempt does not count as running.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Overlap")]
pub enum OverlapPolicy {
    /// It runs beside the earlier one.
    Allow,
    /// It is skipped, with the reason OVERLAP.
    Skip,
    /// One waits until the earlier one is over; while one waits, others are skipped.
    BufferOne,
    /// It waits until all earlier ones are over; 1,000 may wait, others are skipped with the reason
    /// BUFFER_FULL.
    BufferAll,
    /// The earlier one is cancelled with the reason OVERLAP, and it runs.
    CancelOther,
}

/// A definition of what fires: by API call, or by its schedules.
#[Object]
impl Trigger {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Unique in the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Raised by every change; what `expectedVersion` compares.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Where it stands.
    async fn state(&self, ctx: &Context<'_>) -> Result<TriggerState> {
        if self.0.state == State::Paused {
            return Ok(TriggerState::Paused);
        }
        let plans = self.plans(ctx).await?;
        let is_over = |plan: &schedule::Model| plan.state == schedule::State::Processed;
        let is_completed = !plans.is_empty() && plans.iter().all(is_over);
        Ok(if is_completed { TriggerState::Completed } else { TriggerState::Active })
    }

    /// Why it is paused.
    async fn pause_reason(&self) -> Option<&str> {
        self.0.pause_reason.as_deref()
    }

    /// Who paused it: the id of an API key, or `command line`.
    async fn paused_by(&self) -> Option<&str> {
        self.0.paused_by.as_deref()
    }

    /// Whether it fires exactly once and then goes.
    async fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// How many of its firings each process executes at a time, so that a slow target is not
    /// flooded: with three processes up to three times as many. Null: no bound of its own.
    async fn concurrency(&self) -> Option<i32> {
        self.0.concurrency
    }

    /// What becomes of a planned firing while an earlier one runs.
    async fn overlap(&self) -> OverlapPolicy {
        self.0.overlap.into()
    }

    /// After how many failed firings in a row it is paused; null: never. A completed one begins the
    /// count anew, and so does resuming.
    async fn pause_after_failures(&self) -> Option<i32> {
        self.0.pause_after_failures
    }

    /// The secret that signs requests to `POST /fire/{id}`, by Standard Webhooks: whoever holds it
    /// can fire this trigger and nothing else. Null but for ADMIN keys.
    async fn inbound_secret(&self, ctx: &Context<'_>) -> Option<String> {
        trigger::inbound_secret(app(ctx), caller(ctx), &self.0)
    }

    /// JSON Schema that payloads must satisfy.
    async fn payload_schema(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        let version = self.definition(ctx).await?;
        Ok(version.and_then(|version| version.payload_schema).as_deref().map(Json::stored))
    }

    /// The named action that it runs; null when it runs stages of its own, or nothing.
    async fn action(&self, ctx: &Context<'_>) -> Result<Option<Action>> {
        let Some(id) = self.0.action_id else { return Ok(None) };
        Ok(load(ctx, ActionKey(self.0.project_id, id)).await?.map(Action))
    }

    /// The stages of its own that it runs; null when it names an action, or runs nothing.
    async fn inline_stages(&self, ctx: &Context<'_>) -> Result<Option<Vec<Stage>>> {
        let version = self.definition(ctx).await?;
        let Some(text) = version.and_then(|version| version.inline_action) else { return Ok(None) };
        Ok(Some(stages(Body::parse(&text).map_err(Error::Internal)?)))
    }

    /// When it fires by itself, oldest first.
    async fn schedules(&self, ctx: &Context<'_>) -> Result<Vec<Schedule>> {
        Ok(self.plans(ctx).await?.into_iter().map(Schedule).collect())
    }

    /// Its firings, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn firings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
    ) -> Result<FiringConnection> {
        let eq = Some(self.0.id);
        let of_this = crate::domain::comparator::Comparator { eq, ..Default::default() };
        let filter = crate::store::firing::Filter { trigger: Some(of_this), ..Default::default() };
        firings(ctx, filter, (SortKey::CreatedAt, true), args(first, after, last, before)).await
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

impl Trigger {
    async fn definition(&self, ctx: &Context<'_>) -> Result<Option<trigger_version::Model>> {
        let row = &self.0;
        load(ctx, TriggerVersionKey(row.project_id, row.id, row.definition)).await
    }

    async fn plans(&self, ctx: &Context<'_>) -> Result<Vec<schedule::Model>> {
        let key = SchedulesOfTrigger(self.0.project_id, self.0.id);
        Ok(load(ctx, key).await?.unwrap_or_default())
    }
}

/// Triggers, to read.
#[derive(Default)]
pub struct TriggerQuery;

#[Object]
impl TriggerQuery {
    /// One trigger; null when there is none.
    async fn trigger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] by: TriggerBy,
    ) -> Result<Option<Trigger>> {
        caller(ctx).require(Scope::Read)?;
        let found = match by {
            TriggerBy::Id(id) => trigger::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?,
            TriggerBy::Name(name) => trigger::find_by_name(app(ctx), caller(ctx), &name).await?,
        };
        Ok(found.map(Trigger))
    }

    /// Triggers, newest first; test triggers are left out unless the filter asks for them.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn triggers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which triggers.")] filter: Option<TriggerFilter>,
    ) -> Result<TriggerConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let filter = checked(filter.unwrap_or_default())?;
        let slice = trigger::list(app(ctx), caller(ctx), &filter, &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
            async move { trigger::count(&app, &caller, &filter).await }.boxed()
        });
        Ok(TriggerConnection { slice, count })
    }
}

fn checked(filter: TriggerFilter) -> crate::error::Result<Filter> {
    Ok(Filter {
        name: filter.name.map(Into::into),
        states: filter.state.map(|list| list.into_iter().map(Into::into).collect()),
        action: filter.action_id.map(|ids| ids.check("filter.actionId")).transpose()?,
        is_test: filter.is_test.unwrap_or(Flag::Exclude).wanted(),
        created_at: filter.created_at.map(Into::into),
    })
}
