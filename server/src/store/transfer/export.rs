//! Writes a project as lines.

use std::io::Write;

use sea_orm::{
    AccessMode, ConnectionTrait as _, DatabaseTransaction, DbBackend, IsolationLevel,
    TransactionOptions, TransactionTrait as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::table::{self, Row};
use super::{FORMAT, Report, steps, to_hex};
use crate::error::{Error, Result};
use crate::store::Store;
use entity::project::Model as Project;

/// Where lines go, counted and summed.
pub(super) struct Sink<'a> {
    out: &'a mut (dyn Write + Send),
    sum: Sha256,
    rows: u64,
}

impl Sink<'_> {
    /// Writes one row of a table.
    pub(super) fn row(&mut self, table: &str, row: Row) -> Result<()> {
        self.rows += 1;
        self.line(&json!({ table: row }))
    }

    fn line(&mut self, line: &Value) -> Result<()> {
        let text = format!("{line}\n");
        self.sum.update(&text);
        let failed = |error| Error::Internal(format!("the export could not be written: {error}"));
        self.out.write_all(text.as_bytes()).map_err(failed)
    }
}

/// Writes everything of `project` as it is at one instant.
///
/// # Errors
/// The database's own; what was written until then has no last line, so that no import takes it.
pub async fn export(
    store: &Store,
    project: Project,
    out: &mut (dyn Write + Send),
) -> Result<Report> {
    let snapshot = begin(store).await?;
    let mut sink = Sink { out, sum: Sha256::new(), rows: 0 };
    let tables = table::all();
    let mut counts = Row::new();
    for table in &tables {
        let count = table.count(&snapshot, project.id).await?;
        counts.insert(table.name().to_owned(), count.into());
    }
    sink.line(&json!({
        "belfry": "project",
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "schema": steps().last(),
        "project": { "id": project.id, "name": project.name },
        "rows": counts,
    }))?;
    for table in &tables {
        table.write(&snapshot, project.id, &mut sink).await?;
    }
    snapshot.rollback().await?;
    let (rows, sum) = (sink.rows, to_hex(&sink.sum.clone().finalize()));
    sink.line(&json!({ "end": { "rows": rows, "sha256": sum } }))?;
    let failed = |error| Error::Internal(format!("the export could not be written: {error}"));
    out.flush().map_err(failed)?;
    Ok(Report { project: project.id, name: project.name, rows })
}

/// A transaction that sees one state of the database, whatever is committed meanwhile. On SQLite
/// every transaction does.
async fn begin(store: &Store) -> Result<DatabaseTransaction> {
    let db = store.readers();
    if db.get_database_backend() != DbBackend::Postgres {
        // Readers are given their time (`sqlite.rs`), and whoever reads the lines may be slow.
        return Ok(store.writers.begin().await?);
    }
    let options = TransactionOptions {
        isolation_level: Some(IsolationLevel::RepeatableRead),
        access_mode: Some(AccessMode::ReadOnly),
        ..TransactionOptions::default()
    };
    let snapshot = db.begin_with_options(options).await?;
    // For the same reason.
    snapshot.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
    Ok(snapshot)
}
