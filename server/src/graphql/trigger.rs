//! Triggers on the wire.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject};
use entity::trigger::{Model, State};
use entity::{TriggerId, schedule};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::action::{Action, Stage, StageInput, body, stages};
use super::comparator::{DateTimeComparator, Flag, IdComparator, StringComparator};
use super::connection::{args, connection, cost};
use super::error::{Result, parse_id, payload, said};
use super::firing::{Firing, FiringConnection, firings};
use super::loader::{ActionKey, SchedulesOfTrigger, TriggerVersionKey, app, caller, load};
use super::scalar::{DateTime, Duration, Json};
use super::schedule::{Schedule, ScheduleInput};
use super::stage_path::StagePath;
use crate::domain::action::Action as Body;
use crate::error::Error;
use crate::service::firing::{Fire, Fired, Mode, When, fire};
use crate::service::trigger::{Create, Runs, Update};
use crate::service::{Scope, trigger};
use crate::store::firing::SortKey;
use crate::store::trigger::{DerivedState, Filter, SORT};

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

/// What a trigger runs: exactly one of these.
#[derive(OneofObject)]
pub enum TriggerActionInput {
    /// A named action, in its version at the time of each firing.
    Id(ID),
    /// Stages of its own.
    Inline(InlineActionInput),
}

/// Stages that belong to one trigger alone.
#[derive(InputObject)]
pub struct InlineActionInput {
    /// Exactly one, for now.
    stages: Vec<StageInput>,
}

/// A trigger to make.
#[derive(InputObject)]
pub struct TriggerCreateInput {
    /// Unique in the project; up to 128 characters.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// JSON Schema that payloads must satisfy; none accepts every payload.
    payload_schema: Option<Json>,
    /// What it runs; when not said, firings are only recorded.
    action: Option<TriggerActionInput>,
    /// Fires exactly once and then goes.
    #[graphql(default)]
    is_test: bool,
    /// When it fires by itself; up to 50.
    #[graphql(default)]
    schedules: Vec<ScheduleInput>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    idempotency_key: Option<String>,
}

/// A change of a trigger; what is not said stays.
#[derive(InputObject)]
pub struct TriggerUpdateInput {
    /// Which.
    id: ID,
    /// Refused when the trigger is at another version by now.
    expected_version: Option<i32>,
    /// A new name.
    name: MaybeUndefined<String>,
    /// A new description; null removes it.
    description: MaybeUndefined<String>,
    /// A new schema; null removes it. The payloads of its schedules are checked again.
    payload_schema: MaybeUndefined<Json>,
    /// What it runs from now on; null: nothing.
    action: MaybeUndefined<TriggerActionInput>,
}

/// A trigger to delete.
#[derive(InputObject)]
pub struct TriggerDeleteInput {
    /// Which.
    id: ID,
    /// Refused when the trigger is at another version by now.
    expected_version: Option<i32>,
}

/// A trigger to pause.
#[derive(InputObject)]
pub struct TriggerPauseInput {
    /// Which.
    id: ID,
    /// Why, for whoever wonders later.
    reason: Option<String>,
}

/// A trigger to resume.
#[derive(InputObject)]
pub struct TriggerResumeInput {
    /// Which.
    id: ID,
}

/// A trigger to fire.
#[derive(InputObject)]
pub struct TriggerFireInput {
    /// Which.
    trigger_id: ID,
    /// What the firing carries. Null when not said, unless the trigger has a payloadSchema: then it
    /// must be said.
    payload: MaybeUndefined<Json>,
    /// When it runs, in the future; at once when neither `at` nor `in` is said.
    at: Option<DateTime>,
    /// How long from now it runs.
    #[graphql(name = "in")]
    delay: Option<Duration>,
    /// Checks everything and fires nothing.
    #[graphql(default)]
    dry_run: bool,
    /// Your word for what belongs together; events carry it.
    correlation_id: Option<String>,
    /// A repeat with the same key and input within 24 h fires nothing new.
    idempotency_key: Option<String>,
}

/// Which triggers a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct TriggerFilter {
    /// By name.
    name: Option<StringComparator>,
    /// In one of these states.
    state: Option<Vec<TriggerState>>,
    /// By the id of the action that it names.
    action_id: Option<IdComparator>,
    /// By creation.
    created_at: Option<DateTimeComparator>,
    /// Test triggers; EXCLUDE when not said.
    is_test: Option<Flag>,
}

/// What names a trigger: exactly one of these.
#[derive(OneofObject)]
pub enum TriggerBy {
    /// Its id.
    Id(ID),
    /// Its name.
    Name(String),
}

payload!(
    /// What `triggerCreate` came to.
    TriggerCreatePayload {
        /// The trigger that was made.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerUpdate` came to.
    TriggerUpdatePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerPause` came to.
    TriggerPausePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerResume` came to.
    TriggerResumePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerDelete` came to.
    TriggerDeletePayload {
        /// The id of the trigger that is gone.
        deleted_id: ID = TriggerId => |id| id.to_string().into()
    }
);

/// What `triggerFire` came to.
#[derive(async_graphql::SimpleObject)]
pub struct TriggerFirePayload {
    /// The firing; null on a dry run.
    firing: Option<Firing>,
    /// When it runs, or on a dry run would.
    due_at: Option<DateTime>,
    /// What is wrong with the input; empty when the trigger was fired, or would have been.
    user_errors: Vec<super::error::UserError>,
}

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

    /// Who paused it: the id of an API key.
    async fn paused_by(&self) -> Option<&str> {
        self.0.paused_by.as_deref()
    }

    /// Whether it fires exactly once and then goes.
    async fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// JSON Schema that payloads must satisfy.
    async fn payload_schema(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        let version = load(ctx, TriggerVersionKey(self.0.id, self.0.definition)).await?;
        Ok(version.and_then(|version| version.payload_schema).as_deref().map(Json::stored))
    }

    /// The named action that it runs; null when it runs stages of its own, or nothing.
    async fn action(&self, ctx: &Context<'_>) -> Result<Option<Action>> {
        let Some(id) = self.0.action_id else { return Ok(None) };
        Ok(load(ctx, ActionKey(self.0.project_id, id)).await?.map(Action))
    }

    /// The stages of its own that it runs; null when it names an action, or runs nothing.
    async fn inline_stages(&self, ctx: &Context<'_>) -> Result<Option<Vec<Stage>>> {
        let version = load(ctx, TriggerVersionKey(self.0.id, self.0.definition)).await?;
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
    async fn trigger(&self, ctx: &Context<'_>, by: TriggerBy) -> Result<Option<Trigger>> {
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

/// Triggers, to change.
#[derive(Default)]
pub struct TriggerMutation;

#[Object]
impl TriggerMutation {
    /// Makes a trigger with its schedules, in one transaction.
    async fn trigger_create(
        &self,
        ctx: &Context<'_>,
        input: TriggerCreateInput,
    ) -> Result<Option<TriggerCreatePayload>> {
        TriggerCreatePayload::of(create(ctx, input).await)
    }

    /// Changes a trigger; what is not said stays. Renaming re-plans nothing.
    async fn trigger_update(
        &self,
        ctx: &Context<'_>,
        input: TriggerUpdateInput,
    ) -> Result<Option<TriggerUpdatePayload>> {
        TriggerUpdatePayload::of(update(ctx, input).await)
    }

    /// Deletes a trigger: what its schedules planned is gone, what was accepted is cancelled.
    async fn trigger_delete(
        &self,
        ctx: &Context<'_>,
        input: TriggerDeleteInput,
    ) -> Result<Option<TriggerDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        TriggerDeletePayload::of(done)
    }

    /// Stops the schedules of a trigger until it is resumed; what passes meanwhile is recorded as
    /// skipped.
    async fn trigger_pause(
        &self,
        ctx: &Context<'_>,
        input: TriggerPauseInput,
    ) -> Result<Option<TriggerPausePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::pause(app(ctx), caller(ctx), id, input.reason).await,
            Err(error) => Err(error),
        };
        TriggerPausePayload::of(done)
    }

    /// Lets the schedules of a paused trigger go on with their next instants.
    async fn trigger_resume(
        &self,
        ctx: &Context<'_>,
        input: TriggerResumeInput,
    ) -> Result<Option<TriggerResumePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::resume(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        TriggerResumePayload::of(done)
    }

    /// Fires a trigger: now, at an instant or after a delay. Every violation of its payloadSchema
    /// is listed.
    async fn trigger_fire(
        &self,
        ctx: &Context<'_>,
        input: TriggerFireInput,
    ) -> Result<Option<TriggerFirePayload>> {
        let answer = match super::error::settle(fire_one(ctx, input).await)? {
            Ok(fired) => TriggerFirePayload {
                firing: fired.row.map(Firing),
                due_at: Some(fired.due_at.into()),
                user_errors: Vec::new(),
            },
            Err(user_errors) => TriggerFirePayload { firing: None, due_at: None, user_errors },
        };
        Ok(Some(answer))
    }
}

async fn create(ctx: &Context<'_>, input: TriggerCreateInput) -> crate::error::Result<Model> {
    let path = stage_path(input.action.as_ref());
    let create = Create {
        name: input.name,
        description: input.description,
        payload_schema: input.payload_schema.map(|schema| schema.0),
        runs: input.action.map(runs).transpose()?,
        is_test: input.is_test,
        schedules: input.schedules.into_iter().map(ScheduleInput::draft).collect(),
        idempotency_key: input.idempotency_key,
    };
    let done = trigger::create(app(ctx), caller(ctx), create).await;
    done.map_err(|error| path.name(error))
}

async fn update(ctx: &Context<'_>, input: TriggerUpdateInput) -> crate::error::Result<Model> {
    let path = stage_path(input.action.value());
    let runs = match input.action {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(action) => Some(Some(runs(action)?)),
    };
    let update = Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: said("name", input.name)?,
        description: input.description.into(),
        payload_schema: input.payload_schema.map_value(|schema| schema.0).into(),
        runs,
    };
    let done = trigger::update(app(ctx), caller(ctx), update).await;
    done.map_err(|error| path.name(error))
}

async fn fire_one(ctx: &Context<'_>, input: TriggerFireInput) -> crate::error::Result<Fired> {
    let when = match (input.at, input.delay) {
        (None, None) => When::Now,
        (Some(at), None) => When::At(at.0),
        (None, Some(delay)) => When::In(delay.0),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("in", "expected either at or in, not both"));
        }
    };
    let fire_input = Fire {
        trigger: parse_id("triggerId", &input.trigger_id)?,
        payload: payload_of(input.payload),
        when,
        correlation_id: input.correlation_id,
        idempotency_key: input.idempotency_key,
    };
    let mode = if input.dry_run { Mode::DryRun } else { Mode::Real };
    fire(app(ctx), caller(ctx), fire_input, mode).await
}

/// A payload that was said, null included.
pub fn payload_of(payload: MaybeUndefined<Json>) -> Option<Value> {
    match payload {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(value.0),
    }
}

fn stage_path(action: Option<&TriggerActionInput>) -> StagePath {
    let stages = match action {
        Some(TriggerActionInput::Inline(inline)) => inline.stages.as_slice(),
        _ => &[],
    };
    StagePath::new("action.inline.stages", stages)
}

fn runs(input: TriggerActionInput) -> crate::error::Result<Runs> {
    Ok(match input {
        TriggerActionInput::Id(id) => Runs::Action(parse_id("action.id", &id)?),
        TriggerActionInput::Inline(inline) => Runs::Inline(body(inline.stages)),
    })
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
