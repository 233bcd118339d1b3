//! Schedules on the wire.

use std::sync::Arc;

use async_graphql::{
    Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, SimpleObject,
};
use entity::schedule::{Kind, Model, State};
use entity::{ScheduleId, trigger};
use futures_util::FutureExt as _;

use super::comparator::{IdComparator, enum_comparator};
use super::connection::{args, connection, cost};
use super::error::{Result, parse_id, payload, said};
use super::loader::{FirstPlanned, TriggerKey, app, caller, load};
use super::scalar::{DateTime, Duration, Json};
use super::trigger::{Trigger, payload_of};
use crate::error::Error;
use crate::limits::PREVIEW_ROWS_MAX;
use crate::service::Scope;
use crate::service::schedule::{self, Draft, Preview, PreviewInstant, SpecInput, Update};
use crate::store::schedule::{Filter, SORT};

/// One time plan of a trigger.
pub struct Schedule(pub Model);

connection!(
    /// A page of schedules.
    ScheduleConnection,
    ScheduleEdge,
    Schedule,
    Model
);

/// The four kinds of time plan.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Kind")]
pub enum ScheduleKind {
    /// Once, at an instant.
    At,
    /// Once, after a delay.
    In,
    /// Again and again at a fixed interval.
    Every,
    /// By a cron expression in a time zone.
    Cron,
}

/// Where a schedule stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "State")]
pub enum ScheduleState {
    /// Not yet expanded into firings.
    Pending,
    /// Firings lie ahead.
    Scheduled,
    /// No firing will follow.
    Processed,
    /// A person stopped it.
    Paused,
}

enum_comparator!(
    /// Conditions on the kind of a schedule.
    ScheduleKindComparator over ScheduleKind as Kind
);

enum_comparator!(
    /// Conditions on the state of a schedule.
    ScheduleStateComparator over ScheduleState as State
);

/// When a schedule fires: exactly one of these.
#[derive(OneofObject)]
pub enum ScheduleSpecInput {
    /// Once, at an instant in the future.
    At(DateTime),
    /// Once, so long from now.
    In(Duration),
    /// Again and again, in elapsed time, never drifting.
    Every(EveryInput),
    /// By a cron expression.
    Cron(CronInput),
}

/// A fixed interval: fires at `anchor + k × interval` for k = 1, 2, 3 …
#[derive(InputObject)]
pub struct EveryInput {
    /// Whole seconds, at least one.
    interval: Duration,
    /// Where the counting starts; now when not said.
    anchor: Option<DateTime>,
}

/// A cron expression in a time zone.
#[derive(InputObject)]
pub struct CronInput {
    /// Five fields (minute, hour, day of month, month, day of week), or six with leading seconds,
    /// or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    expression: String,
    /// IANA name such as `Europe/Berlin`; UTC when not said.
    time_zone: Option<String>,
}

/// A schedule of a trigger that is made with it.
#[derive(InputObject)]
pub struct ScheduleInput {
    /// What a person calls it; up to 128 characters.
    name: Option<String>,
    /// When it fires.
    spec: ScheduleSpecInput,
    /// What it fires with; null when not said.
    payload: MaybeUndefined<Json>,
}

/// A schedule to add to a trigger.
#[derive(InputObject)]
pub struct ScheduleCreateInput {
    /// The trigger that it fires.
    trigger_id: ID,
    /// What a person calls it; up to 128 characters.
    name: Option<String>,
    /// When it fires.
    spec: ScheduleSpecInput,
    /// What it fires with; null when not said.
    payload: MaybeUndefined<Json>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    idempotency_key: Option<String>,
}

/// A change of a schedule; what is not said stays.
#[derive(InputObject)]
pub struct ScheduleUpdateInput {
    /// Which.
    id: ID,
    /// Refused when the schedule is at another version by now.
    expected_version: Option<i32>,
    /// A new name; null removes it.
    name: MaybeUndefined<String>,
    /// A new time plan: what was planned under the old one and not yet begun is gone.
    spec: MaybeUndefined<ScheduleSpecInput>,
    /// What it fires with from now on.
    payload: MaybeUndefined<Json>,
}

/// A schedule to delete.
#[derive(InputObject)]
pub struct ScheduleDeleteInput {
    /// Which.
    id: ID,
    /// Refused when the schedule is at another version by now.
    expected_version: Option<i32>,
}

/// A schedule to pause.
#[derive(InputObject)]
pub struct SchedulePauseInput {
    /// Which.
    id: ID,
    /// Why, for whoever wonders later.
    reason: Option<String>,
}

/// A schedule to resume.
#[derive(InputObject)]
pub struct ScheduleResumeInput {
    /// Which.
    id: ID,
}

/// Which schedules a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct ScheduleFilter {
    /// By the id of the trigger.
    trigger_id: Option<IdComparator>,
    /// By kind.
    kind: Option<ScheduleKindComparator>,
    /// By state.
    state: Option<ScheduleStateComparator>,
}

/// The next instants of a time plan.
#[derive(SimpleObject)]
pub struct SchedulePreview {
    /// The plan in words.
    summary: String,
    /// IANA name of its time zone.
    time_zone: String,
    /// The instants, in order.
    instants: Vec<ScheduleInstant>,
}

/// One instant of a time plan.
#[derive(SimpleObject)]
pub struct ScheduleInstant {
    /// When.
    at: DateTime,
    /// The same on the wall of the schedule's time zone, RFC 3339 with that zone's offset.
    local: String,
    /// Where a clock change moved or repeated it; null elsewhere.
    note: Option<String>,
}

payload!(
    /// What `scheduleCreate` came to.
    ScheduleCreatePayload {
        /// The schedule that was made.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleUpdate` came to.
    ScheduleUpdatePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `schedulePause` came to.
    SchedulePausePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleResume` came to.
    ScheduleResumePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleDelete` came to.
    ScheduleDeletePayload {
        /// The id of the schedule that is gone.
        deleted_id: ID = ScheduleId => |id| id.to_string().into()
    }
);

#[Object]
impl Schedule {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What a person calls it.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Which kind of time plan it has.
    async fn kind(&self) -> ScheduleKind {
        self.0.kind.into()
    }

    /// The time plan in words.
    async fn summary(&self) -> Result<String> {
        Ok(schedule::plan_of(&self.0)?.summary())
    }

    /// IANA name of its time zone.
    async fn time_zone(&self) -> Result<String> {
        Ok(schedule::plan_of(&self.0)?.zone_name().to_owned())
    }

    /// The cron expression; null for the other kinds.
    async fn cron_expression(&self) -> Option<String> {
        match serde_json::from_str(&self.0.spec).ok()? {
            crate::domain::plan::Spec::Cron { expression, .. } => Some(expression),
            _ => None,
        }
    }

    /// The interval; null for the kinds that have none.
    async fn interval(&self) -> Option<Duration> {
        match serde_json::from_str(&self.0.spec).ok()? {
            crate::domain::plan::Spec::Every { interval_ms, .. } => Some(Duration(interval_ms)),
            _ => None,
        }
    }

    /// Where it stands.
    async fn state(&self) -> ScheduleState {
        self.0.state.into()
    }

    /// Why it is paused.
    async fn pause_reason(&self) -> Option<&str> {
        self.0.pause_reason.as_deref()
    }

    /// Who paused it: the id of an API key.
    async fn paused_by(&self) -> Option<&str> {
        self.0.paused_by.as_deref()
    }

    /// What it fires with.
    async fn payload(&self) -> Json {
        Json::stored(&self.0.payload)
    }

    /// Raised by every change; what `expectedVersion` compares.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it fires next; null when it will not, or not before it or its trigger is resumed.
    async fn next_fire_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let key = TriggerKey(self.0.project_id, self.0.trigger_id);
        let trigger = load(ctx, key).await?;
        let is_stopped = trigger.is_none_or(|trigger| trigger.state == trigger::State::Paused);
        if is_stopped || self.0.state == State::Paused {
            return Ok(None);
        }
        let planned = load(ctx, FirstPlanned(self.0.id)).await?;
        Ok(planned.or(self.0.next_at).map(Into::into))
    }

    /// The next instants of its time plan after now, whatever its state.
    async fn next_fire_times(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: at most 1,000.", default = 5)] first: i32,
    ) -> Result<Vec<ScheduleInstant>> {
        let rows = usize::try_from(first).ok().filter(|rows| *rows <= PREVIEW_ROWS_MAX);
        let rows = rows.ok_or_else(|| {
            Error::invalid("first", format!("expected a number from 0 to {PREVIEW_ROWS_MAX}"))
        })?;
        let plan = schedule::plan_of(&self.0)?;
        let now = app(ctx).clock().now();
        Ok(schedule::upcoming(&plan, now, rows).into_iter().map(instant).collect())
    }

    /// The trigger that it fires; null when that was deleted.
    async fn trigger(&self, ctx: &Context<'_>) -> Result<Option<Trigger>> {
        let key = TriggerKey(self.0.project_id, self.0.trigger_id);
        Ok(load(ctx, key).await?.map(Trigger))
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

/// Schedules, to read.
#[derive(Default)]
pub struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// One schedule; null when there is none.
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Schedule>> {
        caller(ctx).require(Scope::Read)?;
        let found = schedule::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?;
        Ok(found.map(Schedule))
    }

    /// Schedules of all triggers, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which schedules.")] filter: Option<ScheduleFilter>,
    ) -> Result<ScheduleConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let filter = checked(filter.unwrap_or_default())?;
        let slice = schedule::list(app(ctx), caller(ctx), &filter, &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
            async move { schedule::count(&app, &caller, &filter).await }.boxed()
        });
        Ok(ScheduleConnection { slice, count })
    }

    /// The next instants of a time plan that need not be stored.
    async fn schedule_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time plan.")] spec: ScheduleSpecInput,
        #[graphql(desc = "How many instants: at most 1,000.", default = 5)] first: i32,
        #[graphql(desc = "Instants after this; now when not said.")] from: Option<DateTime>,
    ) -> Result<SchedulePreview> {
        caller(ctx).require(Scope::Read)?;
        let from = from.map(|from| from.0);
        let Preview { summary, zone, instants } =
            schedule::preview(app(ctx), &spec.into(), from, first)?;
        let instants = instants.into_iter().map(instant).collect();
        Ok(SchedulePreview { summary, time_zone: zone, instants })
    }
}

/// Schedules, to change.
#[derive(Default)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Adds a schedule to a trigger; once acknowledged it is armed.
    async fn schedule_create(
        &self,
        ctx: &Context<'_>,
        input: ScheduleCreateInput,
    ) -> Result<Option<ScheduleCreatePayload>> {
        ScheduleCreatePayload::of(create(ctx, input).await)
    }

    /// Changes a schedule. Nothing that was planned under an old time plan begins after this was
    /// acknowledged.
    async fn schedule_update(
        &self,
        ctx: &Context<'_>,
        input: ScheduleUpdateInput,
    ) -> Result<Option<ScheduleUpdatePayload>> {
        ScheduleUpdatePayload::of(update(ctx, input).await)
    }

    /// Deletes a schedule: nothing that it planned and that has not begun will fire.
    async fn schedule_delete(
        &self,
        ctx: &Context<'_>,
        input: ScheduleDeleteInput,
    ) -> Result<Option<ScheduleDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        ScheduleDeletePayload::of(done)
    }

    /// Stops a schedule until it is resumed; what passes meanwhile is recorded as skipped.
    async fn schedule_pause(
        &self,
        ctx: &Context<'_>,
        input: SchedulePauseInput,
    ) -> Result<Option<SchedulePausePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::pause(app(ctx), caller(ctx), id, input.reason).await,
            Err(error) => Err(error),
        };
        SchedulePausePayload::of(done)
    }

    /// Lets a paused schedule go on with its next instant.
    async fn schedule_resume(
        &self,
        ctx: &Context<'_>,
        input: ScheduleResumeInput,
    ) -> Result<Option<ScheduleResumePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::resume(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        ScheduleResumePayload::of(done)
    }
}

impl ScheduleInput {
    /// As the service takes it.
    pub fn draft(self) -> Draft {
        Draft { name: self.name, spec: self.spec.into(), payload: payload_of(self.payload) }
    }
}

impl From<ScheduleSpecInput> for SpecInput {
    fn from(input: ScheduleSpecInput) -> Self {
        match input {
            ScheduleSpecInput::At(at) => Self::At(at.0),
            ScheduleSpecInput::In(delay) => Self::In(delay.0),
            ScheduleSpecInput::Every(every) => Self::Every {
                interval_ms: every.interval.0,
                anchor: every.anchor.map(|anchor| anchor.0),
            },
            ScheduleSpecInput::Cron(cron) => {
                Self::Cron { expression: cron.expression, zone: cron.time_zone }
            }
        }
    }
}

async fn create(ctx: &Context<'_>, input: ScheduleCreateInput) -> crate::error::Result<Model> {
    let trigger = parse_id("triggerId", &input.trigger_id)?;
    let ScheduleCreateInput { name, spec, payload, idempotency_key, .. } = input;
    let draft = ScheduleInput { name, spec, payload }.draft();
    schedule::create(app(ctx), caller(ctx), trigger, draft, idempotency_key).await
}

async fn update(ctx: &Context<'_>, input: ScheduleUpdateInput) -> crate::error::Result<Model> {
    let update = Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: input.name.into(),
        spec: said("spec", input.spec)?.map(Into::into),
        payload: payload_of(input.payload),
    };
    schedule::update(app(ctx), caller(ctx), update).await
}

fn instant(instant: PreviewInstant) -> ScheduleInstant {
    ScheduleInstant { at: instant.at.into(), local: instant.local, note: instant.note }
}

fn checked(filter: ScheduleFilter) -> crate::error::Result<Filter> {
    Ok(Filter {
        trigger: filter.trigger_id.map(|ids| ids.check("filter.triggerId")).transpose()?,
        kind: filter.kind.map(Into::into),
        state: filter.state.map(Into::into),
    })
}
