//! Overlap: what becomes of a planned firing while an earlier one of its trigger runs.

use std::time::Duration;

use belfry::store::Origin;
use entity::FiringId;
use futures_util::FutureExt as _;
use insta::assert_snapshot;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::operation::{cron, done, lines, list, log, past, planned, refused, text, trigger};

mod race;

const MINUTE: Duration = Duration::from_secs(60);

/// A trigger that posts each minute, with this policy; its first `held` requests are held.
async fn minutely(app: &TestApp, policy: &str, held: usize) -> (String, Receiver) {
    let receiver = Receiver::start().await;
    for _ in 0..held {
        receiver.answer(Answer::status(204).held());
    }
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } },
        "retry": { "maxAttempts": 2 } });
    let schedules = [json!({ "spec": cron("* * * * *") })];
    let input = json!({ "name": "minutely", "overlap": policy, "schedules": schedules,
        "action": { "inline": { "stages": [stage] } } });
    (trigger(app, input).await, receiver)
}

/// A minute passes, in which whoever runs is alive; what is due is claimed and started, and nothing
/// of it is waited for.
async fn minute(app: &TestApp) {
    renew(app).await;
    app.pass(MINUTE);
    start_what_is_due(app).await;
}

/// Prolongs what runs beyond the next minute.
async fn renew(app: &TestApp) {
    let query = "{ firings(filter: { status: { eq: EXECUTING } }) { nodes { id } } }";
    let running = app.ask("firings", query, json!({})).await;
    let id = |row: &Value| text(&row["id"]).parse().expect("an id");
    let ids: Vec<FiringId> = list(&running["nodes"]).iter().map(id).collect();
    let (owner, until) = (app.app.process(), app.now().plus_ms(75_000));
    let done = app.app.store().change(Origin::Engine, move |change| {
        async move { belfry::store::claim::renew(change, &ids, owner, until).await }.boxed()
    });
    done.await.expect("leases");
}

async fn start_what_is_due(app: &TestApp) {
    while app.engine.planner.run_once().await.expect("planning").schedules != 0 {}
    app.engine.sweeper.run_once().await.expect("a sweep");
    loop {
        app.app.queue().flush().await;
        if app.engine.executor.run_once().await.expect("a claim").pulled == 0 {
            return;
        }
    }
}

/// What is over or runs, then what waits for the slot.
async fn shown(app: &TestApp, trigger: &str) -> String {
    let ahead = planned(app, trigger).await;
    let now = app.now().to_string();
    let now = now.trim_start_matches("2026-").trim_end_matches('Z').replace('T', " ");
    let waits = ahead.iter().filter(|at| **at <= now).map(|at| format!("{at} waits"));
    lines(&[past(app, trigger).await, waits.collect()].concat())
}

#[tokio::test]
async fn a_trigger_says_what_becomes_of_overlap_and_skips_when_it_says_nothing() {
    let app = TestApp::start().await;
    let made = done(&app, "triggerCreate", "trigger { id overlap }", json!({ "name": "t" })).await;
    assert_eq!(made["trigger"]["overlap"], "SKIP");
    let id = made["trigger"]["id"].clone();
    let input = json!({ "id": id, "overlap": "CANCEL_OTHER" });
    let set = done(&app, "triggerUpdate", "trigger { overlap }", input).await;
    assert_eq!(set["trigger"]["overlap"], "CANCEL_OTHER");
    let errors = refused(&app, "triggerUpdate", json!({ "id": id, "overlap": null })).await;
    assert_eq!(errors, ["BAD_USER_INPUT overlap: expected a value, not null"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allow_runs_beside_what_runs() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "ALLOW", 3).await;
    for count in 1..=3 {
        minute(&app).await;
        receiver.wait_for(count).await;
    }
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 EXECUTING
    03-02 10:03:00 EXECUTING
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skip_folds_what_comes_while_one_runs_into_one_range() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "SKIP", 1).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..4 {
        minute(&app).await;
    }
    // Nothing is said of a range before it is over.
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"");
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 - 03-02 10:05:00 SKIPPED OVERLAP x 4
    ");
    receiver.release();
    app.engine.executor.idle().await;
    app.advance(MINUTE).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 10:05:00 SKIPPED OVERLAP x 4
    03-02 10:06:00 COMPLETED
    ");
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"firing.skipped: 4 instants were skipped: OVERLAP");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_instant_that_is_skipped_is_told_at_once() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
    let input = json!({ "name": "twice", "action": { "inline": { "stages": [stage] } },
        "schedules": [{ "spec": { "in": "PT1M" } }, { "spec": { "in": "PT2M" } }] });
    let selection = "trigger { id schedules { id } }";
    let made = done(&app, "triggerCreate", selection, input).await["trigger"].clone();
    for _ in 0..2 {
        minute(&app).await;
    }
    receiver.wait_for(1).await;
    assert_snapshot!(shown(&app, &text(&made["id"])).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 - 03-02 10:02:00 SKIPPED OVERLAP x 1
    ");
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"firing.skipped: 1 instant was skipped: OVERLAP");
    let query = "query($id: ID!) { trigger(by: { id: $id }) { state } }";
    let found = app.ask("trigger", query, json!({ "id": made["id"] })).await;
    assert_eq!(found["state"], "COMPLETED");
    receiver.release();
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffer_one_keeps_one_and_the_newest_gives_way() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ONE", 1).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..3 {
        minute(&app).await;
    }
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:03:00 - 03-02 10:04:00 SKIPPED OVERLAP x 2
    03-02 10:02:00 waits
    ");
    receiver.release();
    app.engine.executor.idle().await;
    start_what_is_due(&app).await;
    app.engine.executor.idle().await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:03:00 - 03-02 10:04:00 SKIPPED OVERLAP x 2
    ");
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffer_all_runs_one_after_another_oldest_first() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 2).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..3 {
        minute(&app).await;
    }
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 waits
    03-02 10:03:00 waits
    03-02 10:04:00 waits
    ");
    receiver.release();
    app.engine.executor.idle().await;
    start_what_is_due(&app).await;
    receiver.wait_for(2).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 EXECUTING, begun 03-02 10:04:00
    03-02 10:03:00 waits
    03-02 10:04:00 waits
    ");
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:03:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:04:00 COMPLETED
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_other_stops_what_runs_and_takes_its_place() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "CANCEL_OTHER", 2).await;
    for count in 1..=2 {
        minute(&app).await;
        receiver.wait_for(count).await;
    }
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 CANCELLED OVERLAP
    03-02 10:02:00 EXECUTING
    ");
    assert_snapshot!(lines(&log(&app, "firing.cancelled").await), @"firing.cancelled: OVERLAP by belfry");
    receiver.release();
    receiver.release();
    app.advance(MINUTE).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 CANCELLED OVERLAP
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 COMPLETED
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_in_one_batch_the_oldest_takes_the_slot() {
    for (policy, expected) in [
        ("SKIP", "EXECUTING SKIPPED"),
        ("BUFFER_ONE", "EXECUTING SCHEDULED SKIPPED"),
        ("BUFFER_ALL", "EXECUTING SCHEDULED SCHEDULED"),
        ("CANCEL_OTHER", "CANCELLED CANCELLED EXECUTING"),
    ] {
        let app = TestApp::start().await;
        let receiver = Receiver::start().await;
        receiver.answer(Answer::status(204).held());
        let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
        let input = json!({ "name": "often", "overlap": policy,
            "schedules": [{ "spec": { "every": { "interval": "PT20S" } } }],
            "action": { "inline": { "stages": [stage] } } });
        let id = trigger(&app, input).await;
        minute(&app).await;
        receiver.wait_for(1).await;
        let query = "query($id: ID!, $now: DateTime!) { firings(filter: { triggerId: { eq: $id },
            nominalAt: { lte: $now } }, orderBy: { field: NOMINAL_AT, direction: ASC }) {
            nodes { status } } }";
        let variables = json!({ "id": id, "now": app.now().to_string() });
        let found = app.ask("firings", query, variables).await;
        let statuses: Vec<String> =
            list(&found["nodes"]).iter().map(|row| text(&row["status"])).collect();
        assert_eq!(statuses.join(" "), expected, "{policy}");
        receiver.release();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_died_leaves_the_slot_held_until_its_firing_is_over() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 2).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    app.pass(MINUTE);
    let app = app.restart().await;
    start_what_is_due(&app).await;
    receiver.wait_for(2).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 waits
    ");
    receiver.release();
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_its_next_attempt_does_not_hold_the_slot() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "SKIP", 0).await;
    receiver.answer(Answer::status(503).header("retry-after", "90"));
    for _ in 0..2 {
        receiver.answer(Answer::status(204).held());
    }
    app.advance(MINUTE).await;
    assert_snapshot!(shown(&app, &id).await, @"03-02 10:01:00 RETRYING HTTP_STATUS");
    minute(&app).await;
    receiver.wait_for(2).await;
    // The retry runs whoever holds the slot.
    renew(&app).await;
    app.pass(Duration::from_secs(31));
    start_what_is_due(&app).await;
    receiver.wait_for(3).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING HTTP_STATUS
    03-02 10:02:00 EXECUTING
    ");
    receiver.release();
    receiver.release();
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_the_holder_or_what_waits_gives_the_slot_on() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 2).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..2 {
        minute(&app).await;
    }
    let query = "query($id: ID!) { firings(filter: { triggerId: { eq: $id } },
        orderBy: { field: NOMINAL_AT, direction: ASC }) { nodes { id } } }";
    let found = app.ask("firings", query, json!({ "id": id })).await;
    for firing in &list(&found["nodes"])[..2] {
        done(&app, "firingCancel", "firing { status }", json!({ "id": firing["id"] })).await;
    }
    start_what_is_due(&app).await;
    receiver.wait_for(2).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 CANCELLED CANCELLED_BY_CLIENT
    03-02 10:02:00 CANCELLED CANCELLED_BY_CLIENT
    03-02 10:03:00 EXECUTING
    ");
    receiver.release();
    receiver.release();
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_ends_what_waits_for_the_slot() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 1).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..3 {
        minute(&app).await;
    }
    let query = "query($id: ID!) { trigger(by: { id: $id }) { schedules { id } } }";
    let schedule = app.ask("trigger", query, json!({ "id": id })).await["schedules"][0].clone();
    let input = json!({ "id": schedule["id"], "spec": cron("*/5 * * * *") });
    done(&app, "scheduleUpdate", "schedule { id }", input).await;
    receiver.release();
    app.engine.executor.idle().await;
    app.advance(MINUTE).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 10:04:00 SKIPPED SUPERSEDED x 3
    03-02 10:05:00 COMPLETED
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_somebody_who_is_gone_is_found_by_the_sweeper() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
    let spec = |delay: &str| json!({ "spec": { "in": delay } });
    let input = json!({ "name": "thrice", "overlap": "BUFFER_ALL",
        "schedules": [spec("PT1M"), spec("PT2M"), spec("PT3M")],
        "action": { "inline": { "stages": [stage] } } });
    let made = done(&app, "triggerCreate", "trigger { id schedules { id } }", input).await;
    let id = text(&made["trigger"]["id"]);
    for _ in 0..3 {
        minute(&app).await;
    }
    receiver.wait_for(1).await;
    receiver.release();
    app.engine.executor.idle().await;
    // The one that the slot was given to is deleted before it is claimed.
    let next = made["trigger"]["schedules"][1]["id"].clone();
    done(&app, "scheduleDelete", "deletedId", json!({ "id": next })).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:03:00 waits
    ");
    app.work().await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 COMPLETED
    03-02 10:03:00 COMPLETED
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_overlap_is_allowed_waits_no_longer() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 4).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..2 {
        minute(&app).await;
    }
    let input = json!({ "id": id, "overlap": "ALLOW" });
    done(&app, "triggerUpdate", "trigger { id }", input).await;
    start_what_is_due(&app).await;
    receiver.wait_for(3).await;
    minute(&app).await;
    receiver.wait_for(4).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 EXECUTING, begun 03-02 10:03:00
    03-02 10:03:00 EXECUTING
    03-02 10:04:00 EXECUTING
    ");
    for _ in 0..4 {
        receiver.release();
    }
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_buffered_while_overlap_becomes_allowed_is_found_by_the_sweeper() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "BUFFER_ALL", 3).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..2 {
        minute(&app).await;
    }
    // As if whoever buffered had read the policy before the edit, and committed after it.
    let db = Database::connect(app.database_url()).await.expect("the database");
    let sql = "UPDATE trigger SET overlap = 'ALLOW'";
    db.execute_unprepared(sql).await.expect("an edit");
    start_what_is_due(&app).await;
    receiver.wait_for(3).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 EXECUTING, begun 03-02 10:03:00
    03-02 10:03:00 EXECUTING
    ");
    for _ in 0..3 {
        receiver.release();
    }
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_keeps_its_turn_under_any_other_policy() {
    for policy in ["SKIP", "BUFFER_ONE", "CANCEL_OTHER"] {
        let app = TestApp::start().await;
        let (id, receiver) = minutely(&app, "BUFFER_ALL", 1).await;
        minute(&app).await;
        receiver.wait_for(1).await;
        for _ in 0..2 {
            minute(&app).await;
        }
        let input = json!({ "id": id, "overlap": policy });
        done(&app, "triggerUpdate", "trigger { id }", input).await;
        start_what_is_due(&app).await;
        receiver.release();
        app.engine.executor.idle().await;
        app.work().await;
        let expected = "03-02 10:01:00 COMPLETED\n\
            03-02 10:02:00 COMPLETED, begun 03-02 10:03:00\n03-02 10:03:00 COMPLETED";
        assert_eq!(shown(&app, &id).await, expected, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_does_not_wait_for_planned_firings_that_may_overlap() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "ALLOW", 3).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    let input = json!({ "triggerId": id, "overlap": "BUFFER_ALL",
        "from": "2026-03-02T09:00:00Z", "until": "2026-03-02T09:02:00Z" });
    done(&app, "triggerBackfill", "operation { id }", input).await;
    app.engine.operator.run_once().await.expect("a step");
    start_what_is_due(&app).await;
    receiver.wait_for(2).await;
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 09:00:00 EXECUTING, begun 03-02 10:01:00
    03-02 10:01:00 EXECUTING
    03-02 09:01:00 waits
    ");
    receiver.release();
    receiver.release();
    receiver.release();
    app.work().await;
    app.engine.executor.idle().await;
}
