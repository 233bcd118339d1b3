//! The WebSocket of `/graphql`, subprotocol `graphql-transport-ws`: the handshake.
//! Opened by `http/graphql.rs`.
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

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use self::close::Close;
use crate::http::negotiate::Media;
use crate::http::status::Refusal;
use crate::http::{State, credential};
use crate::limits::WS_MESSAGE_BYTES_MAX;
use crate::metrics::hold;

const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Where the socket is cut off without a close frame. Between the two limits the client is told
/// why, which takes reading the message.
const MESSAGE_BYTES_READ_MAX: usize = 4 * WS_MESSAGE_BYTES_MAX;

/// Answers the handshake. Everything but a foreign `Origin` is accepted and then, where need be,
/// closed with a code: browsers tell pages nothing about a refused handshake.
pub fn open(
    state: State,
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
    let place = state.places.enter();
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
