//! Test triggers: they fire exactly once and then go.

use belfry::store::{Origin, trigger as store};
use entity::{TriggerId, trigger as row};
use futures_util::FutureExt as _;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use super::{names, post};
use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, fire, lines, list, log, mutation, past, planned, refused, text, trigger,
};
use crate::schedule::MINUTE;

async fn exists(app: &TestApp, id: &str) -> bool {
    let query = "query($id: ID!) { trigger(by: { id: $id }) { isTest } }";
    !ask(app, "trigger", query, json!({ "id": id })).await.is_null()
}

async fn create(app: &TestApp, schedules: Value) -> String {
    trigger(app, json!({ "name": "trial", "isTest": true, "schedules": schedules })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_concurrent_fires_one_executes() {
    let app = std::sync::Arc::new(TestApp::start().await);
    let receiver = Receiver::start().await;
    let input = json!({ "name": "trial", "isTest": true, "action": post(receiver.url("/")) });
    let id = trigger(&app, input).await;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(50));
    let mut fires = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (app, id, barrier) = (app.clone(), id.clone(), barrier.clone());
        fires.spawn(async move {
            let query = mutation("triggerFire", "firing { id }");
            barrier.wait().await;
            ask(&app, "triggerFire", &query, json!({ "input": { "triggerId": id } })).await
        });
    }
    let answers = fires.join_all().await;
    app.work().await;
    let is_fired = |answer: &&Value| !answer["firing"].is_null();
    assert_eq!(answers.iter().filter(is_fired).count(), 1);
    assert_eq!(receiver.received().len(), 1);
    assert!(!exists(&app, &id).await);
    let mut others: Vec<String> = answers
        .iter()
        .filter(|answer| answer["firing"].is_null())
        .map(|answer| answer["userErrors"][0].to_string())
        .collect();
    others.dedup();
    assert_snapshot!(lines(&others), @r#"{"code":"CONFLICT","field":"triggerId","message":"this test trigger has fired already; it fires exactly once"}"#);
}

#[tokio::test]
async fn it_is_found_by_id_and_flag_until_its_terminal_status() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(503));
    let input = json!({ "name": "trial", "isTest": true, "action": post(receiver.url("/")) });
    let id = trigger(&app, input).await;
    let firing = fire(&app, &id).await;
    app.work().await;
    let query = "query($id: ID!) { firing(id: $id) { status isTest trigger { name } } }";
    let mut story = vec![ask(&app, "firing", query, json!({ "id": firing })).await.to_string()];
    assert!(exists(&app, &id).await);
    assert_eq!(names(&app, json!({ "isTest": "ONLY" })).await, ["trial"]);
    assert_eq!(names(&app, json!({})).await, Vec::<String>::new());
    app.advance(MINUTE).await;
    story.push(ask(&app, "firing", query, json!({ "id": firing })).await.to_string());
    assert!(!exists(&app, &id).await);
    assert_eq!(names(&app, json!({ "isTest": "ONLY" })).await, Vec::<String>::new());
    story.extend(log(&app, "firing.").await);
    assert_snapshot!(lines(&story), @r#"
    {"isTest":true,"status":"RETRYING","trigger":{"name":"trial"}}
    {"isTest":true,"status":"COMPLETED","trigger":null}
    firing.accepted: - by a key (test)
    firing.completed: - (test)
    "#);
}

#[tokio::test]
async fn a_repeat_with_the_key_answers_with_the_firing_although_the_trigger_went() {
    let app = TestApp::start().await;
    let id = create(&app, json!([])).await;
    let input = json!({ "triggerId": id, "idempotencyKey": "k" });
    let first = done(&app, "triggerFire", "firing { id }", input.clone()).await;
    assert_eq!(done(&app, "triggerFire", "firing { id }", input.clone()).await, first);
    app.work().await;
    assert_eq!(done(&app, "triggerFire", "firing { id }", input).await, first);
}

#[tokio::test]
async fn with_a_schedule_it_fires_once_and_nothing_of_it_is_left() {
    let app = TestApp::start().await;
    let id = create(&app, json!([{ "spec": cron("* * * * *") }, { "spec": every("PT60S") }])).await;
    assert_eq!(planned(&app, &id).await.len(), 10);
    for _ in 0..7 {
        app.advance(MINUTE).await;
    }
    assert!(!exists(&app, &id).await);
    assert_eq!(planned(&app, &id).await, Vec::<String>::new());
    let story = [past(&app, &id).await, log(&app, "firing.").await].concat();
    assert_snapshot!(lines(&story), @r"
    03-02 10:01:00 COMPLETED
    firing.completed: - (test)
    ");
}

#[tokio::test]
async fn fired_by_api_its_schedule_fires_no_more() {
    let app = TestApp::start().await;
    let id = create(&app, json!([{ "spec": cron("* * * * *") }])).await;
    let input = json!({ "triggerId": id, "in": "PT150S" });
    done(&app, "triggerFire", "firing { id }", input).await;
    assert_eq!(planned(&app, &id).await, ["03-02 10:02:30"]);
    for _ in 0..5 {
        app.advance(MINUTE).await;
    }
    let story = [past(&app, &id).await, log(&app, "firing.").await].concat();
    assert_snapshot!(lines(&story), @r"
    03-02 10:02:30 COMPLETED, begun 03-02 10:03:00
    firing.accepted: - by a key (test)
    firing.completed: - (test)
    ");
    assert!(!exists(&app, &id).await);
}

#[tokio::test]
async fn a_refused_payload_does_not_use_it_up() {
    let app = TestApp::start().await;
    let input = json!({ "name": "trial", "isTest": true, "payloadSchema": { "type": "string" } });
    let id = trigger(&app, input).await;
    refused(&app, "triggerFire", json!({ "triggerId": id, "payload": 1 })).await;
    let input = json!({ "triggerId": id, "payload": "x" });
    done(&app, "triggerFire", "firing { id }", input).await;
    app.work().await;
    assert_eq!(past(&app, &id).await, ["03-02 10:00:00 COMPLETED"]);
}

#[tokio::test]
async fn it_can_be_changed_and_deleted_like_any_other() {
    let app = TestApp::start().await;
    let id = create(&app, json!([])).await;
    done(&app, "triggerUpdate", "trigger { id }", json!({ "id": id, "name": "other" })).await;
    done(&app, "triggerDelete", "deletedId", json!({ "id": id })).await;
    assert!(!exists(&app, &id).await);
    create(&app, json!([])).await;
}

#[tokio::test]
async fn a_cancelled_firing_takes_it_along() {
    let app = TestApp::start().await;
    let id = create(&app, json!([])).await;
    let input = json!({ "triggerId": id, "in": "PT1M" });
    let fired = done(&app, "triggerFire", "firing { id }", input).await;
    let input = json!({ "id": text(&fired["firing"]["id"]) });
    done(&app, "firingCancel", "firing { id }", input).await;
    assert!(!exists(&app, &id).await);
    let query = "{ firings(filter: { isTest: ONLY }) { nodes { status isTest } } }";
    let found = ask(&app, "firings", query, json!({})).await;
    assert_eq!(list(&found["nodes"]), [json!({ "status": "CANCELLED", "isTest": true })]);
}

#[tokio::test]
async fn an_edit_that_read_before_it_was_used_up_does_not_give_it_back() {
    let app = TestApp::start().await;
    let id: TriggerId = create(&app, json!([])).await.parse().expect("an id");
    let (project, now) = (app.caller.project, app.now());
    let change = app.app.store().change(Origin::Edit, move |change| {
        async move {
            let read = store::get(change, project, id).await?.expect("the trigger");
            assert!(store::set_consumed(change, project, id, now).await?);
            store::set(change, &row::Model { description: Some("new".into()), ..read }).await?;
            store::set_consumed(change, project, id, now).await
        }
        .boxed()
    });
    assert!(!change.await.expect("a change"), "it was used up twice");
}
