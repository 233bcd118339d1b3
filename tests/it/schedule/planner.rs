//! The planner among others: edits in the middle of a backlog, bounds of a pass, plans that cannot be
//! read, processes with other time zones.

use belfry::domain::zone::tzdata_version;
use belfry::limits::{PLAN_ROWS_MAX, PLANNED_AHEAD_MAX, ZONES_LEFT_MS};
use belfry::store::Origin;
use belfry::store::zone::{self, Turn};
use futures_util::FutureExt as _;
use insta::assert_snapshot;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{HOUR, MINUTE, SECOND};
use crate::TestApp;
use crate::operation::{cron, done, every, lines, past, planned, schedule, scheduled, text};

/// Changes the database behind the back of everybody.
async fn behind_the_back(app: &TestApp, sql: &str) {
    let db = sea_orm::Database::connect(app.database_url()).await.expect("the database");
    db.execute_unprepared(sql).await.expect("a change behind the back");
}

/// A trigger with a schedule of each second that catches up all of an hour that it missed; the
/// planner has made as many rows as it may, and nobody has taken one.
async fn full_house(app: &TestApp) -> (String, String) {
    let policy = json!({ "catchUp": "ALL", "catchUpWindow": "PT2H" });
    let schedules = json!([{ "spec": every("PT1S"), "policy": policy }]);
    let input = json!({ "name": "full", "overlap": "ALLOW", "schedules": schedules });
    let selection = "trigger { id schedules { id } }";
    let made = done(app, "triggerCreate", selection, input).await;
    app.pass(HOUR);
    while app.engine.planner.run_once().await.expect("planning").planned != 0 {}
    (text(&made["trigger"]["id"]), text(&made["trigger"]["schedules"][0]["id"]))
}

#[tokio::test]
async fn an_edit_in_the_middle_of_a_backlog_ends_it() {
    let app = TestApp::start().await;
    let (id, plan) = full_house(&app).await;
    let change = json!({ "id": plan, "spec": every("PT10M") });
    done(&app, "scheduleUpdate", "schedule { id }", change).await;
    app.advance(MINUTE * 10).await;
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 10:00:01 - 03-02 11:00:00 SKIPPED SUPERSEDED x 3600
    03-02 11:10:00 COMPLETED
    ");
}

#[tokio::test]
async fn a_pause_in_the_middle_of_a_backlog_ends_it_and_a_new_name_does_not() {
    let app = TestApp::start().await;
    let (id, plan) = full_house(&app).await;
    let name = json!({ "id": plan, "name": "another" });
    done(&app, "scheduleUpdate", "schedule { id }", name).await;
    assert!(past(&app, &id).await.is_empty(), "all still waits");
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    app.advance(SECOND).await;
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 10:00:01 - 03-02 11:01:00 SKIPPED PAUSED x 3660
    03-02 11:01:01 COMPLETED
    ");
}

#[tokio::test]
async fn what_lies_in_a_skipped_range_is_not_planned_again_by_a_clock_that_was_set_back() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.pass(MINUTE * 10);
    app.work().await;
    app.advance(MINUTE).await;
    let right = app.now();
    app.set_clock(right.plus_ms(-8 * 60_000));
    let change = json!({ "id": plan, "spec": cron("*/1 * * * *") });
    done(&app, "scheduleUpdate", "schedule { id }", change).await;
    for _ in 0..9 {
        app.advance(MINUTE).await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 10:01:00 - 03-02 10:09:00 SKIPPED CATCH_UP x 9
    03-02 10:10:00 COMPLETED
    03-02 10:11:00 COMPLETED
    03-02 10:12:00 COMPLETED
    ");
}

#[tokio::test]
async fn no_range_encloses_an_instant_that_jitter_lets_fire() {
    let app = TestApp::start().await;
    let schedules = json!([{ "spec": cron("* * * * *"), "policy": { "jitter": "PT10M" } }]);
    let input = json!({ "name": "late", "overlap": "ALLOW", "schedules": schedules });
    let made = done(&app, "triggerCreate", "trigger { id }", input).await;
    app.pass(MINUTE * 30);
    app.work().await;
    app.advance(MINUTE * 10).await;
    let firings = past(&app, &text(&made["trigger"]["id"])).await;
    let is_range = |line: &&String| line.contains(" - ");
    for range in firings.iter().filter(is_range) {
        let (from, rest) = range.split_once(" - ").expect("a range");
        let until = rest.split(" SKIPPED").next().expect("its end");
        let inside = firings.iter().find(|line| {
            !is_range(line) && from < &line[..from.len()] && &line[..from.len()] < until
        });
        assert_eq!(inside, None, "{range} encloses a firing");
    }
    assert!(1 < firings.iter().filter(is_range).count(), "{firings:?}");
}

#[tokio::test]
async fn a_pass_makes_so_many_firings_and_the_next_one_goes_on() {
    let app = TestApp::start().await;
    let count = PLAN_ROWS_MAX.div_ceil(PLANNED_AHEAD_MAX) + 1;
    let schedules: Vec<Value> = (0..count).map(|_| json!({ "spec": every("PT1S") })).collect();
    for (number, some) in schedules.chunks(30).enumerate() {
        let name = format!("{number}");
        done(&app, "triggerCreate", "trigger { id }", json!({ "name": name, "schedules": some }))
            .await;
    }
    // Nothing was missed by the grace: each has its 64 instants ahead to plan, and some more.
    app.pass(SECOND * 64);
    let first = app.engine.planner.run_once().await.expect("planning");
    let second = app.engine.planner.run_once().await.expect("planning");
    assert!((PLAN_ROWS_MAX..PLAN_ROWS_MAX + 200).contains(&first.planned), "{first:?}");
    assert!(first.schedules < count && 0 < second.planned, "{first:?} {second:?}");
}

#[tokio::test]
async fn a_pass_holds_so_many_bytes_of_payload() {
    let app = TestApp::start().await;
    let plan = json!({ "spec": every("PT1S"), "payload": "x".repeat(200 * 1_024) });
    for number in 0..3 {
        let input = json!({ "name": format!("{number}"), "schedules": [plan] });
        done(&app, "triggerCreate", "trigger { id }", input).await;
    }
    app.pass(SECOND * 64);
    // 64 rows of 200 KiB are 12.5 MiB: two schedules pass the 16 MiB.
    let first = app.engine.planner.run_once().await.expect("planning");
    let second = app.engine.planner.run_once().await.expect("planning");
    assert_eq!((first.schedules, second.schedules), (2, 1));
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_stops_no_other() {
    let app = TestApp::start().await;
    let (broken, plan) = scheduled(&app, "broken", cron("*/10 * * * *")).await;
    let (other, _) = scheduled(&app, "other", cron("*/10 * * * *")).await;
    app.work().await;
    let edit = |to: &str| {
        format!(
            "UPDATE schedule SET spec = replace(spec, 'UTC', '{to}') WHERE spec LIKE '%UTC%' \
                 AND trigger_id = (SELECT id FROM trigger WHERE name = 'broken')"
        )
    };
    behind_the_back(&app, &edit("Mars/Olympus_Mons")).await;
    app.advance(MINUTE * 6).await;
    app.advance(MINUTE * 4).await;
    assert_snapshot!(lines(&past(&app, &other).await), @"03-02 10:10:00 COMPLETED");
    assert!(past(&app, &broken).await.is_empty());
    // It can still be mended.
    let mend = json!({ "id": plan, "spec": cron("*/10 * * * *") });
    done(&app, "scheduleUpdate", "schedule { id }", mend).await;
    app.advance(MINUTE * 10).await;
    assert_snapshot!(lines(&past(&app, &broken).await), @"03-02 10:20:00 COMPLETED");
}

#[tokio::test]
async fn a_process_with_older_time_zones_leaves_walls_to_newer_ones_while_they_are_there() {
    let app = TestApp::start().await;
    app.work().await;
    let seen_at = app.now().millis();
    let newer = format!("UPDATE installation SET tzdata = '9999z', tzdata_seen_at = {seen_at}");
    behind_the_back(&app, &newer).await;
    let (wall, plan) = scheduled(&app, "wall", cron("* * * * *")).await;
    let (elapsed, _) = scheduled(&app, "elapsed", every("PT1M")).await;
    assert_eq!(schedule(&app, &plan, "state").await, "PENDING");
    assert_eq!(planned(&app, &elapsed).await.len(), 5);
    app.advance(MINUTE).await;
    assert!(planned(&app, &wall).await.is_empty());
    // Nobody with newer ones has been seen for long: they were taken back.
    for _ in 0..ZONES_LEFT_MS / 60_000 {
        app.advance(MINUTE).await;
    }
    assert_eq!(schedule(&app, &plan, "state").await, "SCHEDULED");
    assert_snapshot!(lines(&past(&app, &wall).await), @"
    03-02 10:01:00 COMPLETED, begun 03-02 10:02:00
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 COMPLETED
    ");
}

#[tokio::test]
async fn walls_are_left_for_so_long_and_no_longer() {
    let app = TestApp::start().await;
    let seen_at = app.now();
    let newer =
        format!("UPDATE installation SET tzdata = '9999z', tzdata_seen_at = {}", seen_at.millis());
    behind_the_back(&app, &newer).await;
    let ask = |after_ms: i64| {
        let (store, at) = (app.app.store(), seen_at.plus_ms(after_ms));
        store.change(Origin::Engine, move |change| {
            async move { zone::take_turn(change, tzdata_version(), at).await }.boxed()
        })
    };
    assert_eq!(ask(ZONES_LEFT_MS - 1).await.expect("an answer"), Turn::Newer);
    assert_eq!(ask(ZONES_LEFT_MS).await.expect("an answer"), Turn::Ours(0));
}
