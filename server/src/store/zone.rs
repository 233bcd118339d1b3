//! What a new time zone database means to what was planned with the old one.
//!
//! A recorded instant is history and stays. What is planned and lies ahead goes, and every cron
//! schedule is planned anew from now on, in one change with the note of the version, so that it is
//! done once, by whichever process starts first with the new database.

use std::collections::BTreeMap;

use entity::{Instant, ScheduleId, TypedId};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::{Change, bulk, installation};
use crate::domain::outbox::Notice;
use crate::error::Result;

/// Schedules that fire by the clock on a wall and are not over.
const LIVE: &str =
    "kind = 'CRON' AND deleted_at IS NULL AND (plan_at IS NOT NULL OR state = 'SCHEDULED')";

/// Of some schedules, in the words of the index `firing_ahead`.
const UNCLAIMED: &str = "firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE' \
                         AND firing.epoch = 0 AND firing.schedule_id IN ({ids})";

/// Plans cron schedules anew when `version` is another than they were planned with; how many.
pub async fn replan(change: &Change, version: &str, now: Instant) -> Result<usize> {
    if !installation::set_tzdata(change, version).await? {
        return Ok(0);
    }
    let now = now.millis();
    let moved = format!(
        "UPDATE schedule SET plan_version = plan_version + 1, plan_at = ?, \
         planned_until = CASE WHEN planned_until < ? THEN planned_until ELSE ? END \
         WHERE {LIVE} RETURNING id"
    );
    let moved = change.statement(&moved, [now.into(), now.into(), now.into()]);
    let mut schedules: Vec<ScheduleId> = Vec::new();
    for row in change.tx().query_all_raw(moved).await? {
        schedules.push(row.try_get("", "id")?);
    }
    for run in bulk::runs(&schedules) {
        give_back(change, run, now).await?;
        // What is due is claimed under the new plan as it would have been under the old one.
        let kept = format!("UPDATE firing SET plan_version = plan_version + 1 WHERE {UNCLAIMED}");
        change.tx().execute_raw(of_run(change, &kept, run, [])).await?;
    }
    change.notify(Notice::Replan);
    Ok(schedules.len())
}

/// Removes what is planned ahead; what is removed gives its place under `maxFirings` back.
async fn give_back(change: &Change, run: &[ScheduleId], now: i64) -> Result<()> {
    let ahead = format!("DELETE FROM firing WHERE nominal_at > ? AND {UNCLAIMED}");
    let ahead = of_run(change, &format!("{ahead} RETURNING schedule_id"), run, [now.into()]);
    let mut counts: BTreeMap<ScheduleId, i64> = BTreeMap::new();
    for row in change.tx().query_all_raw(ahead).await? {
        *counts.entry(row.try_get("", "schedule_id")?).or_default() += 1;
    }
    for (schedule, count) in counts {
        let sql = "UPDATE schedule SET firings = firings - ? WHERE id = ?";
        let statement = change.statement(sql, [count.into(), schedule.uuid().into()]);
        change.tx().execute_raw(statement).await?;
    }
    Ok(())
}

/// A statement with `{ids}` after its other parameters.
fn of_run<const N: usize>(
    change: &Change,
    sql: &str,
    run: &[ScheduleId],
    values: [Value; N],
) -> Statement {
    let sql = sql.replace("{ids}", &vec!["?"; run.len()].join(", "));
    let ids = run.iter().map(|id| Value::from(id.uuid()));
    change.statement(&sql, values.into_iter().chain(ids))
}
