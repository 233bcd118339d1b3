//! Four processes on one PostgreSQL and one Redis share what is due: each is sent once, has one
//! attempt, and no process stands by.

use uuid::Uuid;

use super::{CEILING, PATIENCE_MS, accept_ahead, timers};
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::process::Server;
use crate::receiver::Receiver;
use crate::table::Row;
use crate::{Scale, ceiling, pace, record};

/// How many share.
const PROCESSES: usize = 4;
/// What each must have taken at least.
const SHARE_MIN: f64 = 0.1;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let mut row = Row::new("share", kind);
    let count = scale.of(10_000, 2_000);
    let receiver = Receiver::start();
    let raw = ceiling::measure(&receiver, scale.of(CEILING, 500)).await;
    let home = Home::start(kind).await;
    let mut servers: Vec<Server> = Vec::new();
    for _ in 0..PROCESSES {
        servers.push(home.serve(&[]).await);
    }
    let client = servers[0].client();
    let accepted = accept_ahead(&mut row, &client, &receiver.hook(), count, 1_000).await;
    let due = pace::span(accepted.iter().map(|timer| timer.due_ms));

    pace::until(due.start).await;
    let usage = Usage::now();
    let came = receiver.wait_for(accepted.len(), PATIENCE_MS).await;
    let is_recorded = record::wait_completed(&client, &timers(), count, PATIENCE_MS).await;
    let took_ms = (pace::now_ms() - due.start).max(1);
    row.used = Some(usage.until_now());
    row.promise(is_recorded, format!("not all were recorded; {came} arrived"));
    row.rate = Some((count as f64 * 1_000.0 / took_ms as f64, raw));

    let arrivals = receiver.take();
    let rows = record::firings(&client, &timers()).await;
    let ids: Vec<Uuid> = accepted.iter().map(|timer| timer.firing).collect();
    row.late = Some(record::judge(&mut row, &client, &ids, &rows, &arrivals).await);
    let mut shares = Vec::new();
    for server in &servers {
        shares.push(server.metric("belfry_attempts_total").await / count as f64);
    }
    let most = servers.iter().map(|server| server.memory_mib().1).max().unwrap_or(0);
    row.memory_mib = Some((most, most));
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    row.bar(SHARE_MIN <= least, format!("each ≥ {SHARE_MIN}"));
    let shown: Vec<String> = shares.iter().map(|share| format!("{share:.2}")).collect();
    row.note(format!("shares {}", shown.join(" ")));
    vec![row]
}
