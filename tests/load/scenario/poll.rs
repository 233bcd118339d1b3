//! SQL is swept once a minute: through Redis nobody notices, and without it lateness grows to what
//! is stated and no further. One process accepts the timers, another executes them, so that what
//! the second knows it knows from Redis or from SQL.

use super::{PATIENCE_MS, fair, timers};
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{Scale, record};

/// How often SQL is swept.
const POLL_SECS: i64 = 60;
/// What is stated beyond that, while Redis is away.
const GRACE_SECS: i64 = 5;
/// What is asked for through Redis.
const P99_MS_MAX: i64 = 50;
/// Timers a second.
const PER_SEC: i64 = 200;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let receiver = Receiver::start();
    let mut home = Home::start(kind).await;
    let poll = ["--poll-secs", &POLL_SECS.to_string()];
    let api = home.serve(&[&["--role", "api"][..], &poll].concat()).await;
    let worker = home.serve(&[&["--role", "planner,executor,retention"][..], &poll].concat()).await;
    let client = api.client();

    let mut with = Row::new("poll 60 s", kind);
    let usage = Usage::now();
    let accepted = fair::stream(&client, &receiver.hook(), scale.of(20, 3), PER_SEC).await;
    let came = receiver.wait_for(accepted.len(), PATIENCE_MS).await;
    with.used = Some(usage.until_now());
    with.firings = accepted.len() as i64;
    with.promise(came == accepted.len(), format!("{came} of {} came", accepted.len()));
    let late = fair::late(&accepted, &receiver);
    with.promise(0 <= late.min, "one came early");
    with.bar(late.p99 <= P99_MS_MAX, format!("p99 ≤ {P99_MS_MAX} ms"));
    with.late = Some(late);
    with.memory_mib = Some(worker.memory_mib());

    let mut without = Row::new("poll, no Redis", kind);
    if let Some(redis) = home.redis() {
        redis.kill().await;
    }
    let usage = Usage::now();
    let more = fair::stream(&client, &receiver.hook(), scale.of(POLL_SECS + 5, 3), PER_SEC).await;
    let came = receiver.wait_for(more.len(), PATIENCE_MS).await;
    without.used = Some(usage.until_now());
    without.firings = more.len() as i64;
    without.promise(came == more.len(), format!("{came} of {} came", more.len()));
    let late = fair::late(&more, &receiver);
    without.promise(0 <= late.min, "one came early");
    let max_ms = (POLL_SECS + GRACE_SECS) * 1_000;
    without.bar(late.max <= max_ms, format!("max ≤ {max_ms} ms"));
    without.late = Some(late);
    without.memory_mib = Some(worker.memory_mib());
    let all = (accepted.len() + more.len()) as i64;
    let is_recorded = record::wait_completed(&client, &timers(), all, PATIENCE_MS).await;
    without.promise(is_recorded, "not all were recorded");
    vec![with, without]
}
