//! Schedules, to change.

use async_graphql::{Context, ID, Object};
use entity::schedule::Model;
use entity::{ScheduleId, firing};

use crate::graphql::error::{Result, parse_id, payload, said};
use crate::graphql::firing::Firing;
use crate::graphql::loader::{app, caller};
use crate::graphql::trigger::payload_of;
use crate::service::schedule::{self, Update};

use super::Schedule;
use super::input::{
    ScheduleCreateInput, ScheduleDeleteInput, ScheduleFireInput, ScheduleInput, SchedulePauseInput,
    ScheduleResumeInput, ScheduleUpdateInput,
};

payload!(
    /// What `scheduleCreate` came to.
    ScheduleCreatePayload {
        /// The schedule that was made.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleUpdate` came to.
    ScheduleUpdatePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `schedulePause` came to.
    SchedulePausePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleResume` came to.
    ScheduleResumePayload {
        /// The schedule as it is now.
        schedule: Schedule = Model => Schedule
    }
);

payload!(
    /// What `scheduleDelete` came to.
    ScheduleDeletePayload {
        /// The id of the schedule that is gone.
        deleted_id: ID = ScheduleId => |id| id.to_string().into()
    }
);

payload!(
    /// What `scheduleFire` came to.
    ScheduleFirePayload {
        /// The firing.
        firing: Firing = firing::Model => Firing
    }
);

/// Schedules, to change.
#[derive(Default)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Adds a schedule to a trigger; once acknowledged it is armed.
    async fn schedule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleCreateInput,
    ) -> Result<Option<ScheduleCreatePayload>> {
        ScheduleCreatePayload::of(create(ctx, input).await)
    }

    /// Changes a schedule. Nothing that was planned under an old time plan begins after this was
    /// acknowledged.
    async fn schedule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleUpdateInput,
    ) -> Result<Option<ScheduleUpdatePayload>> {
        ScheduleUpdatePayload::of(update(ctx, input).await)
    }

    /// Deletes a schedule: nothing that it planned and that has not begun will fire.
    async fn schedule_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleDeleteInput,
    ) -> Result<Option<ScheduleDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        ScheduleDeletePayload::of(done)
    }

    /// Stops a schedule until it is resumed; what passes meanwhile is recorded as skipped.
    async fn schedule_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: SchedulePauseInput,
    ) -> Result<Option<SchedulePausePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::pause(app(ctx), caller(ctx), id, input.reason).await,
            Err(error) => Err(error),
        };
        SchedulePausePayload::of(done)
    }

    /// Lets a paused schedule go on with its next instant.
    async fn schedule_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleResumeInput,
    ) -> Result<Option<ScheduleResumePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::resume(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        ScheduleResumePayload::of(done)
    }

    /// Fires the trigger of a schedule now, with the schedule's payload, also while it is paused.
    /// Nothing of the schedule changes.
    async fn schedule_fire(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ScheduleFireInput,
    ) -> Result<Option<ScheduleFirePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => schedule::fire(app(ctx), caller(ctx), id, input.idempotency_key).await,
            Err(error) => Err(error),
        };
        ScheduleFirePayload::of(done)
    }
}

async fn create(ctx: &Context<'_>, input: ScheduleCreateInput) -> crate::error::Result<Model> {
    let trigger = parse_id("triggerId", &input.trigger_id)?;
    let ScheduleCreateInput { name, spec, policy, payload, idempotency_key, .. } = input;
    let draft = ScheduleInput { name, spec, policy, payload }.draft("")?;
    schedule::create(app(ctx), caller(ctx), trigger, draft, idempotency_key).await
}

async fn update(ctx: &Context<'_>, input: ScheduleUpdateInput) -> crate::error::Result<Model> {
    let update = Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: input.name.into(),
        spec: said("spec", input.spec)?.map(Into::into),
        policy: said("policy", input.policy)?.map(|it| it.policy("policy")).transpose()?,
        payload: payload_of(input.payload),
    };
    schedule::update(app(ctx), caller(ctx), update).await
}
