//! What a new time zone database means to what was planned with the old one.
//!
//! A recorded instant is history and stays. What is planned and lies ahead goes, and every schedule
//! that reads a clock on a wall is planned anew from now on, in one change with the note of the
//! version, so that it is done once, by whichever process starts first with the new database.
//!
//! **Two versions at once.** While processes are replaced one by one, those with older zones leave
//! these schedules to the newer ones, which say now and then that they are there. When none has said
//! so for a while (the new binary was taken back), an older one plans anew with what it has. A
//! planner asks with its schedules locked: either it sees who came, or whoever came waits for it and
//! plans anew what it did.

use std::collections::BTreeMap;

use entity::schedule::{Kind, Model};
use entity::{Instant, ScheduleId, TypedId, installation as row};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::{Change, bulk, installation};
use crate::domain::outbox::Notice;
use crate::domain::zone::tzdata_version;
use crate::error::Result;
use crate::limits::ZONES_LEFT_MS;

/// Schedules that are not over and read a clock on a wall: by their plan, or perhaps by what they
/// leave out.
const LIVE: &str = "(kind = 'CRON' OR policy <> '{}') AND deleted_at IS NULL \
                    AND (plan_at IS NOT NULL OR state = 'SCHEDULED')";

/// Of some schedules, in the words of the index `firing_ahead`.
const UNCLAIMED: &str = "firing.status = 'SCHEDULED' AND firing.cause = 'SCHEDULE' \
                         AND firing.epoch = 0 AND firing.schedule_id IN ({ids})";

/// Who plans what reads a clock on a wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A process with `version`, which was noted. So many schedules are planned anew for it.
    Ours(usize),
    /// Processes with newer zones.
    Newer,
}

/// Finds out whether a process with the zones of `version` plans now, and notes that it does.
pub async fn take_turn(change: &Change, version: &str, now: Instant) -> Result<Turn> {
    let Some(noted) = installation::get_locked(change).await? else { return Ok(Turn::Ours(0)) };
    if is_left(&noted, version, now) {
        return Ok(Turn::Newer);
    }
    installation::set_tzdata(change, version, now).await?;
    if noted.tzdata == version {
        return Ok(Turn::Ours(0));
    }
    Ok(Turn::Ours(replan(change, now).await?))
}

/// Those of `rows` that this process may plan now: not what reads a clock on a wall while processes
/// with newer zones are there.
pub(super) async fn ours(change: &Change, rows: Vec<Model>, now: Instant) -> Result<Vec<Model>> {
    let reads_walls = |row: &Model| row.kind == Kind::Cron || row.policy != "{}";
    if !rows.iter().any(reads_walls) {
        return Ok(rows);
    }
    let noted = installation::get(change).await?;
    if noted.is_none_or(|noted| !is_left(&noted, tzdata_version(), now)) {
        return Ok(rows);
    }
    Ok(rows.into_iter().filter(|row| !reads_walls(row)).collect())
}

fn is_left(noted: &row::Model, version: &str, now: Instant) -> bool {
    // Editions are a year and a letter.
    version < &*noted.tzdata && now < noted.tzdata_seen_at.plus_ms(ZONES_LEFT_MS)
}

/// Plans anew what reads a clock on a wall; how many schedules that are.
async fn replan(change: &Change, now: Instant) -> Result<usize> {
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
