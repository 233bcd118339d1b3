//! One project has tens of thousands due to a target that hangs; another's steady timers must not
//! notice. With queue and bus in memory, on Redis, and with Redis dead.

use std::collections::HashMap;

use uuid::Uuid;

use super::{accept_ahead, timers};
use crate::client::{Client, Timer};
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::table::{Lateness, Row};
use crate::{Scale, pace, record};

/// What the other project must not exceed.
const P99_MS_MAX: i64 = 1_000;
/// Its timers a second.
const PER_SEC: i64 = 100;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    match kind {
        Kind::Sqlite => vec![measure("fair", kind, scale).await],
        Kind::Postgres => {
            vec![measure("fair", kind, scale).await, measure(WITHOUT_REDIS, kind, scale).await]
        }
    }
}

const WITHOUT_REDIS: &str = "fair, no Redis";

async fn measure(name: &'static str, kind: Kind, scale: Scale) -> Row {
    let mut row = Row::new(name, kind);
    let receiver = Receiver::start();
    let mut home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let busy = server.client();
    let calm = home.project(&server, "calm").await;
    let greedy =
        accept_ahead(&mut row, &busy, &receiver.hang(), scale.of(50_000, 2_000), 1_000).await;
    let from = pace::span(greedy.iter().map(|timer| timer.due_ms)).start;
    if let Some(redis) = home.redis().filter(|_| name == WITHOUT_REDIS) {
        redis.kill().await;
    }
    pace::until(from - 1_000).await;

    let usage = Usage::now();
    let accepted = stream(&calm, &receiver.hook(), scale.of(20, 4), PER_SEC).await;
    receiver.wait_for(accepted.len(), 30_000).await;
    row.used = Some(usage.until_now());
    row.memory_mib = Some(server.memory_mib());
    row.promise(0 < receiver.hanging(), "the target that hangs was never called");
    row.note(format!("{} of {} hang", receiver.hanging(), greedy.len()));
    let arrivals = receiver.take();
    let due = dues(&accepted);
    let missing = accepted.len() - arrivals.len().min(accepted.len());
    row.promise(missing == 0, format!("{missing} of the other project did not come"));
    let late = record::lateness(&due, &arrivals);
    row.promise(0 <= late.min, "one came early");
    row.bar(missing == 0 && late.p99 <= P99_MS_MAX, format!("p99 ≤ {P99_MS_MAX} ms"));
    row.late = Some(late);
    let is_recorded = record::wait_completed(&calm, &timers(), accepted.len() as i64, 10_000).await;
    row.promise(is_recorded, "not all of the other project was recorded");
    row.firings = accepted.len() as i64;
    row
}

/// Starts timers second by second, each due a second or two later; returns them.
pub async fn stream(client: &Client, url: &str, secs: i64, per_sec: i64) -> Vec<Timer> {
    let mut accepted = Vec::new();
    let from = pace::now_ms();
    for second in 0..secs {
        pace::until(from + second * 1_000).await;
        let due = from + (second + 1) * 1_000;
        accepted.extend(client.start_timers(url, per_sec, (due, 1_000)).await);
    }
    accepted
}

/// When each is due.
pub fn dues(timers: &[Timer]) -> HashMap<Uuid, i64> {
    timers.iter().map(|timer| (timer.firing, timer.due_ms)).collect()
}

/// How late those of `accepted` came.
pub fn late(accepted: &[Timer], receiver: &Receiver) -> Lateness {
    record::lateness(&dues(accepted), &receiver.take())
}
