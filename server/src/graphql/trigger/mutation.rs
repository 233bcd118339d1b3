//! Triggers, to change and to fire.

use async_graphql::{Context, ID, MaybeUndefined, Object};
use entity::TriggerId;
use entity::trigger::Model;
use serde_json::Value;

use crate::error::Error;
use crate::graphql::action::body;
use crate::graphql::error::{Result, UserError, parse_id, payload, said, settle};
use crate::graphql::firing::Firing;
use crate::graphql::loader::{app, caller};
use crate::graphql::operation::Operation;
use crate::graphql::scalar::{DateTime, Json};
use crate::graphql::schedule::ScheduleInput;
use crate::graphql::stage_path::StagePath;
use crate::service::backfill::{Backfill, Begun, Which, begin};
use crate::service::firing::{Fire, Fired, Mode, When, fire};
use crate::service::trigger;
use crate::service::trigger::{Create, Runs, Secret, Update};

use super::Trigger;
use super::input::{
    TriggerActionInput, TriggerBackfillInput, TriggerCreateInput, TriggerDeleteInput,
    TriggerFireInput, TriggerPauseInput, TriggerResumeInput, TriggerUpdateInput,
};

payload!(
    /// What `triggerCreate` came to.
    TriggerCreatePayload {
        /// The trigger that was made.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerUpdate` came to.
    TriggerUpdatePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerPause` came to.
    TriggerPausePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerResume` came to.
    TriggerResumePayload {
        /// The trigger as it is now.
        trigger: Trigger = Model => Trigger
    }
);

payload!(
    /// What `triggerDelete` came to.
    TriggerDeletePayload {
        /// The id of the trigger that is gone.
        deleted_id: ID = TriggerId => |id| id.to_string().into()
    }
);

/// What `triggerFire` came to.
#[derive(async_graphql::SimpleObject)]
pub struct TriggerFirePayload {
    /// The firing; null on a dry run.
    firing: Option<Firing>,
    /// When it runs, or on a dry run would.
    due_at: Option<DateTime>,
    /// What is wrong with the input; empty when the trigger was fired, or would have been.
    user_errors: Vec<UserError>,
}

/// What `triggerBackfill` came to.
#[derive(async_graphql::SimpleObject)]
pub struct TriggerBackfillPayload {
    /// The operation that works it off; null on a dry run.
    operation: Option<Operation>,
    /// Instants of the range, those that are left out included.
    total: Option<i32>,
    /// The first of them; null when there is none, and in the answer to a repeat.
    first: Option<DateTime>,
    /// The last of them; null when there is none, and in the answer to a repeat.
    last: Option<DateTime>,
    /// What is wrong with the input; empty when the backfill was begun, or would have been.
    user_errors: Vec<UserError>,
}

/// Triggers, to change.
#[derive(Default)]
pub struct TriggerMutation;

#[Object]
impl TriggerMutation {
    /// Makes a trigger with its schedules, in one transaction.
    async fn trigger_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerCreateInput,
    ) -> Result<Option<TriggerCreatePayload>> {
        TriggerCreatePayload::of(create(ctx, input).await)
    }

    /// Changes a trigger; what is not said stays. Renaming re-plans nothing.
    async fn trigger_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerUpdateInput,
    ) -> Result<Option<TriggerUpdatePayload>> {
        TriggerUpdatePayload::of(update(ctx, input).await)
    }

    /// Deletes a trigger: what its schedules planned is gone, what was accepted is cancelled. Nothing
    /// of it begins any more; of more than 256 firings that wait, those that do not run are cancelled
    /// soon after.
    async fn trigger_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerDeleteInput,
    ) -> Result<Option<TriggerDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        TriggerDeletePayload::of(done)
    }

    /// Stops the schedules of a trigger until it is resumed; what passes meanwhile is recorded as
    /// skipped.
    async fn trigger_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerPauseInput,
    ) -> Result<Option<TriggerPausePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::pause(app(ctx), caller(ctx), id, input.reason).await,
            Err(error) => Err(error),
        };
        TriggerPausePayload::of(done)
    }

    /// Lets the schedules of a paused trigger go on with their next instants.
    async fn trigger_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerResumeInput,
    ) -> Result<Option<TriggerResumePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => trigger::resume(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        TriggerResumePayload::of(done)
    }

    /// Fires a trigger: now, at an instant or after a delay. Every violation of its payloadSchema
    /// is listed.
    async fn trigger_fire(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerFireInput,
    ) -> Result<Option<TriggerFirePayload>> {
        let answer = match settle(fire_one(ctx, input).await)? {
            Ok(fired) => TriggerFirePayload {
                firing: fired.row.map(Firing),
                due_at: Some(fired.due_at.into()),
                user_errors: Vec::new(),
            },
            Err(user_errors) => TriggerFirePayload { firing: None, due_at: None, user_errors },
        };
        Ok(Some(answer))
    }

    /// Fires a trigger for the instants of a past range of its schedules: `from` inclusive, `until`
    /// exclusive. It is worked off step by step; the operation says how far.
    async fn trigger_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TriggerBackfillInput,
    ) -> Result<Option<TriggerBackfillPayload>> {
        let answer = match settle(backfill_one(ctx, input).await)? {
            Ok(begun) => TriggerBackfillPayload {
                operation: begun.operation.map(Operation),
                total: Some(i32::try_from(begun.total).unwrap_or(i32::MAX)),
                first: begun.first.map(Into::into),
                last: begun.last.map(Into::into),
                user_errors: Vec::new(),
            },
            Err(user_errors) => TriggerBackfillPayload {
                operation: None,
                total: None,
                first: None,
                last: None,
                user_errors,
            },
        };
        Ok(Some(answer))
    }
}

async fn create(ctx: &Context<'_>, input: TriggerCreateInput) -> crate::error::Result<Model> {
    let path = stage_path(input.action.as_ref());
    let draft =
        |(index, input): (usize, ScheduleInput)| input.draft(&format!("schedules.{index}."));
    let create = Create {
        name: input.name,
        description: input.description,
        payload_schema: input.payload_schema.map(|schema| schema.0),
        runs: input.action.map(runs).transpose()?,
        is_test: input.is_test,
        concurrency: input.concurrency,
        overlap: input.overlap.into(),
        pause_after_failures: input.pause_after_failures,
        schedules: input
            .schedules
            .into_iter()
            .enumerate()
            .map(draft)
            .collect::<crate::error::Result<_>>()?,
        idempotency_key: input.idempotency_key,
    };
    let done = trigger::create(app(ctx), caller(ctx), create).await;
    done.map_err(|error| path.name(error))
}

async fn update(ctx: &Context<'_>, input: TriggerUpdateInput) -> crate::error::Result<Model> {
    let path = stage_path(input.action.value());
    let runs = match input.action {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(action) => Some(Some(runs(action)?)),
    };
    let update = Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: said("name", input.name)?,
        description: input.description.into(),
        payload_schema: input.payload_schema.map_value(|schema| schema.0).into(),
        runs,
        concurrency: input.concurrency.into(),
        overlap: said("overlap", input.overlap)?.map(Into::into),
        pause_after_failures: input.pause_after_failures.into(),
        inbound_secret: if input.rotate_inbound_secret { Secret::Rotate } else { Secret::Keep },
    };
    let done = trigger::update(app(ctx), caller(ctx), update).await;
    done.map_err(|error| path.name(error))
}

async fn fire_one(ctx: &Context<'_>, input: TriggerFireInput) -> crate::error::Result<Fired> {
    let when = match (input.at, input.delay) {
        (None, None) => When::Now,
        (Some(at), None) => When::At(at.0),
        (None, Some(delay)) => When::In(delay.0),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("in", "expected either at or in, not both"));
        }
    };
    let fire_input = Fire {
        trigger: parse_id("triggerId", &input.trigger_id)?,
        payload: payload_of(input.payload),
        when,
        correlation_id: input.correlation_id,
        idempotency_key: input.idempotency_key,
    };
    let mode = if input.dry_run { Mode::DryRun } else { Mode::Real };
    fire(app(ctx), caller(ctx), fire_input, mode).await
}

async fn backfill_one(
    ctx: &Context<'_>,
    input: TriggerBackfillInput,
) -> crate::error::Result<Begun> {
    let asked = Backfill {
        trigger: parse_id("triggerId", &input.trigger_id)?,
        schedule: input.schedule_id.map(|id| parse_id("scheduleId", &id)).transpose()?,
        from: input.from.0,
        until: input.until.0,
        which: if input.only_missing { Which::Missing } else { Which::All },
        overlap: input.overlap.map(Into::into),
        idempotency_key: input.idempotency_key,
    };
    let mode = if input.dry_run { Mode::DryRun } else { Mode::Real };
    begin(app(ctx), caller(ctx), asked, mode).await
}

/// A payload that was said, null included.
pub fn payload_of(payload: MaybeUndefined<Json>) -> Option<Value> {
    match payload {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(value.0),
    }
}

fn stage_path(action: Option<&TriggerActionInput>) -> StagePath {
    let stages = match action {
        Some(TriggerActionInput::Inline(inline)) => inline.stages.as_slice(),
        _ => &[],
    };
    StagePath::new("action.inline.stages", stages)
}

fn runs(input: TriggerActionInput) -> crate::error::Result<Runs> {
    Ok(match input {
        TriggerActionInput::Id(id) => Runs::Action(parse_id("action.id", &id)?),
        TriggerActionInput::Inline(inline) => Runs::Inline(body(inline.stages)),
    })
}
