//! Operations on the wire: long work, with progress and cancel.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use entity::operation::{Kind, Model, Status};
use futures_util::FutureExt as _;

use crate::domain::comparator::Comparator;
use crate::error::Error;
use crate::graphql::comparator::{IdComparator, enum_comparator};
use crate::graphql::connection::{args, connection, cost};
use crate::graphql::error::{Result, parse_id, payload};
use crate::graphql::firing::{FiringConnection, firings};
use crate::graphql::loader::{TriggerKey, app, caller, load};
use crate::graphql::scalar::DateTime;
use crate::graphql::trigger::Trigger;
use crate::service::{Scope, operation};
use crate::store::firing::SortKey;
use crate::store::operation::{Filter, SORT};

/// A long piece of work over many rows, with progress and cancel.
pub struct Operation(pub Model);

connection!(
    /// A page of operations.
    OperationConnection,
    OperationEdge,
    Operation,
    Model
);

payload!(
    /// What `operationCancel` came to.
    OperationCancelPayload {
        /// The operation as it is now.
        operation: Operation = Model => Operation
    }
);

/// What an operation does.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Kind")]
pub enum OperationKind {
    /// Fires a trigger for the instants of a past range.
    Backfill,
}

/// Where an operation stands.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum OperationStatus {
    /// It goes on.
    Running,
    /// Everything was done, and what came of it is over.
    Completed,
    /// A client stopped it.
    Cancelled,
    /// It cannot go on.
    Failed,
}

enum_comparator!(
    /// Conditions on the kind of an operation.
    OperationKindComparator over OperationKind as Kind
);

enum_comparator!(
    /// Conditions on the status of an operation.
    OperationStatusComparator over OperationStatus as Status
);

/// Which operations a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct OperationFilter {
    /// By what they do.
    pub kind: Option<OperationKindComparator>,
    /// By where they stand.
    pub status: Option<OperationStatusComparator>,
    /// By the id of the trigger that they are about.
    pub trigger_id: Option<IdComparator>,
}

/// An operation to stop.
#[derive(InputObject)]
pub struct OperationCancelInput {
    /// Which; RUNNING.
    pub id: ID,
}

/// A long piece of work over many rows, with progress and cancel.
#[Object]
impl Operation {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it does.
    async fn kind(&self) -> OperationKind {
        self.0.kind.into()
    }

    /// Where it stands.
    async fn status(&self) -> OperationStatus {
        self.0.status.into()
    }

    /// The trigger that it is about; null when it is about none, or when that was deleted.
    async fn trigger(&self, ctx: &Context<'_>) -> Result<Option<Trigger>> {
        let Some(id) = self.0.trigger_id else { return Ok(None) };
        Ok(load(ctx, TriggerKey(self.0.project_id, id)).await?.map(Trigger))
    }

    /// What there is to do, counted when it began: the instants of a backfill.
    async fn total(&self) -> i32 {
        int(self.0.total)
    }

    /// How much of that was worked off, what was left out included.
    async fn done(&self) -> i32 {
        int(self.0.done)
    }

    /// How many firings came of it.
    async fn made(&self) -> i32 {
        int(self.0.made)
    }

    /// Who began it: the id of an API key, or `command line`.
    async fn started_by(&self) -> &str {
        &self.0.started_by
    }

    /// Why it failed.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// When it began.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(Into::into)
    }

    /// What came of it, newest first.
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
        let operation = Some(Comparator { eq, ..Comparator::default() });
        let filter = crate::store::firing::Filter { operation, ..Default::default() };
        firings(ctx, filter, (SortKey::CreatedAt, true), args(first, after, last, before)).await
    }
}

/// Operations, to read.
#[derive(Default)]
pub struct OperationQuery;

#[Object]
impl OperationQuery {
    /// One operation; null when there is none.
    async fn operation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Operation>> {
        caller(ctx).require(Scope::Read)?;
        let found = operation::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?;
        Ok(found.map(Operation))
    }

    /// Operations, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn operations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which operations.")] filter: Option<OperationFilter>,
    ) -> Result<OperationConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let filter = checked(filter.unwrap_or_default())?;
        let slice = operation::list(app(ctx), caller(ctx), &filter, &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
            async move { operation::count(&app, &caller, &filter).await }.boxed()
        });
        Ok(OperationConnection { slice, count })
    }
}

/// Operations, to change.
#[derive(Default)]
pub struct OperationMutation;

#[Object]
impl OperationMutation {
    /// Stops an operation: nothing more comes of it, and what it made and has not begun is
    /// cancelled.
    async fn operation_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: OperationCancelInput,
    ) -> Result<Option<OperationCancelPayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => operation::cancel(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        OperationCancelPayload::of(done)
    }
}

fn checked(filter: OperationFilter) -> crate::error::Result<Filter> {
    Ok(Filter {
        kind: filter.kind.map(Into::into),
        status: filter.status.map(Into::into),
        trigger: filter.trigger_id.map(|ids| ids.check("filter.triggerId")).transpose()?,
    })
}

/// A count, as GraphQL's `Int` can hold it.
fn int(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
