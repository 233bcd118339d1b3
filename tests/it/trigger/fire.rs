//! Fired by API: checked against the schema, now or later, or only tried.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{ask, done, fire, lines, list, log, past, refused, text, trigger};
use crate::schedule::{MINUTE, SECOND};

#[tokio::test]
async fn a_schema_is_checked_when_it_is_saved() {
    let app = TestApp::start().await;
    let mut said = Vec::new();
    for schema in [
        json!(7),
        json!([]),
        json!("object"),
        json!({ "type": "foo" }),
        json!({ "properties": { "n": { "minimum": "1" } } }),
        json!({ "pattern": "(" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "$ref": "file:///etc/passwd" }),
        json!({ "$ref": "#/nowhere" }),
    ] {
        let input = json!({ "name": "t", "payloadSchema": schema });
        let problems = refused(&app, "triggerCreate", input).await;
        said.push(format!("{schema}\n  {}", problems.join("\n  ")));
    }
    for schema in [json!(true), json!({}), json!({ "$defs": { "a": {} }, "$ref": "#/$defs/a" })] {
        let input = json!({ "name": schema.to_string(), "payloadSchema": schema });
        trigger(&app, input).await;
    }
    assert_snapshot!(lines(&said), @r##"
    7
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: an object or a boolean
    []
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: an object or a boolean
    "object"
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: an object or a boolean
    {"type":"foo"}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: "foo" is not valid under any of the schemas listed in the 'anyOf' keyword (at /type)
    {"properties":{"n":{"minimum":"1"}}}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: "1" is not of type "number" (at /properties/n/minimum)
    {"pattern":"("}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: "(" is not a "regex" (at /pattern)
    {"$ref":"https://example.com/schema.json"}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: Resource 'https://example.com/schema.json' is not present in a registry and retrieving it failed: https://example.com/schema.json is outside of the schema, and nothing is fetched (at the root)
    {"$ref":"file:///etc/passwd"}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: Resource 'file:///etc/passwd' is not present in a registry and retrieving it failed: file:///etc/passwd is outside of the schema, and nothing is fetched (at the root)
    {"$ref":"#/nowhere"}
      BAD_USER_INPUT payloadSchema: expected a JSON Schema: Pointer '/nowhere' does not exist (at the root)
    "##);
}

#[tokio::test]
async fn every_violation_is_listed_and_nothing_is_fired() {
    let app = TestApp::start().await;
    let schema = json!({
        "type": "object",
        "required": ["id", "items"],
        "properties": {
            "id": { "type": "string", "format": "uuid" },
            "items": { "type": "array", "items": { "required": ["n"],
                "properties": { "n": { "type": "integer", "minimum": 1 } } } },
        },
        "additionalProperties": false,
    });
    let id = trigger(&app, json!({ "name": "t", "payloadSchema": schema })).await;
    let mut story = Vec::new();
    for payload in [
        json!({ "id": "x", "items": [{ "n": 1 }, { "n": 0 }, { "n": "2" }, {}], "more": 1 }),
        json!({}),
        json!(null),
        json!([]),
    ] {
        let input = json!({ "triggerId": id, "payload": payload });
        let problems = refused(&app, "triggerFire", input).await;
        story.push(format!("{payload}\n  {}", problems.join("\n  ")));
    }
    let missing = refused(&app, "triggerFire", json!({ "triggerId": id })).await;
    story.push(format!("nothing said\n  {}", missing.join("\n  ")));
    let dry = json!({ "triggerId": id, "payload": {}, "dryRun": true });
    assert_eq!(refused(&app, "triggerFire", dry).await.len(), 2);
    app.work().await;
    assert_eq!(past(&app, &id).await, Vec::<String>::new());
    assert_eq!(log(&app, "firing.").await, Vec::<String>::new());
    assert_snapshot!(lines(&story), @r#"
    {"id":"x","items":[{"n":1},{"n":0},{"n":"2"},{}],"more":1}
      BAD_USER_INPUT payload.id: "x" is not a "uuid"
      BAD_USER_INPUT payload.items.1.n: 0 is less than the minimum of 1
      BAD_USER_INPUT payload.items.2.n: "2" is not of type "integer"
      BAD_USER_INPUT payload.items.3: "n" is a required property
      BAD_USER_INPUT payload: Additional properties are not allowed ('more' was unexpected)
    {}
      BAD_USER_INPUT payload: "id" is a required property
      BAD_USER_INPUT payload: "items" is a required property
    null
      BAD_USER_INPUT payload: null is not of type "object"
    []
      BAD_USER_INPUT payload: [] is not of type "object"
    nothing said
      BAD_USER_INPUT payload: a payload is required: the trigger has a payloadSchema
    "#);
}

#[tokio::test]
async fn a_schema_that_allows_null_takes_an_explicit_null_and_a_trigger_without_one_anything() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t", "payloadSchema": { "type": "null" } })).await;
    let input = json!({ "triggerId": id, "payload": null });
    done(&app, "triggerFire", "firing { id }", input).await;
    let free = trigger(&app, json!({ "name": "free" })).await;
    let query = "firing { payload }";
    let mut story = Vec::new();
    for input in [
        json!({ "triggerId": free }),
        json!({ "triggerId": free, "payload": null }),
        json!({ "triggerId": free, "payload": "text" }),
        json!({ "triggerId": free, "payload": { "z": 1, "a": [1.0, 1e3, -0.5, "ü", null] } }),
    ] {
        let fired = done(&app, "triggerFire", query, input).await;
        story.push(fired["firing"]["payload"].to_string());
    }
    assert_snapshot!(lines(&story), @r#"
    null
    null
    "text"
    {"a":[1.0,1000.0,-0.5,"ü",null],"z":1}
    "#);
}

#[tokio::test]
async fn now_at_and_in_run_at_their_instants() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let mut story = Vec::new();
    for input in [
        json!({ "triggerId": id }),
        json!({ "triggerId": id, "at": "2026-03-02T12:00:30+01:00" }),
        json!({ "triggerId": id, "in": "PT90S" }),
        json!({ "triggerId": id, "in": "PT0S" }),
    ] {
        let selection = "dueAt firing { status cause dueAt nominalAt }";
        let fired = done(&app, "triggerFire", selection, input).await;
        story.push(format!("{} {}", text(&fired["dueAt"]), fired["firing"]));
    }
    app.work().await;
    app.advance(SECOND * 90).await;
    app.advance(MINUTE * 60).await;
    story.extend(past(&app, &id).await);
    assert_snapshot!(lines(&story), @r#"
    2026-03-02T10:00:00Z {"cause":"API","dueAt":"2026-03-02T10:00:00Z","nominalAt":"2026-03-02T10:00:00Z","status":"SCHEDULED"}
    2026-03-02T11:00:30Z {"cause":"API","dueAt":"2026-03-02T11:00:30Z","nominalAt":"2026-03-02T11:00:30Z","status":"SCHEDULED"}
    2026-03-02T10:01:30Z {"cause":"API","dueAt":"2026-03-02T10:01:30Z","nominalAt":"2026-03-02T10:01:30Z","status":"SCHEDULED"}
    2026-03-02T10:00:00Z {"cause":"API","dueAt":"2026-03-02T10:00:00Z","nominalAt":"2026-03-02T10:00:00Z","status":"SCHEDULED"}
    03-02 10:00:00 COMPLETED
    03-02 10:00:00 COMPLETED
    03-02 10:01:30 COMPLETED
    03-02 11:00:30 COMPLETED, begun 03-02 11:01:30
    "#);
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_fires_nothing() {
    let app = TestApp::start().await;
    let schema = json!({ "type": "integer" });
    let input = json!({ "name": "t", "payloadSchema": schema, "isTest": true });
    let id = trigger(&app, input).await;
    let input = json!({ "triggerId": id, "payload": 1, "in": "PT1M", "dryRun": true,
        "idempotencyKey": "k" });
    let dry = done(&app, "triggerFire", "dueAt firing { id }", input).await;
    let input = json!({ "triggerId": id, "payload": "x", "dryRun": true });
    let said = refused(&app, "triggerFire", input).await;
    app.advance(MINUTE).await;
    assert_eq!(log(&app, "firing.").await, Vec::<String>::new());
    // Nothing was used up: neither the test trigger nor the key.
    let input = json!({ "triggerId": id, "payload": 2, "idempotencyKey": "k" });
    done(&app, "triggerFire", "firing { id }", input).await;
    let after = json!({ "triggerId": id, "payload": 2, "dryRun": true });
    let used = refused(&app, "triggerFire", after).await;
    assert_snapshot!(format!("{dry}\n{}\n{}", lines(&said), lines(&used)), @r#"
    {"dueAt":"2026-03-02T10:01:00Z","firing":null,"userErrors":[]}
    BAD_USER_INPUT payload: "x" is not of type "integer"
    CONFLICT triggerId: this test trigger has fired already; it fires exactly once
    "#);
}

#[tokio::test]
async fn an_accepted_firing_is_in_the_log_at_once() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let input = json!({ "triggerId": id, "payload": { "n": 1 }, "correlationId": "order-7" });
    done(&app, "triggerFire", "firing { id }", input).await;
    let query = "{ events(filter: { type: { startsWith: \"firing.\" } }) { nodes {
        type triggerName cause outcome payload correlationId actor firing { status } } } }";
    let before = ask(&app, "events", query, json!({})).await;
    app.work().await;
    let after = ask(&app, "events", query, json!({})).await;
    let shown = |event: &Value| {
        let mut event = event.clone();
        event["actor"] = json!(!event["actor"].is_null());
        event.to_string()
    };
    let story: Vec<String> = [&before, &after]
        .into_iter()
        .flat_map(|page| list(&page["nodes"]).iter().map(shown).collect::<Vec<_>>())
        .collect();
    assert_snapshot!(lines(&story), @r#"
    {"actor":true,"cause":"API","correlationId":"order-7","firing":{"status":"SCHEDULED"},"outcome":null,"payload":{"n":1},"triggerName":"t","type":"firing.accepted"}
    {"actor":false,"cause":"API","correlationId":"order-7","firing":{"status":"COMPLETED"},"outcome":"COMPLETED","payload":{"n":1},"triggerName":"t","type":"firing.completed"}
    {"actor":true,"cause":"API","correlationId":"order-7","firing":{"status":"COMPLETED"},"outcome":null,"payload":{"n":1},"triggerName":"t","type":"firing.accepted"}
    "#);
}

#[tokio::test]
async fn a_paused_trigger_can_be_fired() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    fire(&app, &id).await;
    app.work().await;
    assert_eq!(past(&app, &id).await, ["03-02 10:00:00 COMPLETED"]);
}
