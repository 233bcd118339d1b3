//! Watching firings: the row whenever it changes, woken by the bus.
//!
//! A notice only says which row to read; several close together may come as one. When notices
//! were lost the watched row is read again; a watch of many rows goes on with the next change,
//! because what it must not miss is the log, which has a cursor ([`super::tail`]).

use entity::firing::Model;
use entity::{FiringId, TriggerId};

use super::{Caller, Scope};
use crate::app::App;
use crate::bus::Listener;
use crate::domain::outbox::Notice;
use crate::error::Result;
use crate::limits::TAIL_POLL_MS;
use crate::store::firing as store;

/// One watcher.
pub struct Watch {
    app: App,
    caller: Caller,
    only: Option<FiringId>,
    trigger: Option<TriggerId>,
    listener: Listener,
    last: Option<Model>,
}

impl Watch {
    /// Begins to watch one firing, those of a trigger, or all.
    ///
    /// # Errors
    /// When the key may not read.
    pub fn open(
        app: &App,
        caller: &Caller,
        only: Option<FiringId>,
        trigger: Option<TriggerId>,
    ) -> Result<Self> {
        caller.require(Scope::Read)?;
        let listener = app.bus().listen();
        let (app, caller) = (app.clone(), caller.clone());
        Ok(Self { app, caller, only, trigger, listener, last: None })
    }

    /// The next row that changed; waits until there is one.
    ///
    /// # Errors
    /// The database's own; calling again goes on.
    pub async fn next(&mut self) -> Result<Model> {
        loop {
            let changed = match self.only {
                Some(id) => Some(id),
                None => self.heard().await,
            };
            if let Some(id) = changed
                && let Some(row) = store::find(self.app.store(), self.caller.project, id).await?
                && self.trigger.is_none_or(|trigger| row.trigger_id == Some(trigger))
                && self.last.as_ref() != Some(&row)
            {
                self.last = Some(row.clone());
                return Ok(row);
            }
            if self.only.is_some() {
                let poll_at = self.app.clock().now().plus_ms(TAIL_POLL_MS);
                let clock = self.app.clock().clone();
                tokio::select! {
                    () = clock.sleep_until(poll_at) => {}
                    _ = self.heard() => {}
                }
            }
        }
    }

    async fn heard(&mut self) -> Option<FiringId> {
        loop {
            match self.listener.next().await {
                None => return None,
                Some(Notice::Changed(project, id)) if project == self.caller.project => {
                    return Some(id);
                }
                Some(_) => {}
            }
        }
    }
}
