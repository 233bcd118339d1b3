//! A database of a story's own, gone with it: a file of SQLite, or, when `BELFRY_TEST_HOME` says
//! `postgres`, a database of the PostgreSQL at `BELFRY_TEST_POSTGRES_URL`, copied from one that was
//! migrated once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use belfry::store::Store;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection};
use tempfile::TempDir;

/// Where PostgreSQL is when nobody says.
const POSTGRES_URL: &str = "postgres://root@127.0.0.1:5432";
/// Held while the template is made; any number.
const TEMPLATE_LOCK: i64 = 4_711;

/// See the module.
pub struct Database {
    url: String,
    home: Home,
}

enum Home {
    /// The folder of the file.
    Sqlite { _dir: TempDir },
    /// The database's name.
    Postgres { name: String },
}

/// Whether the stories are told on PostgreSQL.
#[must_use]
pub fn is_postgres() -> bool {
    std::env::var("BELFRY_TEST_HOME").is_ok_and(|home| home == "postgres")
}

impl Database {
    /// A new one, with Belfry's schema where that is quicker than to let Belfry make it.
    pub(crate) async fn make() -> Arc<Self> {
        if is_postgres() {
            return Arc::new(Self::copy_template().await);
        }
        let dir = TempDir::new().expect("a folder for the database");
        let url = format!("sqlite://{}/belfry.db", dir.path().display());
        Arc::new(Self { url, home: Home::Sqlite { _dir: dir } })
    }

    /// What Belfry opens it by.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn copy_template() -> Self {
        let template = template().await;
        let name = format!("belfry_story_{:016x}", rand());
        let admin = admin().await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        admin.execute_unprepared(&sql).await.expect("a copy of the template");
        admin.close().await.expect("the connection closes");
        Self { url: url_of(&name), home: Home::Postgres { name } }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Home::Postgres { name } = &self.home else { return };
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // A runtime of its own: that of the story may be ending.
        let drop = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let _ = admin().await.execute_unprepared(&sql).await;
            });
        });
        let _ = drop.join();
    }
}

/// The name of the migrated database that stories copy, made by whoever comes first.
async fn template() -> String {
    let name = format!("belfry_template_{:016x}", fingerprint());
    let admin = admin().await;
    let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
    admin.execute_unprepared(&lock).await.expect("the lock");
    let made = admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await;
    if made.is_ok() {
        let store = Store::open(&url_of(&name), Arc::new(|_| {})).await.expect("the template");
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

async fn admin() -> DatabaseConnection {
    let mut options = ConnectOptions::new(url_of("postgres"));
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.expect("PostgreSQL answers")
}

fn url_of(database: &str) -> String {
    let base = std::env::var("BELFRY_TEST_POSTGRES_URL");
    let base = base.unwrap_or_else(|_| POSTGRES_URL.to_owned());
    format!("{}/{database}", base.trim_end_matches('/'))
}

fn rand() -> u64 {
    std::hash::BuildHasher::build_hasher(&std::hash::RandomState::new()).finish()
}
