//! Firings, to act on.

use async_graphql::{Context, Object};
use entity::firing::Model;

use crate::graphql::error::{Result, parse_id, payload};
use crate::graphql::loader::{app, caller};
use crate::graphql::trigger::payload_of;
use crate::service::firing;

use super::Firing;
use super::input::{FiringCancelInput, FiringReplayInput, FiringSkipInput};

payload!(
    /// What `firingCancel` came to.
    FiringCancelPayload {
        /// The firing as it is now.
        firing: Firing = Model => Firing
    }
);

payload!(
    /// What `firingReplay` came to.
    FiringReplayPayload {
        /// The new firing.
        firing: Firing = Model => Firing
    }
);

payload!(
    /// What `firingSkip` came to.
    FiringSkipPayload {
        /// The firing as it is now.
        firing: Firing = Model => Firing
    }
);

/// Firings, to act on.
#[derive(Default)]
pub struct FiringMutation;

#[Object]
impl FiringMutation {
    /// Stops a firing that is not over. What it already sent cannot be taken back.
    async fn firing_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: FiringCancelInput,
    ) -> Result<Option<FiringCancelPayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => firing::cancel(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        FiringCancelPayload::of(done)
    }

    /// Runs a FAILED or COMPLETED firing again, as a new one. Without another payload receivers see
    /// the same `webhook-id` and body.
    async fn firing_replay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: FiringReplayInput,
    ) -> Result<Option<FiringReplayPayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => {
                let (payload, idempotency_key) = (payload_of(input.payload), input.idempotency_key);
                let replay = firing::Replay { id, payload, idempotency_key };
                firing::replay(app(ctx), caller(ctx), replay).await
            }
            Err(error) => Err(error),
        };
        FiringReplayPayload::of(done)
    }

    /// Gives a FAILED firing up: it becomes SKIPPED.
    async fn firing_skip(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: FiringSkipInput,
    ) -> Result<Option<FiringSkipPayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => firing::skip(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        FiringSkipPayload::of(done)
    }
}
