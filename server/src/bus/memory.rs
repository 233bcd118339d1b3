//! The bus in the memory of one process.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Bus;
use crate::domain::outbox::Notice;
use crate::limits::BUS_NOTICES_MAX;

/// See the module.
pub struct MemoryBus {
    /// None tells listeners to look at everything.
    sender: broadcast::Sender<Option<Notice>>,
}

/// What one listener hears.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Option<Notice>>,
}

impl MemoryBus {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(BUS_NOTICES_MAX) }
    }

    /// Tells every listener to look at everything: something may have been missed.
    pub(super) fn publish_all(&self) {
        let _ = self.sender.send(None);
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for MemoryBus {
    fn publish(&self, notices: &[Notice]) {
        for notice in notices {
            // An error means that nobody listens.
            let _ = self.sender.send(Some(*notice));
        }
    }

    fn listen(&self) -> Listener {
        Listener { receiver: self.sender.subscribe() }
    }
}

impl Listener {
    /// The next notice; `None` when some were lost (this listener was slow, or others could not be
    /// heard), so that it has to look at everything it cares about.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.receiver.recv().await {
            Ok(notice) => notice,
            Err(RecvError::Lagged(_)) => None,
            // The bus lives as long as the app; without it there is nothing to wait for.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
