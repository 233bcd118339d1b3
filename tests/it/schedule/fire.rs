//! Run now: a schedule's firing by hand.

use insta::assert_snapshot;
use serde_json::json;

use super::{HOUR, MINUTE};
use crate::TestApp;
use crate::operation::{ask, cron, done, lines, list, log, past, planned, refused, schedule, text};

const FIRE: &str = "firing { id cause status payload nominalAt schedule { id } }";

#[tokio::test]
async fn a_schedule_is_fired_by_hand_and_its_plan_stays() {
    let app = TestApp::start().await;
    let input = json!({ "name": "report", "overlap": "ALLOW", "schedules": [
        { "name": "daily", "spec": cron("0 12 * * *"), "payload": { "kind": "day" } },
        { "name": "weekly", "spec": cron("0 12 * * mon"), "payload": { "kind": "week" } },
    ] });
    let made = done(&app, "triggerCreate", "trigger { id schedules { id } }", input).await;
    let (id, weekly) = (text(&made["trigger"]["id"]), &made["trigger"]["schedules"][1]["id"]);
    let next = schedule(&app, &text(weekly), "nextFireAt").await;
    app.advance(HOUR).await;
    let fired = done(&app, "scheduleFire", FIRE, json!({ "id": weekly })).await["firing"].clone();
    assert_eq!(
        (&fired["cause"], &fired["payload"]),
        (&json!("MANUAL"), &json!({ "kind": "week" }))
    );
    assert_eq!(fired["schedule"]["id"], *weekly);
    app.work().await;
    assert_eq!(schedule(&app, &text(weekly), "nextFireAt").await, next);
    app.advance(HOUR).await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 11:00:00 COMPLETED
    03-02 12:00:00 COMPLETED
    03-02 12:00:00 COMPLETED
    ");
    assert_snapshot!(lines(&log(&app, "firing.accepted").await), @"firing.accepted: - by a key");
}

#[tokio::test]
async fn it_fires_while_paused_and_once_for_each_key() {
    let app = TestApp::start().await;
    let input = json!({ "name": "report", "schedules": [{ "spec": cron("* * * * *") }] });
    let made = done(&app, "triggerCreate", "trigger { id schedules { id } }", input).await;
    let (trigger, id) = (&made["trigger"]["id"], &made["trigger"]["schedules"][0]["id"]);
    done(&app, "triggerPause", "trigger { id }", json!({ "id": trigger })).await;
    let input = json!({ "id": id, "idempotencyKey": "now" });
    let first = done(&app, "scheduleFire", "firing { id }", input.clone()).await;
    app.work().await;
    assert_eq!(done(&app, "scheduleFire", "firing { id }", input).await, first);
    let query = "query($id: ID!) { firing(id: $id) { status } }";
    let found = ask(&app, "firing", query, json!({ "id": first["firing"]["id"] })).await;
    assert_eq!(found["status"], "COMPLETED");
    app.advance(MINUTE).await;
    assert_eq!(planned(&app, &text(trigger)).await, Vec::<String>::new());
    done(&app, "scheduleDelete", "deletedId", json!({ "id": id })).await;
    let errors = refused(&app, "scheduleFire", json!({ "id": id })).await;
    assert!(errors[0].starts_with("NOT_FOUND id: "), "{errors:?}");
    let query = "query($id: ID!) { firings(filter: { scheduleId: { eq: $id },
        cause: { eq: MANUAL } }) { nodes { id } } }";
    let found = ask(&app, "firings", query, json!({ "id": id })).await;
    assert_eq!(list(&found["nodes"]).len(), 1);
}
