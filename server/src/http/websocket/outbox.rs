//! What waits to be sent on one socket: one queue, one writer, and room that is asked for first.
//!
//! Every message takes a place before it is made and gives it back when the writer takes it. Each
//! operation has [`WS_QUEUE_MAX`] places of its own, so that a tail reads the store only when there
//! is room, and the session has a few for everything else, so that a client that sends pings and
//! reads nothing is not read either. The queue itself needs no bound then.
//!
//! The writer drops what belongs to an operation that is over, which is how nothing follows a
//! client's `complete`, and ends the socket when one write takes longer than [`WS_WRITE_SECS_MAX`].

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::close::Close;
use super::protocol::FromServer;
use crate::limits::{WS_QUEUE_MAX, WS_WRITE_SECS_MAX};

/// Messages of the session itself that may wait: acknowledgements, pongs, refusals.
const SESSION_QUEUE_MAX: usize = 32;

/// The writer has ended; nothing can be sent any more.
#[derive(Debug)]
pub struct Gone;

/// A place in the queue.
#[derive(Debug)]
pub struct Place {
    /// Given back by drop.
    _permit: OwnedSemaphorePermit,
}

/// The sending side, for the session or for one operation.
#[derive(Clone, Debug)]
pub struct Outbox {
    queue: UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    /// While not cancelled, what was sent through this outbox is worth sending.
    live: CancellationToken,
}

impl Outbox {
    /// The session's outbox, and the writer that is to run beside the session.
    pub fn new(sink: SplitSink<WebSocket, Message>) -> (Self, Writer) {
        let (queue, queued) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(SESSION_QUEUE_MAX));
        let outbox = Self { queue, room, live: CancellationToken::new() };
        (outbox, Writer { sink, queued })
    }

    /// An outbox for one operation, with room of its own. What it sent and the writer has not yet
    /// taken is dropped once `live` is cancelled.
    #[must_use]
    pub fn for_operation(&self, live: CancellationToken) -> Self {
        Self { queue: self.queue.clone(), room: Arc::new(Semaphore::new(WS_QUEUE_MAX)), live }
    }

    /// Cancelled when what is sent here is no longer wanted.
    #[must_use]
    pub fn live(&self) -> &CancellationToken {
        &self.live
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Gone`]
    pub async fn place(&self) -> Result<Place, Gone> {
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Gone)?;
        if self.queue.is_closed() { Err(Gone) } else { Ok(Place { _permit: permit }) }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&self, place: Place, message: &FromServer<'_>) -> Result<(), Gone> {
        let message = Message::Text(message.text().into());
        let outgoing = Outgoing { message, live: self.live.clone(), place: Some(place) };
        self.queue.send(outgoing).map_err(|_| Gone)
    }

    /// Queues the close frame, for which there is always room. The writer ends after it.
    pub fn close(&self, close: &Close) {
        let message = Message::Close(Some(close.frame()));
        // When the writer is gone there is nobody to tell.
        let _ = self.queue.send(Outgoing { message, live: self.live.clone(), place: None });
    }
}

#[derive(Debug)]
struct Outgoing {
    message: Message,
    live: CancellationToken,
    place: Option<Place>,
}

/// The one that writes to the socket.
pub struct Writer {
    sink: SplitSink<WebSocket, Message>,
    queued: UnboundedReceiver<Outgoing>,
}

/// Why a writer stopped early.
enum Stop {
    Broken,
    Stalled,
}

impl Writer {
    /// Writes until a close frame is written, the socket breaks, or every outbox is dropped.
    pub async fn run(mut self) {
        if let Err(Stop::Stalled) = self.drain().await {
            // It reaches a client that begins to read within the same time again.
            let close = Close::Overload("The client does not read.").frame();
            let _ = within(self.sink.send(Message::Close(Some(close)))).await;
        }
    }

    async fn drain(&mut self) -> Result<(), Stop> {
        while let Some(Outgoing { message, live, place }) = self.queued.recv().await {
            let is_last = matches!(message, Message::Close(_));
            if !live.is_cancelled() {
                within(self.sink.feed(message)).await?;
            }
            drop(place);
            if is_last || self.queued.is_empty() {
                within(self.sink.flush()).await?;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

async fn within<E>(write: impl Future<Output = Result<(), E>>) -> Result<(), Stop> {
    match timeout(Duration::from_secs(WS_WRITE_SECS_MAX), write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Stop::Broken),
        Err(_) => Err(Stop::Stalled),
    }
}
