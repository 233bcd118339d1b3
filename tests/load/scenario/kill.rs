//! kill -9 in the middle of timers, then a restart: every timer is delivered at least once,
//! recorded once, and never early.

use std::collections::HashMap;

use uuid::Uuid;

use super::{PATIENCE_MS, timers};
use crate::home::{Home, Kind};
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{pace, record};

const TIMERS: i64 = 1_000;
const SPAN_MS: i64 = 10_000;
/// How long the server is away.
const DOWN_MS: i64 = 1_000;

/// Runs it.
pub async fn run(kind: Kind) -> Vec<Row> {
    let mut row = Row::new("kill -9", kind);
    row.firings = TIMERS;
    let receiver = Receiver::start();
    let home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let from = pace::now_ms() + 500;
    let accepted = server.client().start_timers(&receiver.hook(), TIMERS, (from, SPAN_MS)).await;

    pace::until(from + SPAN_MS / 2).await;
    server.kill().await;
    let before = receiver.count();
    let killed_at = pace::now_ms();
    pace::pause(DOWN_MS).await;
    let server = home.serve(&[]).await;
    row.note(format!("killed after {before}, away for {} ms", pace::now_ms() - killed_at));
    row.promise(0 < before && (before as i64) < TIMERS, "it was not killed in the middle");
    let client = server.client();
    let is_recorded = record::wait_completed(&client, &timers(), TIMERS, PATIENCE_MS).await;
    row.promise(is_recorded, "not all were recorded");

    let rows = record::firings(&client, &timers()).await;
    let due: HashMap<Uuid, i64> = rows.iter().map(|row| (row.firing, row.due_ms)).collect();
    row.promise((rows.len() as i64, due.len() as i64) == (TIMERS, TIMERS), "not recorded once");
    let odd = rows.iter().filter(|row| row.succeeded != 1).count();
    row.promise(odd == 0, format!("{odd} have another number of successes than one"));
    let mut first: HashMap<Uuid, i64> = HashMap::new();
    let arrivals = receiver.take();
    for arrival in &arrivals {
        first.entry(arrival.firing).or_insert(arrival.at_ms);
    }
    let lost = accepted.iter().filter(|timer| !first.contains_key(&timer.firing)).count();
    row.promise(lost == 0, format!("{lost} were lost"));
    let late = record::lateness(&due, &arrivals);
    row.promise(0 <= late.min, format!("one came {} ms early", -late.min));
    row.late = Some(late);
    row.note(format!("delivered again {}", arrivals.len() - first.len()));
    vec![row]
}
