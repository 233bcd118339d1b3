//! One claimed firing: finds its action, runs the stage, decides what follows.
//!
//! Pure of SQL: what is to be written goes to the recorder as one [`Outcome`]. Nothing reaches the
//! outside world while a transaction is open.

use std::sync::Arc;

use entity::firing::{Model, Status};
use entity::{AttemptId, EventId, Instant, TypedId, attempt, event};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use crate::app::App;
use crate::clock::stamped_at;
use crate::domain::action::{Action, StageSpec};
use crate::domain::circuit::Turn;
use crate::domain::event::{Stamp, blank, ended, of_firing};
use crate::domain::filter::Severity;
use crate::domain::firing::{is_planned, is_terminal};
use crate::error::{Code, Result};
use crate::limits::KEPT_BYTES_MAX;
use crate::service::event::APP_EVENT;
use crate::stage::{self, Call, Effect, Failure, Retry};
use crate::store::claim::Claimed;
use crate::store::record::Outcome;
use crate::store::{action as actions, trigger as triggers};
use crate::telemetry::SPANS;

/// Pause between tries to read an action.
const TRY_MS: i64 = 500;

/// Runs the firing to the end of this attempt.
pub(super) async fn run(app: &App, claimed: &Claimed, cancel: CancellationToken) -> Outcome {
    let row = &claimed.firing;
    let late_ms = app.clock().now().ms_since(row.due_at).max(0);
    app.metrics().engine.firing_lateness.observe(late_ms as f64 / 1000.0);
    match definition(app, row, &cancel).await {
        Ok(None) => completed(app, claimed, None),
        Ok(Some(action)) => match action.stages.into_iter().next() {
            Some(spec) => run_stage(app, claimed, spec, cancel).await,
            None => completed(app, claimed, None),
        },
        Err(error) => broken(app, claimed, &error.told()),
    }
}

/// The action, as soon as the database can be asked for it: what was claimed does not fail because
/// that is away. Its lease is renewed meanwhile.
async fn definition(app: &App, row: &Model, cancel: &CancellationToken) -> Result<Option<Action>> {
    loop {
        match action_of(app, row).await {
            Err(error) if error.code() == Code::Unavailable && !cancel.is_cancelled() => {
                tracing::warn!(%error, firing = %row.id, "the action of {} is not read yet", row.id);
            }
            done => return done,
        }
        app.clock().pause(TRY_MS).await;
    }
}

/// The action that the firing was accepted with, or that its trigger has at the claim.
async fn action_of(app: &App, row: &Model) -> Result<Option<Action>> {
    if let Some(text) = &row.inline_action {
        return parse(text).map(Some);
    }
    if let (Some(id), Some(number)) = (row.action_id, row.action_version) {
        let Some(text) = actions::find_body(app.store(), row.project_id, id, number).await? else {
            return Err(fault(format!("{id} has no version {number}")));
        };
        return parse(&text).map(Some);
    }
    let (Some(id), Some(number)) = (row.trigger_id, row.trigger_version) else { return Ok(None) };
    let version = triggers::find_version(app.store(), row.project_id, id, number).await?;
    let Some(version) = version else { return Err(fault(format!("{id} has no version {number}"))) };
    version.inline_action.as_deref().map(parse).transpose()
}

async fn run_stage(
    app: &App,
    claimed: &Claimed,
    spec: StageSpec,
    cancel: CancellationToken,
) -> Outcome {
    let row = &claimed.firing;
    let Some(stage) = app.stages().get(&spec.kind).cloned() else {
        return broken(app, claimed, &format!("there is no stage of the kind {}", spec.kind));
    };
    let payload: Arc<str> = row.payload.as_str().into();
    let started_at = app.clock().now();
    let call = Call {
        project: row.project_id,
        firing_id: row.id.to_string(),
        webhook_id: format!("{}_{}", row.root_id, spec.name),
        attempt: u32::try_from(row.attempts).unwrap_or(1),
        trigger: claimed.trigger_name.clone(),
        config: spec.config.clone(),
        input: spec.input_text(&payload),
        timeout_ms: spec.timeout_ms,
        now: started_at,
        cancel,
        signing: Some(app.signing_key(row.project_id, claimed.signing_generation)),
    };
    let span = tracing::info_span!(
        target: SPANS, "stage", firing.id = %row.id, stage.name = %spec.name,
        stage.kind = %spec.kind, attempt = row.attempts, error.code = field::Empty,
    );
    let done = stage.run(call).instrument(span.clone()).await;
    if let Err(failure) = &done.result {
        span.record("error.code", failure.code.as_str());
    }
    let tried = Tried { spec: &spec, started_at, finished_at: app.clock().now() };
    conclude(app, claimed, &tried, done)
}

struct Tried<'a> {
    spec: &'a StageSpec,
    started_at: Instant,
    finished_at: Instant,
}

/// What follows from an attempt: done, again later, or failed.
fn conclude(app: &App, claimed: &Claimed, tried: &Tried<'_>, done: stage::Outcome) -> Outcome {
    let row = &claimed.firing;
    let mut outcome = match &done.result {
        Ok(output) => completed(app, claimed, Some(kept(output))),
        Err(failure) => match retry_at(row, tried, failure) {
            Some(at) => retrying(app, claimed, tried, failure, at),
            None => failed(app, claimed, failure),
        },
    };
    outcome.stage = Some(tried.spec.name.clone());
    let effects = done.effects.into_iter().map(|effect| effect_event(app, claimed, effect));
    outcome.events.splice(0..0, effects.collect::<Vec<_>>());
    outcome.attempt = Some(attempt_row(
        app,
        row,
        tried,
        &outcome,
        AttemptParts { failure: done.result.err(), request: done.request, response: done.response },
    ));
    outcome
}

fn retry_at(row: &Model, tried: &Tried<'_>, failure: &Failure) -> Option<Instant> {
    let Retry::Later { after_ms } = failure.retry else { return None };
    let attempt = u32::try_from(row.attempts).unwrap_or(u32::MAX);
    let delay_ms = tried.spec.retry.delay_ms(attempt, row.id.uuid().as_u128(), after_ms)?;
    Some(tried.finished_at.plus_ms(delay_ms))
}

fn completed(app: &App, claimed: &Claimed, result: Option<String>) -> Outcome {
    let row = &claimed.firing;
    let event = ended(stamp(app, row), row, Status::Completed, claimed.trigger_name.as_deref());
    Outcome { result, events: vec![event], ..outcome(app, claimed, Status::Completed) }
}

fn failed(app: &App, claimed: &Claimed, failure: &Failure) -> Outcome {
    let row = &claimed.firing;
    let trigger = claimed.trigger_name.as_deref();
    let about =
        |event: event::Model| event::Model { message: Some(cut(&failure.message)), ..event };
    let attempt = about(event::Model {
        severity: Severity::Warn.level(),
        ..of_firing(stamp(app, row), "attempt.failed", row, trigger)
    });
    let end = about(ended(stamp(app, row), row, Status::Failed, trigger));
    Outcome {
        reason: Some(failure.code.as_str().to_owned()),
        error: Some(cut(&failure.message)),
        result: failure.output.as_deref().map(kept),
        events: vec![attempt, end],
        ..outcome(app, claimed, Status::Failed)
    }
}

fn retrying(
    app: &App,
    claimed: &Claimed,
    tried: &Tried<'_>,
    failure: &Failure,
    at: Instant,
) -> Outcome {
    let row = &claimed.firing;
    let (number, most) = (row.attempts, tried.spec.retry.max_attempts);
    let message = format!("attempt {number} of {most}: {}; again at {at}", failure.message);
    let event = event::Model {
        severity: Severity::Warn.level(),
        message: Some(cut(&message)),
        ..of_firing(stamp(app, row), "attempt.failed", row, claimed.trigger_name.as_deref())
    };
    Outcome {
        due_at: at,
        reason: Some(failure.code.as_str().to_owned()),
        error: Some(cut(&failure.message)),
        events: vec![event],
        ..outcome(app, claimed, Status::Retrying)
    }
}

/// What is stored cannot be run: a fault of Belfry, which a person has to see.
fn broken(app: &App, claimed: &Claimed, why: &str) -> Outcome {
    tracing::error!(firing = %claimed.firing.id, why, "firing {} cannot run", claimed.firing.id);
    let failure = Failure {
        code: stage::FailureCode::Config,
        message: why.to_owned(),
        retry: Retry::Never,
        output: None,
    };
    failed(app, claimed, &failure)
}

fn outcome(app: &App, claimed: &Claimed, status: Status) -> Outcome {
    let row = &claimed.firing;
    let is_over = is_terminal(status);
    Outcome {
        firing: row.id,
        project: row.project_id,
        epoch: row.epoch,
        status,
        reason: None,
        due_at: row.due_at,
        finished_at: is_over.then(|| app.clock().now()),
        result: None,
        error: None,
        stage: row.stage.clone(),
        trigger: row.trigger_id.map(|id| (id, claimed.trigger_limit)),
        slot: row.trigger_id.filter(|_| is_planned(row.cause)),
        counted: row.trigger_id.filter(|_| claimed.is_counted),
        test_trigger: row.trigger_id.filter(|_| row.is_test),
        attempt: None,
        events: Vec::new(),
    }
}

struct AttemptParts {
    failure: Option<Failure>,
    request: Option<String>,
    response: Option<String>,
}

fn attempt_row(
    app: &App,
    row: &Model,
    tried: &Tried<'_>,
    outcome: &Outcome,
    parts: AttemptParts,
) -> attempt::Model {
    let is_failed = parts.failure.is_some();
    attempt::Model {
        id: app.ids().make::<AttemptId>(),
        project_id: row.project_id,
        firing_id: row.id,
        stage: tried.spec.name.clone(),
        kind: tried.spec.kind.clone(),
        number: row.attempts,
        epoch: row.epoch,
        status: if is_failed { attempt::Status::Failed } else { attempt::Status::Succeeded },
        started_at: tried.started_at,
        finished_at: tried.finished_at,
        error_code: parts.failure.as_ref().map(|failure| failure.code.as_str().to_owned()),
        error: parts.failure.map(|failure| cut(&failure.message)),
        retry_at: (outcome.status == Status::Retrying).then_some(outcome.due_at),
        request: parts.request,
        response: parts.response,
    }
}

fn effect_event(app: &App, claimed: &Claimed, effect: Effect) -> event::Model {
    let said = match effect {
        Effect::Event(said) => said,
        Effect::Circuit { host, turn } => return circuit_event(app, claimed, &host, turn),
    };
    let row = &claimed.firing;
    let severity = Severity::named(&said.severity).unwrap_or(Severity::Info);
    event::Model {
        severity: severity.level(),
        component: Some(said.component),
        message: Some(said.message),
        data: said.data,
        trigger_id: row.trigger_id,
        trigger_name: claimed.trigger_name.clone(),
        firing_id: Some(row.id),
        cause: Some(row.cause),
        schedule_kind: row.schedule_kind,
        correlation_id: row.correlation_id.clone(),
        is_test: row.is_test,
        ..blank(stamp(app, row), event::Class::App, APP_EVENT)
    }
}

fn circuit_event(app: &App, claimed: &Claimed, host: &str, turn: Turn) -> event::Model {
    let row = &claimed.firing;
    let (kind, severity, message) = match turn {
        Turn::Opened { until } => {
            let message = format!("{host} fails: nothing is sent to it before {until}");
            ("circuit.opened", Severity::Warn, message)
        }
        Turn::Closed => ("circuit.closed", Severity::Info, format!("{host} answers again")),
    };
    event::Model {
        severity: severity.level(),
        message: Some(cut(&message)),
        payload: None,
        ..of_firing(stamp(app, row), kind, row, claimed.trigger_name.as_deref())
    }
}

fn stamp(app: &App, row: &Model) -> Stamp {
    let id: EventId = app.ids().make();
    Stamp { id, at: stamped_at(id.uuid()), project: row.project_id }
}

/// A message as an attempt and an event keep it.
fn cut(message: &str) -> String {
    message.chars().take(crate::limits::MESSAGE_CHARS_MAX).collect()
}

/// An output as the firing keeps it: whole, or replaced by a flag when it is too long.
fn kept(output: &str) -> String {
    if output.len() <= KEPT_BYTES_MAX {
        return output.to_owned();
    }
    serde_json::json!({ "isTooLong": true, "bytes": output.len() }).to_string()
}

fn parse(text: &str) -> Result<Action> {
    Action::parse(text).map_err(fault)
}

fn fault(why: String) -> crate::error::Error {
    crate::error::Error::Internal(why)
}
