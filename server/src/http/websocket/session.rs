//! The life of one socket: reads what the client sends, decides, and owns the operations.
//!
//! ```text
//! open ──connection_init, key holds──▶ acknowledged ──subscribe──▶ operations
//!   │ 4408 after 10 s, 4401                │ 4429, 4409, 4499
//!   │ 4403 key does not hold               │ 4403 key no longer holds
//!   └──────────── 4400, 1009, 1012 ────────┴──────────▶ closing: tell, then read to the end
//! ```
//!
//! After its own close frame the server reads on until the client has answered it or the time is
//! up: a connection that ends with unread data is reset, and the client would see 1006 instead of
//! the code.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::SplitStream;
use serde_json::{Map, Value};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::close::Close;
use super::operation::Operation;
use super::outbox::{Gone, Outbox};
use super::protocol::{self, Ack, FromClient, FromServer, Server, Silence};
use crate::error::{Code, Error};
use crate::http::live::pause;
use crate::http::params::Params;
use crate::http::status::Refusal;
use crate::http::{State, credential};
use crate::limits::{
    EXECUTION_SECS_MAX, WS_INIT_SECS_MAX, WS_MESSAGE_BYTES_MAX, WS_OPERATIONS_MAX, WS_PING_SECS,
    WS_WRITE_SECS_MAX,
};
use crate::service::{Caller, api_key};

/// How the WebSocket library begins its words for a message over its limit; axum hides the type.
const SPACE_LIMIT: &str = "Space limit exceeded";

/// Serves `socket` to its end. `credential` is the key of the handshake's headers, if any;
/// `refused` closes the socket before it begins.
pub async fn serve(
    socket: WebSocket,
    state: State,
    credential: Option<String>,
    refused: Option<Close>,
) {
    let (sink, stream) = socket.split();
    let (outbox, writer) = Outbox::new(sink);
    let mut session = Session {
        state,
        stream,
        outbox,
        writer: tokio::spawn(writer.run()),
        credential,
        caller: None,
        operations: HashMap::new(),
        tasks: JoinSet::new(),
        silence: Silence::default(),
    };
    let Err(end) = match refused {
        Some(close) => Err(End::Close(close)),
        None => session.run().await,
    };
    session.finish(end).await;
}

/// Why a session ends.
enum End {
    /// The server closes it.
    Close(Close),
    /// The key was revoked or has expired: the operations are told first.
    Revoked(Refusal),
    /// The client has closed it, or the connection is broken.
    Gone,
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

struct Session {
    state: State,
    stream: SplitStream<WebSocket>,
    outbox: Outbox,
    writer: JoinHandle<()>,
    /// From the headers, or else from the payload of `connection_init`.
    credential: Option<String>,
    /// Present once acknowledged.
    caller: Option<Caller>,
    operations: HashMap<String, Operation>,
    /// Dropping the set ends every operation.
    tasks: JoinSet<()>,
    silence: Silence,
}

impl Session {
    /// Runs until something ends it.
    async fn run(&mut self) -> Result<Infallible, End> {
        let shutdown = self.state.app.shutdown().clone();
        let mut begun = std::pin::pin!(shutdown.begun());
        let mut init = std::pin::pin!(pause(Duration::from_secs(WS_INIT_SECS_MAX)));
        let pace = Duration::from_secs(WS_PING_SECS);
        let mut ping = std::pin::pin!(pause(pace));
        let mut revoked: BoxFuture<'static, Refusal> = Box::pin(pending());
        loop {
            let was_acknowledged = self.caller.is_some();
            tokio::select! {
                biased;
                () = &mut begun => return Err(Close::Restart.into()),
                _ = &mut self.writer => return Err(End::Gone),
                refusal = &mut revoked => return Err(End::Revoked(refusal)),
                () = &mut init, if !was_acknowledged => return Err(Close::InitTimeout.into()),
                () = &mut ping, if was_acknowledged => {
                    self.silence.ping()?;
                    ping.set(pause(pace));
                    self.send(&FromServer::Ping).await?;
                }
                message = self.stream.next() => {
                    let Some(Ok(message)) = message else { return Err(broken(message)) };
                    self.silence.broken();
                    self.on_frame(message).await?;
                }
            }
            if !was_acknowledged && self.caller.is_some() {
                ping.set(pause(pace));
                revoked = self.revocation();
            }
        }
    }

    /// Ends when the key of the caller no longer holds.
    fn revocation(&self) -> BoxFuture<'static, Refusal> {
        let key = self.caller.as_ref().and_then(Caller::key);
        let Some(key) = key else { return Box::pin(pending()) };
        let (app, credential) = (&self.state.app, self.credential.clone());
        let watched = self.state.keys.watch(app, key, credential);
        Box::pin(async move { watched.revoked().await })
    }

    async fn on_frame(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Text(text) if WS_MESSAGE_BYTES_MAX < text.len() => Err(Close::TooBig.into()),
            Message::Text(text) => match protocol::read(&text) {
                Ok(message) => self.on_message(message).await,
                Err(why) => Err(Close::BadMessage(why).into()),
            },
            Message::Binary(_) => {
                Err(Close::BadMessage("Binary messages are not used".to_owned()).into())
            }
            // RFC 6455's own pings are answered by the socket.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn on_message(&mut self, message: FromClient) -> Result<(), End> {
        match message {
            FromClient::Init(payload) => self.init(&payload).await,
            FromClient::Ping(payload) => self.send(&FromServer::Pong { payload }).await,
            FromClient::Pong => Ok(()),
            FromClient::Subscribe(id, params) => self.subscribe(id, params).await,
            FromClient::Complete(id) => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.stop();
                }
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: &Map<String, Value>) -> Result<(), End> {
        if self.caller.is_some() {
            return Err(Close::SecondInit.into());
        }
        if self.credential.is_none() {
            self.credential = credential::of_payload(payload);
        }
        let limit = Duration::from_secs(EXECUTION_SECS_MAX);
        let check = api_key::authenticate(&self.state.app, self.credential.as_deref());
        let Ok(checked) = timeout(limit, check).await else {
            return Err(Close::Overload("The key could not be checked in time.").into());
        };
        self.caller = Some(checked.map_err(refused)?);
        let server = Server { version: env!("CARGO_PKG_VERSION") };
        let payload = Ack { server, heartbeat_ms: WS_PING_SECS * 1_000 };
        self.send(&FromServer::ConnectionAck { payload }).await
    }

    async fn subscribe(&mut self, id: String, params: Params) -> Result<(), End> {
        let caller = self.caller_now().await?;
        self.operations.retain(|_, operation| !operation.is_over());
        while self.tasks.try_join_next().is_some() {}
        if self.operations.contains_key(&id) {
            return Err(Close::DuplicateId(id).into());
        }
        if WS_OPERATIONS_MAX <= self.operations.len() {
            let message = format!("A socket has at most {WS_OPERATIONS_MAX} operations at once.");
            let payload = &[Refusal::Unavailable(message).to_server_error()];
            return self.send(&FromServer::Error { id: &id, payload }).await;
        }
        let (operation, task) = Operation::new(id.clone(), &self.outbox);
        self.tasks.spawn(task.run(self.state.clone(), params, caller));
        self.operations.insert(id, operation);
        Ok(())
    }

    /// Who asks, with what the key and its project may do by now. That the store cannot tell changes
    /// nothing.
    async fn caller_now(&mut self) -> Result<Caller, End> {
        let Some(before) = self.caller.clone() else { return Err(Close::NotAcknowledged.into()) };
        match api_key::authenticate(&self.state.app, self.credential.as_deref()).await {
            Ok(caller) => {
                self.caller = Some(caller.clone());
                Ok(caller)
            }
            Err(error @ (Error::Unauthenticated(_) | Error::Forbidden(_))) => {
                Err(End::Revoked(error.into()))
            }
            Err(_) => Ok(before),
        }
    }

    async fn send(&self, message: &FromServer<'_>) -> Result<(), End> {
        let place = self.outbox.place().await?;
        Ok(self.outbox.send(place, message)?)
    }

    /// Stops the operations, tells the client, and reads until it has heard.
    async fn finish(mut self, end: End) {
        let live: Vec<_> = self.operations.iter().filter(|(_, one)| !one.is_over()).collect();
        live.iter().for_each(|(_, operation)| operation.stop());
        match end {
            End::Gone => {}
            End::Close(close) => self.outbox.close(&close),
            End::Revoked(refusal) => {
                let payload = &[refusal.to_server_error()];
                for (id, _) in live {
                    if self.send(&FromServer::Error { id, payload }).await.is_err() {
                        break;
                    }
                }
                self.outbox.close(&Close::Forbidden);
            }
        }
        self.tasks.shutdown().await;
        drop(self.outbox);
        // A stalled writer takes its time twice before it gives up; it is waited for, since what
        // it holds is the socket.
        let limit = Duration::from_secs(3 * WS_WRITE_SECS_MAX);
        let rest = async {
            // A handle that the loop has seen end must not be awaited again.
            if !self.writer.is_finished() {
                let _ = (&mut self.writer).await;
            }
            let answer = async { while let Some(Ok(_)) = self.stream.next().await {} };
            timeout(Duration::from_secs(WS_WRITE_SECS_MAX), answer).await
        };
        let _ = timeout(limit, rest).await;
        self.writer.abort();
    }
}

/// What a failed authentication does to the socket.
fn refused(error: Error) -> Close {
    match error.code() {
        Code::Unauthenticated | Code::Forbidden => Close::Forbidden,
        Code::Unavailable => Close::Overload("The server is busy."),
        _ => {
            tracing::error!(%error, "a key could not be checked: {error}");
            // The database, as a rule: clients should try again, which they do not after 4500.
            if matches!(error, Error::Database(_)) {
                return Close::Overload("The key could not be checked.");
            }
            Close::Fault
        }
    }
}

/// What the end of reading means. A broken connection cannot be told anything, and need not.
fn broken<E: std::error::Error>(message: Option<Result<Message, E>>) -> End {
    let Some(Err(error)) = message else { return End::Gone };
    tracing::debug!(%error, "a WebSocket cannot be read: {error}");
    let error = error.to_string();
    if error.starts_with(SPACE_LIMIT) {
        return Close::TooBig.into();
    }
    Close::BadMessage(error).into()
}
