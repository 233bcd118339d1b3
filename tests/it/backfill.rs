//! Backfill: firings for the instants of a past range, worked off by an operation.

use std::time::Duration;

use belfry::engine::operator::Report;
use belfry::limits::BACKFILL_WORK_MAX;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, lines, list, log, past, refused, scheduled, text, trigger,
};
use crate::project::tenant;

const HOUR: Duration = Duration::from_secs(3_600);
const BEGUN: &str = "operation { id } total first last";
/// Firings of one operation that are not over at a time.
const OPEN_MAX: usize = 200;

/// Begins a backfill; the operation's id.
async fn backfill(app: &TestApp, input: Value) -> String {
    text(&done(app, "triggerBackfill", BEGUN, input).await["operation"]["id"])
}

fn range(trigger: &str, from: &str, until: &str) -> Value {
    json!({ "triggerId": trigger, "from": format!("2026-{from}Z"),
        "until": format!("2026-{until}Z") })
}

fn with(mut input: Value, name: &str, value: Value) -> Value {
    input[name] = value;
    input
}

async fn operation(app: &TestApp, id: &str) -> String {
    let query = "query($id: ID!) { operation(id: $id) { kind status total done made error } }";
    let found = ask(app, "operation", query, json!({ "id": id })).await;
    let error = found["error"].as_str().map_or(String::new(), |error| format!(", {error}"));
    format!(
        "{} {}, {} of {} done, {} made{error}",
        text(&found["kind"]),
        text(&found["status"]),
        found["done"],
        found["total"],
        found["made"]
    )
}

/// The instants that an operation fired for, with what became of each, oldest first.
async fn made(app: &TestApp, id: &str) -> Vec<String> {
    let query = "query($id: ID!, $after: String) { firings(first: 100, after: $after,
        filter: { operationId: { eq: $id } }, orderBy: { field: NOMINAL_AT, direction: ASC }) {
        nodes { nominalAt cause status } pageInfo { hasNextPage endCursor } } }";
    let (mut shown, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = ask(app, "firings", query, json!({ "id": id, "after": after })).await;
        shown.extend(list(&page["nodes"]).iter().map(|row| {
            assert_eq!(row["cause"], "BACKFILL");
            let at = text(&row["nominalAt"]);
            format!("{} {}", at.trim_start_matches("2026-"), text(&row["status"]))
        }));
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return shown;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test]
async fn each_instant_of_a_range_is_fired_for() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
    let input = json!({ "name": "daily", "action": { "inline": { "stages": [stage] } },
        "schedules": [{ "spec": cron("0 12 * * *"), "payload": { "kind": "day" } }] });
    let created = done(&app, "triggerCreate", "trigger { id }", input).await;
    let id = text(&created["trigger"]["id"]);
    // From is inclusive, until is not.
    let input = range(&id, "02-01T12:00:00", "02-04T12:00:00");
    let dry = with(input.clone(), "dryRun", json!(true));
    let dry = done(&app, "triggerBackfill", BEGUN, dry).await;
    assert_snapshot!(dry.to_string(), @r#"{"first":"2026-02-01T12:00:00Z","last":"2026-02-03T12:00:00Z","operation":null,"total":3,"userErrors":[]}"#);
    let operation_id = backfill(&app, input).await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL RUNNING, 0 of 3 done, 0 made");
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 3 of 3 done, 3 made");
    assert_snapshot!(lines(&made(&app, &operation_id).await), @r"
    02-01T12:00:00Z COMPLETED
    02-02T12:00:00Z COMPLETED
    02-03T12:00:00Z COMPLETED
    ");
    assert_eq!(receiver.bodies(), [r#"{"kind":"day"}"#; 3]);
    assert_snapshot!(lines(&log(&app, "operation.").await), @r"
    operation.started: operation backfill, 0 of 3 instants by a key
    operation.completed: operation backfill, 3 of 3 instants by belfry
    ");
}

#[tokio::test]
async fn only_what_is_missing_is_fired_for() {
    let app = TestApp::start().await;
    let (id, schedule) = scheduled(&app, "hourly", cron("0 * * * *")).await;
    app.advance(HOUR).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": schedule })).await;
    for _ in 0..3 {
        app.advance(HOUR).await;
    }
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": schedule })).await;
    app.advance(HOUR).await;
    app.pass(Duration::from_secs(1));
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 11:00:00 COMPLETED
    03-02 12:00:00 - 03-02 14:00:00 SKIPPED PAUSED x 3
    03-02 15:00:00 COMPLETED
    ");
    let input = range(&id, "03-02T09:00:00", "03-02T15:00:01");
    let missing = with(input, "onlyMissing", json!(true));
    let first = backfill(&app, missing.clone()).await;
    app.work().await;
    assert_snapshot!(operation(&app, &first).await, @"BACKFILL COMPLETED, 7 of 7 done, 5 made");
    assert_snapshot!(lines(&made(&app, &first).await), @r"
    03-02T09:00:00Z COMPLETED
    03-02T10:00:00Z COMPLETED
    03-02T12:00:00Z COMPLETED
    03-02T13:00:00Z COMPLETED
    03-02T14:00:00Z COMPLETED
    ");
    // By now nothing is.
    let second = backfill(&app, missing).await;
    app.work().await;
    assert_snapshot!(operation(&app, &second).await, @"BACKFILL COMPLETED, 7 of 7 done, 0 made");
}

#[tokio::test]
async fn it_has_an_overlap_of_its_own_and_loses_nothing() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
    let input = json!({ "name": "hourly", "action": { "inline": { "stages": [stage] } },
        "schedules": [{ "spec": cron("0 * * * *") }] });
    let created = done(&app, "triggerCreate", "trigger { id overlap }", input).await;
    assert_eq!(created["trigger"]["overlap"], "SKIP");
    let id = text(&created["trigger"]["id"]);
    let operation_id = backfill(&app, range(&id, "03-02T00:00:00", "03-02T05:00:00")).await;
    app.engine.operator.run_once().await.expect("a step");
    app.app.queue().flush().await;
    app.engine.executor.run_once().await.expect("a claim");
    receiver.wait_for(1).await;
    assert_snapshot!(lines(&made(&app, &operation_id).await), @r"
    03-02T00:00:00Z EXECUTING
    03-02T01:00:00Z SCHEDULED
    03-02T02:00:00Z SCHEDULED
    03-02T03:00:00Z SCHEDULED
    03-02T04:00:00Z SCHEDULED
    ");
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 5 of 5 done, 5 made");
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test]
async fn no_more_are_open_at_a_time_than_may_be_and_a_restart_goes_on() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let operation_id = backfill(&app, range(&id, "03-01T00:00:00", "03-01T10:00:00")).await;
    for _ in 0..3 {
        app.engine.operator.run_once().await.expect("a step");
    }
    assert_eq!(made(&app, &operation_id).await.len(), OPEN_MAX);
    let app = app.restart().await;
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 600 of 600 done, 600 made");
    let mut instants = made(&app, &operation_id).await;
    assert_eq!(instants.len(), 600);
    assert!(instants.iter().all(|line| line.ends_with(" COMPLETED")));
    instants.dedup();
    assert_eq!(instants.len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_step_at_once_fire_for_each_instant_once() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let operation_id = backfill(&app, range(&id, "03-01T00:00:00", "03-01T02:00:00")).await;
    let steps = (0..8).map(|_| app.engine.operator.run_once());
    for step in futures_util::future::join_all(steps).await {
        step.expect("a step");
    }
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 120 of 120 done, 120 made");
    assert_eq!(made(&app, &operation_id).await.len(), 120);
}

#[tokio::test]
async fn cancelled_it_makes_nothing_more_and_what_waits_is_cancelled() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let operation_id = backfill(&app, range(&id, "03-01T00:00:00", "03-01T10:00:00")).await;
    app.engine.operator.run_once().await.expect("a step");
    let input = json!({ "id": operation_id });
    let cancelled = done(&app, "operationCancel", "operation { status }", input.clone()).await;
    assert_eq!(cancelled["operation"]["status"], "CANCELLED");
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL CANCELLED, 200 of 600 done, 200 made");
    assert!(made(&app, &operation_id).await.iter().all(|line| line.ends_with(" CANCELLED")));
    let errors = refused(&app, "operationCancel", input).await;
    assert_snapshot!(lines(&errors), @"CONFLICT id: expected an operation that is RUNNING; this one is CANCELLED");
}

#[tokio::test]
async fn one_step_looks_at_a_thousand_instants() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let input = range(&id, "03-01T00:00:00", "03-01T16:41:00");
    backfill(&app, input.clone()).await;
    app.work().await;
    // Nothing is missing of these 1,001.
    let again = backfill(&app, with(input, "onlyMissing", json!(true))).await;
    let mut shown = Vec::new();
    for _ in 0..3 {
        app.engine.operator.run_once().await.expect("a step");
        shown.push(operation(&app, &again).await);
    }
    assert_snapshot!(lines(&shown), @r"
    BACKFILL RUNNING, 1000 of 1001 done, 0 made
    BACKFILL RUNNING, 1001 of 1001 done, 0 made
    BACKFILL COMPLETED, 1001 of 1001 done, 0 made
    ");
}

#[tokio::test]
async fn it_fails_when_its_schedule_is_deleted() {
    let app = TestApp::start().await;
    let (id, schedule) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let operation_id = backfill(&app, range(&id, "03-01T00:00:00", "03-01T10:00:00")).await;
    done(&app, "scheduleDelete", "deletedId", json!({ "id": schedule })).await;
    app.work().await;
    let shown = operation(&app, &operation_id).await.replace(&schedule, "sch_…");
    assert_snapshot!(shown, @"BACKFILL FAILED, 0 of 600 done, 0 made, sch_… was deleted");
}

#[tokio::test]
async fn a_range_that_is_none_is_refused_with_what_was_expected() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "secondly", every("PT1S")).await;
    let (other, _) = scheduled(&app, "other", every("PT1H")).await;
    let mut errors = Vec::new();
    for input in [
        range(&id, "03-01T00:00:00", "03-01T00:00:00"),
        range(&id, "03-01T00:00:00", "03-02T10:00:00.001"),
        range("trg_01h2xcejqtf2nbrexx3vqjhp41", "03-01T00:00:00", "03-02T10:00:00"),
        with(
            range(&id, "03-01T00:00:00", "03-02T10:00:00"),
            "scheduleId",
            json!("sch_01h2xcejqtf2nbrexx3vqjhp41"),
        ),
    ] {
        errors.extend(refused(&app, "triggerBackfill", input).await);
    }
    assert_snapshot!(lines(&errors), @r"
    BAD_USER_INPUT until: expected an instant after from
    BAD_USER_INPUT until: expected an instant that is past, at most 2026-03-02T10:00:00Z
    NOT_FOUND triggerId: no trigger has the id trg_01h2xcejqtf2nbrexx3vqjhp41
    NOT_FOUND scheduleId: no schedule has the id sch_01h2xcejqtf2nbrexx3vqjhp41
    ");
    // The anchor is when the schedule was made: 10:00:00 of that day.
    app.pass(Duration::from_secs(1_000_002));
    let at_the_limit = range(&id, "03-02T10:00:01", "03-13T23:46:41");
    let dry = |input: Value| with(input, "dryRun", json!(true));
    let begun = done(&app, "triggerBackfill", "total", dry(at_the_limit)).await;
    assert_eq!(begun["total"], 1_000_000);
    let past_it = range(&id, "03-02T10:00:01", "03-13T23:46:41.001");
    assert_snapshot!(lines(&refused(&app, "triggerBackfill", dry(past_it)).await), @"BAD_USER_INPUT until: expected a range of at most 1000000 instants; this one has 1000001");
    // So many go on at a time.
    for _ in 0..16 {
        backfill(&app, range(&other, "03-01T00:00:00", "03-01T00:00:01")).await;
    }
    let more = range(&other, "03-01T00:00:00", "03-01T00:00:01");
    assert_snapshot!(lines(&refused(&app, "triggerBackfill", more).await), @"CONFLICT triggerId: expected at most 16 operations at a time");
}

#[tokio::test]
async fn a_repeat_with_the_key_begins_nothing_new_and_lists_tell_operations_apart() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let input = range(&id, "03-01T00:00:00", "03-01T00:10:00");
    let keyed = with(input.clone(), "idempotencyKey", json!("k"));
    let first = backfill(&app, keyed.clone()).await;
    assert_eq!(backfill(&app, keyed).await, first);
    app.work().await;
    let second = backfill(&app, input).await;
    let query = "query($filter: OperationFilter) {
        operations(filter: $filter) { totalCount nodes { id } } }";
    let found = ask(&app, "operations", query, json!({ "filter": {} })).await;
    assert_eq!(found["totalCount"], 2);
    let running = json!({ "filter": { "status": { "eq": "RUNNING" } } });
    let found = ask(&app, "operations", query, running).await;
    assert_eq!(found["nodes"], json!([{ "id": second }]));
    let query = "query($id: ID!) { node(id: $id) { id __typename
        ... on Operation { firings(first: 1) { totalCount } trigger { name } startedBy } } }";
    let node = ask(&app, "node", query, json!({ "id": first })).await;
    assert_eq!(
        (&node["__typename"], &node["firings"]["totalCount"]),
        (&json!("Operation"), &json!(10))
    );
    assert_eq!(node["trigger"]["name"], "minutely");
}

/// A project with a trigger of its own, and so many operations that go on and have nothing to do.
async fn stuck(app: &mut TestApp, name: &str, operations: usize) {
    let (caller, _) = tenant(app, name, json!({})).await;
    let own = std::mem::replace(&mut app.caller, caller);
    let (id, _) = scheduled(app, "hourly", cron("0 * * * *")).await;
    for _ in 0..operations {
        // Its one firing is never executed.
        backfill(app, range(&id, "03-01T00:00:00", "03-01T01:00:00")).await;
    }
    app.caller = own;
}

#[tokio::test]
async fn operations_that_do_not_get_on_delay_no_other_project() {
    let mut app = TestApp::start().await;
    for name in ["a", "b", "c", "d"] {
        stuck(&mut app, name, 16).await;
    }
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let operation_id = backfill(&app, range(&id, "03-01T00:00:00", "03-01T10:00:00")).await;
    // 65 go on, and one pass takes 64 steps.
    let step = async || app.engine.operator.run_once().await.expect("a step");
    assert_eq!(step().await, Report { operations: 64, worked_off: 63 + OPEN_MAX });
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL RUNNING, 200 of 600 done, 200 made");
    // Of the project whose last one was left out, that one is among the next.
    assert_eq!(step().await, Report { operations: 64, worked_off: 1 });
}

#[tokio::test]
async fn more_projects_than_one_pass_serves_come_in_turn() {
    let mut app = TestApp::start().await;
    for index in 0..64 {
        stuck(&mut app, &format!("p{index}"), 2).await;
    }
    // One more than a pass takes steps.
    stuck(&mut app, "last", 2).await;
    let mut worked_off = Vec::new();
    for _ in 0..5 {
        worked_off.push(app.engine.operator.run_once().await.expect("a step").worked_off);
    }
    assert_eq!(worked_off.iter().sum::<usize>(), 130, "{worked_off:?}");
}

#[tokio::test]
async fn what_the_planner_has_yet_to_catch_up_is_not_missing() {
    let app = TestApp::start().await;
    let schedules = json!([{ "spec": cron("* * * * *"), "policy": { "catchUp": "ALL" } }]);
    let input = json!({ "name": "minutely", "overlap": "ALLOW", "schedules": schedules });
    let id = trigger(&app, input).await;
    app.pass(23 * HOUR);
    // The planner makes 1,000 of 1,380 firings in its first step.
    app.engine.planner.run_once().await.expect("planning");
    let input = range(&id, "03-02T10:01:00", "03-03T09:00:00");
    let operation_id = backfill(&app, with(input, "onlyMissing", json!(true))).await;
    for _ in 0..3 {
        app.engine.operator.run_once().await.expect("a step");
    }
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 1379 of 1379 done, 0 made");
    for _ in 0..3 {
        app.advance(Duration::from_secs(1)).await;
    }
    assert_eq!(past(&app, &id).await.len(), 1_380);
}

#[tokio::test]
async fn what_the_planner_is_about_to_skip_is_missing_once_it_did() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "hourly", cron("0 * * * *")).await;
    app.pass(3 * HOUR);
    let input = range(&id, "03-02T10:30:00", "03-02T13:00:00");
    let operation_id = backfill(&app, with(input, "onlyMissing", json!(true))).await;
    // Nobody knows yet which of them fires.
    app.engine.operator.run_once().await.expect("a step");
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL RUNNING, 0 of 2 done, 0 made");
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 2 of 2 done, 2 made");
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 11:00:00 - 03-02 12:00:00 SKIPPED CATCH_UP x 2
    03-02 11:00:00 COMPLETED, begun 03-02 13:00:00
    03-02 12:00:00 COMPLETED, begun 03-02 13:00:00
    03-02 13:00:00 COMPLETED
    ");
}

#[tokio::test]
async fn what_is_missing_is_known_as_far_back_as_firings_are_kept() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "daily", cron("0 12 * * *")).await;
    // 29 days: a day less than firings are kept.
    let missing = |from: &str| with(range(&id, from, "02-03T00:00:00"), "onlyMissing", json!(true));
    let begun = done(&app, "triggerBackfill", "total", missing("02-01T10:00:00")).await;
    assert_eq!(begun["total"], 2);
    let errors = refused(&app, "triggerBackfill", missing("02-01T09:59:59.999")).await;
    assert_snapshot!(lines(&errors), @"BAD_USER_INPUT from: expected at most 29 days ago with onlyMissing, 2026-02-01T10:00:00Z or later: of what is older nobody knows whether it fired");
    // All of it may be asked for.
    backfill(&app, range(&id, "02-01T09:59:59.999", "02-03T00:00:00")).await;
}

#[tokio::test]
async fn what_may_have_been_deleted_since_a_backfill_began_is_not_missing() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "daily", cron("0 12 * * *")).await;
    let input = range(&id, "02-02T00:00:00", "02-05T00:00:00");
    let operation_id = backfill(&app, with(input, "onlyMissing", json!(true))).await;
    // Nobody takes a step before firings of the first instant are 30 days old.
    app.pass(66 * HOUR);
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 3 of 3 done, 2 made");
    assert_snapshot!(lines(&made(&app, &operation_id).await), @r"
    02-03T12:00:00Z COMPLETED
    02-04T12:00:00Z COMPLETED
    ");
}

#[tokio::test]
async fn a_range_in_which_too_much_is_left_out_is_refused() {
    let app = TestApp::start().await;
    let expressions = vec![json!({ "cron": "* * * * *" }); 20];
    let mut calendars = Vec::new();
    for index in 0..10 {
        let input = json!({ "name": format!("c{index}"), "entries": expressions });
        let made = done(&app, "calendarSet", "calendar { id }", input).await;
        calendars.push(made["calendar"]["id"].clone());
    }
    let schedules = json!([{ "spec": cron("* * * * *"),
        "policy": { "onlyCalendarIds": calendars } }]);
    let id = trigger(&app, json!({ "name": "kept", "schedules": schedules })).await;
    // Each instant costs 4,010 comparisons, also the first one after the range.
    let dry = |until: &str| with(range(&id, "02-25T00:00:00", until), "dryRun", json!(true));
    let begun = done(&app, "triggerBackfill", "total", dry("02-27T01:51:00")).await;
    assert_eq!(begun["total"], BACKFILL_WORK_MAX / 4_010 - 1);
    let errors = refused(&app, "triggerBackfill", dry("02-27T01:52:00")).await;
    assert_snapshot!(lines(&errors), @"BAD_USER_INPUT until: expected a shorter range: the schedules leave out too much within it");
}

/// A trigger that posts, whose first request is held, and a backfill of it that skips.
async fn skipping(app: &TestApp, from: &str, until: &str) -> (String, String, Receiver) {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/") } } });
    let schedules = json!([{ "spec": cron("* * * * *") }]);
    let action = json!({ "inline": { "stages": [stage] } });
    let input = json!({ "name": "minutely", "schedules": schedules, "action": action });
    let id = trigger(app, input).await;
    let operation_id = backfill(app, with(range(&id, from, until), "overlap", json!("SKIP"))).await;
    (id, operation_id, receiver)
}

/// A step of each operation, and what is due is claimed; nothing that runs is waited for.
async fn step_and_claim(app: &TestApp) {
    app.engine.operator.run_once().await.expect("a step");
    loop {
        app.app.queue().flush().await;
        if app.engine.executor.run_once().await.expect("a claim").pulled == 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_skips_in_a_row_is_one_range_however_many_steps_it_takes() {
    let app = TestApp::start().await;
    let (id, operation_id, receiver) = skipping(&app, "03-01T00:00:00", "03-01T10:00:00").await;
    step_and_claim(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..5 {
        step_and_claim(&app).await;
    }
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL RUNNING, 600 of 600 done, 600 made");
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-01 00:00:00 EXECUTING, begun 03-02 10:00:00
    03-01 00:01:00 - 03-01 09:59:00 SKIPPED OVERLAP x 599
    ");
    // Nothing is said of a range before it is over.
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"");
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_snapshot!(operation(&app, &operation_id).await, @"BACKFILL COMPLETED, 600 of 600 done, 600 made");
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"firing.skipped: 599 instants were skipped: OVERLAP");
    assert_snapshot!(lines(&made(&app, &operation_id).await), @r"
    03-01T00:00:00Z COMPLETED
    03-01T00:01:00Z SKIPPED
    ");
    // All of the range is missing still.
    let input = range(&id, "03-01T00:00:00", "03-01T10:00:00");
    let missing = with(input, "onlyMissing", json!(true));
    let again = backfill(&app, missing).await;
    app.work().await;
    assert_snapshot!(operation(&app, &again).await, @"BACKFILL COMPLETED, 600 of 600 done, 599 made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firing_between_two_ranges_ends_the_first() {
    let app = TestApp::start().await;
    let (id, operation_id, receiver) = skipping(&app, "03-01T00:00:00", "03-01T05:00:00").await;
    receiver.answer(Answer::status(204).held());
    step_and_claim(&app).await;
    receiver.wait_for(1).await;
    // The first 200 are decided; the slot is free for the next.
    receiver.release();
    app.engine.executor.idle().await;
    step_and_claim(&app).await;
    receiver.wait_for(2).await;
    app.engine.operator.run_once().await.expect("a step");
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-01 00:00:00 COMPLETED, begun 03-02 10:00:00
    03-01 00:01:00 - 03-01 03:19:00 SKIPPED OVERLAP x 199
    03-01 03:20:00 EXECUTING, begun 03-02 10:00:00
    03-01 03:21:00 - 03-01 04:59:00 SKIPPED OVERLAP x 99
    ");
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"firing.skipped: 199 instants were skipped: OVERLAP");
    let input = json!({ "id": operation_id });
    done(&app, "operationCancel", "operation { status }", input).await;
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @r"
    firing.skipped: 199 instants were skipped: OVERLAP
    firing.skipped: 99 instants were skipped: OVERLAP
    ");
    receiver.release();
    app.engine.executor.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_skipped_after_a_backfill_failed_is_told_by_the_sweeper() {
    let app = TestApp::start().await;
    let (id, operation_id, receiver) = skipping(&app, "03-01T00:00:00", "03-01T05:00:00").await;
    app.engine.operator.run_once().await.expect("a step");
    let query = "query($id: ID!) { trigger(by: { id: $id }) { schedules { id } } }";
    let schedule = app.ask("trigger", query, json!({ "id": id })).await["schedules"][0].clone();
    done(&app, "scheduleDelete", "deletedId", json!({ "id": schedule["id"] })).await;
    // Some are over, so that there is room for a step, which finds that it cannot go on.
    let query = "query($id: ID!) { operation(id: $id) { firings(first: 3) { nodes { id } } } }";
    let found = app.ask("operation", query, json!({ "id": operation_id })).await;
    for firing in list(&found["firings"]["nodes"]) {
        done(&app, "firingCancel", "firing { id }", json!({ "id": firing["id"] })).await;
    }
    step_and_claim(&app).await;
    receiver.wait_for(1).await;
    assert!(operation(&app, &operation_id).await.starts_with("BACKFILL FAILED"));
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"");
    app.engine.sweeper.run_once().await.expect("a sweep");
    // As many as the log shows on a page, of 196.
    let told = "firing.skipped: 1 instant was skipped: OVERLAP".to_owned();
    assert_eq!(log(&app, "firing.skipped").await, vec![told; 100]);
    receiver.release();
    app.engine.executor.idle().await;
}
