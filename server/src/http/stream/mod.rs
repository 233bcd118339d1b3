//! Answers over HTTP that go on: server-sent events and Apollo's multipart subscriptions. Called by
//! `graphql.rs` once the operation is prepared; any kind of operation may be asked for this way.
//!
//! ```text
//!            ┌ one task: results, heartbeat, shutdown, key ┐
//!  client ◀──┤ body ◀── a few frames that wait ◀── framing ├◀── execute::Results
//!            └─────────────────────────────────────────────┘
//! ```
//!
//! A place in the queue is taken before the next result is asked for, so that a tail reads the store
//! only when the client takes what it has; one that takes nothing for [`WS_WRITE_SECS_MAX`] is left.
//! `sse.rs` and `multipart.rs` have the two forms. In both, a stream that ends because the server
//! stops ends without the word for "complete", so that clients come back.

mod multipart;
mod sse;

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_graphql::{ServerError, Value};
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

use crate::domain::page::Cursor;
use crate::http::State;
use crate::http::execute::{self, Prepared, Results, Step};
use crate::http::live::{Place, pause};
use crate::http::negotiate::Media;
use crate::http::status::Refusal;
use crate::limits::{STREAM_BEAT_SECS, STREAM_QUEUE_MAX, WS_WRITE_SECS_MAX};
use crate::metrics::hold;

/// How results are written into a body.
pub trait Framing: Send + Sync {
    /// The value of `Content-Type`.
    fn content_type(&self) -> &'static str;
    /// What the body begins with.
    fn opening(&self) -> Vec<u8>;
    /// A result; `cursor` resumes after it, where it has one.
    fn next(&self, result: &async_graphql::Response, cursor: Option<&str>) -> Vec<u8>;
    /// The errors of an operation that did not begin.
    fn failed(&self, errors: &[ServerError]) -> Vec<u8>;
    /// Why the server ends a stream that had begun; what follows is [`Framing::end`].
    fn cut(&self, error: &ServerError) -> Vec<u8>;
    /// Keeps a quiet connection open.
    fn beat(&self) -> Vec<u8>;
    /// The last word when nothing follows.
    fn end(&self) -> Vec<u8>;
    /// The last word when the server stops, and the client should come back.
    fn restart(&self) -> Vec<u8>;
}

/// The framing of a media type that was negotiated; `None` when that is one document.
#[must_use]
pub fn framing(media: Media) -> Option<&'static dyn Framing> {
    match media {
        Media::EventStream => Some(&sse::Sse),
        Media::Multipart => Some(&multipart::Multipart),
        Media::Json | Media::GraphqlResponse | Media::Html => None,
    }
}

/// What a stream is made from.
pub struct Opened {
    /// How it is written.
    pub framing: &'static dyn Framing,
    /// The key, which is looked at again and again.
    pub credential: Option<String>,
    /// What is executed, or what is wrong with the request.
    pub prepared: Result<Prepared, ServerError>,
}

/// Answers with a stream.
///
/// # Errors
/// [`Refusal::Unavailable`] when there are too many already.
pub fn open(state: &State, opened: Opened) -> Result<Response, Refusal> {
    let full = || Refusal::Unavailable("There are too many streams and sockets.".to_owned());
    let place = state.places.enter().ok_or_else(full)?;
    let (queue, queued) = mpsc::channel(STREAM_QUEUE_MAX);
    let content_type = opened.framing.content_type();
    let stream = Stream { framing: opened.framing, queue };
    tokio::spawn(stream.run(state.clone(), opened));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // nginx collects answers unless it is told not to.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((StatusCode::OK, headers, body(queued, place)).into_response())
}

/// The body has the place: a client that reads nothing keeps what waits for it, and its place, until
/// its connection ends.
fn body(mut queued: Receiver<Vec<u8>>, place: Place) -> Body {
    let frames = stream::poll_fn(move |context| {
        let _held = &place;
        queued.poll_recv(context)
    });
    Body::from_stream(frames.map(|frame| Ok::<_, Infallible>(Bytes::from(frame))))
}

/// The writing side of one stream.
struct Stream {
    framing: &'static dyn Framing,
    queue: Sender<Vec<u8>>,
}

/// The client has left, or takes nothing.
struct Gone;

impl Stream {
    async fn run(self, state: State, opened: Opened) {
        let _open = hold(&state.app.metrics().wire.streams);
        let all = AssertUnwindSafe(self.all(&state, opened)).catch_unwind();
        // Boxed: the future holds the whole execution. Where the client has gone there is nobody
        // to tell.
        if let Err(panic) = Box::pin(all).await {
            let error = execute::panicked(&*panic).to_server_error();
            let _ = self.last(self.framing.cut(&error), self.framing.end()).await;
        }
    }

    async fn all(&self, state: &State, opened: Opened) -> Result<(), Gone> {
        self.send(self.framing.opening()).await?;
        let prepared = match opened.prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                return self.last(self.framing.failed(&[error]), self.framing.end()).await;
            }
        };
        let watch = |key| state.keys.watch(&state.app, key, opened.credential.clone());
        let watched = prepared.key.map(watch);
        let mut results = Results::begin(&state.app, &state.schema, prepared);
        let revoked = async {
            match &watched {
                Some(watched) => watched.revoked().await,
                None => pending().await,
            }
        };
        let mut revoked = std::pin::pin!(revoked);
        let mut begun = std::pin::pin!(state.app.shutdown().begun());
        loop {
            let step = async {
                // Room first: what cannot be sent is not read.
                self.room().await?;
                Ok(results.next().await)
            };
            let step = tokio::select! {
                biased;
                () = &mut begun => return self.send(self.framing.restart()).await,
                () = self.queue.closed() => return Err(Gone),
                refusal = &mut revoked => {
                    let cut = self.framing.cut(&refusal.to_server_error());
                    return self.last(cut, self.framing.end()).await;
                }
                step = step => step?,
                () = pause(Duration::from_secs(STREAM_BEAT_SECS)) => {
                    self.send(self.framing.beat()).await?;
                    continue;
                }
            };
            match step {
                Step::Next(result) => {
                    let frame = self.framing.next(&result, cursor(&result).as_deref());
                    self.send(frame).await?;
                }
                Step::Failed(errors) => {
                    return self.last(self.framing.failed(&errors), self.framing.end()).await;
                }
                Step::Ended => return self.send(self.framing.end()).await,
            }
        }
    }

    /// Waits for a place in the queue.
    async fn room(&self) -> Result<(), Gone> {
        let limit = Duration::from_secs(WS_WRITE_SECS_MAX);
        match timeout(limit, self.queue.reserve()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn send(&self, frame: Vec<u8>) -> Result<(), Gone> {
        let limit = Duration::from_secs(WS_WRITE_SECS_MAX);
        match timeout(limit, self.queue.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn last(&self, mut frame: Vec<u8>, end: Vec<u8>) -> Result<(), Gone> {
        frame.extend(end);
        self.send(frame).await
    }
}

/// The cursor of a batch of the live log: a member `cursor` of the only root field, when it reads
/// as one.
fn cursor(result: &async_graphql::Response) -> Option<String> {
    let Value::Object(root) = &result.data else { return None };
    let Some(Value::Object(batch)) = root.values().next() else { return None };
    let Some(Value::String(cursor)) = batch.get("cursor") else { return None };
    Cursor::parse(cursor).map(|_| cursor.clone())
}
