//! API keys on the wire; the text of a key is never among what can be read.

use async_graphql::{Enum, ID, Object};
use entity::api_key::Model;

use super::scalar::DateTime;
use crate::service::{Scope, Scopes};

/// A credential of one project.
pub struct ApiKey(pub Model);

/// What an API key may do.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Scope", name = "ApiKeyScope")]
pub enum ApiKeyScope {
    /// Read everything of the project.
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

#[Object]
impl ApiKey {
    /// Identity; also the public part of a key that Belfry made.
    async fn id(&self) -> ID {
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

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it ends by itself; null when never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }
}
