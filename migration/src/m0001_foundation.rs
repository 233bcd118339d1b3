//! Step 1: the whole model, written as SQL in `m0001_foundation.sql`, with what PostgreSQL adds to
//! the log in `m0001_log_postgres.sql`.

use sea_orm_migration::async_trait::async_trait;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

const SQL: &str = include_str!("m0001_foundation.sql");
const LOG_ON_POSTGRES: &str = include_str!("m0001_log_postgres.sql");

/// The engine's own words, as the placeholders of the SQL file name them.
type Words = [(&'static str, &'static str); 6];

const SQLITE: Words = [
    ("{uuid}", "BLOB"),
    ("{bytes}", "BLOB"),
    ("{seq}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    ("{event_id}", " UNIQUE"),
    ("{event_key}", "\n)"),
    ("{event_class}", "CREATE INDEX event_class ON event (class, created_at);"),
];

const POSTGRES: Words = [
    ("{uuid}", "uuid"),
    ("{bytes}", "bytea"),
    ("{seq}", "BIGINT NOT NULL"),
    ("{event_id}", ""),
    ("{event_key}", ",\n    PRIMARY KEY (class, created_at, seq)\n) PARTITION BY LIST (class)"),
    ("{event_class}", ""),
];

/// See the module.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_foundation"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let words = if is_postgres { POSTGRES } else { SQLITE };
        let fill = |sql: String, (place, word): (&str, &str)| sql.replace(place, word);
        let sql = words.into_iter().fold(SQL.to_owned(), fill);
        manager.get_connection().execute_unprepared(&sql).await?;
        if is_postgres {
            manager.get_connection().execute_unprepared(LOG_ON_POSTGRES).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
