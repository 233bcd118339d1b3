//! Shutdown as a value: two steps, first "begin no new work", then "stop at once".

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Handed to everything that runs; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    at_once: CancellationToken,
}

impl Shutdown {
    /// A process that runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on nothing new is begun; what runs is finished.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// From now on nothing is waited for.
    pub fn at_once(&self) {
        self.begun.cancel();
        self.at_once.cancel();
    }

    /// Whether [`Shutdown::begin`] was called.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Ends when [`Shutdown::begin`] is called.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Ends when [`Shutdown::at_once`] is called.
    pub fn urged(&self) -> WaitForCancellationFuture<'_> {
        self.at_once.cancelled()
    }

    /// The first step as a token, for code that takes one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.begun.clone()
    }
}
