//! Edits re-plan and deletes cancel, atomically, whatever was planned before.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{HOUR, MINUTE, SECOND, instant};
use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, lines, log, past, planned, refused, schedule, scheduled, text,
};

async fn update(app: &TestApp, schedule: &str, change: Value) {
    let mut input = json!({ "id": schedule });
    input
        .as_object_mut()
        .expect("an object")
        .extend(change.as_object().expect("an object").clone());
    done(app, "scheduleUpdate", "schedule { id }", input).await;
}

/// The ids of what is planned.
async fn planned_ids(app: &TestApp, trigger: &str) -> Vec<Value> {
    let query = "query($filter: FiringFilter) { firings(filter: $filter) { nodes { id } } }";
    let filter = json!({ "triggerId": { "eq": trigger }, "status": { "eq": "SCHEDULED" } });
    let found = ask(app, "firings", query, json!({ "filter": filter })).await;
    found["nodes"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn edited_and_edited_back_before_it_is_due_each_instant_fires_once() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.advance(MINUTE).await;
    update(&app, &plan, json!({ "spec": cron("*/2 * * * *") })).await;
    app.advance(SECOND * 30).await;
    update(&app, &plan, json!({ "spec": cron("* * * * *") })).await;
    for _ in 0..8 {
        app.advance(SECOND * 30).await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 COMPLETED
    03-02 10:05:00 COMPLETED
    ");
}

#[tokio::test]
async fn an_edit_replaces_what_was_planned() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "edited", json!({ "in": "PT4M" })).await;
    app.advance(MINUTE).await;
    update(&app, &plan, json!({ "spec": { "at": "2026-03-02T10:03:00Z" } })).await;
    assert_eq!(planned(&app, &id).await, ["03-02 10:03:00"]);
    for _ in 0..5 {
        app.advance(MINUTE).await;
    }
    assert_eq!(past(&app, &id).await, ["03-02 10:03:00 COMPLETED"]);
}

#[tokio::test]
async fn nothing_planned_under_an_old_plan_is_claimed_after_the_edit() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "fenced", cron("* * * * *")).await;
    app.work().await;
    // The queue still proposes the old rows, and one of them is due by now.
    app.pass(MINUTE);
    update(&app, &plan, json!({ "spec": cron("30 * * * *") })).await;
    app.engine.executor.run_once().await.expect("a claim");
    app.engine.executor.idle().await;
    app.advance(MINUTE * 5).await;
    let shown = [past(&app, &id).await, log(&app, "firing.").await].concat();
    assert_snapshot!(lines(&shown), @r"
    03-02 10:01:00 - 03-02 10:01:00 SKIPPED SUPERSEDED x 1
    firing.skipped: 1 instant was skipped: SUPERSEDED
    ");
}

#[tokio::test]
async fn what_an_edit_ends_unclaimed_is_one_range_that_is_told_once() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "ended", every("PT10S")).await;
    app.pass(SECOND * 45);
    update(&app, &plan, json!({ "spec": every("PT1H") })).await;
    app.advance(HOUR).await;
    let shown = [past(&app, &id).await, log(&app, "firing.").await].concat();
    assert_snapshot!(lines(&shown), @r"
    03-02 10:00:10 - 03-02 10:00:40 SKIPPED SUPERSEDED x 4
    03-02 11:00:45 COMPLETED
    firing.skipped: 4 instants were skipped: SUPERSEDED
    firing.completed: -
    ");
}

#[tokio::test]
async fn a_new_name_replans_nothing() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    let before = planned_ids(&app, &id).await;
    update(&app, &plan, json!({ "name": "renamed" })).await;
    update(&app, &plan, json!({ "spec": cron("* * * * *") })).await;
    let input = json!({ "id": id, "name": "renamed", "description": "also" });
    done(&app, "triggerUpdate", "trigger { id }", input).await;
    assert_eq!(planned_ids(&app, &id).await, before);
    assert_eq!(schedule(&app, &plan, "name").await, json!("renamed"));
}

#[tokio::test]
async fn a_plan_that_is_sent_again_goes_on_counting_from_where_it_did() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "hourly", every("PT1H")).await;
    for _ in 0..6 {
        app.advance(MINUTE * 30).await;
        update(&app, &plan, json!({ "spec": { "every": { "hours": 1 } } })).await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 11:00:00 COMPLETED
    03-02 12:00:00 COMPLETED
    03-02 13:00:00 COMPLETED
    ");
    let anchor = async || schedule(&app, &plan, "anchor").await;
    let mut anchors = vec![text(&anchor().await)];
    app.advance(MINUTE * 5).await;
    let hourly = json!({ "interval": "PT1H" });
    for (name, value) in [
        ("interval", json!("PT2H")),
        ("anchor", json!("2026-03-02T12:00:00Z")),
        ("phase", json!("PT5M")),
        ("phase", json!("PT5M")),
        ("phase", Value::Null),
    ] {
        let mut every = hourly.clone();
        every[name] = value;
        update(&app, &plan, json!({ "spec": { "every": every } })).await;
        anchors.push(text(&anchor().await));
    }
    assert_snapshot!(lines(&anchors), @"
    2026-03-02T10:00:00Z
    2026-03-02T13:05:00Z
    2026-03-02T12:00:00Z
    1970-01-01T00:00:00Z
    1970-01-01T00:00:00Z
    2026-03-02T13:05:00Z
    ");
}

#[tokio::test]
async fn a_delay_that_is_sent_again_does_not_begin_again() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "once", json!({ "in": "PT1H" })).await;
    for _ in 0..5 {
        app.advance(MINUTE * 30).await;
        update(&app, &plan, json!({ "spec": { "in": "PT60M" } })).await;
    }
    assert_eq!(past(&app, &id).await, ["03-02 11:00:00 COMPLETED"]);
    update(&app, &plan, json!({ "spec": { "in": "PT2H" } })).await;
    assert_eq!(schedule(&app, &plan, "at").await, json!("2026-03-02T14:30:00Z"));
}

#[tokio::test]
async fn what_was_said_of_a_plan_can_be_read_back() {
    let app = TestApp::start().await;
    let mut shown = Vec::new();
    for spec in [
        json!({ "at": "2026-03-03T10:00:00+02:00" }),
        json!({ "in": "PT90M" }),
        json!({ "every": { "minutes": 90, "phase": "PT5M" } }),
        cron("0 9 * * *"),
    ] {
        let (_, plan) = scheduled(&app, &spec.to_string(), spec).await;
        let query = "query($id: ID!) { schedule(id: $id) { at delay interval phase anchor } }";
        shown.push(ask(&app, "schedule", query, json!({ "id": plan })).await.to_string());
    }
    assert_snapshot!(lines(&shown), @r#"
    {"anchor":null,"at":"2026-03-03T08:00:00Z","delay":null,"interval":null,"phase":null}
    {"anchor":null,"at":"2026-03-02T11:30:00Z","delay":"PT1H30M","interval":null,"phase":null}
    {"anchor":"1970-01-01T00:00:00Z","at":null,"delay":null,"interval":"PT1H30M","phase":"PT5M"}
    {"anchor":null,"at":null,"delay":null,"interval":null,"phase":null}
    "#);
}

#[tokio::test]
async fn a_new_payload_reaches_what_is_planned_and_skips_nothing() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    app.pass(MINUTE);
    update(&app, &plan, json!({ "payload": { "new": true } })).await;
    app.work().await;
    app.advance(MINUTE).await;
    let query = "query($id: ID!) { trigger(by: { id: $id }) { firings(last: 2) { nodes {
        nominalAt status payload } } } }";
    let found = ask(&app, "trigger", query, json!({ "id": id })).await;
    assert_snapshot!(found["firings"]["nodes"], @r#"[{"nominalAt":"2026-03-02T10:02:00Z","payload":{"new":true},"status":"COMPLETED"},{"nominalAt":"2026-03-02T10:01:00Z","payload":{"new":true},"status":"COMPLETED"}]"#);
}

#[tokio::test]
async fn a_deleted_schedule_fires_no_more() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    app.advance(MINUTE).await;
    app.pass(SECOND * 30);
    done(&app, "scheduleDelete", "deletedId", json!({ "id": plan })).await;
    assert_eq!(planned(&app, &id).await, Vec::<String>::new());
    app.advance(MINUTE * 5).await;
    assert_eq!(past(&app, &id).await, ["03-02 10:01:00 COMPLETED"]);
    let query = "query($id: ID!) { schedule(id: $id) { id } }";
    assert_eq!(ask(&app, "schedule", query, json!({ "id": plan })).await, Value::Null);
}

#[tokio::test]
async fn a_planned_firing_that_was_cancelled_stays_so_through_an_edit_and_a_pause() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    let query = "query($filter: FiringFilter) { firings(filter: $filter) { nodes { id } } }";
    let filter = json!({ "triggerId": { "eq": id },
        "nominalAt": { "eq": "2026-03-02T10:03:00Z" } });
    let found = ask(&app, "firings", query, json!({ "filter": filter })).await;
    let input = json!({ "id": text(&found["nodes"][0]["id"]) });
    done(&app, "firingCancel", "firing { id }", input).await;
    update(&app, &plan, json!({ "spec": cron("*/3 * * * *") })).await;
    update(&app, &plan, json!({ "spec": cron("* * * * *") })).await;
    app.advance(MINUTE).await;
    app.advance(MINUTE).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    for _ in 0..3 {
        app.advance(MINUTE).await;
    }
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    app.advance(MINUTE).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 CANCELLED CANCELLED_BY_CLIENT
    03-02 10:04:00 - 03-02 10:05:00 SKIPPED PAUSED x 2
    03-02 10:06:00 COMPLETED
    ");
}

#[tokio::test]
async fn an_edit_after_an_outage_counts_what_was_missed_by_the_old_plan() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("0 * * * *")).await;
    app.pass(HOUR * 5 + MINUTE * 30);
    update(&app, &plan, json!({ "spec": cron("*/10 * * * *") })).await;
    app.advance(MINUTE * 10).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 11:00:00 - 03-02 14:00:00 SKIPPED CATCH_UP x 4
    03-02 15:00:00 - 03-02 15:00:00 SKIPPED SUPERSEDED x 1
    03-02 15:40:00 COMPLETED
    ");
}

#[tokio::test]
async fn an_edit_while_paused_counts_what_passed_by_the_old_plan() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT10S")).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.pass(SECOND * 45);
    update(&app, &plan, json!({ "spec": every("PT60S") })).await;
    app.pass(SECOND * 130);
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    app.advance(SECOND * 50).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:00:10 - 03-02 10:02:45 SKIPPED PAUSED x 6
    03-02 10:03:45 COMPLETED
    ");
}

#[tokio::test]
async fn a_clock_that_is_set_back_fires_no_recorded_instant_again() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    for _ in 0..4 {
        app.advance(MINUTE).await;
    }
    app.set_clock(instant("2026-03-02T10:01:30Z"));
    app.work().await;
    app.advance(MINUTE).await;
    // Neither does an edit bring them back.
    update(&app, &plan, json!({ "spec": cron("*/2 * * * *") })).await;
    update(&app, &plan, json!({ "spec": cron("* * * * *") })).await;
    for _ in 0..4 {
        app.advance(MINUTE).await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 COMPLETED
    03-02 10:05:00 COMPLETED, begun 03-02 10:05:30
    03-02 10:06:00 COMPLETED, begun 03-02 10:06:30
    ");
}

#[tokio::test]
async fn an_instant_that_has_passed_may_be_sent_again_and_no_other_one() {
    let app = TestApp::start().await;
    let at = json!({ "at": "2026-03-02T10:01:00Z" });
    let (id, plan) = scheduled(&app, "once", at.clone()).await;
    app.advance(MINUTE * 2).await;
    update(&app, &plan, json!({ "spec": at })).await;
    let another = json!({ "id": plan, "spec": { "at": "2026-03-02T10:01:30Z" } });
    assert_snapshot!(lines(&refused(&app, "scheduleUpdate", another).await), @"BAD_USER_INPUT spec.at: expected an instant in the future, after 2026-03-02T10:02:00Z");
    app.advance(MINUTE).await;
    assert_snapshot!(lines(&past(&app, &id).await), @"03-02 10:01:00 COMPLETED, begun 03-02 10:02:00");
}
