//! Timers on the wire.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, OneofObject, SimpleObject};
use entity::firing::Model;
use entity::{TimerId, TypedId};
use futures_util::FutureExt as _;

use super::comparator::DateTimeComparator;
use super::connection::{args, connection, cost};
use super::error::{Result, UserError, parse_id, payload, settle};
use super::firing::{Firing, FiringStatus, FiringStatusComparator};
use super::loader::{app, caller};
use super::scalar::{DateTime, Duration, Json};
use super::trigger::payload_of;
use crate::domain::action::Action;
use crate::error::{Error, Problem, refuse_if_any};
use crate::service::timer::{self, Length, Start, Target};
use crate::service::{Scope, firing};
use crate::store::firing::{Filter, SortKey};

/// A one-shot countdown.
pub struct Timer(pub Model);

connection!(
    /// A page of timers.
    TimerConnection,
    TimerEdge,
    Timer,
    Model
);

/// How long a timer runs: exactly one of these.
#[derive(OneofObject)]
pub enum TimerLengthInput {
    /// An ISO 8601 duration.
    Duration(Duration),
    /// Hours, minutes and seconds; 90 minutes are fine.
    Parts(TimerPartsInput),
}

/// Hours, minutes and seconds, none of them negative.
#[derive(InputObject)]
pub struct TimerPartsInput {
    /// Hours.
    #[graphql(default)]
    hours: i32,
    /// Minutes.
    #[graphql(default)]
    minutes: i32,
    /// Seconds.
    #[graphql(default)]
    seconds: i32,
}

/// What happens at the end: exactly one of these.
#[derive(OneofObject)]
pub enum TimerTargetInput {
    /// The payload is posted there, signed.
    Url(String),
    /// The action with this id runs.
    ActionId(ID),
    /// The trigger with this id fires.
    TriggerId(ID),
}

/// A timer to start.
#[derive(InputObject)]
pub struct TimerInput {
    /// How long it runs: from 0 to 10 years.
    length: TimerLengthInput,
    /// What happens at the end.
    target: TimerTargetInput,
    /// With what; `{"id": "<timer id>"}` when not said.
    payload: MaybeUndefined<Json>,
}

/// A timer to start.
#[derive(InputObject)]
pub struct TimerStartInput {
    /// How long it runs: from 0 to 10 years.
    length: TimerLengthInput,
    /// What happens at the end.
    target: TimerTargetInput,
    /// With what; `{"id": "<timer id>"}` when not said.
    payload: MaybeUndefined<Json>,
    /// A repeat with the same key and input within 24 h starts nothing new.
    idempotency_key: Option<String>,
}

/// Timers to start, all or none.
#[derive(InputObject)]
pub struct TimersStartInput {
    /// Up to 5,000.
    timers: Vec<TimerInput>,
    /// A repeat with the same key and input within 24 h starts nothing new.
    idempotency_key: Option<String>,
}

/// A timer to stop.
#[derive(InputObject)]
pub struct TimerCancelInput {
    /// Which.
    id: ID,
}

/// Which timers a list shows; every set condition must hold.
#[derive(InputObject, Default)]
pub struct TimerFilter {
    /// By status.
    status: Option<FiringStatusComparator>,
    /// By when it was started.
    created_at: Option<DateTimeComparator>,
    /// By when it ends.
    fires_at: Option<DateTimeComparator>,
}

payload!(
    /// What `timerStart` came to.
    TimerStartPayload {
        /// The timer that runs.
        timer: Timer = Model => Timer
    }
);

payload!(
    /// What `timerCancel` came to.
    TimerCancelPayload {
        /// The timer as it is now.
        timer: Timer = Model => Timer
    }
);

/// What `timersStart` came to.
#[derive(SimpleObject)]
pub struct TimersStartPayload {
    /// The timers that run, in the order of the input; empty when none was started.
    timers: Vec<Timer>,
    /// What is wrong with the input; empty when all were started.
    user_errors: Vec<UserError>,
}

/// A one-shot countdown.
#[Object]
impl Timer {
    /// Identity; the firing's id has the same 26 characters.
    pub async fn id(&self) -> ID {
        TimerId::from(self.0.id).to_string().into()
    }

    /// Where the payload is posted; null when it runs an action or fires a trigger.
    async fn url(&self) -> Option<String> {
        let action = Action::parse(self.0.inline_action.as_deref()?).ok()?;
        Some(action.stages.first()?.config.get("url")?.as_str()?.to_owned())
    }

    /// When it ends.
    async fn fires_at(&self) -> DateTime {
        self.0.nominal_at.into()
    }

    /// Whole seconds until it ends, rounded up: 0 when it is due or over.
    async fn seconds_left(&self, ctx: &Context<'_>) -> i32 {
        let left = timer::seconds_left(&self.0, app(ctx).clock().now());
        i32::try_from(left).unwrap_or(i32::MAX)
    }

    /// Where it stands.
    async fn status(&self) -> FiringStatus {
        self.0.status.into()
    }

    /// When it was started.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// What it carries.
    async fn payload(&self) -> Json {
        Json::stored(&self.0.payload)
    }

    /// The firing that it is, with its attempts.
    async fn firing(&self) -> Firing {
        Firing(self.0.clone())
    }
}

/// Timers, to read.
#[derive(Default)]
pub struct TimerQuery;

#[Object]
impl TimerQuery {
    /// One timer; null when there is none.
    async fn timer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Timer>> {
        caller(ctx).require(Scope::Read)?;
        Ok(timer::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?.map(Timer))
    }

    /// Timers, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn timers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which timers.")] filter: Option<TimerFilter>,
    ) -> Result<TimerConnection> {
        caller(ctx).require(Scope::Read)?;
        let sort = firing::sort(SortKey::CreatedAt, true);
        let page = args(first, after, last, before).check(sort.code).map_err(Error::Refused)?;
        let filter = checked(filter.unwrap_or_default());
        let slice = timer::list(app(ctx), caller(ctx), &filter, &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
            async move { timer::count(&app, &caller, &filter).await }.boxed()
        });
        Ok(TimerConnection { slice, count })
    }
}

/// Timers, to start and stop.
#[derive(Default)]
pub struct TimerMutation;

#[Object]
impl TimerMutation {
    /// Starts a timer.
    async fn timer_start(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TimerStartInput,
    ) -> Result<Option<TimerStartPayload>> {
        let TimerStartInput { length, target, payload, idempotency_key } = input;
        let timer = TimerInput { length, target, payload };
        let made = start(ctx, "", vec![timer], idempotency_key).await;
        TimerStartPayload::of(made.and_then(|mut rows| rows.pop().ok_or_else(none_made)))
    }

    /// Starts many timers, all or none.
    #[graphql(complexity = "100 + child_complexity")]
    async fn timers_start(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TimersStartInput,
    ) -> Result<Option<TimersStartPayload>> {
        let made = start(ctx, "timers", input.timers, input.idempotency_key).await;
        let answer = match settle(made)? {
            Ok(rows) => TimersStartPayload {
                timers: rows.into_iter().map(Timer).collect(),
                user_errors: Vec::new(),
            },
            Err(user_errors) => TimersStartPayload { timers: Vec::new(), user_errors },
        };
        Ok(Some(answer))
    }

    /// Stops a timer before its end.
    async fn timer_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: TimerCancelInput,
    ) -> Result<Option<TimerCancelPayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => timer::cancel(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        TimerCancelPayload::of(done)
    }
}

async fn start(
    ctx: &Context<'_>,
    field: &str,
    timers: Vec<TimerInput>,
    idempotency_key: Option<String>,
) -> crate::error::Result<Vec<Model>> {
    let mut starts = Vec::with_capacity(timers.len());
    let mut problems = Vec::new();
    for (index, timer) in timers.into_iter().enumerate() {
        match checked_start(timer) {
            Ok(start) => starts.push(start),
            Err(problem) if field.is_empty() => problems.push(problem),
            Err(problem) => problems.push(problem.under(&format!("{field}.{index}"))),
        }
    }
    refuse_if_any(problems)?;
    let made = timer::start(app(ctx), caller(ctx), field, starts, idempotency_key).await;
    made.map_err(|error| match error {
        Error::Refused(problems) => {
            Error::Refused(problems.into_iter().map(|problem| placed(problem, field)).collect())
        }
        other => other,
    })
}

/// A problem of a timer under the path that its field has in this input.
fn placed(problem: Problem, list: &str) -> Problem {
    let words: Vec<&str> = problem.field.split('.').collect();
    let is_of_list = !list.is_empty() && words[0] == list && 2 < words.len();
    let (before, own) = words.split_at(if is_of_list { 2 } else { 0 });
    let group: &[&str] = match own[0] {
        "hours" | "minutes" | "seconds" => &["length", "parts"],
        "duration" => &["length"],
        "url" | "actionId" | "triggerId" => &["target"],
        _ => &[],
    };
    let field = [before, group, own].concat().join(".");
    Problem { field, ..problem }
}

fn checked_start(input: TimerInput) -> crate::error::Result<Start, Problem> {
    let length = match input.length {
        TimerLengthInput::Duration(duration) => Length::Ms(duration.0),
        TimerLengthInput::Parts(parts) => Length::Parts {
            hours: parts.hours.into(),
            minutes: parts.minutes.into(),
            seconds: parts.seconds.into(),
        },
    };
    let target = match input.target {
        TimerTargetInput::Url(url) => Target::Url(url),
        TimerTargetInput::ActionId(id) => Target::Action(target("target.actionId", &id)?),
        TimerTargetInput::TriggerId(id) => Target::Trigger(target("target.triggerId", &id)?),
    };
    Ok(Start { length, target, payload: payload_of(input.payload) })
}

fn target<T: TypedId>(field: &str, id: &ID) -> crate::error::Result<T, Problem> {
    id.parse().map_err(|error: entity::IdError| Problem::new(field, error.to_string()))
}

fn checked(filter: TimerFilter) -> Filter {
    Filter {
        status: filter.status.map(Into::into),
        created_at: filter.created_at.map(Into::into),
        nominal_at: filter.fires_at.map(Into::into),
        ..Filter::default()
    }
}

fn none_made() -> Error {
    Error::Internal("a timer was started and is not there".to_owned())
}
