//! Firings on the wire.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Subscription};
use entity::firing::{Cause, Model, Status};
use entity::{ActionId, FiringId, OperationId, TriggerId};
use futures_util::{FutureExt as _, Stream, stream};

use crate::domain::page::PageArgs;
use crate::error::Error;
use crate::graphql::action::Action;
use crate::graphql::attempt::Attempt;
use crate::graphql::comparator::{Flag, enum_comparator};
use crate::graphql::connection::{args, connection, cost};
use crate::graphql::error::{Failure, Result, parse_id};
use crate::graphql::loader::{
    ActionKey, AttemptsOfFiring, FiringKey, ScheduleKey, TriggerKey, app, caller, load,
};
use crate::graphql::scalar::{DateTime, Json};
use crate::graphql::schedule::{Schedule, ScheduleKind};
use crate::graphql::timer::Timer;
use crate::graphql::trigger::Trigger;
use crate::service::{Scope, firing, watch};
use crate::store::firing::{Filter, SortKey};

mod input;
mod mutation;

use input::checked;
pub use input::{FiringFilter, FiringOrder, OrderDirection};
pub use mutation::FiringMutation;

/// One time that something fired or should have: a planned instant and its execution.
pub struct Firing(pub Model);

connection!(
    /// A page of firings.
    FiringConnection,
    FiringEdge,
    Firing,
    Model
);

/// What made a firing.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Cause")]
pub enum FiringCause {
    /// A client fired the trigger.
    Api,
    /// A schedule's instant came.
    Schedule,
    /// A set of signals had arrived.
    Signal,
    /// A timer ended.
    Timer,
    /// A person had an old one run again.
    Replay,
    /// A past range was asked for.
    Backfill,
    /// A person fired it by hand.
    Manual,
}

/// Where a firing stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum FiringStatus {
    /// Collects signals in a session.
    Waiting,
    /// Its instant lies ahead, or nobody took it yet.
    Scheduled,
    /// A process runs it.
    Executing,
    /// An attempt failed; the next one lies ahead.
    Retrying,
    /// Its action ended.
    Completed,
    /// No attempt is left; replay it, or skip it to give it up.
    Failed,
    /// Not run, for the reason that it states; may stand for a range of instants.
    Skipped,
    /// Stopped by a client.
    Cancelled,
    /// Its session ruled it out.
    Abandoned,
    /// Failed, and a new firing took over.
    Replayed,
}

enum_comparator!(
    /// Conditions on the cause of a firing.
    FiringCauseComparator over FiringCause as Cause
);

enum_comparator!(
    /// Conditions on the status of a firing.
    FiringStatusComparator over FiringStatus as Status
);

/// Consecutive instants of a schedule that were skipped for one reason.
#[derive(SimpleObject)]
pub struct SkippedRange {
    /// The first.
    from: DateTime,
    /// The last.
    until: DateTime,
    /// How many.
    count: i32,
}

/// One time that something fired or should have: a planned instant and its execution.
#[Object]
impl Firing {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What made it.
    async fn cause(&self) -> FiringCause {
        self.0.cause.into()
    }

    /// Where it stands.
    async fn status(&self) -> FiringStatus {
        self.0.status.into()
    }

    /// Why it stands there, for machines, such as `HTTP_STATUS` or `PAUSED`.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What went wrong last, for people.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// The trigger; null for a bare timer, and when it was deleted.
    async fn trigger(&self, ctx: &Context<'_>) -> Result<Option<Trigger>> {
        let Some(id) = self.0.trigger_id else { return Ok(None) };
        Ok(load(ctx, TriggerKey(self.0.project_id, id)).await?.map(Trigger))
    }

    /// The id of the trigger, also when that was deleted.
    async fn trigger_id(&self) -> Option<ID> {
        self.0.trigger_id.map(|id: TriggerId| id.to_string().into())
    }

    /// The named action that it runs; null when it runs none, or when that was deleted.
    async fn action(&self, ctx: &Context<'_>) -> Result<Option<Action>> {
        let Some(id) = self.0.action_id else { return Ok(None) };
        Ok(load(ctx, ActionKey(self.0.project_id, id)).await?.map(Action))
    }

    /// The id of that action, also when it was deleted.
    async fn action_id(&self) -> Option<ID> {
        self.0.action_id.map(|id: ActionId| id.to_string().into())
    }

    /// The schedule that planned it; null when none did, or when that was deleted.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Option<Schedule>> {
        let Some(id) = self.0.schedule_id else { return Ok(None) };
        Ok(load(ctx, ScheduleKey(self.0.project_id, id)).await?.map(Schedule))
    }

    /// The kind of that schedule, so that one-time and recurring can be told apart.
    async fn schedule_kind(&self) -> Option<ScheduleKind> {
        self.0.schedule_kind.map(Into::into)
    }

    /// The timer that it is; null when it is none.
    async fn timer(&self) -> Option<Timer> {
        (self.0.cause == Cause::Timer).then(|| Timer(self.0.clone()))
    }

    /// The firing that ran when its turn came, so that it waits until its trigger runs none; null
    /// when it waits for nothing of that kind.
    async fn blocked_by(&self, ctx: &Context<'_>) -> Result<Option<Firing>> {
        let blocked_by = self.0.blocked_by.filter(|_| self.0.status == Status::Scheduled);
        let Some(id) = blocked_by else { return Ok(None) };
        Ok(load(ctx, FiringKey(self.0.project_id, id)).await?.map(Firing))
    }

    /// The id of the operation that made it; null when none did.
    async fn operation_id(&self) -> Option<ID> {
        self.0.operation_id.map(|id: OperationId| id.to_string().into())
    }

    /// The instant that it stands for.
    async fn nominal_at(&self) -> DateTime {
        self.0.nominal_at.into()
    }

    /// When it is or was due: the instant that it stands for, or the next attempt.
    async fn due_at(&self) -> DateTime {
        self.0.due_at.into()
    }

    /// When it was accepted or planned.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was first begun.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(Into::into)
    }

    /// When it was over.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(Into::into)
    }

    /// What it carries.
    async fn payload(&self) -> Json {
        Json::stored(&self.0.payload)
    }

    /// What its last stage put out, kept short.
    async fn result(&self) -> Option<Json> {
        self.0.result.as_deref().map(Json::stored)
    }

    /// The tries of its stages, oldest first.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<Attempt>> {
        let key = AttemptsOfFiring(self.0.project_id, self.0.id);
        let rows = load(ctx, key).await?.unwrap_or_default();
        Ok(rows.into_iter().map(Attempt).collect())
    }

    /// How often it was tried.
    async fn attempt_count(&self) -> i32 {
        self.0.attempts
    }

    /// The instants that it stands for, when it is SKIPPED and they are several.
    async fn skipped_range(&self) -> Option<SkippedRange> {
        Some(SkippedRange {
            from: self.0.range_from?.into(),
            until: self.0.range_until?.into(),
            count: i32::try_from(self.0.range_count?).unwrap_or(i32::MAX),
        })
    }

    /// The firing that it runs again.
    async fn replay_of(&self, ctx: &Context<'_>) -> Result<Option<Firing>> {
        let Some(id) = self.0.replay_of else { return Ok(None) };
        Ok(load(ctx, FiringKey(self.0.project_id, id)).await?.map(Firing))
    }

    /// Whether it is of a test trigger.
    async fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// The client's word for what belongs together.
    async fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }
}

/// Firings, to read.
#[derive(Default)]
pub struct FiringQuery;

#[Object]
impl FiringQuery {
    /// One firing; null when there is none.
    async fn firing(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Firing>> {
        caller(ctx).require(Scope::Read)?;
        let found = firing::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?;
        Ok(found.map(Firing))
    }

    /// Firings, newest first unless asked otherwise; those of test triggers are left out unless
    /// the filter asks for them.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the four of a Relay page, a filter, an order")]
    async fn firings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which firings.")] filter: Option<FiringFilter>,
        #[graphql(desc = "In which order.")] order_by: Option<FiringOrder>,
    ) -> Result<FiringConnection> {
        let mut filter = filter.unwrap_or_default();
        filter.is_test.get_or_insert(Flag::Exclude);
        let order = order_by.map_or((SortKey::CreatedAt, true), |order| {
            (order.field.into(), order.direction == OrderDirection::Desc)
        });
        firings(ctx, checked(filter)?, order, args(first, after, last, before)).await
    }
}

/// Firings, to watch.
#[derive(Default)]
pub struct FiringSubscription;

#[Subscription]
impl FiringSubscription {
    /// A firing whenever it changes: one (sent at once, too), those of one trigger, or all. Changes
    /// that follow each other closely may come as one.
    async fn firing_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "One firing.")] id: Option<ID>,
        #[graphql(desc = "Those of one trigger.")] trigger_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Firing>> + use<>> {
        let only: Option<FiringId> = id.map(|id| parse_id("id", &id)).transpose()?;
        let trigger = trigger_id.map(|id| parse_id("triggerId", &id)).transpose()?;
        let watch = watch::Watch::open(app(ctx), caller(ctx), only, trigger)?;
        Ok(stream::unfold(watch, |mut watch| async move {
            let next = watch.next().await;
            Some((next.map(Firing).map_err(Failure::from), watch))
        }))
    }
}

/// A page of firings.
pub async fn firings(
    ctx: &Context<'_>,
    filter: Filter,
    (key, is_descending): (SortKey, bool),
    args: PageArgs,
) -> Result<FiringConnection> {
    caller(ctx).require(Scope::Read)?;
    let sort = firing::sort(key, is_descending);
    let page = args.check(sort.code).map_err(Error::Refused)?;
    let slice = firing::list(app(ctx), caller(ctx), &filter, sort, &page).await?;
    let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
    let count = Arc::new(move || {
        let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
        async move { firing::count(&app, &caller, &filter).await }.boxed()
    });
    Ok(FiringConnection { slice, count })
}
