//! Databases and Redis that cannot be used: one line that names the setting and not the password,
//! exit code 1, and nothing made.

use std::process::Command;

use tests::services::shared;

use crate::process::{Ended, belfry, files, folder, installed, run};

const MASTER_KEY: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

/// What is left of the line that a command says when it cannot use what it was told.
fn refusal(mut command: Command) -> String {
    let folder = folder();
    command.current_dir(folder.path()).env("BELFRY_MASTER_KEY", MASTER_KEY);
    let Ended { code, out, err } = run(&mut command);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(!err.contains("secret"), "{err}");
    assert_eq!(files(folder.path()), Vec::<String>::new());
    err.trim_end().to_owned()
}

fn on(database: &str, args: &[&str]) -> String {
    let mut command = belfry(std::path::Path::new("/"), args);
    command.env("DATABASE_URL", database);
    refusal(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_opened_is_named_in_one_line() {
    if installed("psql").is_none() {
        return;
    }
    let database = shared::database(None).await;
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (before, after) = database.url.split_once('@').expect("a URL with a password");
    let user = before.rsplit_once(':').expect("a password").0;
    let wrong_password = format!("{user}:secret@{after}");
    let host = after.split('/').next().expect("a host");
    for args in [&serve[..], &["migrate"], &["key", "list"], &["import"], &["export"]] {
        let said = on(&wrong_password, args);
        assert!(said.starts_with("belfry: --database-url: "), "{said}");
        assert!(said.contains("password authentication failed"), "{said}");
    }
    let missing = on(&format!("{before}@{host}/no_such_database"), &serve);
    assert!(missing.contains("\"no_such_database\" does not exist"), "{missing}");
    let closed = on("postgres://belfry:secret@127.0.0.1:1/belfry", &serve);
    assert!(closed.starts_with("belfry: --database-url: "), "{closed}");
    assert!(closed.contains("refused"), "{closed}");
    let unknown = on("postgres://belfry:secret@no-such-host.invalid/belfry", &serve);
    assert!(unknown.starts_with("belfry: --database-url: "), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_binary_refuses_a_newer_schema() {
    if installed("psql").is_none() {
        return;
    }
    let database = shared::database(None).await;
    let mut migrate = belfry(std::path::Path::new("/"), &["migrate"]);
    let migrated = run(migrate.env("DATABASE_URL", &database.url));
    assert_eq!(migrated.code, 0, "{}", migrated.err);
    assert!(migrated.out.starts_with("postgres://127.0.0.1:"), "{}", migrated.out);
    assert!(migrated.out.ends_with(" is up to date\n"), "{}", migrated.out);
    let step = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";
    let mut psql = Command::new("psql");
    let done = run(psql.arg(&database.url).args(["-X", "-q", "-c", step]));
    assert_eq!(done.code, 0, "{}", done.err);
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let said = on(&database.url, args);
        assert!(said.starts_with("belfry: --database-url: "), "{said}");
        assert!(said.ends_with("it was written by a newer version of belfry"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_is_named_in_one_line_before_anything_is_made() {
    if installed("redis-server").is_none() {
        return;
    }
    let redis = tests::services::Redis::start().await;
    redis.command(&["CONFIG", "SET", "requirepass", "right"]).await;
    let address = format!("127.0.0.1:{}", redis.port());
    for url in [format!("redis://:secret@{address}"), format!("redis://{address}")] {
        let args = ["serve", "--listen", "127.0.0.1:0", "--redis-url", &url];
        let said = refusal(belfry(std::path::Path::new("/"), &args));
        let start = format!("belfry: --redis-url: Redis at {address} refuses: ");
        assert!(said.starts_with(&start), "{said}");
    }
}
