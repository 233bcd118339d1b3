//! `services -- <command>`: runs a command beside a PostgreSQL and a Redis of its own, which the
//! environment names for the tests (`tests/src/services/shared.rs`); both end with it.

#![expect(clippy::expect_used, reason = "a tool for tests fails by panicking")]

use std::process::ExitCode;

use tests::services::{Redis, shared};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).skip_while(|word| word == "--").collect();
    let Some((program, args)) = words.split_first() else {
        eprintln!("usage: services -- <command> [arguments]");
        return ExitCode::from(2);
    };
    let (postgres, redis) = tokio::join!(shared::fast_postgres(), Redis::start());
    let status = tokio::process::Command::new(program)
        .args(args)
        .env(shared::POSTGRES_URL, postgres.url("postgres"))
        .env(shared::REDIS_URL, redis.url())
        .status()
        .await
        .expect("the command starts");
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
