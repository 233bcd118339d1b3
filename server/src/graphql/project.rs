//! Projects on the wire: the tenants, and what they may take up.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use entity::project::Model;
use futures_util::FutureExt as _;

use super::api_key::ApiKey;
use super::connection::{args, connection, cost};
use super::error::{Result, UserError, parse_id, payload, said, settle};
use super::loader::{app, caller};
use super::scalar::DateTime;
use crate::domain::quota::Quotas;
use crate::error::Error;
use crate::service::Scope;
use crate::service::project::{self, Create, Created, QuotaChange, Update};
use crate::service::trigger::Secret;
use crate::store::project::SORT;

/// A tenant: owns keys, definitions, firings and a log.
pub struct Project(pub Model);

connection!(
    /// A page of projects.
    ProjectConnection,
    ProjectEdge,
    Project,
    Model
);

/// What a project may take up; null where it may take any amount.
#[derive(SimpleObject)]
pub struct ProjectQuotas {
    /// Triggers.
    triggers: Option<i32>,
    /// Schedules.
    schedules: Option<i32>,
    /// API keys that hold.
    api_keys: Option<i32>,
    /// Firings that wait, accepted and planned ones. Planned ones count, and are never refused; what
    /// is refused is to fire, to replay and to start timers. The number is counted every few
    /// seconds, so that several processes together may accept some more.
    waiting_firings: Option<i32>,
    /// Cost of requests in a second, of each process.
    cost_per_second: Option<i32>,
}

/// Quotas: numbers, or null for any amount; what is not said stays.
#[derive(InputObject, Default)]
pub struct ProjectQuotasInput {
    /// Triggers.
    triggers: MaybeUndefined<i32>,
    /// Schedules.
    schedules: MaybeUndefined<i32>,
    /// API keys that hold.
    api_keys: MaybeUndefined<i32>,
    /// Firings that wait, accepted and planned ones.
    waiting_firings: MaybeUndefined<i32>,
    /// Cost of requests in a second, of each process: at least 1.
    cost_per_second: MaybeUndefined<i32>,
}

/// A project to make.
#[derive(InputObject)]
pub struct ProjectCreateInput {
    /// Unique on this server; up to 128 characters.
    name: String,
    /// What it may take up; any amount of what is not said.
    #[graphql(default)]
    quotas: ProjectQuotasInput,
    /// A repeat with the same key and input within 24 h makes nothing new. It answers with the same
    /// project; `apiKey` and `secret` are null then.
    idempotency_key: Option<String>,
}

/// A change of a project; what is not said stays.
#[derive(InputObject)]
pub struct ProjectUpdateInput {
    /// Which.
    id: ID,
    /// Refused when the project is at another version by now.
    expected_version: Option<i32>,
    /// A new name.
    name: MaybeUndefined<String>,
    /// Other quotas; only the operator may say them.
    #[graphql(default)]
    quotas: ProjectQuotasInput,
    /// Signs webhooks with another secret from the next request on.
    #[graphql(default)]
    rotate_signing_secret: bool,
}

/// What `projectCreate` came to.
#[derive(SimpleObject)]
pub struct ProjectCreatePayload {
    /// The project that was made.
    project: Option<Project>,
    /// Its first key, which has ADMIN. Null on a repeat.
    api_key: Option<ApiKey>,
    /// The text of that key: shown this once, because it is not stored. Null on a repeat.
    secret: Option<String>,
    /// What is wrong with the input; empty when the mutation was done.
    user_errors: Vec<UserError>,
}

payload!(
    /// What `projectUpdate` came to.
    ProjectUpdatePayload {
        /// The project as it is now.
        project: Project = Model => Project
    }
);

/// A tenant: owns keys, definitions, firings and a log.
#[Object]
impl Project {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Unique on this server.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Raised by every change; what `expectedVersion` compares.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Whether it is the project of whoever runs the server, whose ADMIN keys see and change every
    /// project.
    async fn is_operator(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(project::is_operator(app(ctx), self.0.id).await?)
    }

    /// What it may take up.
    async fn quotas(&self) -> ProjectQuotas {
        let quotas = Quotas::from(&self.0);
        ProjectQuotas {
            triggers: quotas.triggers,
            schedules: quotas.schedules,
            api_keys: quotas.api_keys,
            waiting_firings: quotas.waiting_firings,
            cost_per_second: quotas.cost_per_second,
        }
    }

    /// The secret that signs its webhooks, by Standard Webhooks; null but for its own ADMIN keys.
    async fn signing_secret(&self, ctx: &Context<'_>) -> Option<String> {
        project::signing_secret(app(ctx), caller(ctx), &self.0)
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

/// Projects, to read.
#[derive(Default)]
pub struct ProjectQuery;

#[Object]
impl ProjectQuery {
    /// One project; null when there is none. ADMIN keys of the operator's project see every one,
    /// other keys their own.
    async fn project(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Project>> {
        caller(ctx).require(Scope::Read)?;
        Ok(project::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?.map(Project))
    }

    /// Projects, newest first. ADMIN keys of the operator's project see every one, other keys their
    /// own.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn projects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
    ) -> Result<ProjectConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let slice = project::list(app(ctx), caller(ctx), &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller) = (app.clone(), caller.clone());
            async move { project::count(&app, &caller).await }.boxed()
        });
        Ok(ProjectConnection { slice, count })
    }
}

/// Projects, to make and to change.
#[derive(Default)]
pub struct ProjectMutation;

#[Object]
impl ProjectMutation {
    /// Makes a project and its first API key. Needs ADMIN of the operator's project.
    async fn project_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ProjectCreateInput,
    ) -> Result<Option<ProjectCreatePayload>> {
        let ProjectCreateInput { name, quotas, idempotency_key } = input;
        let create = Create { name, quotas: quotas.change(), idempotency_key };
        let done = project::create(app(ctx), caller(ctx), create).await;
        Ok(Some(ProjectCreatePayload::from(settle(done)?)))
    }

    /// Changes a project. Its own ADMIN keys may rename it and rotate its secret; the operator's may
    /// change its quotas, too.
    async fn project_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ProjectUpdateInput,
    ) -> Result<Option<ProjectUpdatePayload>> {
        let done = match checked(input) {
            Ok(update) => project::update(app(ctx), caller(ctx), update).await,
            Err(error) => Err(error),
        };
        ProjectUpdatePayload::of(done)
    }
}

impl From<std::result::Result<Created, Vec<UserError>>> for ProjectCreatePayload {
    fn from(done: std::result::Result<Created, Vec<UserError>>) -> Self {
        let (created, user_errors) = match done {
            Ok(created) => (Some(created), Vec::new()),
            Err(user_errors) => (None, user_errors),
        };
        let (row, key) = created.map_or((None, None), |made| (Some(made.row), made.key));
        let (key, secret) = key.map_or((None, None), |made| (Some(made.row), Some(made.text)));
        Self { project: row.map(Project), api_key: key.map(ApiKey), secret, user_errors }
    }
}

impl ProjectQuotasInput {
    fn change(self) -> QuotaChange {
        QuotaChange {
            triggers: self.triggers.into(),
            schedules: self.schedules.into(),
            api_keys: self.api_keys.into(),
            waiting_firings: self.waiting_firings.into(),
            cost_per_second: self.cost_per_second.into(),
        }
    }
}

fn checked(input: ProjectUpdateInput) -> crate::error::Result<Update> {
    let is_rotated = input.rotate_signing_secret;
    Ok(Update {
        id: parse_id("id", &input.id)?,
        expected_version: input.expected_version,
        name: said("name", input.name)?,
        quotas: input.quotas.change(),
        signing_secret: if is_rotated { Secret::Rotate } else { Secret::Keep },
    })
}
