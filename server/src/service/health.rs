//! Whether this process can work, part by part: what `/readyz` says. Asked without a key, so the
//! answer names no address and repeats no error of a library; those go to the log.

use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::error::Result;
use crate::limits::HEALTH_SECS_MAX;
use crate::queue::Health;
use crate::store::health::{self as store, Schema};

/// How well something is; the order is that of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It works.
    Ok,
    /// It works, later or with less than it should have; somebody should look.
    Degraded,
    /// It does not work.
    Unavailable,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name: `process`, `database`, `migrations` or `redis`.
    pub part: &'static str,
    /// How well it is.
    pub status: Status,
    /// Why, when it is not well.
    pub reason: Option<&'static str>,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Degraded => "DEGRADED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// What is said when shutdown has begun, whatever else is true.
pub const STOPPING: Check =
    Check { part: "process", status: Status::Unavailable, reason: Some("the server is stopping") };

/// Every part that there is, Redis only when it is configured.
pub async fn check(app: &App) -> Vec<Check> {
    let mut checks = vec![database(app).await];
    if checks[0].status == Status::Ok {
        checks.push(migrations(app).await);
    }
    checks.extend(redis(app));
    checks
}

/// The part that is worst decides for the whole.
#[must_use]
pub fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}

async fn database(app: &App) -> Check {
    match within(app.store().ping()).await {
        Ok(()) => well("database"),
        Err(why) => {
            tracing::error!(%why, "the database does not answer: {why}");
            unavailable("database", "the database does not answer")
        }
    }
}

async fn migrations(app: &App) -> Check {
    match within(store::schema(app.store())).await {
        Ok(Schema::Current) => well("migrations"),
        Ok(Schema::Newer) => Check {
            status: Status::Degraded,
            reason: Some("the schema was written by a newer version"),
            ..well("migrations")
        },
        Ok(Schema::Older) => unavailable("migrations", "steps of the schema are missing"),
        Err(why) => {
            tracing::error!(%why, "the schema could not be read: {why}");
            unavailable("migrations", "the schema could not be read")
        }
    }
}

/// Without Redis firings come from SQL: later, so that this is no reason to take the process away.
fn redis(app: &App) -> Option<Check> {
    let reason = match app.queue().health() {
        Health::Healthy if !has_redis(app) => return None,
        Health::Healthy => return Some(well("redis")),
        // Its home has logged the change and why.
        Health::Degraded(_) => "Redis does not answer; firings come from the database",
    };
    Some(Check { status: Status::Degraded, reason: Some(reason), ..well("redis") })
}

/// Whether queue and bus lie in Redis.
pub(super) fn has_redis(app: &App) -> bool {
    app.settings().redis_url.is_some()
}

/// What does not answer in time has failed.
pub(super) async fn within<T>(asked: impl Future<Output = Result<T>>) -> Result<T, String> {
    match timeout(Duration::from_secs(HEALTH_SECS_MAX), asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {HEALTH_SECS_MAX} s")),
    }
}

fn well(part: &'static str) -> Check {
    Check { part, status: Status::Ok, reason: None }
}

fn unavailable(part: &'static str, reason: &'static str) -> Check {
    Check { part, status: Status::Unavailable, reason: Some(reason) }
}
