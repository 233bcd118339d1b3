//! The event log on the wire: pages, application events in, and the live log.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject, Subscription};
use entity::event::Model;
use futures_util::{FutureExt as _, Stream, stream};

use crate::domain::filter::Severity;
use crate::domain::page::{Cursor, Slice};
use crate::error::Error;
use crate::graphql::connection::{Count, PageInfo, args, cost, total};
use crate::graphql::error::{Failure, Result, parse_id};
use crate::graphql::event_filter::{EventFilter, EventSeverity, refused};
use crate::graphql::firing::{Firing, FiringCause, OrderDirection};
use crate::graphql::loader::{FiringKey, TriggerKey, app, caller, load};
use crate::graphql::scalar::{DateTime, Duration, Json};
use crate::graphql::schedule::ScheduleKind;
use crate::graphql::trigger::Trigger;
use crate::service::Scope;
use crate::service::event::{self, Defaults, Selection};
use crate::service::tail::{self, Tail};
use crate::store::event::LOG_ORDER;

mod input;
mod mutation;

pub use input::EventOrder;
pub use mutation::EventMutation;

/// One entry of the event log, from an application or from Belfry itself. Entries never change.
pub struct Event(pub Model);

/// A page of the event log.
pub struct EventConnection {
    slice: Slice<Model>,
    count: Count,
    head: Cursor,
}

/// One row of a page, with its place.
#[derive(SimpleObject)]
pub struct EventEdge {
    /// The place of the row in the log; `after`, `before` and the live log take it.
    cursor: String,
    /// The row.
    node: Event,
}

/// Some entries of the live log, or none after a heartbeat.
#[derive(SimpleObject)]
pub struct EventBatch {
    /// Resumes exactly after this batch.
    cursor: String,
    /// In log order.
    events: Vec<Event>,
    /// What this reader missed because it came too late.
    gap: Option<EventGap>,
}

/// Entries that were deleted before this reader came.
#[derive(SimpleObject)]
pub struct EventGap {
    /// Everything after this place is still there.
    available_from: String,
    /// How many entries were deleted at most.
    missed: i32,
}

/// One entry of the event log, from an application or from Belfry itself. Entries never change.
#[Object]
impl Event {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it says, such as `firing.completed`, `trigger.updated` or `app.event`.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// How bad it is.
    async fn severity(&self) -> EventSeverity {
        Severity::from_level(self.0.severity).unwrap_or(Severity::Info).into()
    }

    /// Which part of the application.
    async fn component(&self) -> Option<&str> {
        self.0.component.as_deref()
    }

    /// Which installation of the application.
    async fn environment(&self) -> Option<&str> {
        self.0.environment.as_deref()
    }

    /// Whom it concerns.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// What happened, in words.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Anything else.
    async fn data(&self) -> Option<Json> {
        self.0.data.as_deref().map(Json::stored)
    }

    /// The id of the trigger that it is about, also when that was deleted.
    async fn trigger_id(&self) -> Option<ID> {
        self.0.trigger_id.map(|id| id.to_string().into())
    }

    /// That trigger's name at the time.
    async fn trigger_name(&self) -> Option<&str> {
        self.0.trigger_name.as_deref()
    }

    /// The trigger that it is about; null when there is none, or when it was deleted.
    async fn trigger(&self, ctx: &Context<'_>) -> Result<Option<Trigger>> {
        let Some(id) = self.0.trigger_id else { return Ok(None) };
        Ok(load(ctx, TriggerKey(self.0.project_id, id)).await?.map(Trigger))
    }

    /// The id of the firing that it is about, also when that was deleted.
    async fn firing_id(&self) -> Option<ID> {
        self.0.firing_id.map(|id| id.to_string().into())
    }

    /// The firing that it is about.
    async fn firing(&self, ctx: &Context<'_>) -> Result<Option<Firing>> {
        let Some(id) = self.0.firing_id else { return Ok(None) };
        Ok(load(ctx, FiringKey(self.0.project_id, id)).await?.map(Firing))
    }

    /// What made that firing.
    async fn cause(&self) -> Option<FiringCause> {
        self.0.cause.map(Into::into)
    }

    /// The kind of schedule that planned that firing.
    async fn schedule_kind(&self) -> Option<ScheduleKind> {
        self.0.schedule_kind.map(Into::into)
    }

    /// What the firing carried.
    async fn payload(&self) -> Option<Json> {
        self.0.payload.as_deref().map(Json::stored)
    }

    /// The status that the firing reached, such as `COMPLETED`.
    async fn outcome(&self) -> Option<&str> {
        self.0.outcome.as_deref()
    }

    /// Who did it: the id of an API key, `command line`, `operator` or `inbound signature`.
    async fn actor(&self) -> Option<&str> {
        self.0.actor.as_deref()
    }

    /// The client's word for what belongs together.
    async fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// Whether it is of a test trigger.
    async fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// Whether it is one of Belfry's own and old enough to be archived.
    async fn is_archived(&self, ctx: &Context<'_>) -> bool {
        event::is_archived(app(ctx), &self.0)
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// A page of the event log.
#[Object]
impl EventConnection {
    /// The rows with their places.
    async fn edges(&self) -> Vec<EventEdge> {
        let edge = |(cursor, row): &(Cursor, Model)| EventEdge {
            cursor: cursor.to_string(),
            node: Event(row.clone()),
        };
        self.slice.rows.iter().map(edge).collect()
    }

    /// The rows alone.
    async fn nodes(&self) -> Vec<Event> {
        self.slice.rows.iter().map(|(_, row)| Event(row.clone())).collect()
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> PageInfo {
        let cursor = |row: Option<&(Cursor, Model)>| row.map(|(cursor, _)| cursor.to_string());
        PageInfo {
            has_next_page: self.slice.has_next,
            has_previous_page: self.slice.has_previous,
            start_cursor: cursor(self.slice.rows.first()),
            end_cursor: cursor(self.slice.rows.last()),
        }
    }

    /// Rows of the whole list; counted only when selected.
    async fn total_count(&self) -> Result<i32> {
        total(&self.count).await
    }

    /// The place after the newest entry of the log when this page was read, also when the page is
    /// empty: the live log goes on from here without a hole.
    async fn head_cursor(&self) -> String {
        self.head.to_string()
    }
}

/// The log, to read.
#[derive(Default)]
pub struct EventQuery;

#[Object]
impl EventQuery {
    /// One entry; null when there is none.
    async fn event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Event>> {
        caller(ctx).require(Scope::Read)?;
        Ok(event::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?.map(Event))
    }

    /// Entries, newest first unless asked otherwise. Test and archived entries are left out unless
    /// a filter speaks of them.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(
        clippy::too_many_arguments,
        reason = "the four of a Relay page, two filters, an order"
    )]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which entries.")] filter: Option<EventFilter>,
        #[graphql(
            desc = "Which entries, as text: `((email eq 'a@b.c') AND (createdAt gte '2018-1-1'))`."
        )]
        q: Option<String>,
        #[graphql(desc = "In which order.")] order_by: Option<EventOrder>,
    ) -> Result<EventConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(LOG_ORDER).map_err(Error::Refused)?;
        let selection = select(filter, q.as_deref(), Defaults::Page)?;
        let is_descending = order_by.is_none_or(|order| order.direction == OrderDirection::Desc);
        // The head is read first: what comes later is after it, and in the live log.
        let head = event::head(app(ctx)).await?;
        let slice = event::list(app(ctx), caller(ctx), &selection, is_descending, &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller, selection) = (app.clone(), caller.clone(), selection.clone());
            async move { event::count(&app, &caller, &selection).await }.boxed()
        });
        Ok(EventConnection { slice, count, head })
    }
}

/// Request data: the place after which the live log goes on, where a transport carries it. It goes
/// before the argument `after`, which a client that reconnects repeats as it first was.
pub struct LastEventId(pub String);

/// The log, live.
#[derive(Default)]
pub struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// The log as it grows, in log order, from `after` or from now on. Each batch carries a cursor
    /// that resumes exactly after it; a reader that is older than retention gets a `gap` first.
    /// Test entries are left out unless a filter speaks of them.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Begins after this cursor; at the head when not said.")] after: Option<
            String,
        >,
        #[graphql(desc = "Which entries.")] filter: Option<EventFilter>,
        #[graphql(desc = "Which entries, as text.")] q: Option<String>,
        #[graphql(desc = "Entries of one batch: at most 1,000.", default = 100)] batch_size: i32,
        #[graphql(
            desc = "An empty batch comes after this long without a full one: 1 second to 1 hour.",
            default_with = "Duration(15_000)"
        )]
        heartbeat: Duration,
    ) -> Result<impl Stream<Item = Result<EventBatch>> + use<>> {
        let selection = select(filter, q.as_deref(), Defaults::Live)?;
        let after = ctx.data_opt::<LastEventId>().map(|id| id.0.clone()).or(after);
        let (batch_rows, heartbeat_ms) = (batch_size, heartbeat.0);
        let options = tail::Options { after, selection, batch_rows, heartbeat_ms };
        let tail = Tail::open(app(ctx), caller(ctx), options).await?;
        Ok(stream::unfold(tail, |mut tail| async move {
            let next = tail.next().await;
            Some((next.map(batch).map_err(Failure::from), tail))
        }))
    }
}

fn select(
    filter: Option<EventFilter>,
    q: Option<&str>,
    defaults: Defaults,
) -> crate::error::Result<Selection> {
    let typed = filter.map(EventFilter::checked).transpose()?.flatten();
    Selection::new(typed, q, defaults).map_err(|error| refused("q", &error))
}

fn batch(batch: tail::Batch) -> EventBatch {
    EventBatch {
        cursor: batch.cursor.to_string(),
        events: batch.events.into_iter().map(Event).collect(),
        gap: batch.gap.map(|gap| EventGap {
            available_from: gap.available_from.to_string(),
            missed: i32::try_from(gap.missed).unwrap_or(i32::MAX),
        }),
    }
}
