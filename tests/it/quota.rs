//! Quotas: what fits exactly is taken, one more is refused and changes nothing.

use std::time::Duration;

use belfry::limits::{QUOTA_REFUSED_MS, QUOTA_SAMPLE_MS};
use belfry::service::{Caller, api_key};
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{list, mutation, text};
use crate::project::tenant;
use crate::wire::http;

/// What a mutation of `caller` came to: `done`, or its user errors.
async fn done_by(app: &TestApp, caller: &Caller, name: &str, input: Value) -> String {
    let variables = json!({ "input": input });
    let answer = app.graphql_as(caller, &mutation(name, ""), variables).await;
    let shown = |error: &Value| {
        format!("{} {}: {}", text(&error["code"]), text(&error["field"]), text(&error["message"]))
    };
    assert!(answer.get("errors").is_none(), "{answer}");
    let errors: Vec<String> = list(&answer["data"][name]["userErrors"]).iter().map(shown).collect();
    if errors.is_empty() { "done".to_owned() } else { errors.join("; ") }
}

fn used_up(field: &str, quota: &str) -> String {
    format!("QUOTA_EXCEEDED {field}: the project has a quota of {quota}, which is used up")
}

async fn total(app: &TestApp, caller: &Caller, list: &str) -> i64 {
    let query = format!("{{ {list} {{ totalCount }} }}");
    let found = app.graphql_as(caller, &query, json!({})).await["data"][list].clone();
    found["totalCount"].as_i64().expect("a number")
}

fn trigger(name: &str, schedules: usize) -> Value {
    let schedule = json!({ "spec": { "every": { "interval": "PT1H" } } });
    json!({ "name": name, "schedules": vec![schedule; schedules] })
}

#[tokio::test]
async fn triggers_and_schedules_fit_up_to_their_quotas() {
    let app = TestApp::start().await;
    let (caller, _) = tenant(&app, "shop", json!({ "triggers": 2, "schedules": 3 })).await;
    let create = async |input| done_by(&app, &caller, "triggerCreate", input).await;
    assert_eq!(create(trigger("a", 2)).await, "done");
    assert_eq!(create(trigger("b", 2)).await, used_up("schedules", "3 schedules"));
    assert_eq!(create(trigger("b", 1)).await, "done");
    assert_eq!(create(trigger("c", 0)).await, used_up("-", "2 triggers"));
    let query = "{ trigger(by: { name: \"b\" }) { id } }";
    let found = app.graphql_as(&caller, query, json!({})).await["data"]["trigger"].clone();
    let input = json!({ "triggerId": found["id"], "spec": { "every": { "interval": "PT1H" } } });
    let added = done_by(&app, &caller, "scheduleCreate", input.clone()).await;
    assert_eq!(added, used_up("-", "3 schedules"));
    assert_eq!(total(&app, &caller, "triggers").await, 2);
    assert_eq!(total(&app, &caller, "schedules").await, 3);
    let deleted = done_by(&app, &caller, "triggerDelete", json!({ "id": found["id"] })).await;
    assert_eq!((&*deleted, &*create(trigger("c", 1)).await), ("done", "done"));
}

#[tokio::test]
async fn keys_that_hold_fit_up_to_their_quota() {
    let app = TestApp::start().await;
    let (caller, _) = tenant(&app, "shop", json!({ "apiKeys": 2 })).await;
    let input = |length: &str| json!({ "name": "k", "scopes": ["READ"], "expiresIn": length });
    let create = async |length| done_by(&app, &caller, "apiKeyCreate", input(length)).await;
    assert_eq!(create("PT1H").await, "done");
    assert_eq!(create("PT1H").await, used_up("-", "2 API keys"));
    app.pass(Duration::from_secs(3_600));
    assert_eq!(create("PT1H").await, "done");
}

#[tokio::test]
async fn firings_wait_up_to_their_quota_whatever_accepts_them() {
    let app = TestApp::start().await;
    app.listen().await;
    let input = json!({ "name": "shop", "quotas": { "waitingFirings": 4 } });
    let made = crate::operation::done(&app, "projectCreate", "secret", input).await;
    let key = text(&made["secret"]);
    let caller = api_key::authenticate(&app.app, Some(&key)).await.expect("the key holds");
    assert_eq!(done_by(&app, &caller, "triggerCreate", trigger("t", 0)).await, "done");
    let query = "{ trigger(by: { name: \"t\" }) { id } }";
    let id = app.graphql_as(&caller, query, json!({})).await["data"]["trigger"]["id"].clone();

    let fire = async || {
        let input = json!({ "triggerId": id, "in": "PT1H" });
        done_by(&app, &caller, "triggerFire", input).await
    };
    let timer = json!({ "length": { "duration": "PT1H" }, "target": { "triggerId": id } });
    let timers = async |count: usize| {
        let input = json!({ "timers": vec![timer.clone(); count] });
        done_by(&app, &caller, "timersStart", input).await
    };
    assert_eq!(fire().await, "done");
    assert_eq!(timers(4).await, used_up("timers", "4 waiting firings"));
    assert_eq!(timers(3).await, "done");
    assert_eq!(fire().await, used_up("-", "4 waiting firings"));
    assert_eq!(total(&app, &caller, "firings").await, 4);
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let body = r#"{"seconds": 1, "url": "https://example.com/"}"#;
    let answer = http(&app, "POST /timer", &headers, body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));

    // What it got rid of counts for a second more.
    let query = "{ timers(first: 1) { nodes { id } } }";
    let found = app.graphql_as(&caller, query, json!({})).await["data"]["timers"].clone();
    let timer = json!({ "id": found["nodes"][0]["id"] });
    assert_eq!(done_by(&app, &caller, "timerCancel", timer).await, "done");
    let refused_ms = QUOTA_REFUSED_MS.unsigned_abs();
    app.pass(Duration::from_millis(refused_ms));
    assert_eq!((&*fire().await, fire().await), ("done", used_up("-", "4 waiting firings")));
}

#[tokio::test]
async fn a_replay_counts_and_its_repeat_does_not() {
    let app = TestApp::start().await;
    let (caller, _) = tenant(&app, "shop", json!({ "waitingFirings": 1 })).await;
    assert_eq!(done_by(&app, &caller, "triggerCreate", trigger("t", 0)).await, "done");
    let query = "{ trigger(by: { name: \"t\" }) { id } }";
    let id = app.graphql_as(&caller, query, json!({})).await["data"]["trigger"]["id"].clone();
    assert_eq!(done_by(&app, &caller, "triggerFire", json!({ "triggerId": id })).await, "done");
    app.work().await;
    app.pass(Duration::from_millis(QUOTA_SAMPLE_MS.unsigned_abs()));
    let query = "{ firings { nodes { id } } }";
    let found = app.graphql_as(&caller, query, json!({})).await["data"]["firings"].clone();
    let id = found["nodes"][0]["id"].clone();
    let replay = async |key: &str| {
        let input = json!({ "id": id, "idempotencyKey": key });
        done_by(&app, &caller, "firingReplay", input).await
    };
    assert_eq!((&*replay("a").await, &*replay("a").await), ("done", "done"));
    assert_eq!(replay("b").await, used_up("-", "1 waiting firings"));
}

#[tokio::test]
async fn planned_firings_count_and_are_never_refused() {
    let app = TestApp::start().await;
    let (caller, _) = tenant(&app, "shop", json!({ "waitingFirings": 2 })).await;
    let input =
        json!({ "name": "t", "schedules": [{ "spec": { "every": { "interval": "PT1M" } } }] });
    assert_eq!(done_by(&app, &caller, "triggerCreate", input).await, "done");
    assert!(2 < total(&app, &caller, "firings").await, "five minutes are planned");
    let query = "{ trigger(by: { name: \"t\" }) { id } }";
    let id = app.graphql_as(&caller, query, json!({})).await["data"]["trigger"]["id"].clone();
    let fire = async || done_by(&app, &caller, "triggerFire", json!({ "triggerId": id })).await;
    assert_eq!(fire().await, used_up("-", "2 waiting firings"));
    let paused = done_by(&app, &caller, "triggerPause", json!({ "id": id })).await;
    app.pass(Duration::from_millis(QUOTA_SAMPLE_MS.unsigned_abs()));
    assert_eq!((&*paused, &*fire().await), ("done", "done"));
}

#[tokio::test]
async fn a_quota_that_is_changed_counts_from_the_next_look_at_the_key() {
    let app = TestApp::start().await;
    let (caller, id) = tenant(&app, "shop", json!({ "triggers": 0 })).await;
    let create = async || done_by(&app, &caller, "triggerCreate", trigger("t", 0)).await;
    assert_eq!(create().await, used_up("-", "0 triggers"));
    let input = json!({ "id": id, "quotas": { "triggers": 1 } });
    assert_eq!(done_by(&app, &app.caller, "projectUpdate", input).await, "done");
    assert_eq!((&*create().await, total(&app, &caller, "triggers").await), ("done", 1));
}
