//! What a new time zone database means to what was planned with the old one.
//!
//! A recorded instant is history and stays. What is planned and lies ahead goes, and every cron
//! schedule is planned anew from now on, in one change with the note of the version, so that it is
//! done once, by whichever process starts first with the new database.

use entity::Instant;
use sea_orm::ConnectionTrait;

use super::{Change, installation};
use crate::domain::outbox::Notice;
use crate::error::Result;

/// Schedules that fire by the clock on a wall and are not over.
const LIVE: &str =
    "kind = 'CRON' AND deleted_at IS NULL AND (plan_at IS NOT NULL OR state = 'SCHEDULED')";

/// Plans cron schedules anew when `version` is another than they were planned with; how many.
pub async fn replan(change: &Change, version: &str, now: Instant) -> Result<u64> {
    if !installation::set_tzdata(change, version).await? {
        return Ok(0);
    }
    let ahead = "SELECT id FROM firing WHERE status = 'SCHEDULED' AND cause = 'SCHEDULE' \
                 AND schedule_kind = 'CRON' AND epoch = 0 AND nominal_at > ?";
    // What is removed gives its place under `maxFirings` back.
    let given_back = format!(
        "UPDATE schedule SET firings = firings - (SELECT COUNT(*) FROM firing \
         WHERE firing.schedule_id = schedule.id AND firing.id IN ({ahead})) \
         WHERE {LIVE}"
    );
    let removed = format!("DELETE FROM firing WHERE id IN ({ahead})");
    // What is due is claimed under the new plan as it would have been under the old one.
    let kept = format!(
        "UPDATE firing SET plan_version = plan_version + 1 WHERE status = 'SCHEDULED' \
         AND cause = 'SCHEDULE' AND schedule_kind = 'CRON' AND epoch = 0 \
         AND schedule_id IN (SELECT id FROM schedule WHERE {LIVE})"
    );
    for sql in [&given_back, &removed] {
        change.tx().execute_raw(change.statement(sql, [now.millis().into()])).await?;
    }
    change.tx().execute_unprepared(&kept).await?;
    let moved = format!(
        "UPDATE schedule SET plan_version = plan_version + 1, plan_at = ?, \
         planned_until = CASE WHEN planned_until < ? THEN planned_until ELSE ? END WHERE {LIVE}"
    );
    let now = now.millis();
    let moved = change.statement(&moved, [now.into(), now.into(), now.into()]);
    let schedules = change.tx().execute_raw(moved).await?.rows_affected();
    change.notify(Notice::Replan);
    Ok(schedules)
}
