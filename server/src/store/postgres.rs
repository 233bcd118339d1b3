//! PostgreSQL as a home of the store: a pool that writes and a pool that reads.
//!
//! The two pools are apart so that no number of queries can keep the engine from a connection. The
//! sizes are per process and small: eight processes stay below PostgreSQL's default of 100.
//!
//! **Pinned plans.** What the writer's connections run goes by key or by a partial index, always.
//! The statistics of a table whose rows are SCHEDULED, EXECUTING and COMPLETED within a second are
//! stale by design, and a planner that believes them ("one row is due") reads the whole table or
//! compares each row with each id of a batch, fifty times slower. So these connections are told not
//! to consider it: no sequential scans, no hash or merge joins. `tests/it/postgres.rs` holds the
//! plans to that at 30,000 rows.

use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement,
    TransactionTrait,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::reading::Left;
use crate::limits::{
    EXECUTION_SECS_MAX, READ_CONNECTIONS, WRITE_API_CONNECTIONS, WRITE_EDIT_CONNECTIONS,
    WRITE_ENGINE_CONNECTIONS,
};

/// The oldest server that is supported, as `server_version_num` counts.
const VERSION_MIN: i64 = 150_000;
/// How long a transaction of the writer may do nothing, in which its process must have hung.
const IDLE_IN_TRANSACTION: &str = "60s";
/// How long a statement of the writer may take: far more than any should.
const WRITE_STATEMENT: &str = "60s";
/// How often the server looks whether the reader of a statement is still there (`reading.rs`).
const CLIENT_CHECK: &str = "500ms";
/// How long a change waits for a row that another one holds.
const LOCK: &str = "10s";
/// How long it waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(10);
/// The key of the advisory lock under which schemas are changed ("belfry" in ASCII).
const MIGRATION_LOCK: i64 = 0x62_65_6c_66_72_79;

/// Opens the writer's pool and the readers' of the database at `url`, migrated.
pub(super) async fn open(
    url: &str,
    left: &Left,
) -> Result<(DatabaseConnection, DatabaseConnection), String> {
    let write = WRITE_API_CONNECTIONS + WRITE_EDIT_CONNECTIONS + WRITE_ENGINE_CONNECTIONS;
    let failed = |error: DbErr| format!("the database could not be opened: {}", plain(&error));
    knock(url).await.map_err(|why| format!("the database could not be opened: {why}"))?;
    let writers = Database::connect(options(url, write, Access::Write)).await.map_err(failed)?;
    check_version(&writers).await?;
    migrate(&writers).await.map_err(|error| format!("its schema: {}", plain(&error)))?;
    let mut reading = options(url, READ_CONNECTIONS, Access::Read);
    let left = left.clone();
    reading.map_sqlx_postgres_pool_opts(move |pool| {
        let left = left.clone();
        pool.after_release(move |connection, _| left.clone().check(connection).boxed())
    });
    let readers = Database::connect(reading).await.map_err(failed)?;
    Ok((writers, readers))
}

/// Connects once, so that what is wrong is known at once and by its name: a pool tries for long, and
/// then says that it tried for long.
async fn knock(url: &str) -> Result<(), String> {
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| why(&error))?;
    let connecting = tokio::time::timeout(ACQUIRE_MAX, options.connect());
    let no_answer = |_| format!("no answer within {} s", ACQUIRE_MAX.as_secs());
    let connection = connecting.await.map_err(no_answer)?.map_err(|error| why(&error))?;
    // Whether it says goodbye does not matter.
    let _ = connection.close().await;
    Ok(())
}

/// The sentence of a refusal, without the layers around it.
fn why(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Configuration(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The database's own time, in milliseconds since 1970, cut off.
pub(super) async fn now_ms(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
    row.try_get_by_index(0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn options(url: &str, connections: usize, access: Access) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    // The request's own time is up first, so that a client is told that and nothing else.
    let read_ms = (EXECUTION_SECS_MAX * 1_000 + 1_000).to_string();
    options
        .max_connections(u32::try_from(connections).unwrap_or(1))
        .min_connections(1)
        .acquire_timeout(ACQUIRE_MAX)
        .sqlx_logging(false)
        // A connection that broke is noticed by its next statement, and replaced.
        .test_before_acquire(false)
        .map_sqlx_postgres_opts(move |options: PgConnectOptions| {
            let options = options
                .application_name("belfry")
                .statement_cache_capacity(200)
                // The pool is small and the schema of no other tenant is asked for.
                .options([("jit", "off"), ("timezone", "UTC")]);
            match access {
                Access::Read => options.options([
                    ("statement_timeout", read_ms.as_str()),
                    ("default_transaction_read_only", "on"),
                    ("client_connection_check_interval", CLIENT_CHECK),
                ]),
                Access::Write => options.options([
                    ("statement_timeout", WRITE_STATEMENT),
                    ("lock_timeout", LOCK),
                    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
                    ("enable_seqscan", "off"),
                    ("enable_hashjoin", "off"),
                    ("enable_mergejoin", "off"),
                ]),
            }
        });
    options
}

async fn check_version(db: &DatabaseConnection) -> Result<(), String> {
    let sql = "SELECT current_setting('server_version_num')::bigint, \
               current_setting('server_version')";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let found = async {
        let row = db.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the version".to_owned()))?;
        Ok::<(i64, String), DbErr>((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    };
    let (number, name) = found.await.map_err(|error| plain(&error))?;
    if number < VERSION_MIN {
        return Err(format!("PostgreSQL 15 or newer is needed; this is {name}"));
    }
    Ok(())
}

/// One process at a time: the lock is held by a transaction of its own connection, so that it goes
/// with the process.
async fn migrate(db: &DatabaseConnection) -> Result<(), DbErr> {
    let guard = db.begin().await?;
    // The others wait for as long as the first one's steps take.
    guard.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
    guard.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
    guard.execute_unprepared(&lock).await?;
    let migrated = super::migrate(db).await;
    guard.commit().await?;
    migrated
}

/// The sentence of an error without what surrounds it in layers of libraries.
fn plain(error: &DbErr) -> String {
    let text = error.to_string();
    let layers = ["Connection Error: ", "Execution Error: ", "Query Error: ", "Custom Error: "];
    let text =
        layers.iter().fold(text.as_str(), |text, layer| text.strip_prefix(layer).unwrap_or(text));
    text.trim_start_matches("error returned from database: ").to_owned()
}
