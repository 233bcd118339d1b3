//! One PostgreSQL and one Redis for many tests.
//!
//! What the environment names is used: `BELFRY_TEST_POSTGRES_URL` (the URL of a database whose
//! role may create others) and `BELFRY_TEST_REDIS_URL`. The `services` program sets both around a
//! whole run. Without it each test process starts its own, once. Servers on the standard ports are
//! left alone: they may be somebody's, and these tests flush and kill.

use tokio::sync::OnceCell;

use super::postgres::psql;
use super::{Postgres, PostgresOptions, Redis};

/// The variable that names a PostgreSQL.
pub const POSTGRES_URL: &str = "BELFRY_TEST_POSTGRES_URL";
/// The variable that names a Redis.
pub const REDIS_URL: &str = "BELFRY_TEST_REDIS_URL";

/// Databases of single tests are named so.
const PREFIX: &str = "belfry_test_";

/// A database that one test has for itself; dropped with the value.
pub struct Database {
    /// Where it is.
    pub url: String,
    name: String,
}

/// A PostgreSQL that is fast and forgets everything in a power cut, for tests that do not cut.
pub async fn fast_postgres() -> Postgres {
    let settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
    let settings = settings.map(str::to_owned).to_vec();
    Postgres::start_with(PostgresOptions { settings, within: None }).await
}

/// The URL of the shared PostgreSQL's own database.
pub async fn postgres_url() -> String {
    static OURS: OnceCell<Postgres> = OnceCell::const_new();
    if let Ok(url) = std::env::var(POSTGRES_URL) {
        return url;
    }
    OURS.get_or_init(fast_postgres).await.url("postgres")
}

/// The URL of the shared Redis.
pub async fn redis_url() -> String {
    static OURS: OnceCell<Redis> = OnceCell::const_new();
    if let Ok(url) = std::env::var(REDIS_URL) {
        return url;
    }
    OURS.get_or_init(Redis::start).await.url()
}

/// A database of one's own on the shared PostgreSQL: empty, or a copy of `template`.
pub async fn database(template: Option<&str>) -> Database {
    let server = postgres_url().await;
    let name = format!("{PREFIX}{}", unique());
    let copied = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
    let sql = format!("CREATE DATABASE {name}{copied}");
    psql(&server, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    Database { url: at(&server, &name), name }
}

/// Drops what killed tests left behind.
pub async fn drop_leftovers(server: &str) {
    let sql = format!("SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'");
    for name in psql(server, &sql).await.unwrap_or_default().lines() {
        let _ = psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }
}

/// A word that no other test of any process has: for names of databases and Redis namespaces.
#[must_use]
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    use belfry::clock::{Clock as _, SystemClock};
    let now_ms = SystemClock::new().now().millis();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}_{:x}_{number:x}", now_ms & 0xffff_ffff, std::process::id())
}

impl Database {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not waited for: the next test need not be later because this one tidies up.
        let server = at(&self.url, "postgres");
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = std::process::Command::new("timeout")
            .args(["10", "psql", "-X", "-q", "-d", &server, "-c", &sql])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
    }
}

/// The same server's URL for another database.
pub(crate) fn at(url: &str, database: &str) -> String {
    let mut url: url::Url = url.parse().expect("a URL");
    url.set_path(database);
    url.to_string()
}
