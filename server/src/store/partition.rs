//! The partitions of the log on PostgreSQL: made ahead of time, dropped when all in them is old.
//!
//! A class has partitions of a fixed width, counted from 1970 and named by when they begin. An
//! entry for which there is none goes to the class's rest, from which it is deleted by row; so
//! nothing is ever refused because a partition is missing. Few and wide: each read of the log asks
//! every partition.

use std::collections::HashSet;

use entity::Instant;
use entity::event::Class;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionTrait};

const HOUR_MS: i64 = 3_600_000;
/// Belfry's own entries live two days: a deletion each six hours, and some ten partitions.
const SYSTEM_WIDTH_MS: i64 = 6 * HOUR_MS;
/// An application's entries stay: some thirteen partitions a year.
const APP_WIDTH_MS: i64 = 28 * 24 * HOUR_MS;
/// How far ahead partitions are made: a day without retention running is no harm.
const AHEAD_MS: i64 = 24 * HOUR_MS;
/// The key of the advisory lock under which partitions are made and dropped.
const LOCK: i64 = 0x62_65_6c_66_72_7a;

/// Makes those that will be needed.
pub(super) async fn prepare(db: &DatabaseConnection, now: Instant) -> Result<(), DbErr> {
    let mut missing = Vec::new();
    for class in [Class::System, Class::App] {
        let known: HashSet<i64> = begins(db, class).await?.into_iter().collect();
        let width = width_ms(class);
        let first = now.millis().div_euclid(width) * width;
        let needed = (0..).map(|index| first + index * width);
        let needed = needed.take_while(|begin| *begin <= now.millis() + AHEAD_MS);
        let needed = needed.filter(|begin| !known.contains(begin));
        missing.extend(needed.map(|begin| (class, begin)));
    }
    for (class, begin) in missing {
        let tx = locked(db).await?;
        let (name, parent) = (name(class, begin), table(class));
        let until = begin + width_ms(class);
        let made = tx
            .execute_unprepared(&format!(
                "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent} \
                 FOR VALUES FROM ({begin}) TO ({until})"
            ))
            .await;
        match made {
            Ok(_) => tx.commit().await?,
            // Entries of that time are in the rest already, and will follow there.
            Err(error) => tracing::warn!(%error, "the partition {name} could not be made"),
        }
    }
    Ok(())
}

/// Drops those of Belfry's own entries that ended at or before `until`; how many entries went. The
/// floor of the class moves in the same transaction.
pub(super) async fn drop_until(db: &DatabaseConnection, until: Instant) -> Result<u64, DbErr> {
    let mut dropped = 0;
    for begin in begins(db, Class::System).await? {
        if until.millis() < begin + SYSTEM_WIDTH_MS {
            continue;
        }
        let name = name(Class::System, begin);
        let tx = locked(db).await?;
        // Nobody waits behind this for long: the next pass tries again.
        tx.execute_unprepared("SET LOCAL lock_timeout = '1s'").await?;
        let sql = format!("SELECT count(*), max(seq) FROM {name}");
        let row = tx.query_one_raw(Statement::from_string(tx.get_database_backend(), sql)).await?;
        let Some(row) = row else { continue };
        let (rows, greatest): (i64, Option<i64>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if let Some(seq) = greatest {
            super::retention::raise_floor(&tx, Class::System, seq).await?;
        }
        tx.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        tx.commit().await?;
        dropped += rows.unsigned_abs();
    }
    Ok(dropped)
}

/// When the partitions of a class begin, oldest first.
async fn begins(db: &DatabaseConnection, class: Class) -> Result<Vec<i64>, DbErr> {
    let parent = table(class);
    let sql = format!(
        "SELECT child.relname::text FROM pg_inherits \
         JOIN pg_class child ON child.oid = inhrelid \
         WHERE inhparent = '{parent}'::regclass"
    );
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let mut begins = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get_by_index(0)?;
        let hours = name.strip_prefix(parent).and_then(|rest| rest.strip_prefix("_h"));
        begins.extend(hours.and_then(|hours| hours.parse::<i64>().ok()).map(|h| h * HOUR_MS));
    }
    begins.sort_unstable();
    Ok(begins)
}

/// A transaction in which nobody else makes or drops partitions.
async fn locked(db: &DatabaseConnection) -> Result<sea_orm::DatabaseTransaction, DbErr> {
    let tx = db.begin().await?;
    tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    Ok(tx)
}

fn name(class: Class, begin_ms: i64) -> String {
    format!("{}_h{}", table(class), begin_ms / HOUR_MS)
}

fn table(class: Class) -> &'static str {
    match class {
        Class::System => "event_system",
        Class::App => "event_app",
    }
}

fn width_ms(class: Class) -> i64 {
    match class {
        Class::System => SYSTEM_WIDTH_MS,
        Class::App => APP_WIDTH_MS,
    }
}
