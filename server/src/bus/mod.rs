//! Floor 3: the bus, which tells whoever waits that there may be something to see.
//!
//! Hints, never data: a notice that is lost delays its listener until it looks by itself. Register
//! interest *before* reading the store, so that what happens meanwhile is not missed.

use crate::domain::outbox::Notice;

mod memory;
mod redis;

pub use memory::{Listener, MemoryBus};
pub use redis::RedisBus;

/// The bus. One conformance suite holds every home of it to this.
pub trait Bus: Send + Sync {
    /// Tells every listener. Never blocks, never fails: it is called between commit and
    /// acknowledgement.
    fn publish(&self, notices: &[Notice]);

    /// Hears everything that is published from now on.
    fn listen(&self) -> Listener;
}
