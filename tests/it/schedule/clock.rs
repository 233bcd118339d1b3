//! Clocks that leap, and time zones that change: no recorded instant fires again.

use insta::assert_snapshot;
use sea_orm::ConnectionTrait as _;

use super::{HOUR, MINUTE, SECOND};
use crate::TestApp;
use crate::operation::{cron, lines, past, planned, scheduled};

#[tokio::test]
async fn a_clock_that_swings_around_an_instant_fires_it_once() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let instant = app.now().plus_ms(60_000);
    for swing in 0..20 {
        app.set_clock(instant.plus_ms(if swing % 2 == 0 { 5_000 } else { -5_000 }));
        app.work().await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @"03-02 10:01:00 COMPLETED, begun 03-02 10:01:05");
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_catches_up_and_one_that_comes_back_repeats_nothing() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.advance(MINUTE).await;
    let right = app.now();
    app.advance(HOUR).await;
    app.set_clock(right);
    for _ in 0..3 {
        app.advance(MINUTE).await;
    }
    app.set_clock(right.plus_ms(3_600_000));
    app.advance(MINUTE + SECOND).await;
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 11:00:00 SKIPPED CATCH_UP x 59
    03-02 11:01:00 COMPLETED
    03-02 11:02:00 COMPLETED, begun 03-02 11:02:01
    ");
}

#[tokio::test]
async fn new_time_zones_move_what_lies_ahead_and_nothing_that_is_recorded() {
    let mut app = TestApp::start().await;
    let spec = serde_json::json!({
        "cron": { "expression": "*/7 5-6 * * *", "timeZone": "America/New_York" }
    });
    let (id, _) = scheduled(&app, "five in the morning", spec).await;
    app.advance(HOUR * 24).await;
    app.advance(MINUTE * 3).await;
    let before = [past(&app, &id).await, planned(&app, &id).await].concat();
    // What a new database would say of the zone another zone says already: half an hour off.
    let db = sea_orm::Database::connect(app.database_url()).await.expect("the database");
    for sql in [
        "UPDATE schedule SET spec = replace(spec, 'America/New_York', 'America/St_Johns')",
        "UPDATE installation SET tzdata = '1970a'",
    ] {
        db.execute_unprepared(sql).await.expect("a change behind the back");
    }
    app = app.restart().await;
    app.work().await;
    let after = [past(&app, &id).await, planned(&app, &id).await].concat();
    let shown = [before, vec!["then".to_owned()], after].concat();
    assert_snapshot!(lines(&shown), @"
    03-02 10:07:00 - 03-02 11:56:00 SKIPPED CATCH_UP x 17
    03-03 10:00:00 COMPLETED
    03-03 10:07:00
    then
    03-02 10:07:00 - 03-02 11:56:00 SKIPPED CATCH_UP x 17
    03-03 10:00:00 COMPLETED
    03-03 10:05:00
    ");
}
