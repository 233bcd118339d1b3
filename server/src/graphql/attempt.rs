//! Attempts on the wire.

use async_graphql::{Enum, ID, Object};
use entity::attempt::{Model, Status};

use super::scalar::{DateTime, Duration, Json};

/// One try of one stage of a firing.
pub struct Attempt(pub Model);

/// How an attempt ended.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum AttemptStatus {
    /// The stage did its work.
    Succeeded,
    /// It did not.
    Failed,
    /// The process died or lost its lease; whether the stage did its work is unknown.
    LeaseExpired,
}

/// One try of one stage of a firing.
#[Object]
impl Attempt {
    /// Identity.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Counts from 1; one that was lost with its process does not use a number up.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// The stage that was tried.
    async fn stage(&self) -> &str {
        &self.0.stage
    }

    /// The kind of that stage, such as `http`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// How it ended.
    async fn status(&self) -> AttemptStatus {
        self.0.status.into()
    }

    /// When it began.
    async fn started_at(&self) -> DateTime {
        self.0.started_at.into()
    }

    /// When it ended.
    async fn finished_at(&self) -> DateTime {
        self.0.finished_at.into()
    }

    /// How long it took.
    async fn duration(&self) -> Duration {
        Duration(self.0.finished_at.ms_since(self.0.started_at).max(0))
    }

    /// Why it failed, for machines, such as `HTTP_STATUS` or `TIMEOUT`.
    async fn error_code(&self) -> Option<&str> {
        self.0.error_code.as_deref()
    }

    /// Why it failed, for people.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// When the next one was to begin.
    async fn retry_at(&self) -> Option<DateTime> {
        self.0.retry_at.map(Into::into)
    }

    /// What was sent, kept short.
    async fn request(&self) -> Option<Json> {
        self.0.request.as_deref().map(Json::stored)
    }

    /// What came back, kept short.
    async fn response(&self) -> Option<Json> {
        self.0.response.as_deref().map(Json::stored)
    }
}
