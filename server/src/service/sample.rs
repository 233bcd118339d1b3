//! The gauges of `/metrics` that somebody has to look up: what waits, what should and does not, and
//! what is to come. Each is one statement of the readers' pool, bounded in time; one that cannot be
//! had is left out of the answer.

use super::forecast;
use super::health::{has_redis, within};
use crate::app::App;
use crate::limits::{FIRING_KEPT_MS, UNARMED_MS};
use crate::metrics::{set_or_omit, set_or_omit_secs};
use crate::queue::Health;
use crate::store::{event, health as store};

/// Sets every gauge but those of the forecast.
pub async fn sample(app: &App) {
    let gauges = &app.metrics().sampled;
    for pool in store::pools(app.store()) {
        let of = |state| gauges.database_connections.with_label_values(&[pool.name, state]);
        of("idle").set(pool.idle.into());
        of("busy").set(pool.busy.into());
    }
    gauges.queue_entries.set(i64::try_from(app.queue().len().await).unwrap_or(i64::MAX));
    let is_up = i64::from(app.queue().health() == Health::Healthy);
    set_or_omit(&gauges.redis_up, has_redis(app).then_some(is_up));

    let oldest = within(store::oldest_waiting(app.store())).await;
    gauges.database_up.set(oldest.is_ok().into());
    if let Err(why) = &oldest {
        tracing::error!(%why, "the gauges could not be looked up: {why}");
        set_or_omit_secs(&gauges.overdue, None);
        set_or_omit(&gauges.schedules_unarmed, None);
        set_or_omit(&gauges.tail_lag, None);
        return;
    }
    let now = app.clock().now();
    let overdue_ms = oldest.ok().flatten().map_or(0, |due_at| now.ms_since(due_at).max(0));
    set_or_omit_secs(&gauges.overdue, Some(overdue_ms as f64 / 1000.0));
    let (behind, forgotten) = (now.plus_ms(-UNARMED_MS), now.plus_ms(-FIRING_KEPT_MS));
    let unarmed = within(store::unarmed(app.store(), behind, forgotten)).await;
    set_or_omit(&gauges.schedules_unarmed, unarmed.ok().and_then(|count| count.try_into().ok()));
    set_or_omit(&gauges.tail_lag, tail_lag(app).await);
}

/// Sets the gauges of the forecast.
pub async fn sample_forecast(app: &App) {
    let gauges = &app.metrics().sampled;
    match within(forecast::ahead(app)).await {
        Ok(windows) => {
            for ahead in windows {
                let firings = i64::try_from(ahead.firings).unwrap_or(i64::MAX);
                gauges.forecast_firings.with_label_values(&[ahead.window]).set(firings);
                let executors = gauges.forecast_executors.with_label_values(&[ahead.window]);
                executors.set(ahead.executors.unwrap_or(f64::NAN));
            }
        }
        Err(why) => {
            tracing::error!(%why, "the forecast could not be made: {why}");
            gauges.forecast_firings.reset();
            gauges.forecast_executors.reset();
        }
    }
}

/// How far the slowest reader of the log is behind its head; 0 without readers.
async fn tail_lag(app: &App) -> Option<i64> {
    let Some(slowest) = app.metrics().wire.tails.slowest() else { return Some(0) };
    let head = within(event::head(app.store())).await.ok()?;
    Some((head - slowest).max(0))
}
