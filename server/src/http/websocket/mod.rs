//! The WebSocket of `/graphql`, subprotocol `graphql-transport-ws`: the handshake, and how many
//! sockets there are. Opened by `http/graphql.rs`.
//!
//! ```text
//!               ┌ session.rs: reads, decides, owns the operations ┐
//!  client ──▶ ──┤                                                 ├── outbox.rs ──▶ client
//!               └ operation.rs: one task for each subscribe  ─────┘   one writer
//! ```
//!
//! `protocol.rs` has the messages, `close.rs` the table of close codes. Nothing but the writer touches the
//! sending half, so nothing else waits for a slow client.

mod close;
mod operation;
mod outbox;
mod protocol;
mod session;

use std::sync::Arc;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::close::Close;
use crate::http::negotiate::Media;
use crate::http::status::Refusal;
use crate::http::{State, credential};
use crate::limits::{WS_MESSAGE_BYTES_MAX, WS_SOCKETS_MAX};
use crate::metrics::hold;

const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Where the socket is cut off without a close frame. Between the two limits the client is told
/// why, which takes reading the message.
const MESSAGE_BYTES_READ_MAX: usize = 4 * WS_MESSAGE_BYTES_MAX;

/// The places for sockets of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Sockets {
    places: Arc<Semaphore>,
    max: u32,
}

impl Sockets {
    /// Room for `max` sockets.
    #[must_use]
    pub fn at_most(max: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(max as usize)), max }
    }

    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Returns when no socket is open: after shutdown has begun, when every client was told.
    pub async fn all_closed(&self) {
        // The semaphore is never closed, so this is only ever a wait.
        let _all = self.places.acquire_many(self.max).await;
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::at_most(u32::try_from(WS_SOCKETS_MAX).unwrap_or(u32::MAX))
    }
}

/// Answers the handshake. Everything but a foreign `Origin` is accepted and then, where need be,
/// closed with a code: browsers tell pages nothing about a refused handshake.
pub fn open(
    state: State,
    sockets: Sockets,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    headers: &HeaderMap,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if !credential::origin_allowed(headers, &state.allowed_origins) {
        let message = "Pages of this origin may not connect.".to_owned();
        return Refusal::Forbidden(message).respond(Media::Json);
    }
    let place = sockets.enter();
    let credential = credential::of_headers(headers);
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(MESSAGE_BYTES_READ_MAX)
        .max_frame_size(MESSAGE_BYTES_READ_MAX);
    let open = state.app.metrics().wire.websockets.clone();
    upgrade.on_upgrade(move |socket| async move {
        let _open = hold(&open);
        let spoken = socket.protocol().and_then(|name| name.to_str().ok()) == Some(SUBPROTOCOL);
        let refused = match (&place, spoken) {
            (None, _) => Some(Close::Overload("Too many sockets.")),
            (_, false) => Some(Close::Subprotocol),
            _ => None,
        };
        session::serve(socket, state, credential, refused).await;
        drop(place);
    })
}

#[cfg(test)]
mod tests {
    use super::Sockets;

    #[tokio::test]
    async fn sockets_enter_up_to_the_limit_and_leave_by_drop() {
        let sockets = Sockets::at_most(2);
        let (first, second) = (sockets.enter(), sockets.enter());
        assert!(first.is_some() && second.is_some());
        assert!(sockets.enter().is_none(), "one past the limit");
        drop(first);
        assert!(sockets.enter().is_some());
        drop(second);
        sockets.all_closed().await;
    }
}
