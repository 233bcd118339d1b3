//! Catch-up: what fires and what is recorded as missed after Belfry was down.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use super::{DAY, HOUR, MINUTE, SECOND};
use crate::TestApp;
use crate::operation::{cron, every, lines, log, past, planned, scheduled};

#[tokio::test]
async fn after_an_outage_the_newest_missed_instant_fires_and_the_rest_is_one_range() {
    let mut app = TestApp::start().await;
    let (id, _) = scheduled(&app, "ten", cron("*/10 * * * *")).await;
    app.advance(MINUTE * 10).await;
    app.pass(HOUR * 2 + MINUTE * 5);
    app = app.restart().await;
    app.work().await;
    let shown = [past(&app, &id).await, log(&app, "firing.skipped").await].concat();
    assert_snapshot!(lines(&shown), @r"
    03-02 10:10:00 COMPLETED
    03-02 10:20:00 - 03-02 12:00:00 SKIPPED CATCH_UP x 11
    03-02 12:10:00 COMPLETED, begun 03-02 12:15:00
    firing.skipped: 11 instants were skipped: CATCH_UP
    ");
}

#[tokio::test]
async fn rows_that_were_planned_before_the_outage_count_as_missed_too() {
    let mut app = TestApp::start().await;
    let (id, _) = scheduled(&app, "ticks", every("PT20S")).await;
    app.work().await;
    app.pass(SECOND * 130);
    app = app.restart().await;
    app.work().await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:00:20 - 03-02 10:01:40 SKIPPED CATCH_UP x 5
    03-02 10:02:00 COMPLETED, begun 03-02 10:02:10
    ");
}

#[tokio::test]
async fn an_executor_that_wakes_before_the_planner_takes_nothing_that_was_missed() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.work().await;
    app.pass(MINUTE * 4);
    app.engine.executor.run_once().await.expect("a claim");
    app.engine.executor.idle().await;
    app.work().await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 - 03-02 10:01:00 SKIPPED CATCH_UP x 1
    03-02 10:02:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:03:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:04:00 COMPLETED
    ");
}

#[tokio::test]
async fn within_the_grace_it_is_late_and_past_it_missed() {
    for (late_ms, expected) in [(60_000, 4), (60_001, 2)] {
        let app = TestApp::start().await;
        let (id, _) = scheduled(&app, "ticks", every("PT20S")).await;
        app.pass(SECOND * 20 + Duration::from_millis(late_ms));
        app.work().await;
        assert_eq!(past(&app, &id).await.len(), expected, "{late_ms} ms late");
    }
}

#[tokio::test]
async fn a_one_time_schedule_is_caught_up_for_a_day_and_then_recorded_as_missed() {
    for (late, expected) in [
        (DAY, "03-02 10:01:00 COMPLETED, begun 03-03 10:01:00"),
        (DAY + SECOND, "03-02 10:01:00 - 03-02 10:01:00 SKIPPED CATCH_UP x 1"),
    ] {
        let app = TestApp::start().await;
        let (id, _) = scheduled(&app, "once", json!({ "in": "PT1M" })).await;
        app.pass(MINUTE + late);
        let app = app.restart().await;
        app.work().await;
        assert_eq!(past(&app, &id).await, [expected]);
    }
}

#[tokio::test]
async fn a_week_without_a_schedule_of_a_second_is_one_row() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "ticks", every("PT1S")).await;
    app.work().await;
    app.pass(DAY * 7);
    let app = app.restart().await;
    app.work().await;
    app.advance(SECOND).await;
    let shown = [past(&app, &id).await, log(&app, "firing.skipped").await].concat();
    assert_snapshot!(lines(&shown), @r"
    03-02 10:00:01 - 03-09 09:59:59 SKIPPED CATCH_UP x 604799
    03-09 10:00:00 COMPLETED
    03-09 10:00:01 COMPLETED
    firing.skipped: 604799 instants were skipped: CATCH_UP
    ");
    assert!(planned(&app, &id).await.len() <= 64);
}

#[tokio::test]
async fn what_is_caught_up_but_finds_no_slot_gives_way_to_the_next() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "ten", cron("*/10 * * * *")).await;
    // Only the planner works.
    for _ in 0..4 {
        app.pass(MINUTE * 10);
        while app.engine.planner.run_once().await.expect("planning").schedules != 0 {}
    }
    app.work().await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:10:00 - 03-02 10:10:00 SKIPPED CATCH_UP x 1
    03-02 10:20:00 - 03-02 10:20:00 SKIPPED CATCH_UP x 1
    03-02 10:30:00 - 03-02 10:30:00 SKIPPED CATCH_UP x 1
    03-02 10:40:00 COMPLETED
    ");
}

#[tokio::test]
async fn while_nobody_executes_what_is_missed_is_one_range_with_one_event() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    // Only the planner works, several times in each minute.
    for _ in 0..60 {
        app.pass(SECOND * 20);
        while app.engine.planner.run_once().await.expect("planning").schedules != 0 {}
    }
    app.work().await;
    app.advance(MINUTE).await;
    let shown = [past(&app, &id).await, log(&app, "firing.skipped").await].concat();
    assert_snapshot!(lines(&shown), @"
    03-02 10:01:00 - 03-02 10:18:00 SKIPPED CATCH_UP x 18
    03-02 10:19:00 COMPLETED, begun 03-02 10:20:00
    03-02 10:20:00 COMPLETED
    03-02 10:21:00 COMPLETED
    firing.skipped: 18 instants were skipped: CATCH_UP
    ");
}
