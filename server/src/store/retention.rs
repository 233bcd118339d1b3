//! Deletion by age, in small batches, so that the writer is never held for long.

use entity::event::Class;
use entity::{FiringId, Instant, attempt, firing};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement, Value,
};

use super::{Change, bulk, page};
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
/// FAILED ones stay until a person resolved them. Which they are is asked once: asked again,
/// PostgreSQL would answer with what another process left, whose attempts nobody deleted.
pub async fn delete_firings(change: &Change, until: Instant) -> Result<u64> {
    let lock = if change.backend() == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let old = format!(
        "SELECT id FROM firing WHERE finished_at <= ? AND status IN \
         ('COMPLETED', 'SKIPPED', 'CANCELLED', 'ABANDONED', 'REPLAYED') \
         ORDER BY finished_at LIMIT ?{lock}"
    );
    let rows = change.tx().query_all_raw(limited(change, &old, until)).await?;
    let ids: Vec<FiringId> =
        rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
    for run in bulk::runs(&ids) {
        attempt::Entity::delete_many()
            .filter(attempt::Column::FiringId.is_in(page::uuids(run)))
            .exec(change.tx())
            .await?;
        firing::Entity::delete_many()
            .filter(firing::Column::Id.is_in(page::uuids(run)))
            .exec(change.tx())
            .await?;
    }
    Ok(ids.len() as u64)
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
    use sea_orm::IntoActiveModel;
    use sea_orm::sea_query::{Expr, OnConflict};
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
