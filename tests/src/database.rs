//! A database of a story's own, gone with it: a file of SQLite, or, when `BELFRY_TEST_HOME` says
//! `postgres`, a database of the shared PostgreSQL, copied from one that was migrated once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use belfry::store::Store;
use sea_orm::{ConnectOptions, ConnectionTrait as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::services::shared;

/// Held while the template is made; any number.
const TEMPLATE_LOCK: i64 = 4_711;

/// See the module.
pub(crate) struct Database {
    url: String,
    _home: Home,
}

/// What is kept for as long as the database is needed.
enum Home {
    Sqlite { _dir: TempDir },
    Postgres { _database: shared::Database },
}

/// Whether the stories are told on PostgreSQL.
#[must_use]
pub fn is_postgres() -> bool {
    std::env::var("BELFRY_TEST_HOME").is_ok_and(|home| home == "postgres")
}

/// Where queue and bus live: in Redis when the database is PostgreSQL, else in the process.
pub(crate) async fn redis_url() -> Option<String> {
    if is_postgres() { Some(shared::redis_url().await) } else { None }
}

impl Database {
    /// A new one, with Belfry's schema where that is quicker than to let Belfry make it.
    pub(crate) async fn make() -> Arc<Self> {
        if is_postgres() {
            static TEMPLATE: OnceCell<String> = OnceCell::const_new();
            let template = TEMPLATE.get_or_init(template).await;
            let database = shared::database(Some(template)).await;
            let url = database.url.clone();
            return Arc::new(Self { url, _home: Home::Postgres { _database: database } });
        }
        let dir = TempDir::new().expect("a folder for the database");
        let url = format!("sqlite://{}/belfry.db", dir.path().display());
        Arc::new(Self { url, _home: Home::Sqlite { _dir: dir } })
    }

    /// What Belfry opens it by.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// The name of the migrated database that stories copy, made by whoever comes first.
async fn template() -> String {
    let server = shared::postgres_url().await;
    let name = format!("belfry_template_{:016x}", fingerprint());
    let mut options = ConnectOptions::new(server.clone());
    options.max_connections(1).sqlx_logging(false);
    let admin = sea_orm::Database::connect(options).await.expect("PostgreSQL answers");
    let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
    admin.execute_unprepared(&lock).await.expect("the lock");
    if admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.is_ok() {
        let url = shared::at(&server, &name);
        let store = Store::open(&url, Arc::new(|_| {})).await.expect("the template");
        store.close().await;
    }
    // The lock goes with the one connection.
    admin.close().await.expect("the connection closes");
    name
}

/// Changes with everything that the schema is made of.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in [
        include_str!("../../migration/src/m0001_foundation.rs"),
        include_str!("../../migration/src/m0001_foundation.sql"),
        include_str!("../../migration/src/m0001_log_postgres.sql"),
    ] {
        file.hash(&mut hasher);
    }
    hasher.finish()
}
