//! Schedules on the wire.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use entity::schedule::{Kind, Model, State};
use entity::trigger;
use futures_util::FutureExt as _;

use crate::domain::plan::Spec;
use crate::domain::zone::DstPolicy;
use crate::error::Error;
use crate::graphql::comparator::enum_comparator;
use crate::graphql::connection::{args, connection, cost, list_cost};
use crate::graphql::error::{Result, parse_id};
use crate::graphql::loader::{FirstPlanned, TriggerKey, app, caller, load};
use crate::graphql::scalar::{DateTime, Duration, Json};
use crate::graphql::trigger::Trigger;
use crate::limits::{EXPLAIN_COMPLEXITY, PREVIEW_ROWS_MAX};
use crate::service::Scope;
use crate::service::schedule::{self, Preview, PreviewInstant};
use crate::store::schedule::{Filter, SORT};

mod explain;
mod input;
mod mutation;
mod policy;
mod simulation;

use explain::ScheduleExplanation;
pub use input::{DstGap, DstOverlap, ScheduleFilter, ScheduleInput, ScheduleSpecInput};
pub use mutation::ScheduleMutation;
use policy::{SchedulePolicy, SchedulePolicyInput, policy_of};
use simulation::{ScheduleSimulateInput, ScheduleSimulation};

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

/// One time plan of a trigger.
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

    /// The time plan and the policy in words.
    async fn summary(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(schedule::timetable_of(app(ctx), &self.0).await?.summary())
    }

    /// What it does beyond its time plan.
    async fn policy(&self) -> Result<SchedulePolicy> {
        Ok(schedule::policy_of(&self.0)?.into())
    }

    /// How many of its instants became firings, those that are planned included.
    async fn firing_count(&self) -> i32 {
        i32::try_from(self.0.firings).unwrap_or(i32::MAX)
    }

    /// IANA name of its time zone.
    async fn time_zone(&self) -> Result<String> {
        Ok(schedule::plan_of(&self.0)?.zone_name().to_owned())
    }

    /// The cron expression; null for the other kinds.
    async fn cron_expression(&self) -> Option<String> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::Cron { expression, .. } => Some(expression),
            _ => None,
        }
    }

    /// What happens to times that do not exist, as it was said; null when it follows from the
    /// expression, and for the other kinds.
    async fn gap(&self) -> Option<DstGap> {
        dst_of(&self.0.spec)?.gap.map(Into::into)
    }

    /// Which pass of times that come twice counts, as it was said; null when it follows from the
    /// expression, and for the other kinds.
    async fn overlap(&self) -> Option<DstOverlap> {
        dst_of(&self.0.spec)?.overlap.map(Into::into)
    }

    /// The interval; null for the kinds that have none.
    async fn interval(&self) -> Option<Duration> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::Every { interval_ms, .. } => Some(Duration(interval_ms)),
            _ => None,
        }
    }

    /// Where intervals are counted from, also when that was not said; null for the kinds that have
    /// none.
    async fn anchor(&self) -> Option<DateTime> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::Every { anchor, .. } => Some(anchor.into()),
            _ => None,
        }
    }

    /// How long after the beginning of each interval it fires; null for the kinds that have none.
    async fn phase(&self) -> Option<Duration> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::Every { phase_ms, .. } => Some(Duration(phase_ms)),
            _ => None,
        }
    }

    /// The one instant of a schedule that is `at` an instant or `in` some time; null for the other
    /// kinds.
    async fn at(&self) -> Option<DateTime> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::At { at } | Spec::In { at, .. } => Some(at.into()),
            _ => None,
        }
    }

    /// How long after it was said a schedule that is `in` some time fires; null for the other kinds.
    async fn delay(&self) -> Option<Duration> {
        match serde_json::from_str(&self.0.spec).ok()? {
            Spec::In { delay_ms, .. } => Some(Duration(delay_ms)),
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
        let planned = load(ctx, FirstPlanned(self.0.project_id, self.0.id)).await?;
        Ok(planned.or(self.0.next_at).map(Into::into))
    }

    /// The next instants of its time plan after now, whatever its state.
    #[graphql(complexity = "list_cost(first, PREVIEW_ROWS_MAX, child_complexity)")]
    async fn next_fire_times(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: at most 1,000.", default = 5)] first: i32,
    ) -> Result<Vec<ScheduleInstant>> {
        let instants = schedule::next_instants(app(ctx), &self.0, first).await?;
        Ok(instants.into_iter().map(instant).collect())
    }

    /// Why it did, did not, or will fire at an instant.
    #[graphql(complexity = "EXPLAIN_COMPLEXITY + child_complexity")]
    async fn explain(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instant.")] at: DateTime,
    ) -> Result<ScheduleExplanation> {
        Ok(schedule::explain::explain(app(ctx), &self.0, at.0).await?.into())
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

    /// What would become of each instant of a schedule that need not be stored, decided by what
    /// decides in the engine.
    #[graphql(complexity = "1_000 + child_complexity")]
    async fn schedule_simulate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleSimulateInput,
    ) -> Result<ScheduleSimulation> {
        caller(ctx).require(Scope::Read)?;
        let question = input.question()?;
        Ok(schedule::simulation::simulate(app(ctx), caller(ctx), question).await?.into())
    }

    /// The next instants of a time plan that need not be stored.
    #[graphql(complexity = "list_cost(first, PREVIEW_ROWS_MAX, child_complexity)")]
    async fn schedule_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time plan.")] spec: ScheduleSpecInput,
        #[graphql(desc = "What it does beyond that.")] policy: Option<SchedulePolicyInput>,
        #[graphql(desc = "How many instants: at most 1,000.", default = 5)] first: i32,
        #[graphql(desc = "Instants after this; now when not said.")] from: Option<DateTime>,
    ) -> Result<SchedulePreview> {
        caller(ctx).require(Scope::Read)?;
        let from = from.map(|from| from.0);
        let policy = policy_of(policy, "policy")?;
        let Preview { summary, zone, instants } =
            schedule::preview(app(ctx), caller(ctx), (&spec.into(), policy), from, first).await?;
        let instants = instants.into_iter().map(instant).collect();
        Ok(SchedulePreview { summary, time_zone: zone, instants })
    }
}

fn dst_of(spec: &str) -> Option<DstPolicy> {
    match serde_json::from_str(spec).ok()? {
        Spec::Cron { dst, .. } => Some(dst),
        _ => None,
    }
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
