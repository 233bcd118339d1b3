//! SQLite as a home of the store: one connection that writes, a few that read.
//!
//! WAL lets readers go on while the writer commits. `synchronous=FULL` makes an acknowledged
//! commit survive a power cut. `auto_vacuum=INCREMENTAL` must be set before the first table.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// Connections that read: each costs a thread; two cores are busy with four.
const READERS_MAX: u32 = 4;
/// How long a connection waits for another process (the command line) that writes.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Pages that one vacuum step gives back (4 KiB each).
const VACUUM_PAGES: u32 = 1_000;

/// Opens the writer and the readers of the database at `url`, migrated.
pub(super) async fn open(url: &str) -> Result<(DatabaseConnection, DatabaseConnection), String> {
    let file = url.strip_prefix("sqlite:").map(|rest| rest.trim_start_matches("//"));
    let Some(file) = file.filter(|file| !file.is_empty() && !file.starts_with(":memory:")) else {
        return Err(format!("expected sqlite://PATH, not {url:?}"));
    };
    let url = format!("sqlite://{file}{}mode=rwc", if file.contains('?') { '&' } else { '?' });
    let failed = |error: DbErr| format!("the database {file} could not be opened: {error}");
    let writer = Database::connect(options(&url, 1, Access::Write)).await.map_err(failed)?;
    super::migrate(&writer).await.map_err(|error| format!("the schema of {file}: {error}"))?;
    let readers =
        Database::connect(options(&url, READERS_MAX, Access::Read)).await.map_err(failed)?;
    Ok((writer, readers))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn options(url: &str, connections: u32, access: Access) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |options: SqliteConnectOptions| {
            let options = options
                .auto_vacuum(SqliteAutoVacuum::Incremental)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_MAX)
                .foreign_keys(true)
                .pragma("temp_store", "memory")
                .statement_cache_capacity(200);
            match access {
                Access::Write => options.pragma("journal_size_limit", "67108864"),
                Access::Read => options.pragma("query_only", "on"),
            }
        });
    options
}

/// Gives disk space of deleted rows back, a few pages at a time; whether there is more to give.
pub(super) async fn vacuum_some(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let before = free_pages(db).await?;
    if before == 0 {
        return Ok(false);
    }
    db.execute_unprepared(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})")).await?;
    let after = free_pages(db).await?;
    // A file that was made without incremental vacuum never gets any smaller.
    Ok(0 < after && after < before)
}

async fn free_pages(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), "PRAGMA freelist_count");
    let row = db.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
}
