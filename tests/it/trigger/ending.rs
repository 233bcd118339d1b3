//! The end of triggers that were deleted while much waited: nothing begins, everything is told.

use std::time::Duration;

use belfry::limits::TRIGGER_END_ROWS_MAX;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use super::post;
use crate::TestApp;
use crate::operation::{done, fire, lines, list, log, text, trigger};

const MINUTE: Duration = Duration::from_secs(60);

/// Fires a trigger so many times in a minute from now.
async fn fire_later(app: &TestApp, id: &str, times: usize) {
    let input = json!({ "triggerId": id, "in": "PT1M" });
    for _ in 0..times {
        done(app, "triggerFire", "firing { id }", input.clone()).await;
    }
}

/// How many firings of a trigger have each status.
async fn statuses(app: &TestApp, id: &str) -> String {
    let query =
        "query($filter: FiringFilter) { firings(first: 0, filter: $filter) { totalCount } }";
    let mut shown = Vec::new();
    for status in ["SCHEDULED", "EXECUTING", "COMPLETED", "CANCELLED"] {
        let filter = json!({ "triggerId": { "eq": id }, "status": { "eq": status } });
        let found = app.ask("firings", query, json!({ "filter": filter })).await;
        shown.push(format!("{} {status}", found["totalCount"]));
    }
    shown.join(", ")
}

async fn delete(app: &TestApp, id: &str) {
    done(app, "triggerDelete", "deletedId", json!({ "id": id })).await;
}

/// Claims what is due, and whatever the queue proposes.
async fn claim_all(app: &TestApp) -> usize {
    app.engine.sweeper.run_once().await.expect("a sweep");
    let mut claimed = 0;
    loop {
        app.app.queue().flush().await;
        let report = app.engine.executor.run_once().await.expect("a claim");
        claimed += report.claimed;
        if report.pulled == 0 {
            return claimed;
        }
    }
}

#[tokio::test]
async fn as_much_as_one_change_cancels_is_cancelled_in_the_deletion() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "few" })).await;
    fire_later(&app, &id, TRIGGER_END_ROWS_MAX).await;
    delete(&app, &id).await;
    assert_snapshot!(statuses(&app, &id).await, @"0 SCHEDULED, 0 EXECUTING, 0 COMPLETED, 256 CANCELLED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_trigger_that_was_deleted_while_more_waited_nothing_begins() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let input = json!({ "name": "many", "action": post(receiver.url("/")) });
    let id = trigger(&app, input.clone()).await;
    let running = fire(&app, &id).await;
    claim_all(&app).await;
    receiver.wait_for(1).await;
    fire_later(&app, &id, 2 * TRIGGER_END_ROWS_MAX).await;
    delete(&app, &id).await;
    // What runs is stopped, what waits is cancelled later, the name is free.
    assert_snapshot!(statuses(&app, &id).await, @"512 SCHEDULED, 0 EXECUTING, 0 COMPLETED, 1 CANCELLED");
    trigger(&app, input).await;
    receiver.release();
    app.engine.executor.idle().await;
    app.pass(MINUTE);
    assert_eq!(claim_all(&app).await, 0);
    let step = async || app.engine.operator.run_once().await.expect("a step").worked_off;
    assert_eq!(step().await, TRIGGER_END_ROWS_MAX);
    // A process that knows nothing of the first step goes on.
    let app = app.restart().await;
    assert_eq!(claim_all(&app).await, 0);
    app.work().await;
    assert_snapshot!(statuses(&app, &id).await, @"0 SCHEDULED, 0 EXECUTING, 0 COMPLETED, 513 CANCELLED");
    assert_eq!(receiver.received().len(), 1);
    let query = "query($filter: EventFilter, $after: String) {
        events(first: 100, after: $after, filter: $filter) { nodes { firingId }
        pageInfo { hasNextPage endCursor } } }";
    let filter = json!({ "type": { "eq": "firing.cancelled" } });
    let (mut told, mut after) = (std::collections::BTreeSet::new(), Value::Null);
    loop {
        let variables = json!({ "filter": filter, "after": after });
        let page = app.ask("events", query, variables).await;
        told.extend(list(&page["nodes"]).iter().map(|event| text(&event["firingId"])));
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(told.len(), 513, "each has its event");
    assert!(told.contains(&running));
}

#[tokio::test]
async fn a_replay_that_is_asked_for_after_the_deletion_runs_once_everything_is_cancelled() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "many" })).await;
    let first = fire(&app, &id).await;
    app.work().await;
    fire_later(&app, &id, TRIGGER_END_ROWS_MAX + 1).await;
    delete(&app, &id).await;
    app.pass(Duration::from_millis(1));
    let input = json!({ "id": first });
    done(&app, "firingReplay", "firing { id }", input).await;
    assert_eq!(claim_all(&app).await, 0);
    app.work().await;
    app.advance(MINUTE).await;
    assert_snapshot!(statuses(&app, &id).await, @"0 SCHEDULED, 0 EXECUTING, 2 COMPLETED, 257 CANCELLED");
    assert_snapshot!(lines(&log(&app, "trigger.").await), @r"
    trigger.created: trigger many by a key
    trigger.deleted: trigger many by a key
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_claimed_while_a_trigger_is_deleted_was_claimed_before() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = trigger(&app, json!({ "name": "race", "action": post(receiver.url("/")) })).await;
    fire_later(&app, &id, 2 * TRIGGER_END_ROWS_MAX).await;
    app.pass(MINUTE);
    app.engine.sweeper.run_once().await.expect("a sweep");
    app.app.queue().flush().await;
    let claims = async {
        for _ in 0..8 {
            app.engine.executor.run_once().await.expect("a claim");
        }
    };
    let deletion = async {
        delete(&app, &id).await;
        let shown = statuses(&app, &id).await;
        assert!(shown.contains(" 0 EXECUTING"), "after the acknowledgement: {shown}");
    };
    tokio::join!(claims, deletion);
    assert_eq!(claim_all(&app).await, 0);
    app.engine.executor.idle().await;
    app.work().await;
    let shown = statuses(&app, &id).await;
    assert!(shown.starts_with("0 SCHEDULED, 0 EXECUTING"), "{shown}");
}
