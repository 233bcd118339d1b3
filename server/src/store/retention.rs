//! Deletion by age, in small batches, so that the writer is never held for long.

use entity::Instant;
use entity::event::Class;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use super::Change;
use crate::error::Result;
use crate::limits::RETENTION_ROWS_MAX;

/// Deletes a batch of Belfry's own events that were written at or before `until`, and moves the
/// floor of their class in the same transaction, so that a reader below it learns of the gap. On
/// PostgreSQL these are only those that lie in no partition (`partition.rs` drops the others).
pub async fn delete_events(change: &Change, until: Instant) -> Result<u64> {
    let sql = match change.backend() {
        DbBackend::Postgres => {
            "DELETE FROM event_system_rest WHERE (created_at, seq) IN \
             (SELECT created_at, seq FROM event_system_rest \
              WHERE class = 'SYSTEM' AND created_at <= ? ORDER BY created_at LIMIT ?) \
             RETURNING seq"
        }
        _ => {
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event \
             WHERE class = 'SYSTEM' AND created_at <= ? ORDER BY created_at LIMIT ?) \
             RETURNING seq"
        }
    };
    let rows = change.tx().query_all_raw(limited(change, sql, until)).await?;
    let mut greatest = None;
    for row in &rows {
        greatest = greatest.max(Some(row.try_get::<i64>("", "seq")?));
    }
    if let Some(seq) = greatest {
        raise_floor(change.tx(), Class::System, seq).await?;
    }
    Ok(rows.len() as u64)
}

/// Deletes a batch of firings, with their attempts, that were resolved at or before `until`.
/// FAILED ones stay until a person resolved them.
pub async fn delete_firings(change: &Change, until: Instant) -> Result<u64> {
    const OLD: &str = "SELECT id FROM firing WHERE finished_at <= ? AND status IN \
         ('COMPLETED', 'SKIPPED', 'CANCELLED', 'ABANDONED', 'REPLAYED') \
         ORDER BY finished_at LIMIT ?";
    let attempts = format!("DELETE FROM attempt WHERE firing_id IN ({OLD})");
    change.tx().execute_raw(limited(change, &attempts, until)).await?;
    let firings = format!("DELETE FROM firing WHERE id IN ({OLD})");
    Ok(change.tx().execute_raw(limited(change, &firings, until)).await?.rows_affected())
}

/// Deletes a batch of operations that ended at or before `until`.
pub async fn delete_operations(change: &Change, until: Instant) -> Result<u64> {
    let sql = "DELETE FROM operation WHERE id IN (SELECT id FROM operation \
               WHERE finished_at <= ? ORDER BY finished_at LIMIT ?)";
    Ok(change.tx().execute_raw(limited(change, sql, until)).await?.rows_affected())
}

/// Deletes a batch of idempotency keys that were used at or before `until`.
pub async fn delete_idempotency(change: &Change, until: Instant) -> Result<u64> {
    let sql = "DELETE FROM idempotency WHERE (project_id, key) IN (SELECT project_id, key \
               FROM idempotency WHERE created_at <= ? LIMIT ?)";
    Ok(change.tx().execute_raw(limited(change, sql, until)).await?.rows_affected())
}

/// Notes that entries of `class` up to `seq` are gone.
pub(super) async fn raise_floor(
    db: &impl ConnectionTrait,
    class: Class,
    seq: i64,
) -> Result<(), DbErr> {
    use entity::log_floor::{Column, Entity, Model};
    use sea_orm::sea_query::{Expr, OnConflict};
    use sea_orm::{EntityTrait, IntoActiveModel};
    let greater = "CASE WHEN log_floor.seq < excluded.seq THEN excluded.seq ELSE log_floor.seq END";
    let raise =
        OnConflict::column(Column::Class).value(Column::Seq, Expr::cust(greater)).to_owned();
    Entity::insert(Model { class, seq }.into_active_model())
        .on_conflict(raise)
        .exec_without_returning(db)
        .await?;
    Ok(())
}

fn limited(change: &Change, sql: &str, until: Instant) -> Statement {
    let values: [Value; 2] = [until.millis().into(), (RETENTION_ROWS_MAX as i64).into()];
    change.statement(sql, values)
}
