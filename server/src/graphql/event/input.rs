//! What clients say about events.

use async_graphql::InputObject;

use crate::graphql::event_filter::EventSeverity;
use crate::graphql::firing::OrderDirection;
use crate::graphql::scalar::Json;
use crate::service::event::Draft;

/// The order of a page of the log.
#[derive(InputObject)]
pub struct EventOrder {
    /// ASC is log order; DESC, newest first, is the default.
    pub direction: OrderDirection,
}

/// An application's event.
#[derive(InputObject)]
pub struct EventInput {
    /// Whom it concerns: an e-mail address, up to 254 characters.
    pub email: String,
    /// Which installation of the application; up to 100 characters.
    pub environment: String,
    /// Which part of the application; up to 100 characters.
    pub component: String,
    /// What happened; up to 1,000 characters.
    pub message: String,
    /// Anything else but null.
    pub data: Json,
    /// How bad it is; INFO when not said.
    pub severity: Option<EventSeverity>,
    /// Your word for what belongs together.
    pub correlation_id: Option<String>,
}

/// An event to log.
#[derive(InputObject)]
pub struct EventLogInput {
    /// The event.
    pub event: EventInput,
    /// A repeat with the same key and input within 24 h logs nothing new.
    pub idempotency_key: Option<String>,
}

/// Events to log, all or none.
#[derive(InputObject)]
pub struct EventsLogInput {
    /// Up to 5,000, in their order.
    pub events: Vec<EventInput>,
    /// A repeat with the same key and input within 24 h logs nothing new.
    pub idempotency_key: Option<String>,
}

impl EventInput {
    pub fn draft(self) -> Draft {
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
