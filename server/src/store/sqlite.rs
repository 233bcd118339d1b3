//! SQLite as a home of the store: one connection that writes, a few that read.
//!
//! WAL lets readers go on while the writer commits. `synchronous=FULL` makes an acknowledged
//! commit survive a power cut. `auto_vacuum=INCREMENTAL` must be set before the first table.
//!
//! **A reader has its time.** A statement runs on a thread of its connection, which nobody can stop
//! from outside: that its client has left, or was told that the time is up, does not end it. So each
//! time that a connection is taken from the pool it is given [`EXECUTION_SECS_MAX`], and SQLite asks
//! it, every so many steps of a statement, whether they are over. What was left behind ends at the
//! latest that long after it began.

use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};

use crate::limits::EXECUTION_SECS_MAX;

/// Connections that read: each costs a thread; two cores are busy with four.
const READERS_MAX: u32 = 4;
/// How long a connection waits for another process (the command line) that writes.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Steps of a statement between two questions whether its time is over: about a millisecond.
const STEPS_UNASKED: i32 = 20_000;
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
    let mut reading = options(&url, READERS_MAX, Access::Read);
    reading.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_connect(|connection, _| give_time(connection).boxed())
    });
    reading.map_sqlx_sqlite_before_acquire(|connection, _| {
        async move { give_time(connection).await.map(|()| true) }.boxed()
    });
    let readers = Database::connect(reading).await.map_err(failed)?;
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

/// Lets what `connection` runs from now on run for [`EXECUTION_SECS_MAX`], and then ends it.
async fn give_time(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    #[expect(clippy::disallowed_methods, reason = "a bound on work, as a transport's time-out is")]
    let begun_at = std::time::Instant::now();
    let limit = Duration::from_secs(EXECUTION_SECS_MAX);
    let has_time = move || begun_at.elapsed() < limit;
    connection.lock_handle().await?.set_progress_handler(STEPS_UNASKED, has_time);
    Ok(())
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
