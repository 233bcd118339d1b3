//! The log, to write.

use async_graphql::{Context, Object, SimpleObject};
use entity::event::Model;

use crate::error::{Error, Problem};
use crate::graphql::error::{Result, UserError, payload, settle};
use crate::graphql::loader::{app, caller};
use crate::service::event::{self};

use super::Event;
use super::input::{EventInput, EventLogInput, EventsLogInput};

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

/// The log, to write.
#[derive(Default)]
pub struct EventMutation;

#[Object]
impl EventMutation {
    /// Writes an event of an application.
    async fn event_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: EventLogInput,
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
        #[graphql(desc = "What is asked for.")] input: EventsLogInput,
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

fn none_made() -> Error {
    Error::Internal("an event was logged and is not there".to_owned())
}

/// A problem of the event under the path that its field has in `eventLog`.
fn placed(problem: Problem) -> Problem {
    if problem.field == "idempotencyKey" { problem } else { problem.under("event") }
}
