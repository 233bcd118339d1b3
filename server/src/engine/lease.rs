//! Leases: renewed every 5 s for everything that runs or waits to be recorded; what it lost (cancelled, or
//! taken over) is stopped. A notice of the bus stops a cancelled firing sooner.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::executor::Executor;
use crate::domain::outbox::Notice;
use crate::limits::{LEASE_MS, LEASE_RENEW_MS};
use crate::store::{Origin, claim};

/// Renews until shutdown has begun and nothing runs any more.
pub(super) async fn run(executor: Arc<Executor>) {
    let app = executor.app().clone();
    let mut listener = app.bus().listen();
    let mut pause = app.clock().pause(LEASE_RENEW_MS);
    loop {
        tokio::select! {
            () = &mut pause => {
                if let Err(error) = renew(&executor).await {
                    tracing::error!(%error, "leases could not be renewed");
                }
                pause = app.clock().pause(LEASE_RENEW_MS);
            }
            notice = listener.next() => {
                if let Some(Notice::Cancelled(id)) = notice {
                    executor.slots().stop(id);
                }
            }
            () = executor.drained() => return,
        }
    }
}

async fn renew(executor: &Executor) -> crate::error::Result<()> {
    let app = executor.app();
    let running = executor.slots().running();
    if running.is_empty() {
        return Ok(());
    }
    let owner = app.process();
    let until = app.clock().now().plus_ms(LEASE_MS);
    let ids = running.clone();
    let owned = app
        .store()
        .change(Origin::Engine, move |change| {
            async move { claim::renew(change, &ids, owner, until).await }.boxed()
        })
        .await?;
    let owned: std::collections::HashSet<_> = owned.into_iter().collect();
    for id in running.into_iter().filter(|id| !owned.contains(id)) {
        executor.slots().stop(id);
    }
    Ok(())
}
