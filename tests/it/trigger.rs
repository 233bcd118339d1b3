//! Triggers: made, read, listed, changed, deleted; what the log says of it.

mod ending;
mod failures;
mod fire;
mod once;
mod test_trigger;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Receiver, redact};

use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, fire, lines, list, log, past, planned, refused, scheduled, text,
    trigger,
};
use crate::schedule::{MINUTE, SECOND};

const ALL: &str = "id name description version state isTest payloadSchema pauseReason pausedBy
    action { name } inlineStages { name kind config } schedules { summary } createdAt updatedAt";

/// A trigger by id, every field.
async fn read(app: &TestApp, id: &str) -> Value {
    let query = format!("query($id: ID!) {{ trigger(by: {{ id: $id }}) {{ {ALL} }} }}");
    ask(app, "trigger", &query, json!({ "id": id })).await
}

/// The names on the first page of a list.
async fn names(app: &TestApp, filter: Value) -> Vec<String> {
    let query = "query($filter: TriggerFilter) { triggers(filter: $filter) {
        totalCount nodes { name } } }";
    let page = ask(app, "triggers", query, json!({ "filter": filter })).await;
    let names: Vec<String> = list(&page["nodes"]).iter().map(|row| text(&row["name"])).collect();
    assert_eq!(page["totalCount"], json!(names.len()));
    names
}

fn post(url: String) -> Value {
    json!({ "inline": { "stages": [{ "name": "post", "config": { "http": { "url": url } } }] } })
}

#[tokio::test]
async fn a_trigger_is_made_with_its_schedules_and_read_by_id_and_by_name() {
    let app = TestApp::start().await;
    let input = json!({
        "name": "order paid",
        "description": "an order was paid",
        "payloadSchema": { "type": ["object", "null"] },
        "action": { "inline": { "stages": [
            { "name": "note", "config": { "log": { "message": "paid" } } }] } },
        "schedules": [{ "name": "noon", "spec": cron("0 12 * * *") }],
    });
    let id = trigger(&app, input).await;
    let by_id = read(&app, &id).await;
    let query = format!("{{ trigger(by: {{ name: \"order paid\" }}) {{ {ALL} }} }}");
    assert_eq!(ask(&app, "trigger", &query, json!({})).await, by_id);
    let query = "query($id: ID!) { node(id: $id) { __typename id } }";
    let node = ask(&app, "node", query, json!({ "id": id })).await;
    assert_eq!(node, json!({ "__typename": "Trigger", "id": id }));
    assert_snapshot!(serde_json::to_string_pretty(&redact(by_id)).expect("JSON"), @r#"
    {
      "action": null,
      "createdAt": "2026-03-02T10:00:00Z",
      "description": "an order was paid",
      "id": "trg_…",
      "inlineStages": [
        {
          "config": {
            "message": "paid"
          },
          "kind": "log",
          "name": "note"
        }
      ],
      "isTest": false,
      "name": "order paid",
      "pauseReason": null,
      "pausedBy": null,
      "payloadSchema": {
        "type": [
          "object",
          "null"
        ]
      },
      "schedules": [
        {
          "summary": "every day at 12:00, UTC"
        }
      ],
      "state": "ACTIVE",
      "updatedAt": "2026-03-02T10:00:00Z",
      "version": 1
    }
    "#);
}

#[tokio::test]
async fn a_list_is_newest_first_and_filters_by_name_state_and_flag() {
    let app = TestApp::start().await;
    trigger(&app, json!({ "name": "Alpha" })).await;
    scheduled(&app, "beta once", json!({ "in": "PT1S" })).await;
    scheduled(&app, "beta often", every("PT60S")).await;
    let (paused, _) = scheduled(&app, "gamma", json!({ "in": "PT1S" })).await;
    trigger(&app, json!({ "name": "test", "isTest": true })).await;
    done(&app, "triggerPause", "trigger { id }", json!({ "id": paused })).await;
    app.advance(SECOND).await;
    let mut story = Vec::new();
    for filter in [
        Value::Null,
        json!({ "isTest": "ONLY" }),
        json!({ "isTest": "INCLUDE" }),
        json!({ "name": { "contains": "ALPHA" } }),
        json!({ "name": { "startsWith": "beta" } }),
        json!({ "name": { "in": ["gamma", "test"] } }),
        json!({ "state": ["ACTIVE"] }),
        json!({ "state": ["PAUSED"] }),
        json!({ "state": ["COMPLETED"] }),
        json!({ "state": ["PAUSED", "COMPLETED"] }),
        json!({ "state": [] }),
        json!({ "state": ["ACTIVE"], "name": { "contains": "beta" } }),
        json!({ "createdAt": { "gt": "2026-03-02T10:00:00Z" } }),
    ] {
        story.push(format!("{filter}: {}", names(&app, filter.clone()).await.join(", ")));
    }
    assert_snapshot!(lines(&story), @r#"
    null: gamma, beta often, beta once, Alpha
    {"isTest":"ONLY"}: test
    {"isTest":"INCLUDE"}: test, gamma, beta often, beta once, Alpha
    {"name":{"contains":"ALPHA"}}: Alpha
    {"name":{"startsWith":"beta"}}: beta often, beta once
    {"name":{"in":["gamma","test"]}}: gamma
    {"state":["ACTIVE"]}: beta often, Alpha
    {"state":["PAUSED"]}: gamma
    {"state":["COMPLETED"]}: beta once
    {"state":["PAUSED","COMPLETED"]}: gamma, beta once
    {"state":[]}: 
    {"state":["ACTIVE"],"name":{"contains":"beta"}}: beta often
    {"createdAt":{"gt":"2026-03-02T10:00:00Z"}}:
    "#);
}

#[tokio::test]
async fn pages_follow_each_other_while_triggers_are_made() {
    let app = TestApp::start().await;
    for number in 1..=5 {
        trigger(&app, json!({ "name": format!("t{number}") })).await;
    }
    let query = "query($after: String) { triggers(first: 2, after: $after) {
        nodes { name } pageInfo { endCursor hasNextPage } } }";
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = ask(&app, "triggers", query, json!({ "after": after })).await;
        seen.extend(list(&page["nodes"]).iter().map(|row| text(&row["name"])));
        trigger(&app, json!({ "name": format!("new{}", seen.len()) })).await;
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, ["t5", "t4", "t3", "t2", "t1"]);
}

#[tokio::test]
async fn an_update_changes_what_is_said_and_null_removes_what_may_be_missing() {
    let app = TestApp::start().await;
    let id = trigger(
        &app,
        json!({
            "name": "t",
            "description": "old",
            "payloadSchema": { "type": "object" },
            "action": { "inline": { "stages": [
                { "name": "note", "config": { "log": { "message": "m" } } }] } },
        }),
    )
    .await;
    let mut story = Vec::new();
    for change in [
        json!({}),
        json!({ "name": "renamed" }),
        json!({ "description": null }),
        json!({ "payloadSchema": null }),
        json!({ "action": null }),
        json!({ "payloadSchema": true, "description": "new" }),
    ] {
        let mut input = json!({ "id": id });
        for (key, value) in change.as_object().expect("an object") {
            input[key] = value.clone();
        }
        done(&app, "triggerUpdate", "trigger { id }", input).await;
        let now = read(&app, &id).await;
        story.push(format!(
            "{change}: {} {} schema {} stages {} version {}",
            now["name"],
            now["description"],
            now["payloadSchema"],
            list(&now["inlineStages"]).len(),
            now["version"]
        ));
    }
    story.extend(refused(&app, "triggerUpdate", json!({ "id": id, "name": null })).await);
    assert_snapshot!(lines(&story), @r#"
    {}: "t" "old" schema {"type":"object"} stages 1 version 2
    {"name":"renamed"}: "renamed" "old" schema {"type":"object"} stages 1 version 3
    {"description":null}: "renamed" null schema {"type":"object"} stages 1 version 4
    {"payloadSchema":null}: "renamed" null schema null stages 1 version 5
    {"action":null}: "renamed" null schema null stages 0 version 6
    {"payloadSchema":true,"description":"new"}: "renamed" "new" schema true stages 0 version 7
    BAD_USER_INPUT name: expected a value, not null
    "#);
}

#[tokio::test]
async fn a_name_is_unique_among_triggers_that_live() {
    let app = TestApp::start().await;
    let first = trigger(&app, json!({ "name": "same" })).await;
    let other = trigger(&app, json!({ "name": "other" })).await;
    let mut said = refused(&app, "triggerCreate", json!({ "name": "same" })).await;
    said.extend(refused(&app, "triggerUpdate", json!({ "id": other, "name": "same" })).await);
    done(&app, "triggerDelete", "deletedId", json!({ "id": first })).await;
    trigger(&app, json!({ "name": "same" })).await;
    trigger(&app, json!({ "name": "Same" })).await;
    assert_snapshot!(lines(&said), @r#"
    CONFLICT name: another trigger is already named "same"
    CONFLICT name: another trigger is already named "same"
    "#);
}

#[tokio::test]
async fn of_two_changes_of_one_version_the_second_is_refused() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let change = |name: &str| json!({ "id": id, "expectedVersion": 1, "name": name });
    done(&app, "triggerUpdate", "trigger { id }", change("first")).await;
    let mut said = refused(&app, "triggerUpdate", change("second")).await;
    let input = json!({ "id": id, "expectedVersion": 1 });
    said.extend(refused(&app, "triggerDelete", input).await);
    assert_eq!(read(&app, &id).await["name"], json!("first"));
    done(&app, "triggerDelete", "deletedId", json!({ "id": id, "expectedVersion": 2 })).await;
    assert_snapshot!(lines(&said), @r"
    CONFLICT expectedVersion: expected version 1, but it is at version 2
    CONFLICT expectedVersion: expected version 1, but it is at version 2
    ");
}

#[tokio::test]
async fn a_deleted_trigger_takes_what_waits_with_it_and_leaves_what_happened() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    app.advance(MINUTE).await;
    let input = json!({ "triggerId": id, "in": "PT1H" });
    done(&app, "triggerFire", "firing { id }", input).await;
    done(&app, "triggerDelete", "deletedId", json!({ "id": id })).await;
    assert_eq!(read(&app, &id).await, Value::Null);
    assert_eq!(planned(&app, &id).await, Vec::<String>::new());
    app.advance(MINUTE * 90).await;
    let mut story = past(&app, &id).await;
    let query = "{ events(first: 10) { nodes { type triggerName trigger { id } } } }";
    let events = ask(&app, "events", query, json!({})).await;
    let shown = |event: &Value| format!("{} {}", text(&event["type"]), text(&event["triggerName"]));
    story.extend(list(&events["nodes"]).iter().map(shown));
    story.extend(refused(&app, "triggerDelete", json!({ "id": id })).await);
    story.extend(refused(&app, "triggerFire", json!({ "triggerId": id })).await);
    assert_snapshot!(lines(&story).replace(&id, "trg_…"), @r"
    03-02 10:01:00 COMPLETED
    03-02 11:01:00 CANCELLED CANCELLED_BY_CLIENT
    trigger.deleted minutely
    firing.cancelled minutely
    firing.accepted minutely
    firing.completed minutely
    trigger.created minutely
    key.created -
    key.created -
    NOT_FOUND id: no trigger has the id trg_…
    NOT_FOUND triggerId: no trigger has the id trg_…
    ");
}

#[tokio::test]
async fn planned_firings_run_the_action_as_it_is_and_accepted_ones_as_it_was() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let (id, _) = scheduled(&app, "t", json!({ "in": "PT60S" })).await;
    let update = async |input: Value| done(&app, "triggerUpdate", "trigger { id }", input).await;
    update(json!({ "id": id, "action": post(receiver.url("/old")) })).await;
    let input = json!({ "triggerId": id, "in": "PT61S" });
    done(&app, "triggerFire", "firing { id }", input).await;
    update(json!({ "id": id, "action": post(receiver.url("/new")) })).await;
    app.advance(MINUTE).await;
    app.advance(SECOND).await;
    let paths: Vec<String> = receiver.received().into_iter().map(|got| got.path).collect();
    assert_eq!(paths, ["/new", "/old"]);
}

#[tokio::test]
async fn without_an_action_a_firing_is_only_recorded() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let firing = fire(&app, &id).await;
    app.work().await;
    let query = "query($id: ID!) { firing(id: $id) {
        status reason attempts { number } attemptCount result } }";
    let found = ask(&app, "firing", query, json!({ "id": firing })).await;
    assert_snapshot!(found, @r#"{"attemptCount":1,"attempts":[],"reason":null,"result":null,"status":"COMPLETED"}"#);
}

#[tokio::test]
async fn the_log_says_who_changed_what() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    done(&app, "triggerUpdate", "trigger { id }", json!({ "id": id, "name": "u" })).await;
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    let input = json!({ "triggerId": id, "name": "extra", "spec": every("PT60S") });
    let made = done(&app, "scheduleCreate", "schedule { id }", input).await;
    let extra = text(&made["schedule"]["id"]);
    done(&app, "scheduleUpdate", "schedule { id }", json!({ "id": extra, "name": "more" })).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    done(&app, "scheduleDelete", "deletedId", json!({ "id": extra })).await;
    done(&app, "triggerDelete", "deletedId", json!({ "id": id })).await;
    let query = "{ events(first: 20, filter: { or: [
        { type: { startsWith: \"trigger.\" } }, { type: { startsWith: \"schedule.\" } }] }) { nodes { type message actor trigger { id } triggerName
        scheduleKind } } viewer { id } }";
    let answer = app.graphql(query, json!({})).await;
    let actor = &answer["data"]["viewer"]["id"];
    let mut story = Vec::new();
    for event in list(&answer["data"]["events"]["nodes"]) {
        assert_eq!(&event["actor"], actor);
        let (kind, name) = (text(&event["type"]), text(&event["triggerName"]));
        story.push(format!("{kind} {name}: {} {}", text(&event["message"]), event["scheduleKind"]));
    }
    story.reverse();
    assert_snapshot!(lines(&story), @r#"
    trigger.created t: trigger t null
    trigger.updated u: trigger u null
    trigger.paused u: trigger u null
    trigger.resumed u: trigger u null
    schedule.created u: schedule extra "EVERY"
    schedule.updated u: schedule more "EVERY"
    schedule.paused u: schedule unnamed "CRON"
    schedule.resumed u: schedule unnamed "CRON"
    schedule.deleted u: schedule more "EVERY"
    trigger.deleted u: trigger u null
    "#);
    let mut stages = log(&app, "action.").await;
    assert_eq!(stages.pop(), None);
}
