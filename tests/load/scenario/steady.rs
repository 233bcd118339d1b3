//! The same number of timers in every second.

use uuid::Uuid;

use super::{CEILING, PATIENCE_MS, accept_ahead, timers};
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{Scale, ceiling, pace, record};

/// What the budgets ask for first (design: then 25 ms).
const P99_MS_MAX: i64 = 50;
/// Firings a second.
const PER_SEC: i64 = 1_000;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let mut row = Row::new("steady", kind);
    let secs = scale.of(30, 1);
    let count = secs * scale.of(PER_SEC, 200);
    let receiver = Receiver::start();
    let raw = ceiling::measure(&receiver, scale.of(CEILING, 500)).await;
    row.raw_late = Some(ceiling::paced(&receiver, count / 3, secs * 1_000 / 3).await);
    let home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let client = server.client();
    let accepted = accept_ahead(&mut row, &client, &receiver.hook(), count, secs * 1_000).await;
    let due = pace::span(accepted.iter().map(|timer| timer.due_ms));

    pace::until(due.start).await;
    let usage = Usage::now();
    let came = receiver.wait_for(accepted.len(), PATIENCE_MS).await;
    let is_recorded = record::wait_completed(&client, &timers(), count, PATIENCE_MS).await;
    let took_ms = (pace::now_ms() - due.start).max(1);
    row.used = Some(usage.until_now());
    row.promise(is_recorded, format!("not all were recorded; {came} arrived"));
    row.memory_mib = Some(server.memory_mib());
    row.rate = Some((count as f64 * 1_000.0 / took_ms as f64, raw));

    let arrivals = receiver.take();
    let rows = record::firings(&client, &timers()).await;
    let ids: Vec<Uuid> = accepted.iter().map(|timer| timer.firing).collect();
    let late = record::judge(&mut row, &client, &ids, &rows, &arrivals).await;
    row.bar(late.p99 <= P99_MS_MAX, format!("p99 ≤ {P99_MS_MAX} ms"));
    row.late = Some(late);
    vec![row]
}
