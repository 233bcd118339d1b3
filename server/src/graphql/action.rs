//! Actions on the wire.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, OneofObject, SimpleObject};
use entity::ActionId;
use entity::action::Model;
use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};

use super::connection::{args, connection, cost};
use super::error::{Result, parse_id, payload, said};
use super::loader::{app, caller};
use super::scalar::{DateTime, Duration, Json};
use super::stage_path::StagePath;
use crate::domain::action::{Action as Body, StageSpec};
use crate::error::Error;
use crate::service::{Scope, action};
use crate::store::action::SORT;

/// A named, versioned graph of stages.
pub struct Action(pub Model);

connection!(
    /// A page of actions.
    ActionConnection,
    ActionEdge,
    Action,
    Model
);

/// One step of an action.
#[derive(SimpleObject)]
pub struct Stage {
    /// Unique in the action.
    name: String,
    /// What it does, such as `http`.
    kind: String,
    /// How, in the terms of its kind.
    config: Json,
    /// What it is given; null when it is given the firing's payload.
    input: Option<Json>,
    /// The time of one attempt.
    timeout: Duration,
    /// How often it is tried.
    retry: RetryPolicy,
}

/// How often a stage is tried, and the pauses between the tries (each ±20 %).
#[derive(SimpleObject)]
pub struct RetryPolicy {
    /// Tries, the first included.
    max_attempts: i32,
    /// The pause after the first try, after the second, and so on; the last one repeats.
    delays: Vec<Duration>,
}

/// How often a stage is tried.
#[derive(InputObject)]
pub struct RetryPolicyInput {
    /// Tries, the first included: 1 to 20, 8 when not said.
    max_attempts: Option<i32>,
    /// The pause after the first try, after the second, and so on; the last one repeats.
    delays: Option<Vec<Duration>>,
}

/// One step of an action.
#[derive(InputObject)]
pub struct StageInput {
    /// Unique in the action: `a-z`, `0-9`, `_` and `-`, up to 64.
    name: String,
    /// What it does.
    config: StageConfigInput,
    /// What it is given instead of the firing's payload.
    input: MaybeUndefined<Json>,
    /// The time of one attempt: up to 5 minutes, 30 seconds when not said.
    timeout: Option<Duration>,
    /// How often it is tried: 8 times over about a day when not said.
    retry: Option<RetryPolicyInput>,
}

/// What a stage does: exactly one of these.
#[derive(OneofObject)]
pub enum StageConfigInput {
    /// Sends a signed HTTP request.
    Http(HttpStageInput),
    /// Writes an application event to the log.
    Log(LogStageInput),
}

/// A signed HTTP request (Standard Webhooks).
#[derive(InputObject)]
pub struct HttpStageInput {
    /// Absolute, http or https; public addresses only, unless the operator allows others.
    url: String,
    /// POST when not said.
    method: Option<String>,
    /// Names and values.
    headers: Option<Json>,
    /// The body instead of the stage's input.
    body: MaybeUndefined<Json>,
    /// Statuses that count as success, such as `[200, "202-204"]`; 200 to 299 when not said.
    expected_status: Option<Json>,
    /// Whether it is signed; true when not said.
    sign: Option<bool>,
}

/// An application event.
#[derive(InputObject)]
pub struct LogStageInput {
    /// What happened.
    message: String,
    /// DEBUG, INFO, WARN or ERROR; INFO when not said.
    severity: Option<String>,
    /// Which part of the application speaks.
    component: Option<String>,
}

/// An action to make.
#[derive(InputObject)]
pub struct ActionCreateInput {
    /// Unique in the project; up to 128 characters.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Exactly one, for now.
    stages: Vec<StageInput>,
    /// A repeat with the same key and input within 24 h makes nothing new.
    idempotency_key: Option<String>,
}

/// A change of an action; what is not said stays.
#[derive(InputObject)]
pub struct ActionUpdateInput {
    /// Which.
    id: ID,
    /// Refused when the action is at another version by now.
    expected_version: Option<i32>,
    /// A new name.
    name: MaybeUndefined<String>,
    /// A new description; null removes it.
    description: MaybeUndefined<String>,
    /// New stages: firings from now on run them.
    stages: MaybeUndefined<Vec<StageInput>>,
}

/// An action to delete.
#[derive(InputObject)]
pub struct ActionDeleteInput {
    /// Which.
    id: ID,
    /// Refused when the action is at another version by now.
    expected_version: Option<i32>,
}

/// What names an action: exactly one of these.
#[derive(OneofObject)]
pub enum ActionBy {
    /// Its id.
    Id(ID),
    /// Its name.
    Name(String),
}

payload!(
    /// What `actionCreate` came to.
    ActionCreatePayload {
        /// The action that was made.
        action: Action = Model => Action
    }
);

payload!(
    /// What `actionUpdate` came to.
    ActionUpdatePayload {
        /// The action as it is now.
        action: Action = Model => Action
    }
);

payload!(
    /// What `actionDelete` came to.
    ActionDeletePayload {
        /// The id of the action that is gone.
        deleted_id: ID = ActionId => |id| id.to_string().into()
    }
);

/// A named, versioned graph of stages.
#[Object]
impl Action {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Unique in the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Raised by every change; what `expectedVersion` compares.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// The stages that new firings run.
    async fn stages(&self, ctx: &Context<'_>) -> Result<Vec<Stage>> {
        let body = action::stages(app(ctx), caller(ctx), self.0.id, self.0.definition).await?;
        Ok(stages(body))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// Actions, to read.
#[derive(Default)]
pub struct ActionQuery;

#[Object]
impl ActionQuery {
    /// One action; null when there is none.
    async fn action(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] by: ActionBy,
    ) -> Result<Option<Action>> {
        caller(ctx).require(Scope::Read)?;
        let found = match by {
            ActionBy::Id(id) => action::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?,
            ActionBy::Name(name) => action::find_by_name(app(ctx), caller(ctx), &name).await?,
        };
        Ok(found.map(Action))
    }

    /// Actions, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn actions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
    ) -> Result<ActionConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let slice = action::list(app(ctx), caller(ctx), &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller) = (app.clone(), caller.clone());
            async move { action::count(&app, &caller).await }.boxed()
        });
        Ok(ActionConnection { slice, count })
    }
}

/// Actions, to change.
#[derive(Default)]
pub struct ActionMutation;

#[Object]
impl ActionMutation {
    /// Makes an action.
    async fn action_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ActionCreateInput,
    ) -> Result<Option<ActionCreatePayload>> {
        let path = StagePath::new("stages", &input.stages);
        let create = action::Create {
            name: input.name,
            description: input.description,
            body: body(input.stages),
            idempotency_key: input.idempotency_key,
        };
        let done = action::create(app(ctx), caller(ctx), create).await;
        ActionCreatePayload::of(done.map_err(|error| path.name(error)))
    }

    /// Changes an action; what is not said stays.
    async fn action_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ActionUpdateInput,
    ) -> Result<Option<ActionUpdatePayload>> {
        ActionUpdatePayload::of(update(ctx, input).await)
    }

    /// Deletes an action that no trigger runs any more.
    async fn action_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ActionDeleteInput,
    ) -> Result<Option<ActionDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => action::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        ActionDeletePayload::of(done)
    }
}

async fn update(ctx: &Context<'_>, input: ActionUpdateInput) -> crate::error::Result<Model> {
    let stages = said("stages", input.stages)?;
    let path = StagePath::new("stages", stages.as_deref().unwrap_or_default());
    let update = action::Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: said("name", input.name)?,
        description: input.description.into(),
        body: stages.map(body),
    };
    let done = action::update(app(ctx), caller(ctx), update).await;
    done.map_err(|error| path.name(error))
}

impl StageInput {
    /// The kind of the stage.
    pub fn kind(&self) -> &'static str {
        match self.config {
            StageConfigInput::Http(_) => "http",
            StageConfigInput::Log(_) => "log",
        }
    }
}

/// The stages of a stored action, as the wire shows them.
pub fn stages(body: Body) -> Vec<Stage> {
    body.stages.into_iter().map(stage).collect()
}

fn stage(spec: StageSpec) -> Stage {
    Stage {
        name: spec.name,
        kind: spec.kind,
        config: Json(spec.config),
        input: spec.input.map(Json),
        timeout: Duration(i64::try_from(spec.timeout_ms).unwrap_or(i64::MAX)),
        retry: RetryPolicy {
            max_attempts: i32::try_from(spec.retry.max_attempts).unwrap_or(i32::MAX),
            delays: spec.retry.delays_ms.into_iter().map(Duration).collect(),
        },
    }
}

/// `{stages: […]}` as the domain reads and checks it.
pub fn body(stages: Vec<StageInput>) -> Value {
    json!({ "stages": stages.into_iter().map(stage_value).collect::<Vec<_>>() })
}

fn stage_value(stage: StageInput) -> Value {
    let kind = stage.kind();
    let config = match stage.config {
        StageConfigInput::Http(http) => http_value(http),
        StageConfigInput::Log(log) => log_value(log),
    };
    let mut value = Map::new();
    value.insert("name".to_owned(), stage.name.into());
    value.insert("kind".to_owned(), kind.into());
    value.insert("config".to_owned(), config);
    put(&mut value, "input", defined(stage.input));
    put(&mut value, "timeoutMs", stage.timeout.map(|timeout| timeout.0.into()));
    put(&mut value, "retry", stage.retry.map(retry_value));
    Value::Object(value)
}

fn retry_value(retry: RetryPolicyInput) -> Value {
    let mut value = Map::new();
    put(&mut value, "maxAttempts", retry.max_attempts.map(Into::into));
    let delays = |list: Vec<Duration>| list.into_iter().map(|delay| delay.0).collect::<Vec<_>>();
    put(&mut value, "delaysMs", retry.delays.map(|list| json!(delays(list))));
    Value::Object(value)
}

fn http_value(http: HttpStageInput) -> Value {
    let mut value = Map::new();
    value.insert("url".to_owned(), http.url.into());
    put(&mut value, "method", http.method.map(Into::into));
    put(&mut value, "headers", http.headers.map(|headers| headers.0));
    put(&mut value, "body", defined(http.body));
    put(&mut value, "expectedStatus", http.expected_status.map(|status| status.0));
    put(&mut value, "sign", http.sign.map(Into::into));
    Value::Object(value)
}

fn log_value(log: LogStageInput) -> Value {
    let mut value = Map::new();
    value.insert("message".to_owned(), log.message.into());
    put(&mut value, "severity", log.severity.map(Into::into));
    put(&mut value, "component", log.component.map(Into::into));
    Value::Object(value)
}

fn defined(value: MaybeUndefined<Json>) -> Option<Value> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(value.0),
    }
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}
