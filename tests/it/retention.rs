//! Retention: what goes, when, and what waits for a person.

use std::time::Duration;

use belfry::engine::retention::Report;
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::story::{fire, fire_with, firing, log, posting, status, text, timer, trigger};

const REPLAY: &str = "mutation($input: FiringReplayInput!) {
    firingReplay(input: $input) { firing { id } userErrors { code field message } } }";
const START: &str = "mutation($input: TimersStartInput!) {
    timersStart(input: $input) { timers { id } userErrors { code field message } } }";
const SKIP: &str = "mutation($input: FiringSkipInput!) {
    firingSkip(input: $input) { firing { id } userErrors { code field message } } }";

const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const INSTANT: Duration = Duration::from_millis(1);

async fn retain(app: &TestApp) -> Report {
    app.engine.retention.run_once().await.expect("a pass")
}

async fn is_there(app: &TestApp, id: &str) -> bool {
    firing(app, id).await != Value::Null
}

async fn failed(app: &TestApp, receiver: &Receiver) -> String {
    let trigger = posting(app, "order", &receiver.url("/hook")).await;
    receiver.answer(Answer::status(410));
    let id = fire(app, &trigger).await;
    app.work().await;
    assert_eq!(status(app, &id).await, "FAILED");
    id
}

async fn number(app: &TestApp, sql: &str) -> i64 {
    let db = Database::connect(&app.app.settings().database_url).await.expect("the database");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

#[tokio::test]
async fn a_firing_that_ended_is_kept_for_thirty_days_and_goes_with_its_attempts() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    let id = fire(&app, &trigger).await;
    app.work().await;
    app.pass(MONTH - INSTANT);
    retain(&app).await;
    assert!(is_there(&app, &id).await, "one millisecond before");
    app.pass(INSTANT);
    assert_eq!(retain(&app).await.firings, 1);
    assert!(!is_there(&app, &id).await, "at 30 days");
    assert_eq!(number(&app, "SELECT COUNT(*) FROM attempt").await, 0);
}

#[tokio::test]
async fn what_waits_or_failed_is_kept_however_old_it_is() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let failed = failed(&app, &receiver).await;
    let later = timer(&app, 400 * 86_400, &receiver.url("/t")).await.replacen("tmr_", "frg_", 1);
    app.pass(300 * DAY);
    assert_eq!(retain(&app).await.firings, 0);
    assert!(is_there(&app, &failed).await && is_there(&app, &later).await);
}

#[tokio::test]
async fn a_failed_firing_is_kept_for_thirty_days_after_a_person_gave_it_up() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = failed(&app, &receiver).await;
    app.pass(300 * DAY);
    app.done("firingSkip", SKIP, json!({ "id": id })).await;
    app.pass(MONTH - INSTANT);
    retain(&app).await;
    assert!(is_there(&app, &id).await, "one millisecond before");
    app.pass(INSTANT);
    retain(&app).await;
    assert!(!is_there(&app, &id).await);
}

#[tokio::test]
async fn a_failed_firing_is_kept_for_thirty_days_after_it_was_replayed() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let old = failed(&app, &receiver).await;
    app.pass(300 * DAY);
    let done = app.done("firingReplay", REPLAY, json!({ "id": old })).await;
    let new = text(&done["firing"]["id"]);
    app.work().await;
    app.pass(MONTH - INSTANT);
    retain(&app).await;
    assert_eq!(firing(&app, &new).await["replayOf"]["id"], old);
    app.pass(INSTANT);
    retain(&app).await;
    assert!(!is_there(&app, &old).await && !is_there(&app, &new).await);
}

#[tokio::test]
async fn one_pass_deletes_everything_that_is_old_enough_and_a_second_nothing() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    for _ in 0..601 {
        fire(&app, &order).await;
    }
    log(&app, &["kept"]).await;
    app.work().await;
    app.pass(MONTH);
    let first = retain(&app).await;
    // Two of each firing, that of the trigger, and those of two keys.
    assert_eq!(first, Report { events: 2 * 601 + 3, firings: 601, operations: 0, keys: 0 });
    assert_eq!(retain(&app).await, Report::default());
}

#[tokio::test]
async fn an_idempotency_key_is_forgotten_at_a_day() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    let input = json!({ "triggerId": order, "idempotencyKey": "k" });
    let first = fire_with(&app, input.clone()).await;
    app.pass(DAY - INSTANT);
    assert_eq!(retain(&app).await.keys, 0);
    assert_eq!(fire_with(&app, input.clone()).await, first);
    app.pass(INSTANT);
    assert_eq!(retain(&app).await.keys, 1);
    assert_ne!(fire_with(&app, input).await, first);
}

#[tokio::test]
async fn an_event_outlives_neither_its_age_nor_its_firing_for_it() {
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    let id = fire(&app, &order).await;
    app.work().await;
    app.pass(2 * DAY);
    retain(&app).await;
    assert!(is_there(&app, &id).await, "the firing stays when its events go");
    let query = "{ events(filter: { isArchived: INCLUDE }) { totalCount } }";
    assert_eq!(app.ask("events", query, json!({})).await["totalCount"], 0);
}

#[tokio::test]
async fn the_file_gives_the_space_of_deleted_rows_back() {
    if tests::is_postgres() {
        return; // Its own vacuum does it.
    }
    let app = TestApp::start().await;
    let order = trigger(&app, json!({ "name": "order" })).await;
    for _ in 0..20 {
        fire_with(&app, json!({ "triggerId": order, "payload": "x".repeat(200_000) })).await;
    }
    app.work().await;
    let before = number(&app, "PRAGMA page_count").await;
    app.pass(MONTH);
    retain(&app).await;
    let (after, free) =
        (number(&app, "PRAGMA page_count").await, number(&app, "PRAGMA freelist_count").await);
    assert!(after * 10 < before && free == 0, "{before} pages, then {after} with {free} free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_delete_at_once_leave_no_attempt_behind() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let target = json!({ "url": receiver.url("/t") });
    let timers = vec![json!({ "length": { "duration": "PT1S" }, "target": target }); 1_200];
    app.done("timersStart", START, json!({ "timers": timers })).await;
    app.advance(Duration::from_secs(1)).await;
    app.pass(MONTH);
    let passes = (0..4).map(|_| app.engine.retention.run_once());
    let deleted = futures_util::future::join_all(passes).await;
    let firings = deleted.into_iter().map(|report| report.expect("a pass").firings).sum::<u64>();
    assert_eq!(firings, 1_200);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM attempt").await, 0);
}
