//! Projects: who sees, makes and changes them.

use belfry::service::{Caller, Scope, api_key};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{done, list, mutation, refused, text};
use crate::story::{caller_with, shown};

const SHOWN: &str = "project { id name version isOperator
    quotas { triggers schedules apiKeys waitingFirings costPerSecond } createdAt updatedAt }";
const UNKNOWN: &str = "prj_01h2xcejqtf2nbrexx3vqjhp41";

/// A project of this name: the caller of its first key, and its id.
pub async fn tenant(app: &TestApp, name: &str, quotas: Value) -> (Caller, String) {
    let input = json!({ "name": name, "quotas": quotas });
    let made = done(app, "projectCreate", "secret project { id }", input).await;
    let secret = text(&made["secret"]);
    let caller = api_key::authenticate(&app.app, Some(&secret)).await.expect("the key holds");
    (caller, text(&made["project"]["id"]))
}

/// The payload of a mutation of `caller`, or the code of its error.
async fn update(app: &TestApp, caller: &Caller, input: Value) -> Value {
    let query = mutation("projectUpdate", "project { name version quotas { triggers } }");
    let answer = app.graphql_as(caller, &query, json!({ "input": input })).await;
    match answer["errors"][0]["extensions"]["code"].as_str() {
        Some(code) => code.into(),
        None => answer["data"]["projectUpdate"].clone(),
    }
}

async fn names(app: &TestApp, caller: &Caller) -> Vec<String> {
    let query = "{ projects { totalCount nodes { name } } }";
    let found = app.graphql_as(caller, query, json!({})).await["data"]["projects"].clone();
    let names: Vec<String> =
        list(&found["nodes"]).iter().map(|project| text(&project["name"])).collect();
    assert_eq!(found["totalCount"], names.len());
    names
}

#[tokio::test]
async fn the_operator_makes_a_project_and_gets_its_first_key_once() {
    let app = TestApp::start().await;
    let selection = format!("secret apiKey {{ name scopes project {{ name }} }} {SHOWN}");
    let input = json!({ "name": "shop", "quotas": { "triggers": 3, "costPerSecond": 50 },
        "idempotencyKey": "shop" });
    let made = done(&app, "projectCreate", &selection, input.clone()).await;
    let secret = text(&made["secret"]);
    let caller = api_key::authenticate(&app.app, Some(&secret)).await.expect("the key holds");
    assert_eq!(caller.quotas.cost_per_second, Some(50));
    let mut story = made.clone();
    story["secret"] = "…".into();
    assert_snapshot!(shown(&story), @r#"
    {
      "apiKey": {
        "name": "admin",
        "project": {
          "name": "shop"
        },
        "scopes": [
          "ADMIN"
        ]
      },
      "project": {
        "createdAt": "2026-03-02T10:00:00Z",
        "id": "prj_…",
        "isOperator": false,
        "name": "shop",
        "quotas": {
          "apiKeys": null,
          "costPerSecond": 50,
          "schedules": null,
          "triggers": 3,
          "waitingFirings": null
        },
        "updatedAt": "2026-03-02T10:00:00Z",
        "version": 1
      },
      "secret": "…",
      "userErrors": []
    }
    "#);
    let repeated = done(&app, "projectCreate", &selection, input).await;
    assert_eq!(repeated["project"], made["project"]);
    assert_eq!((&repeated["secret"], &repeated["apiKey"]), (&Value::Null, &Value::Null));
    let viewer = "{ viewer { name project { id name isOperator } } }";
    let viewer = app.graphql_as(&caller, viewer, json!({})).await;
    assert_eq!(viewer["data"]["viewer"]["project"]["id"], made["project"]["id"]);
}

#[tokio::test]
async fn only_admin_keys_of_the_operator_see_and_make_every_project() {
    let app = TestApp::start().await;
    let (shop, id) = tenant(&app, "shop", json!({})).await;
    let (reader, _) = caller_with(&app, &[Scope::Read]).await;
    assert_eq!(names(&app, &app.caller).await, ["shop", "default"]);
    assert_eq!(names(&app, &shop).await, ["shop"]);
    assert_eq!(names(&app, &reader).await, ["default"]);
    let query = "query($id: ID!) { project(id: $id) { name } node(id: $id) { id } }";
    let ask = async |caller: &Caller, id: &str| {
        app.graphql_as(caller, query, json!({ "id": id })).await["data"].to_string()
    };
    assert_eq!(ask(&shop, &id).await, ask(&app.caller, &id).await);
    let own = app.caller.project.to_string();
    let nothing = ask(&shop, UNKNOWN).await;
    assert_eq!(nothing, r#"{"project":null,"node":null}"#);
    assert_eq!(ask(&shop, &own).await, nothing);
    assert_eq!(ask(&reader, &id).await, nothing);
    for caller in [&shop, &reader] {
        let input = json!({ "input": { "name": "another" } });
        let answer = app.graphql_as(caller, &mutation("projectCreate", ""), input).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
        let message = "the API key lacks the scope ADMIN of the operator's project";
        assert_eq!(answer["errors"][0]["message"], message);
    }
}

#[tokio::test]
async fn a_tenant_renames_its_own_project_and_leaves_its_quotas_alone() {
    let app = TestApp::start().await;
    let (shop, id) = tenant(&app, "shop", json!({ "triggers": 3 })).await;
    let own = app.caller.project.to_string();
    let mut story = Vec::new();
    for (caller, input) in [
        (&shop, json!({ "id": id, "name": "store" })),
        (&shop, json!({ "id": id, "expectedVersion": 1, "name": "late" })),
        (&shop, json!({ "id": id, "quotas": { "triggers": null } })),
        (&shop, json!({ "id": own, "name": "mine" })),
        (&shop, json!({ "id": own, "quotas": { "triggers": null } })),
        (&shop, json!({ "id": UNKNOWN, "name": "mine" })),
        (&app.caller, json!({ "id": id, "quotas": { "triggers": null, "schedules": -1 } })),
        (&app.caller, json!({ "id": id, "quotas": { "costPerSecond": 0 } })),
        (&app.caller, json!({ "id": id, "quotas": { "triggers": 1_000_000_001 } })),
        (&app.caller, json!({ "id": id, "name": "default" })),
        (&app.caller, json!({ "id": id, "quotas": { "triggers": 1_000_000_000 } })),
        (&app.caller, json!({ "id": id, "quotas": { "triggers": null } })),
    ] {
        story.push(update(&app, caller, input).await.to_string());
    }
    let story = story.join("\n").replace(&own, "prj_own").replace(UNKNOWN, "prj_unknown");
    assert_snapshot!(story, @r#"
    {"project":{"name":"store","version":2,"quotas":{"triggers":3}},"userErrors":[]}
    {"project":null,"userErrors":[{"code":"CONFLICT","field":"expectedVersion","message":"expected version 1, but it is at version 2"}]}
    "FORBIDDEN"
    {"project":null,"userErrors":[{"code":"NOT_FOUND","field":"id","message":"no project has the id prj_own"}]}
    {"project":null,"userErrors":[{"code":"NOT_FOUND","field":"id","message":"no project has the id prj_own"}]}
    {"project":null,"userErrors":[{"code":"NOT_FOUND","field":"id","message":"no project has the id prj_unknown"}]}
    {"project":null,"userErrors":[{"code":"BAD_USER_INPUT","field":"quotas.schedules","message":"expected a number from 0 to 1000000000, or null for any"}]}
    {"project":null,"userErrors":[{"code":"BAD_USER_INPUT","field":"quotas.costPerSecond","message":"expected a number from 1 to 1000000000, or null for any"}]}
    {"project":null,"userErrors":[{"code":"BAD_USER_INPUT","field":"quotas.triggers","message":"expected a number from 0 to 1000000000, or null for any"}]}
    {"project":null,"userErrors":[{"code":"CONFLICT","field":"name","message":"another project is already named \"default\""}]}
    {"project":{"name":"store","version":3,"quotas":{"triggers":1000000000}},"userErrors":[]}
    {"project":{"name":"store","version":4,"quotas":{"triggers":null}},"userErrors":[]}
    "#);
}

#[tokio::test]
async fn a_signing_secret_is_for_admins_of_its_project_and_rotates() {
    let app = TestApp::start().await;
    let (shop, id) = tenant(&app, "shop", json!({})).await;
    let query = "query($id: ID!) { project(id: $id) { name signingSecret } }";
    let ask = async |caller: &Caller| {
        let answer = app.graphql_as(caller, query, json!({ "id": id })).await;
        text(&answer["data"]["project"]["signingSecret"])
    };
    let first = ask(&shop).await;
    assert!(first.starts_with("whsec_"));
    assert_eq!(ask(&app.caller).await, "-", "not even the operator's");
    let (reader, _) = app.key_of(shop.project, &[Scope::Read]).await;
    assert_eq!(ask(&reader).await, "-");
    update(&app, &shop, json!({ "id": id, "rotateSigningSecret": true })).await;
    let second = ask(&shop).await;
    assert!(second.starts_with("whsec_") && second != first);
}

#[tokio::test]
async fn what_is_wrong_with_a_project_is_listed() {
    let app = TestApp::start().await;
    let quotas = json!({ "triggers": -1, "schedules": -1, "apiKeys": -1, "waitingFirings": -1,
        "costPerSecond": 0 });
    let mut lines = refused(&app, "projectCreate", json!({ "name": "", "quotas": quotas })).await;
    lines.extend(refused(&app, "projectCreate", json!({ "name": "default" })).await);
    lines.extend(refused(&app, "projectUpdate", json!({ "id": UNKNOWN })).await);
    lines.extend(refused(&app, "projectUpdate", json!({ "id": "shop" })).await);
    assert_snapshot!(lines.join("\n"), @r#"
    BAD_USER_INPUT name: expected a text that is not blank
    BAD_USER_INPUT quotas.triggers: expected a number from 0 to 1000000000, or null for any
    BAD_USER_INPUT quotas.schedules: expected a number from 0 to 1000000000, or null for any
    BAD_USER_INPUT quotas.apiKeys: expected a number from 0 to 1000000000, or null for any
    BAD_USER_INPUT quotas.waitingFirings: expected a number from 0 to 1000000000, or null for any
    BAD_USER_INPUT quotas.costPerSecond: expected a number from 1 to 1000000000, or null for any
    CONFLICT name: another project is already named "default"
    NOT_FOUND id: no project has the id prj_01h2xcejqtf2nbrexx3vqjhp41
    BAD_USER_INPUT id: expected the id of a project: prj_ and 26 characters
    "#);
}

#[tokio::test]
async fn a_change_of_a_project_is_in_its_log_and_in_the_operators() {
    let app = TestApp::start().await;
    let (shop, id) = tenant(&app, "shop", json!({})).await;
    update(&app, &app.caller, json!({ "id": id, "quotas": { "triggers": 1 } })).await;
    update(&app, &shop, json!({ "id": id, "name": "store" })).await;
    let query = "{ events(q: \"type sw 'project.' OR type sw 'key.'\") { nodes { type data } } }";
    let mut story = Vec::new();
    for caller in [&shop, &app.caller] {
        let events = app.graphql_as(caller, query, json!({})).await["data"]["events"].clone();
        let shown = tests::redact(events["nodes"].clone());
        story.extend(list(&shown).iter().map(Value::to_string));
        story.push(String::new());
    }
    assert_snapshot!(story.join("\n"), @r#"
    {"type":"project.updated","data":{"actor":{"id":"key_…","name":"admin"},"object":{"id":"prj_…","name":"store"},"quotas":{"triggers":1,"schedules":null,"apiKeys":null,"waitingFirings":null,"costPerSecond":null}}}
    {"type":"project.updated","data":{"actor":{"id":null,"name":"operator"},"object":{"id":"prj_…","name":"shop"},"quotas":{"triggers":1,"schedules":null,"apiKeys":null,"waitingFirings":null,"costPerSecond":null}}}
    {"type":"key.created","data":{"actor":{"id":null,"name":"operator"},"object":{"id":"key_…","name":"admin"}}}
    {"type":"project.created","data":{"actor":{"id":null,"name":"operator"},"object":{"id":"prj_…","name":"shop"},"quotas":{"triggers":null,"schedules":null,"apiKeys":null,"waitingFirings":null,"costPerSecond":null}}}

    {"type":"project.updated","data":{"actor":{"id":"key_…","name":"story"},"object":{"id":"prj_…","name":"shop"},"quotas":{"triggers":1,"schedules":null,"apiKeys":null,"waitingFirings":null,"costPerSecond":null}}}
    {"type":"project.created","data":{"actor":{"id":"key_…","name":"story"},"object":{"id":"prj_…","name":"shop"},"quotas":{"triggers":null,"schedules":null,"apiKeys":null,"waitingFirings":null,"costPerSecond":null}}}
    {"type":"key.created","data":{"actor":{"id":null,"name":"command line"},"object":{"id":"key_…","name":"story"}}}
    {"type":"key.created","data":{"actor":{"id":null,"name":"command line"},"object":{"id":"key_…","name":"admin"}}}
    "#);
}
