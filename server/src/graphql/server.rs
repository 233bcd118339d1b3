//! The server about itself, and who is asking.

use async_graphql::{Context, Object, SimpleObject};

use super::api_key::ApiKey;
use super::error::Result;
use super::loader::{app, caller};
use super::scalar::{DateTime, Duration};
use crate::domain::zone::tzdata_version;
use crate::service::api_key;

/// The server about itself.
#[derive(SimpleObject)]
pub struct Server {
    /// Its version.
    version: &'static str,
    /// What time it is, on the clock by which firings are due.
    now: DateTime,
    /// The kinds of stages that actions may have.
    stage_kinds: Vec<&'static str>,
    /// Version of the time zone rules that schedules follow.
    tzdata_version: &'static str,
    /// Age at which its own events count as archived.
    archive_after: Duration,
    /// Age at which its own events are deleted.
    delete_after: Duration,
}

/// The server, to ask.
#[derive(Default)]
pub struct ServerQuery;

#[Object]
impl ServerQuery {
    /// The server about itself.
    async fn server(&self, ctx: &Context<'_>) -> Server {
        let app = app(ctx);
        Server {
            version: env!("CARGO_PKG_VERSION"),
            now: app.clock().now().into(),
            stage_kinds: app.stages().kinds().collect(),
            tzdata_version: tzdata_version(),
            archive_after: Duration(app.settings().archive_after_ms),
            delete_after: Duration(app.settings().delete_after_ms),
        }
    }

    /// The API key that asks.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        Ok(api_key::current(app(ctx), caller(ctx)).await?.map(ApiKey))
    }
}
