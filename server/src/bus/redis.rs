//! The bus over Redis: what one process publishes, all hear.
//!
//! Listeners are those of a [`MemoryBus`] inside. What this process publishes they hear at once,
//! whatever Redis does; a task in the background publishes it to the channel of the namespace, and
//! another hears the channel and passes on what others said. Whenever the channel was not heard
//! for a while, and when something could not be published, listeners here look at everything.
//! Other processes look by themselves each second.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use entity::{EventId, FiringId, ProjectId, TypedId};
use futures_util::StreamExt as _;
use redis::RedisResult;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{Bus, Listener, MemoryBus};
use crate::domain::outbox::Notice;
use crate::limits::BUS_WRITES_MAX;
use crate::link::{Connection, Link};

/// Pause before Redis is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Notices of one message.
const NOTICES_MAX: usize = 256;

/// See the module.
pub struct RedisBus {
    inner: Arc<Inner>,
    writes: mpsc::Sender<Notice>,
    /// Ends the tasks in the background.
    _stop: DropGuard,
}

struct Inner {
    link: Link,
    channel: String,
    /// This process in what it publishes, to skip its echo.
    origin: String,
    local: MemoryBus,
}

impl RedisBus {
    /// The bus of `namespace` behind `link`. When Redis cannot be reached, it reaches this process
    /// alone until it can.
    ///
    /// # Errors
    /// A sentence that names the setting when Redis refuses us: waiting would not mend that.
    pub async fn connect(link: Link, namespace: &str) -> Result<Self, String> {
        link.check().await?;
        let inner = Arc::new(Inner {
            link,
            channel: format!("{namespace}:bus"),
            origin: format!("{:016x}", rand::random::<u64>()),
            local: MemoryBus::new(),
        });
        let (writes, waiting) = mpsc::channel(BUS_WRITES_MAX);
        let stop = CancellationToken::new();
        let publishing = publish(inner.clone(), waiting);
        let listening = listen(inner.clone());
        drop(tokio::spawn(stop.clone().run_until_cancelled_owned(publishing)));
        drop(tokio::spawn(stop.clone().run_until_cancelled_owned(listening)));
        Ok(Self { inner, writes, _stop: stop.drop_guard() })
    }
}

impl Bus for RedisBus {
    fn publish(&self, notices: &[Notice]) {
        self.inner.local.publish(notices);
        for notice in notices {
            // One that finds no room the others find out by looking.
            let _ = self.writes.try_send(*notice);
        }
    }

    fn listen(&self) -> Listener {
        self.inner.local.listen()
    }
}

async fn publish(inner: Arc<Inner>, mut notices: mpsc::Receiver<Notice>) {
    let mut connection: Option<Connection> = None;
    let mut some = Vec::with_capacity(NOTICES_MAX);
    while notices.recv_many(&mut some, NOTICES_MAX).await != 0 {
        let message = write(&inner.origin, &some);
        some.clear();
        if connection.is_none() {
            connection = inner.link.connect().await.ok();
        }
        let Some(open) = &mut connection else {
            // What comes meanwhile is dropped, so that the first word afterwards is a fresh one.
            let _ = timeout(PAUSE, pending::<()>()).await;
            while notices.try_recv().is_ok() {}
            continue;
        };
        let mut command = redis::cmd("PUBLISH");
        command.arg(&inner.channel).arg(message);
        let done: RedisResult<()> = command.query_async(open).await;
        if done.is_err() {
            connection = None;
        }
    }
}

async fn listen(inner: Arc<Inner>) {
    loop {
        if let Ok(listener) = inner.link.subscribe(&inner.channel).await {
            // What was said before this moment was not heard.
            inner.local.publish_all();
            let mut messages = listener.into_on_message();
            while let Some(message) = messages.next().await {
                inner.local.publish(&read(&inner.origin, message.get_payload_bytes()));
            }
        }
        let _ = timeout(PAUSE, pending::<()>()).await;
    }
}

/// A message is the origin, and a line per notice: a letter and the ids that it names.
fn write(origin: &str, notices: &[Notice]) -> String {
    let mut text = origin.to_owned();
    for notice in notices {
        let line = match notice {
            Notice::Logged(project, event) => format!("\nL{}{}", hex(*project), hex(*event)),
            Notice::Changed(project, firing) => format!("\nC{}{}", hex(*project), hex(*firing)),
            Notice::Cancelled(firing) => format!("\nX{}", hex(*firing)),
            Notice::Replan => "\nR".to_owned(),
        };
        text.push_str(&line);
    }
    text
}

/// What others said; lines that nobody wrote here are ignored.
fn read(origin: &str, message: &[u8]) -> Vec<Notice> {
    let Ok(text) = std::str::from_utf8(message) else { return Vec::new() };
    let mut lines = text.lines();
    if lines.next() == Some(origin) {
        return Vec::new();
    }
    lines.filter_map(notice).collect()
}

fn notice(line: &str) -> Option<Notice> {
    let (kind, ids) = line.split_at_checked(1)?;
    let id = |index: usize| Uuid::try_parse(ids.get(index * 32..(index + 1) * 32)?).ok();
    match kind {
        "L" => Some(Notice::Logged(ProjectId(id(0)?), EventId(id(1)?))),
        "C" => Some(Notice::Changed(ProjectId(id(0)?), FiringId(id(1)?))),
        "X" => Some(Notice::Cancelled(FiringId(id(0)?))),
        "R" => Some(Notice::Replan),
        _ => None,
    }
}

fn hex<T: TypedId>(id: T) -> String {
    id.uuid().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_others_and_skipped_as_an_echo() {
        let (one, two) = (Uuid::from_u128(7), Uuid::from_u128(u128::MAX));
        let said = [
            Notice::Logged(ProjectId(one), EventId(two)),
            Notice::Changed(ProjectId(two), FiringId(one)),
            Notice::Cancelled(FiringId(two)),
            Notice::Replan,
        ];
        let message = write("a", &said);
        assert_eq!(read("b", message.as_bytes()), said);
        assert_eq!(read("a", message.as_bytes()), []);
    }

    #[test]
    fn garbage_is_ignored() {
        for message in ["", "a", "a\n", "a\nL", "a\nLx", "a\nQ", "a\né", "\n\n"] {
            assert_eq!(read("b", message.as_bytes()), [], "{message:?}");
        }
        assert_eq!(read("b", &[0xff, b'\n', b'R']), []);
        assert_eq!(read("b", b"a\nL12\nR\nzzz"), [Notice::Replan]);
    }
}
