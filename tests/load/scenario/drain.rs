//! Timers that are all due within one second, drained as fast as it goes. The rate counts from the
//! first due instant until the last is recorded.

use uuid::Uuid;

use super::{PATIENCE_MS, accept_ahead, timers};
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{Scale, ceiling, pace, record};

/// What the budgets ask for first (design: then 0.25, aiming for 0.35).
const RATIO_MIN: f64 = 0.2;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let mut row = Row::new("drain", kind);
    let count = scale.of(30_000, 500);
    let receiver = Receiver::start();
    let before = ceiling::measure(&receiver, count).await;
    let home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let client = server.client();
    let accepted = accept_ahead(&mut row, &client, &receiver.hook(), count, 1_000).await;
    let due = pace::span(accepted.iter().map(|timer| timer.due_ms));

    pace::until(due.start).await;
    let usage = Usage::now();
    let came = receiver.wait_for(accepted.len(), PATIENCE_MS).await;
    let is_recorded = record::wait_completed(&client, &timers(), count, PATIENCE_MS).await;
    let took_ms = (pace::now_ms() - due.start).max(1);
    row.used = Some(usage.until_now());
    row.promise(is_recorded, format!("not all were recorded; {came} arrived"));
    row.memory_mib = Some(server.memory_mib());

    let arrivals = receiver.take();
    let rows = record::firings(&client, &timers()).await;
    let ids: Vec<Uuid> = accepted.iter().map(|timer| timer.firing).collect();
    row.late = Some(record::judge(&mut row, &client, &ids, &rows, &arrivals).await);
    drop((server, home));
    let after = ceiling::measure(&receiver, count).await;
    row.rate = Some((count as f64 * 1_000.0 / took_ms as f64, before.mean(after)));
    row.bar(RATIO_MIN <= row.ratio(), format!("ratio ≥ {RATIO_MIN}"));
    row.note(format!("drained in {:.1} s", took_ms as f64 / 1_000.0));
    vec![row]
}
