//! A whole day of the seeds' load in a minute: 10,000 firings of recurring schedules, 10,000 of
//! one-time schedules and 15,000 by the API, all to a local receiver.

use std::ops::Range;
use std::sync::Arc;

use entity::Instant;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{CEILING, PATIENCE_MS};
use crate::client::Client;
use crate::home::{Home, Kind};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::record::Recorded;
use crate::table::Row;
use crate::{Scale, ceiling, pace, record};

/// The minute.
const SPAN_MS: i64 = 60_000;
/// Each recurring schedule fires so often in it: every six seconds.
const TIMES: i64 = 10;
/// One-time schedules of one trigger: as many as it may have.
const ONCE_PER_TRIGGER: i64 = 50;
/// Mutations at the same time.
const CLIENTS: usize = 8;

/// How much of each kind.
struct Load {
    recurring: i64,
    once: i64,
    api: i64,
}

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let mut row = Row::new("day", kind);
    let span_ms = scale.of(SPAN_MS, SPAN_MS / 10);
    let load = Load {
        recurring: scale.of(10_000, 20) / TIMES,
        once: scale.of(10_000, 100),
        api: scale.of(15_000, 150),
    };
    let receiver = Receiver::start();
    let raw = ceiling::measure(&receiver, scale.of(CEILING, 500)).await;
    let home = Home::start(kind).await;
    let server = home.serve(&[]).await;
    let client = server.client();
    let begun = pace::now_ms();
    let from = begun + scale.of(30_000, 3_000);
    make_schedules(&client, &receiver.hook(), &load, from..from + span_ms).await;
    let target = client.make_trigger("by hand", &receiver.hook(), Vec::new()).await;
    row.promise(pace::now_ms() < from, "the schedules were not made in time");
    row.note(format!("{} ms to make the schedules", pace::now_ms() - begun));

    pace::until(from).await;
    let usage = Usage::now();
    let fired = fire(&client, target, pace::evenly(load.api, from, span_ms)).await;
    pace::until(from + span_ms).await;
    let planned = json!({ "nominalAt": { "gte": text(from), "lt": text(from + span_ms) } });
    // One of the API's may be accepted a moment after the minute in which it was sent.
    let in_minute = json!({ "or": [planned, { "cause": { "eq": "API" } }] });
    let recurring = load.recurring * span_ms * TIMES / SPAN_MS;
    row.firings = recurring + load.once + load.api;
    let done = record::wait_completed(&client, &in_minute, row.firings, PATIENCE_MS).await;
    row.promise(done, "not everything was recorded");
    let took_ms = pace::now_ms() - from;
    row.used = Some(usage.until_now());
    row.memory_mib = Some(server.memory_mib());
    row.rate = Some((row.firings as f64 * 1_000.0 / took_ms as f64, raw));

    let rows = record::firings(&client, &in_minute).await;
    let arrivals: Vec<_> = receiver.take();
    let ids: std::collections::HashSet<Uuid> = rows.iter().map(|row| row.firing).collect();
    // The recurring ones go on before and after the minute.
    let arrivals: Vec<_> = arrivals.into_iter().filter(|one| ids.contains(&one.firing)).collect();
    row.late = Some(record::judge(&mut row, &client, &fired, &rows, &arrivals).await);
    let count = |cause: &str| rows.iter().filter(|row: &&Recorded| row.cause == cause).count();
    let expected = (recurring + load.once, load.api);
    let found = (count("SCHEDULE") as i64, count("API") as i64);
    row.promise(found == expected, format!("{found:?} by schedules and API, not {expected:?}"));
    vec![row]
}

/// Recurring schedules that fire evenly over the minute, and one-time schedules within it.
async fn make_schedules(client: &Client, url: &str, load: &Load, minute: Range<i64>) {
    let every_ms = SPAN_MS / TIMES;
    // The first of an interval is one after its anchor.
    let from = minute.start - every_ms;
    let recurring = pace::evenly(load.recurring, from, every_ms).map(|anchor| {
        let interval = format!("PT{}S", every_ms / 1_000);
        vec![json!({ "spec": { "every": { "interval": interval, "anchor": text(anchor) } } })]
    });
    let span_ms = minute.end - minute.start;
    let instants: Vec<i64> = pace::evenly(load.once, minute.start, span_ms).collect();
    let triggers = instants.len().div_ceil(ONCE_PER_TRIGGER as usize);
    // The schedules of one trigger lie far apart, as those of a person would.
    let once = (0..triggers).map(|trigger| {
        let own = instants.iter().skip(trigger).step_by(triggers);
        own.map(|at| json!({ "spec": { "at": text(*at) } })).collect()
    });
    let all: Vec<(usize, Vec<Value>)> = recurring.chain(once).enumerate().collect();
    let make = |(number, schedules)| async move {
        client.make_trigger(&format!("trigger {number}"), url, schedules).await;
    };
    stream::iter(all).map(make).buffer_unordered(CLIENTS).collect::<Vec<()>>().await;
}

/// Fires a trigger at each of `instants`; returns the firings.
async fn fire(client: &Client, trigger: Value, instants: impl Iterator<Item = i64>) -> Vec<Uuid> {
    let trigger = Arc::new(trigger);
    let mut fired = JoinSet::new();
    for (number, at) in instants.enumerate() {
        pace::until(at).await;
        let (client, trigger) = (client.clone(), trigger.clone());
        fired.spawn(async move { client.fire(&trigger, json!({ "number": number })).await });
    }
    fired.join_all().await
}

fn text(at_ms: i64) -> String {
    Instant::from_millis(at_ms).to_string()
}
