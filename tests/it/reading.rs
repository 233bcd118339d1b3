//! A statement ends with its reader: when the client leaves, and when the time is up.

use std::time::Duration;

use belfry::app::App;
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _,
};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::TestApp;
use crate::wire::{Socket, connect, http, post};

const QUERY: &str = "{ firings { nodes { id } } }";

/// Statements of Belfry's that wait for a lock in the database of `app`.
async fn waiting(admin: &DatabaseConnection) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'belfry' AND wait_event_type = 'Lock' AND state = 'active'";
    let row = admin.query_one_raw(Statement::from_string(admin.get_database_backend(), sql)).await;
    row.expect("the view is there").expect("a row").try_get_by_index(0).expect("a count")
}

/// Returns when so many of them wait; panics after `secs`.
async fn until(app: &App, admin: &DatabaseConnection, expected: i64, secs: u64) {
    let reached = async {
        while waiting(admin).await != expected {
            app.clock().pause(20).await;
        }
    };
    let reached = timeout(Duration::from_secs(secs), reached).await;
    assert!(reached.is_ok(), "not {expected} statements but {}", waiting(admin).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_a_statement_ends_when_its_client_leaves() {
    if !tests::is_postgres() {
        return;
    }
    let app = TestApp::live().await;
    let admin = Database::connect(app.database_url()).await.expect("PostgreSQL answers");
    let watcher = Database::connect(app.database_url()).await.expect("PostgreSQL answers");
    let lock = admin.begin().await.expect("a transaction");
    lock.execute_unprepared("LOCK TABLE firing IN ACCESS EXCLUSIVE MODE").await.expect("a lock");

    let body = json!({ "query": QUERY }).to_string();
    let mut client = connect(&app).await;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-api-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
        app.key(),
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("the server reads");
    until(&app.app, &watcher, 1, 5).await;
    drop(client);
    // statement_timeout would end it only after ten seconds.
    until(&app.app, &watcher, 0, 5).await;

    let mut socket = Socket::acknowledged(&app).await;
    socket.subscribe("1", QUERY).await;
    until(&app.app, &watcher, 1, 5).await;
    socket.send(&json!({ "type": "complete", "id": "1" })).await;
    until(&app.app, &watcher, 0, 5).await;

    lock.rollback().await.expect("the lock is gone");
    assert_eq!(post(&app, "*/*", &json!({ "query": QUERY })).await.status, 200, "readers are left");
}

/// Ten seconds pass, in parallel to the other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_nothing_runs_on_when_the_time_is_up() {
    if !tests::is_postgres() {
        return;
    }
    let app = TestApp::live().await;
    let admin = Database::connect(app.database_url()).await.expect("PostgreSQL answers");
    let watcher = Database::connect(app.database_url()).await.expect("PostgreSQL answers");
    let lock = admin.begin().await.expect("a transaction");
    let sql = "LOCK TABLE firing, event IN ACCESS EXCLUSIVE MODE";
    lock.execute_unprepared(sql).await.expect("a lock");
    // Seven ask at once and fewer readers are there: the last ones begin their statement late.
    let aliases: String = (0..7).map(|n| format!("a{n}: firings {{ nodes {{ id }} }} ")).collect();
    let body = json!({ "query": format!("{{ {aliases} }}") });
    let key = [("x-api-key", app.key())];
    let (answer, rest) = tokio::join!(post(&app, "*/*", &body), http(&app, "GET /event", &key, ""));
    // A busy machine may see the end of a statement's own time before that of the request's.
    assert_eq!(answer.code(), "SERVICE_UNAVAILABLE");
    let told = (answer.status, answer.header("retry-after"));
    assert!(matches!(told, (503, Some("2")) | (200, None)), "{told:?}: {}", answer.body);
    assert_eq!((rest.status, rest.header("retry-after")), (503, Some("1")), "{}", rest.body);
    until(&app.app, &watcher, 0, 8).await;
    lock.rollback().await.expect("the lock is gone");
    assert_eq!(post(&app, "*/*", &json!({ "query": QUERY })).await.status, 200, "readers are left");
}

/// Ten seconds pass, in parallel to the other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_a_reader_has_ten_seconds() {
    if tests::is_postgres() {
        return;
    }
    let app = TestApp::live().await;
    let readers = app.app.store().readers();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                   SELECT count(*) FROM n";
    let statement = || Statement::from_string(readers.get_database_backend(), endless);
    // Every reader is left in the middle of it.
    for _ in 0..4 {
        let left = timeout(Duration::from_millis(100), readers.query_one_raw(statement())).await;
        assert!(left.is_err(), "it is endless");
    }
    let begun_at = app.app.clock().mono();
    let ended = readers.query_one_raw(statement()).await;
    let took = app.app.clock().mono() - begun_at;
    let error = ended.expect_err("it was interrupted").to_string();
    assert!(error.contains("interrupted") || error.contains("timed out"), "{error}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    // All of them serve again.
    for _ in 0..4 {
        app.app.store().ping().await.expect("a reader answers");
    }
}
