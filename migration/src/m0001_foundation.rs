//! Step 1: the whole model, written as SQL in `m0001_foundation.sql`.

use sea_orm_migration::async_trait::async_trait;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

const SQL: &str = include_str!("m0001_foundation.sql");

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
        let (uuid, bytes, seq) = match manager.get_database_backend() {
            DbBackend::Postgres => {
                ("uuid", "bytea", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
            }
            _ => ("BLOB", "BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        };
        let sql = SQL.replace("{uuid}", uuid).replace("{bytes}", bytes).replace("{seq}", seq);
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
