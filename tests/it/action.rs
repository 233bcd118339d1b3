//! Actions: named and versioned, checked when saved, not deleted while a trigger runs them.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::{Receiver, redact};

use crate::TestApp;
use crate::operation::{ask, cron, done, fire, lines, list, log, refused, text, trigger};
use crate::schedule::{MINUTE, SECOND};

const ALL: &str = "id name description version createdAt updatedAt
    stages { name kind config input timeout retry { maxAttempts delays } }";

fn stages(url: String) -> Value {
    json!([{ "name": "post", "config": { "http": { "url": url } } }])
}

fn note(message: &str) -> Value {
    json!([{ "name": "note", "config": { "log": { "message": message } } }])
}

async fn action(app: &TestApp, name: &str, stages: Value) -> String {
    let input = json!({ "name": name, "stages": stages });
    text(&done(app, "actionCreate", "action { id }", input).await["action"]["id"])
}

async fn read(app: &TestApp, id: &str) -> Value {
    let query = format!("query($id: ID!) {{ action(by: {{ id: $id }}) {{ {ALL} }} }}");
    ask(app, "action", &query, json!({ "id": id })).await
}

#[tokio::test]
async fn an_action_is_made_with_defaults_and_read_by_id_and_by_name() {
    let app = TestApp::start().await;
    let input = json!({
        "name": "tell the shop",
        "description": "posts the order",
        "stages": [{
            "name": "post",
            "config": { "http": {
                "url": "https://shop.example.com/hook",
                "method": "PUT",
                "headers": { "X-Shop": "1" },
                "expectedStatus": [200, "202-204"],
            } },
            "input": { "fixed": true },
            "timeout": "PT5S",
            "retry": { "maxAttempts": 2, "delays": ["PT1M"] },
        }],
    });
    let made = done(&app, "actionCreate", "action { id }", input).await;
    let id = text(&made["action"]["id"]);
    let by_id = read(&app, &id).await;
    let query = format!("{{ action(by: {{ name: \"tell the shop\" }}) {{ {ALL} }} }}");
    assert_eq!(ask(&app, "action", &query, json!({})).await, by_id);
    let plain = action(&app, "note", note("hello")).await;
    let plain = read(&app, &plain).await["stages"][0].clone();
    let both = json!([redact(by_id), plain]);
    assert_snapshot!(serde_json::to_string_pretty(&both).expect("JSON"), @r#"
    [
      {
        "createdAt": "2026-03-02T10:00:00Z",
        "description": "posts the order",
        "id": "act_…",
        "name": "tell the shop",
        "stages": [
          {
            "config": {
              "expectedStatus": [
                200,
                "202-204"
              ],
              "headers": {
                "X-Shop": "1"
              },
              "method": "PUT",
              "url": "https://shop.example.com/hook"
            },
            "input": {
              "fixed": true
            },
            "kind": "http",
            "name": "post",
            "retry": {
              "delays": [
                "PT1M"
              ],
              "maxAttempts": 2
            },
            "timeout": "PT5S"
          }
        ],
        "updatedAt": "2026-03-02T10:00:00Z",
        "version": 1
      },
      {
        "config": {
          "message": "hello"
        },
        "input": null,
        "kind": "log",
        "name": "note",
        "retry": {
          "delays": [
            "PT5S",
            "PT30S",
            "PT5M",
            "PT30M",
            "PT2H",
            "PT6H",
            "PT15H"
          ],
          "maxAttempts": 8
        },
        "timeout": "PT30S"
      }
    ]
    "#);
}

#[tokio::test]
async fn a_new_version_applies_to_new_firings() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let id = action(&app, "post", stages(receiver.url("/old"))).await;
    let input = json!({ "name": "t", "action": { "id": id },
        "schedules": [{ "spec": cron("1 10 * * *") }] });
    let runs = trigger(&app, input).await;
    let later = json!({ "triggerId": runs, "in": "PT61S", "payload": "accepted before" });
    done(&app, "triggerFire", "firing { id }", later).await;
    let input = json!({ "id": id, "stages": stages(receiver.url("/new")) });
    done(&app, "actionUpdate", "action { id }", input).await;
    app.advance(MINUTE).await;
    app.advance(SECOND).await;
    fire(&app, &runs).await;
    app.work().await;
    let shown = |got: &tests::Received| format!("{} {}", got.path, got.body);
    let story: Vec<String> = receiver.received().iter().map(shown).collect();
    assert_snapshot!(lines(&story), @r#"
    /new null
    /old "accepted before"
    /new null
    "#);
}

#[tokio::test]
async fn an_update_changes_what_is_said() {
    let app = TestApp::start().await;
    let input = json!({ "name": "a", "description": "old", "stages": note("one") });
    let made = done(&app, "actionCreate", "action { id }", input).await;
    let id = text(&made["action"]["id"]);
    let mut story = Vec::new();
    for change in [
        json!({ "name": "b" }),
        json!({ "description": null }),
        json!({ "stages": note("two"), "expectedVersion": 3 }),
    ] {
        let mut input = change.clone();
        input["id"] = json!(id);
        done(&app, "actionUpdate", "action { id }", input).await;
        let now = read(&app, &id).await;
        story.push(format!(
            "{change}: {} {} {} version {}",
            now["name"], now["description"], now["stages"][0]["config"], now["version"]
        ));
    }
    for change in [
        json!({ "id": id, "expectedVersion": 3, "name": "c" }),
        json!({ "id": id, "name": null }),
        json!({ "id": id, "stages": null }),
        json!({ "id": id, "stages": [] }),
        json!({ "id": id, "name": " " }),
    ] {
        story.extend(refused(&app, "actionUpdate", change).await);
    }
    story.extend(log(&app, "action.").await);
    assert_snapshot!(lines(&story), @r#"
    {"name":"b"}: "b" "old" {"message":"one"} version 2
    {"description":null}: "b" null {"message":"one"} version 3
    {"stages":[{"name":"note","config":{"log":{"message":"two"}}}],"expectedVersion":3}: "b" null {"message":"two"} version 4
    CONFLICT expectedVersion: expected version 3, but it is at version 4
    BAD_USER_INPUT name: expected a value, not null
    BAD_USER_INPUT stages: expected a value, not null
    BAD_USER_INPUT stages: expected exactly one stage; actions with several are not supported yet
    BAD_USER_INPUT name: expected a text that is not blank
    action.created: action a by a key
    action.updated: action b by a key
    action.updated: action b by a key
    action.updated: action b by a key
    "#);
}

#[tokio::test]
async fn a_name_is_unique_among_actions_that_live() {
    let app = TestApp::start().await;
    let id = action(&app, "same", note("m")).await;
    let input = json!({ "name": "same", "stages": note("m") });
    let said = refused(&app, "actionCreate", input).await;
    done(&app, "actionDelete", "deletedId", json!({ "id": id })).await;
    assert_eq!(read(&app, &id).await, Value::Null);
    action(&app, "same", note("m")).await;
    assert_eq!(said, ["CONFLICT name: another action is already named \"same\""]);
}

#[tokio::test]
async fn an_action_that_triggers_run_is_not_deleted() {
    let app = TestApp::start().await;
    let id = action(&app, "a", note("m")).await;
    let one = trigger(&app, json!({ "name": "one", "action": { "id": id } })).await;
    let two = trigger(&app, json!({ "name": "two", "action": { "id": id } })).await;
    let mut story = refused(&app, "actionDelete", json!({ "id": id })).await;
    done(&app, "triggerDelete", "deletedId", json!({ "id": one })).await;
    story.extend(refused(&app, "actionDelete", json!({ "id": id })).await);
    let query =
        "query($id: ID!) { triggers(filter: { actionId: { eq: $id } }) { nodes { name } } }";
    let found = ask(&app, "triggers", query, json!({ "id": id })).await;
    story.push(found["nodes"].to_string());
    // What was accepted still runs it.
    let input = json!({ "triggerId": two, "in": "PT1M" });
    let fired = done(&app, "triggerFire", "firing { id }", input).await;
    let input = json!({ "id": two, "action": null });
    done(&app, "triggerUpdate", "trigger { id }", input).await;
    done(&app, "actionDelete", "deletedId", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    let query = "query($id: ID!) { firing(id: $id) { status action { name } result } }";
    let firing = ask(&app, "firing", query, json!({ "id": fired["firing"]["id"] })).await;
    story.push(firing.to_string());
    let input = json!({ "name": "three", "action": { "id": id } });
    story.extend(refused(&app, "triggerCreate", input).await);
    assert_snapshot!(lines(&story).replace(&id, "act_…"), @r#"
    CONFLICT id: 2 triggers run this action; change them first
    CONFLICT id: 1 trigger runs this action; change it first
    [{"name":"two"}]
    {"action":null,"result":{"component":"two","message":"m","severity":"INFO"},"status":"COMPLETED"}
    NOT_FOUND action.id: no action has the id act_…
    "#);
}

#[tokio::test]
async fn every_problem_of_a_stage_is_named_by_its_path_named_and_inline() {
    let app = TestApp::start().await;
    let bad = json!([{
        "name": "Not Good",
        "config": { "http": {
            "url": "ftp://example.com",
            "method": "FETCH",
            "headers": { "Host": "a" },
            "expectedStatus": [200, 42],
        } },
        "timeout": "PT6M",
        "retry": { "maxAttempts": 0, "delays": ["PT1S", "P2D"] },
    }]);
    let mut story = refused(&app, "actionCreate", json!({ "name": "a", "stages": bad })).await;
    let inline = json!({ "inline": { "stages": bad } });
    story.push("inline".to_owned());
    let named = story.len();
    story.extend(refused(&app, "triggerCreate", json!({ "name": "t", "action": inline })).await);
    assert_eq!(story.len(), named + named - 1);
    for stages in [
        json!([]),
        json!([note("a")[0], note("b")[0]]),
        note(" "),
        json!([{ "name": "n", "config": { "log": { "message": "m", "severity": "LOUD" } } }]),
        stages("http://10.0.0.1/".to_owned()),
        stages("http://[::1]/".to_owned()),
        stages("not a url".to_owned()),
    ] {
        let problems = refused(&app, "actionCreate", json!({ "name": "a", "stages": stages }));
        story.push(stages[0]["config"].to_string());
        story.extend(problems.await);
    }
    assert_snapshot!(lines(&story), @r#"
    BAD_USER_INPUT stages.0.name: expected 1 to 64 of a-z, 0-9, _ and -
    BAD_USER_INPUT stages.0.config.http.url: expected an absolute URL such as https://example.com/hook: only http and https
    BAD_USER_INPUT stages.0.config.http.method: expected DELETE, GET, HEAD, PATCH, POST or PUT
    BAD_USER_INPUT stages.0.config.http.headers.Host: this header is set by Belfry
    BAD_USER_INPUT stages.0.config.http.expectedStatus.1: expected a number from 200 to 599 or a range such as "200-299"
    BAD_USER_INPUT stages.0.timeout: expected a duration from PT0.001S to PT5M
    BAD_USER_INPUT stages.0.retry.maxAttempts: expected a whole number from 1 to 20
    BAD_USER_INPUT stages.0.retry.delays.1: expected a duration from PT0S to P1D
    inline
    BAD_USER_INPUT action.inline.stages.0.name: expected 1 to 64 of a-z, 0-9, _ and -
    BAD_USER_INPUT action.inline.stages.0.config.http.url: expected an absolute URL such as https://example.com/hook: only http and https
    BAD_USER_INPUT action.inline.stages.0.config.http.method: expected DELETE, GET, HEAD, PATCH, POST or PUT
    BAD_USER_INPUT action.inline.stages.0.config.http.headers.Host: this header is set by Belfry
    BAD_USER_INPUT action.inline.stages.0.config.http.expectedStatus.1: expected a number from 200 to 599 or a range such as "200-299"
    BAD_USER_INPUT action.inline.stages.0.timeout: expected a duration from PT0.001S to PT5M
    BAD_USER_INPUT action.inline.stages.0.retry.maxAttempts: expected a whole number from 1 to 20
    BAD_USER_INPUT action.inline.stages.0.retry.delays.1: expected a duration from PT0S to P1D
    null
    BAD_USER_INPUT stages: expected exactly one stage; actions with several are not supported yet
    {"log":{"message":"a"}}
    BAD_USER_INPUT stages: expected exactly one stage; actions with several are not supported yet
    BAD_USER_INPUT stages.1.name: expected a name that no other stage has
    {"log":{"message":" "}}
    BAD_USER_INPUT stages.0.config.log.message: expected 1 to 1000 characters, not only blanks
    {"log":{"message":"m","severity":"LOUD"}}
    BAD_USER_INPUT stages.0.config.log.severity: expected one of DEBUG, INFO, WARN, ERROR
    {"http":{"url":"http://10.0.0.1/"}}
    BAD_USER_INPUT stages.0.config.http.url: 10.0.0.1 is not a public address (private); BELFRY_ALLOW_TARGETS may allow it
    {"http":{"url":"http://[::1]/"}}
    BAD_USER_INPUT stages.0.config.http.url: ::1 is not a public address (loopback); BELFRY_ALLOW_TARGETS may allow it
    {"http":{"url":"not a url"}}
    BAD_USER_INPUT stages.0.config.http.url: expected an absolute URL such as https://example.com/hook, without blanks and control characters
    "#);
}

#[tokio::test]
async fn actions_are_listed_newest_first() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c"] {
        action(&app, name, note("m")).await;
    }
    let query = "query($after: String) { actions(first: 2, after: $after) {
        totalCount nodes { name } pageInfo { endCursor } } }";
    let first = ask(&app, "actions", query, json!({})).await;
    let after = &first["pageInfo"]["endCursor"];
    let second = ask(&app, "actions", query, json!({ "after": after })).await;
    let names = [&first, &second].map(|page| list(&page["nodes"]).to_vec()).concat();
    assert_eq!(json!(names), json!([{ "name": "c" }, { "name": "b" }, { "name": "a" }]));
    assert_eq!(first["totalCount"], json!(3));
}
