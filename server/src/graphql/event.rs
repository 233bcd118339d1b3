//! The event log on the wire: pages, application events in, and the live log.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject, Subscription};
use entity::event::Model;
use futures_util::{FutureExt as _, Stream, stream};

use super::connection::{Count, PageInfo, args, cost, total};
use super::error::{Failure, Result, UserError, parse_id, payload, settle};
use super::event_filter::{EventFilter, EventSeverity, refused};
use super::firing::{Firing, FiringCause, OrderDirection};
use super::loader::{FiringKey, TriggerKey, app, caller, load};
use super::scalar::{DateTime, Duration, Json};
use super::schedule::ScheduleKind;
use super::trigger::Trigger;
use crate::domain::filter::Severity;
use crate::domain::page::{Cursor, Slice};
use crate::error::{Error, Problem};
use crate::service::Scope;
use crate::service::event::{self, Defaults, Draft, Selection};
use crate::service::tail::{self, Tail};
use crate::store::event::LOG_ORDER;

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

/// The order of a page of the log.
#[derive(InputObject)]
pub struct EventOrder {
    /// ASC is log order; DESC, newest first, is the default.
    direction: OrderDirection,
}

/// An application's event.
#[derive(InputObject)]
pub struct EventInput {
    /// Whom it concerns: an e-mail address, up to 254 characters.
    email: String,
    /// Which installation of the application; up to 100 characters.
    environment: String,
    /// Which part of the application; up to 100 characters.
    component: String,
    /// What happened; up to 1,000 characters.
    message: String,
    /// Anything else but null.
    data: Json,
    /// How bad it is; INFO when not said.
    severity: Option<EventSeverity>,
    /// Your word for what belongs together.
    correlation_id: Option<String>,
}

/// An event to log.
#[derive(InputObject)]
pub struct EventLogInput {
    /// The event.
    event: EventInput,
    /// A repeat with the same key and input within 24 h logs nothing new.
    idempotency_key: Option<String>,
}

/// Events to log, all or none.
#[derive(InputObject)]
pub struct EventsLogInput {
    /// Up to 5,000, in their order.
    events: Vec<EventInput>,
    /// A repeat with the same key and input within 24 h logs nothing new.
    idempotency_key: Option<String>,
}

payload!(
    /// What `eventLog` came to.
    EventLogPayload {
        /// The entry.
        event: Event = Model => Event
    }
);

/// What `eventsLog` came to.
#[derive(SimpleObject)]
pub struct EventsLogPayload {
    /// The entries, in the order of the input; empty when none was logged.
    events: Vec<Event>,
    /// What is wrong with the input; empty when all were logged.
    user_errors: Vec<UserError>,
}

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

    /// Who did it: the id of an API key.
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

/// The log, to write.
#[derive(Default)]
pub struct EventMutation;

#[Object]
impl EventMutation {
    /// Writes an event of an application.
    async fn event_log(
        &self,
        ctx: &Context<'_>,
        input: EventLogInput,
    ) -> Result<Option<EventLogPayload>> {
        let drafts = vec![input.event.draft()];
        let made = event::log(app(ctx), caller(ctx), "", drafts, input.idempotency_key).await;
        let made = made.map_err(|error| match error {
            Error::Refused(problems) => Error::Refused(problems.into_iter().map(placed).collect()),
            other => other,
        });
        EventLogPayload::of(made.and_then(|mut rows| rows.pop().ok_or_else(none_made)))
    }

    /// Writes many events of an application, all or none.
    #[graphql(complexity = "100 + child_complexity")]
    async fn events_log(
        &self,
        ctx: &Context<'_>,
        input: EventsLogInput,
    ) -> Result<Option<EventsLogPayload>> {
        let drafts = input.events.into_iter().map(EventInput::draft).collect();
        let key = input.idempotency_key;
        let answer = match settle(event::log(app(ctx), caller(ctx), "events", drafts, key).await)? {
            Ok(rows) => EventsLogPayload {
                events: rows.into_iter().map(Event).collect(),
                user_errors: Vec::new(),
            },
            Err(user_errors) => EventsLogPayload { events: Vec::new(), user_errors },
        };
        Ok(Some(answer))
    }
}

/// The log, live.
#[derive(Default)]
pub struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// The log as it grows, in log order, from `after` or from now on. Each batch carries a cursor
    /// that resumes exactly after it; a reader that is older than retention gets a `gap` first.
    /// Test entries are left out unless a filter speaks of them.
    #[expect(clippy::too_many_arguments, reason = "a place, two filters, and the pace")]
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
        let (batch_rows, heartbeat_ms) = (batch_size, heartbeat.0);
        let options = tail::Options { after, selection, batch_rows, heartbeat_ms };
        let tail = Tail::open(app(ctx), caller(ctx), options).await?;
        Ok(stream::unfold(tail, |mut tail| async move {
            let next = tail.next().await;
            Some((next.map(batch).map_err(Failure::from), tail))
        }))
    }
}

impl EventInput {
    fn draft(self) -> Draft {
        Draft {
            email: self.email,
            environment: self.environment,
            component: self.component,
            message: self.message,
            data: Some(self.data.0),
            severity: self.severity.map(Into::into),
            correlation_id: self.correlation_id,
        }
    }
}

/// A problem of the event under the path that its field has in `eventLog`.
fn placed(problem: Problem) -> Problem {
    if problem.field == "idempotencyKey" { problem } else { problem.under("event") }
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

fn none_made() -> Error {
    Error::Internal("an event was logged and is not there".to_owned())
}
