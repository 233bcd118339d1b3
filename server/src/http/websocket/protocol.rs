//! The messages of `graphql-transport-ws`, and how long a client may be silent.
//!
//! Source: <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.

use async_graphql::{Response, ServerError};
use serde::Serialize;
use serde_json::{Map, Value};

use super::close::Close;
use crate::http::params::Params;

/// What a client sends.
#[derive(Debug, PartialEq)]
pub enum FromClient {
    /// `connection_init` with its payload.
    Init(Map<String, Value>),
    /// `ping`, whose payload the `pong` repeats.
    Ping(Option<Value>),
    /// `pong`.
    Pong,
    /// `subscribe`: a query, a mutation or a subscription.
    Subscribe(String, Params),
    /// `complete`: nothing more of this id.
    Complete(String),
}

/// Reads one message.
///
/// # Errors
/// Why it is none of the protocol, for people.
pub fn read(text: &str) -> Result<FromClient, String> {
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else {
        return Err("A message is a JSON object".to_owned());
    };
    let payload = message.remove("payload");
    let kind = match message.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        _ => return Err("A message has a type".to_owned()),
    };
    match kind {
        "connection_init" => Ok(FromClient::Init(object(payload)?.unwrap_or_default())),
        "ping" => Ok(FromClient::Ping(object(payload)?.map(Value::Object))),
        "pong" => object(payload).map(|_| FromClient::Pong),
        "subscribe" => {
            let id = id(&message)?;
            let payload = payload.ok_or("The message subscribe has a payload")?;
            Ok(FromClient::Subscribe(id, Params::from_json(payload)?))
        }
        "complete" => Ok(FromClient::Complete(id(&message)?)),
        other => Err(format!("Unknown message type {other}")),
    }
}

fn object(payload: Option<Value>) -> Result<Option<Map<String, Value>>, String> {
    match payload {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err("A payload is a JSON object".to_owned()),
    }
}

fn id(message: &Map<String, Value>) -> Result<String, String> {
    match message.get("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        _ => Err("The message needs an id".to_owned()),
    }
}

/// What the server sends.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromServer<'a> {
    /// The key holds; operations may begin.
    ConnectionAck {
        /// Who answers, and how often it pings.
        payload: Ack,
    },
    /// The server's own question for a sign of life.
    Ping,
    /// The answer to a client's `ping`.
    Pong {
        /// What the `ping` carried.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// A result of the operation `id`.
    Next {
        /// The operation.
        id: &'a str,
        /// Its result.
        payload: &'a Response,
    },
    /// The operation did not begin, or is ended by the server; nothing follows for `id`.
    Error {
        /// The operation.
        id: &'a str,
        /// At least one error.
        payload: &'a [ServerError],
    },
    /// The operation has ended; nothing follows for `id`.
    Complete {
        /// The operation.
        id: &'a str,
    },
}

/// The payload of `connection_ack`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Who answers.
    pub server: Server,
    /// How often the server pings, in milliseconds.
    pub heartbeat_ms: u64,
}

/// The server, as it names itself in [`Ack`].
#[derive(Debug, Serialize)]
pub struct Server {
    /// Belfry's version.
    pub version: &'static str,
}

impl FromServer<'_> {
    /// The message as text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| {
            // Keys are strings and values are GraphQL's, so this is a bug; the client gets 4400's
            // counterpart, a message that it cannot read, rather than silence.
            tracing::error!(%error, "a WebSocket message could not be written as JSON: {error}");
            String::new()
        })
    }
}

/// Counts pings that no sign of life followed.
#[derive(Debug, Default)]
pub struct Silence {
    misses: u8,
    waiting: bool,
}

impl Silence {
    /// The client sent something, whatever it is.
    pub fn broken(&mut self) {
        *self = Self::default();
    }

    /// It is time for a ping.
    ///
    /// # Errors
    /// [`Close::Silent`] when the last two were missed.
    pub fn ping(&mut self) -> Result<(), Close> {
        if self.waiting {
            self.misses += 1;
        }
        if 2 <= self.misses {
            return Err(Close::Silent);
        }
        self.waiting = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ack, FromClient, FromServer, Server, Silence, read};
    use crate::http::websocket::close::Close;
    use serde_json::{Map, json};

    #[test]
    fn messages_of_the_protocol_are_read() {
        let ping = json!({"a": 1});
        for (text, message) in [
            (r#"{"type":"connection_init"}"#, FromClient::Init(Map::new())),
            (r#"{"type":"ping","payload":null}"#, FromClient::Ping(None)),
            (r#"{"type":"ping","payload":{"a":1}}"#, FromClient::Ping(Some(ping))),
            (r#"{"type":"pong"}"#, FromClient::Pong),
            (r#"{"type":"complete","id":"1"}"#, FromClient::Complete("1".into())),
        ] {
            assert_eq!(read(text), Ok(message), "{text}");
        }
        let text = r#"{"id":"1","type":"subscribe","payload":{"query":"{ a }"}}"#;
        assert!(matches!(read(text), Ok(FromClient::Subscribe(id, _)) if id == "1"));
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"ping","payload":1}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"subscribe","payload":{"query":"{ a }"}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{ a }"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{ a }"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{ a }","variables":1}}"#,
            r#"{"type":"complete"}"#,
        ] {
            assert!(read(text).is_err_and(|reason| !reason.is_empty()), "{text}");
        }
    }

    #[test]
    fn messages_are_written_as_the_protocol_has_them() {
        let payload = Ack { server: Server { version: "1" }, heartbeat_ms: 20_000 };
        let ack = FromServer::ConnectionAck { payload }.text();
        let expected =
            r#"{"type":"connection_ack","payload":{"server":{"version":"1"},"heartbeatMs":20000}}"#;
        assert_eq!(ack, expected);
        assert_eq!(FromServer::Ping.text(), r#"{"type":"ping"}"#);
        assert_eq!(FromServer::Pong { payload: None }.text(), r#"{"type":"pong"}"#);
        assert_eq!(FromServer::Complete { id: "1" }.text(), r#"{"type":"complete","id":"1"}"#);
    }

    #[test]
    fn the_second_miss_closes_and_any_message_starts_again() {
        let mut silence = Silence::default();
        assert_eq!(silence.ping(), Ok(()), "the first ping");
        assert_eq!(silence.ping(), Ok(()), "one miss");
        silence.broken();
        assert_eq!(silence.ping(), Ok(()));
        assert_eq!(silence.ping(), Ok(()), "one miss");
        assert_eq!(silence.ping(), Err(Close::Silent), "two misses");
    }
}
