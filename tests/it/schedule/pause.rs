//! While a schedule or its trigger is paused, its instants fold into one range.

use insta::assert_snapshot;
use serde_json::json;

use super::{DAY, MINUTE, SECOND};
use crate::TestApp;
use crate::operation::{cron, done, every, fire, lines, log, past, planned, schedule, scheduled};

#[tokio::test]
async fn a_paused_schedule_folds_its_instants_into_one_range_that_ends_with_the_pause() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "ticks", every("PT10S")).await;
    app.advance(SECOND * 10).await;
    let input = json!({ "id": plan, "reason": "holidays" });
    let paused =
        done(&app, "schedulePause", "schedule { state pauseReason nextFireAt }", input).await;
    let mut story = vec![paused["schedule"].to_string()];
    for _ in 0..3 {
        app.advance(MINUTE).await;
        story.extend(past(&app, &id).await);
    }
    story.push(format!("told: {:?}", log(&app, "firing.skipped").await));
    app.advance(SECOND * 5).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    app.advance(SECOND * 5).await;
    story.extend(past(&app, &id).await);
    story.extend(log(&app, "firing.skipped").await);
    assert_snapshot!(lines(&story), @r#"
    {"nextFireAt":null,"pauseReason":"holidays","state":"PAUSED"}
    03-02 10:00:10 COMPLETED
    03-02 10:00:20 - 03-02 10:01:10 SKIPPED PAUSED x 6
    03-02 10:00:10 COMPLETED
    03-02 10:00:20 - 03-02 10:02:10 SKIPPED PAUSED x 12
    03-02 10:00:10 COMPLETED
    03-02 10:00:20 - 03-02 10:03:10 SKIPPED PAUSED x 18
    told: []
    03-02 10:00:10 COMPLETED
    03-02 10:00:20 - 03-02 10:03:10 SKIPPED PAUSED x 18
    03-02 10:03:20 COMPLETED
    firing.skipped: 18 instants were skipped: PAUSED
    "#);
}

#[tokio::test]
async fn an_instant_that_is_due_when_the_pause_begins_is_part_of_it() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.work().await;
    app.pass(MINUTE);
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.engine.executor.run_once().await.expect("a claim");
    app.advance(MINUTE).await;
    app.advance(MINUTE).await;
    assert_eq!(past(&app, &id).await, ["03-02 10:01:00 - 03-02 10:03:00 SKIPPED PAUSED x 3"]);
}

#[tokio::test]
async fn a_paused_trigger_stops_all_its_schedules_but_not_the_api() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "minutely", cron("* * * * *")).await;
    let input = json!({ "triggerId": id, "spec": every("PT120S") });
    done(&app, "scheduleCreate", "schedule { id }", input).await;
    let input = json!({ "id": id, "reason": "stocktaking" });
    let selection = "trigger { state pauseReason }";
    let mut story = vec![done(&app, "triggerPause", selection, input).await["trigger"].to_string()];
    story.push(format!("planned: {:?}", planned(&app, &id).await));
    story.push(format!("next: {}", schedule(&app, &plan, "nextFireAt").await));
    app.advance(MINUTE * 2).await;
    fire(&app, &id).await;
    app.advance(MINUTE * 2).await;
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    story.extend(past(&app, &id).await);
    story.extend(log(&app, "firing.skipped").await);
    assert_snapshot!(lines(&story), @r#"
    {"pauseReason":"stocktaking","state":"PAUSED"}
    planned: []
    next: null
    03-02 10:01:00 - 03-02 10:04:00 SKIPPED PAUSED x 4
    03-02 10:02:00 - 03-02 10:04:00 SKIPPED PAUSED x 2
    03-02 10:02:00 COMPLETED, begun 03-02 10:04:00
    03-02 10:05:00 COMPLETED
    firing.skipped: 4 instants were skipped: PAUSED
    firing.skipped: 2 instants were skipped: PAUSED
    "#);
}

#[tokio::test]
async fn a_one_time_schedule_whose_instant_passes_in_a_pause_does_not_fire_later() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "once", json!({ "in": "PT1M" })).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.advance(MINUTE * 2).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    app.advance(MINUTE).await;
    assert_eq!(past(&app, &id).await, ["03-02 10:01:00 - 03-02 10:01:00 SKIPPED PAUSED x 1"]);
    assert_eq!(schedule(&app, &plan, "state").await, json!("PROCESSED"));
}

#[tokio::test]
async fn a_pause_that_outlasts_an_outage_still_fires_nothing_of_it() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "ticks", every("PT1S")).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.pass(DAY * 3);
    let input = json!({ "id": plan });
    done(&app, "scheduleResume", "schedule { id }", input).await;
    app.work().await;
    app.advance(SECOND).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:00:01 - 03-05 10:00:00 SKIPPED PAUSED x 259200
    03-05 10:00:01 COMPLETED
    ");
}

#[tokio::test]
async fn a_schedule_paused_by_itself_stays_so_when_its_trigger_resumes() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "minutely", cron("* * * * *")).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    assert_eq!(schedule(&app, &plan, "state").await, json!("PAUSED"));
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    app.advance(MINUTE).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 - 03-02 10:02:00 SKIPPED PAUSED x 2
    03-02 10:03:00 COMPLETED
    ");
}
