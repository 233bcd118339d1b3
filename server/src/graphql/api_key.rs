//! API keys on the wire; the text of a key is shown once, when it is made.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use entity::api_key::Model;
use futures_util::FutureExt as _;

use super::connection::{args, connection, cost};
use super::error::{Result, UserError, parse_id, payload, settle};
use super::loader::{app, caller};
use super::project::Project;
use super::scalar::{DateTime, Duration};
use crate::error::Error;
use crate::service::api_key::{self, Create, Ends};
use crate::service::{Scope, Scopes, project};
use crate::store::api_key::SORT;

/// A credential of one project.
pub struct ApiKey(pub Model);

connection!(
    /// A page of API keys.
    ApiKeyConnection,
    ApiKeyEdge,
    ApiKey,
    Model
);

/// What an API key may do.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Scope", name = "ApiKeyScope")]
pub enum ApiKeyScope {
    /// Read everything of the project but keys and secrets.
    Read,
    /// Fire triggers and start timers.
    Fire,
    /// Write application events.
    EventsWrite,
    /// Change definitions, and act on firings.
    Write,
    /// Keys and signing secrets; implies every other scope.
    Admin,
}

/// An API key to make. It can neither do more nor hold longer than the key that makes it.
#[derive(InputObject)]
pub struct ApiKeyCreateInput {
    /// What a person calls it; up to 128 characters. Several keys may have one name, as when one
    /// takes the place of another.
    name: String,
    /// What it may do: at least one.
    scopes: Vec<ApiKeyScope>,
    /// When it ends by itself, in the future; never when neither this nor `expiresIn` is said.
    expires_at: Option<DateTime>,
    /// How long from now it holds: up to 10 years.
    expires_in: Option<Duration>,
    /// A repeat with the same key and input within 24 h makes nothing new. It answers with the same
    /// object and cannot show `secret` any more, which is null then.
    idempotency_key: Option<String>,
}

/// An API key to revoke.
#[derive(InputObject)]
pub struct ApiKeyRevokeInput {
    /// Which.
    id: ID,
}

/// What `apiKeyCreate` came to.
#[derive(SimpleObject)]
pub struct ApiKeyCreatePayload {
    /// The key that was made.
    api_key: Option<ApiKey>,
    /// What clients send: shown this once, because it is not stored. Null on a repeat.
    secret: Option<String>,
    /// What is wrong with the input; empty when the mutation was done.
    user_errors: Vec<UserError>,
}

payload!(
    /// What `apiKeyRevoke` came to.
    ApiKeyRevokePayload {
        /// The key as it is now.
        api_key: ApiKey = Model => ApiKey
    }
);

/// A credential of one project.
#[Object]
impl ApiKey {
    /// Identity; also the public part of a key that Belfry made.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What a person calls it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may do.
    async fn scopes(&self) -> Vec<ApiKeyScope> {
        Scopes::parse(&self.0.scopes).list().iter().map(|scope| (*scope).into()).collect()
    }

    /// The project whose key it is.
    async fn project(&self, ctx: &Context<'_>) -> Result<Project> {
        let row = project::find(app(ctx), caller(ctx), self.0.project_id).await?;
        let gone = || Error::Internal(format!("the project of {} is not there", self.0.id));
        Ok(Project(row.ok_or_else(gone)?))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it ends by itself; null when never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// When it was revoked; null while it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }

    /// When it was last used, to about a minute; null when never.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(Into::into)
    }
}

/// API keys, to read.
#[derive(Default)]
pub struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// The keys of the project, newest first, revoked and expired ones included. Needs ADMIN.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
    ) -> Result<ApiKeyConnection> {
        caller(ctx).require(Scope::Admin)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let slice = api_key::list(app(ctx), caller(ctx), &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller) = (app.clone(), caller.clone());
            async move { api_key::count(&app, &caller).await }.boxed()
        });
        Ok(ApiKeyConnection { slice, count })
    }
}

/// API keys, to make and to revoke.
#[derive(Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Makes an API key of the project; at most 200 may hold at a time. Needs ADMIN.
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ApiKeyCreateInput,
    ) -> Result<Option<ApiKeyCreatePayload>> {
        let done = match checked(input) {
            Ok(create) => api_key::create(app(ctx), caller(ctx), create).await,
            Err(error) => Err(error),
        };
        Ok(Some(match settle(done)? {
            Ok(created) => ApiKeyCreatePayload {
                api_key: Some(ApiKey(created.row)),
                secret: created.text,
                user_errors: Vec::new(),
            },
            Err(user_errors) => ApiKeyCreatePayload { api_key: None, secret: None, user_errors },
        }))
    }

    /// Revokes an API key: within a second it opens nothing any more, and open sockets are closed.
    /// The last key with ADMIN that holds stays. Needs ADMIN.
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: ApiKeyRevokeInput,
    ) -> Result<Option<ApiKeyRevokePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => api_key::revoke(app(ctx), caller(ctx), id).await,
            Err(error) => Err(error),
        };
        ApiKeyRevokePayload::of(done)
    }
}

fn checked(input: ApiKeyCreateInput) -> crate::error::Result<Create> {
    let ends = match (input.expires_at, input.expires_in) {
        (None, None) => None,
        (Some(at), None) => Some(Ends::At(at.0)),
        (None, Some(length)) => Some(Ends::In(length.0)),
        (Some(_), Some(_)) => {
            let message = "expected either expiresAt or expiresIn, not both";
            return Err(Error::invalid("expiresIn", message));
        }
    };
    let scopes = input.scopes.into_iter().map(Into::into).collect();
    let ApiKeyCreateInput { name, idempotency_key, .. } = input;
    Ok(Create { name, scopes, ends, idempotency_key })
}
