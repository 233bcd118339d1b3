//! Keys over the API: made and shown once, listed, used, revoked, and never more than their maker.

use std::time::Duration;

use belfry::limits::{KEY_USED_MS, KEYS_PER_PROJECT_MAX};
use belfry::service::api_key::{Create, create};
use belfry::service::{Caller, Scope, api_key};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{code, served, status_of};
use crate::TestApp;
use crate::operation::{done, list, log, mutation, refused, text};
use crate::story::caller_with;

const MADE: &str = "secret apiKey { id name scopes createdAt expiresAt revokedAt lastUsedAt }";
const KEYS: &str = "{ apiKeys { totalCount nodes { id name lastUsedAt } } }";

/// The user errors of an operation of `caller`, each as `CODE field: message`.
async fn refused_to(app: &TestApp, caller: &Caller, name: &str, input: Value) -> Vec<String> {
    let query = mutation(name, "");
    let answer = app.graphql_as(caller, &query, json!({ "input": input })).await;
    let shown = |error: &Value| {
        format!("{} {}: {}", text(&error["code"]), text(&error["field"]), text(&error["message"]))
    };
    list(&answer["data"][name]["userErrors"]).iter().map(shown).collect()
}

#[tokio::test]
async fn a_key_is_made_and_its_text_is_shown_once() {
    let app = served().await;
    let input = json!({ "name": "deploy", "scopes": ["FIRE", "READ", "FIRE"],
        "expiresAt": "2026-04-01T00:00:00Z", "idempotencyKey": "deploy" });
    let made = done(&app, "apiKeyCreate", MADE, input.clone()).await;
    let secret = text(&made["secret"]);
    assert!(secret.starts_with("blf_"), "{secret}");
    assert_eq!(status_of(&app, &secret).await, 200);
    let repeated = done(&app, "apiKeyCreate", MADE, input).await;
    assert_eq!(repeated["secret"], Value::Null);
    assert_eq!(repeated["apiKey"], made["apiKey"]);
    let shown = crate::story::shown(&made["apiKey"]);
    assert_snapshot!(shown, @r#"
    {
      "createdAt": "2026-03-02T10:00:00Z",
      "expiresAt": "2026-04-01T00:00:00Z",
      "id": "key_…",
      "lastUsedAt": null,
      "name": "deploy",
      "revokedAt": null,
      "scopes": [
        "READ",
        "FIRE"
      ]
    }
    "#);
    let found = app.graphql(KEYS, json!({})).await["data"]["apiKeys"].clone();
    assert_eq!(found["totalCount"], 3, "the first start's, the story's and this one");
    assert!(!found.to_string().contains(&secret[30..]), "no list shows a text");
}

#[tokio::test]
async fn a_key_is_a_node_for_admins_alone() {
    let app = TestApp::start().await;
    let id = text(&app.graphql("{ viewer { id } }", json!({})).await["data"]["viewer"]["id"]);
    let query = "query($id: ID!) { node(id: $id) { id ... on ApiKey { name } } }";
    let own = app.graphql(query, json!({ "id": id })).await;
    assert_eq!(own["data"]["node"], json!({ "id": id, "name": "story" }));
    let (reader, _) = caller_with(&app, &[Scope::Read]).await;
    let refused = app.graphql_as(&reader, query, json!({ "id": id })).await;
    assert_eq!(code(&refused), "FORBIDDEN");
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_listed() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for input in [
        json!({ "name": " ", "scopes": [] }),
        json!({ "name": "k", "scopes": ["READ"], "expiresAt": "2026-03-02T10:00:00Z" }),
        json!({ "name": "k", "scopes": ["READ"], "expiresIn": "PT0S" }),
        json!({ "name": "k", "scopes": ["READ"], "expiresIn": "P3651D" }),
        json!({ "name": "k", "scopes": ["READ"], "expiresIn": "PT1S",
            "expiresAt": "2027-01-01T00:00:00Z" }),
        json!({ "name": "x".repeat(129), "scopes": ["READ"] }),
    ] {
        lines.extend(refused(&app, "apiKeyCreate", input).await);
    }
    lines.extend(refused(&app, "apiKeyRevoke", json!({ "id": "key_nonsense" })).await);
    let unknown = "key_01h2xcejqtf2nbrexx3vqjhp41";
    lines.extend(refused(&app, "apiKeyRevoke", json!({ "id": unknown })).await);
    assert_snapshot!(lines.join("\n"), @"
    BAD_USER_INPUT name: expected a text that is not blank
    BAD_USER_INPUT scopes: expected at least one scope
    BAD_USER_INPUT expiresAt: expected an instant in the future, after 2026-03-02T10:00:00Z
    BAD_USER_INPUT expiresIn: expected an instant in the future, after 2026-03-02T10:00:00Z
    BAD_USER_INPUT expiresIn: expected a duration from 0 to 10 years
    BAD_USER_INPUT expiresIn: expected either expiresAt or expiresIn, not both
    BAD_USER_INPUT name: expected at most 128 characters, not 129
    BAD_USER_INPUT id: expected the id of an API key: key_ and 26 characters
    NOT_FOUND id: no API key has the id key_01h2xcejqtf2nbrexx3vqjhp41
    ");
}

#[tokio::test]
async fn a_key_grants_no_more_than_it_has() {
    let app = TestApp::start().await;
    let input = json!({ "name": "brief", "scopes": ["ADMIN"], "expiresIn": "PT1H" });
    let made = done(&app, "apiKeyCreate", "secret", input).await;
    let secret = text(&made["secret"]);
    let brief = api_key::authenticate(&app.app, Some(&secret)).await.expect("it holds");
    let longer = |length: Value| json!({ "name": "k", "scopes": ["READ"], "expiresIn": length });
    let mut lines = refused_to(&app, &brief, "apiKeyCreate", longer(Value::Null)).await;
    lines.extend(refused_to(&app, &brief, "apiKeyCreate", longer("PT1H0.001S".into())).await);
    lines.extend(refused_to(&app, &brief, "apiKeyCreate", longer("PT1H".into())).await);
    assert_snapshot!(lines.join("\n"), @"
    BAD_USER_INPUT expiresAt: a key cannot make one that outlives it: 2026-03-02T11:00:00Z at most
    BAD_USER_INPUT expiresIn: a key cannot make one that outlives it: 2026-03-02T11:00:00Z at most
    ");
    for scope in [Scope::Read, Scope::Fire, Scope::EventsWrite, Scope::Write] {
        let (caller, _) = caller_with(&app, &[scope]).await;
        let input = json!({ "input": longer("PT1S".into()) });
        let answer = app.graphql_as(&caller, &mutation("apiKeyCreate", ""), input).await;
        assert_eq!(code(&answer), "FORBIDDEN");
    }
}

#[tokio::test]
async fn the_last_admin_key_that_holds_is_revoked_on_the_command_line_alone() {
    let app = served().await;
    let query = "{ apiKeys { nodes { id name } } }";
    let keys = app.graphql(query, json!({})).await["data"]["apiKeys"]["nodes"].clone();
    let id = |name: &str| {
        text(&list(&keys).iter().find(|key| key["name"] == name).expect("the key")["id"])
    };
    let input = json!({ "name": "brief", "scopes": ["ADMIN"], "expiresIn": "PT1H" });
    done(&app, "apiKeyCreate", "secret", input).await;
    let selection = "apiKey { revokedAt }";
    let revoked = done(&app, "apiKeyRevoke", selection, json!({ "id": id("admin") })).await;
    assert_eq!(revoked["apiKey"]["revokedAt"], "2026-03-02T10:00:00Z");
    app.pass(Duration::from_secs(3_600));
    let mut lines = refused(&app, "apiKeyRevoke", json!({ "id": id("admin") })).await;
    lines.extend(refused(&app, "apiKeyRevoke", json!({ "id": id("story") })).await);
    assert_snapshot!(lines.join("\n"), @"
    CONFLICT id: expected a key that was not revoked before
    CONFLICT id: the last key with ADMIN stays: make another one first, or revoke it on the command line
    ");
    assert_eq!(status_of(&app, app.key()).await, 200);
    app.revoke_key().await;
    app.pass(Duration::from_secs(1));
    assert_eq!(status_of(&app, app.key()).await, 401);
}

#[tokio::test]
async fn a_project_has_as_many_keys_as_the_limit_and_no_more() {
    let app = TestApp::start().await;
    let create = async |name: String| {
        let input = Create { name, scopes: vec![Scope::Read], ..Create::default() };
        create(&app.app, &app.caller, input).await
    };
    let mut last = None;
    // The first start's and the story's are there already.
    for number in 2..KEYS_PER_PROJECT_MAX {
        last = Some(create(number.to_string()).await.expect("it fits"));
    }
    let refused = create("one too many".to_owned()).await.err().expect("it is refused");
    assert_eq!(refused.to_string(), "expected at most 200 keys of a project that hold");
    let last = last.expect("a key").row.id;
    api_key::revoke(&app.app, &app.caller, last).await.expect("it is revoked");
    create("in its place".to_owned()).await.expect("it fits");
}

#[tokio::test]
async fn a_use_is_written_once_a_minute_and_never_by_the_request() {
    let app = served().await;
    let (_, key) = caller_with(&app, &[Scope::Read]).await;
    let used = async || {
        let keys = app.graphql(KEYS, json!({})).await["data"]["apiKeys"]["nodes"].clone();
        text(&list(&keys)[0]["lastUsedAt"])
    };
    app.engine.usage.run_once().await.expect("it is written");
    let mut story = vec![used().await];
    for (pass_ms, uses) in [(KEY_USED_MS - 1, 1), (1, 1), (KEY_USED_MS, 0)] {
        app.pass(Duration::from_millis(pass_ms.unsigned_abs()));
        for _ in 0..uses {
            assert_eq!(status_of(&app, &key).await, 200);
        }
        let before = used().await;
        app.engine.usage.run_once().await.expect("it is written");
        story.push(format!("{before} then {}", used().await));
    }
    assert_snapshot!(story.join("\n"), @"
    2026-03-02T10:00:00Z
    2026-03-02T10:00:00Z then 2026-03-02T10:00:00Z
    2026-03-02T10:00:00Z then 2026-03-02T10:01:00Z
    2026-03-02T10:01:00Z then 2026-03-02T10:01:00Z
    ");
}

#[tokio::test]
async fn whoever_makes_and_revokes_keys_is_named() {
    let app = TestApp::start().await;
    let input = json!({ "name": "deploy", "scopes": ["FIRE"] });
    let made = done(&app, "apiKeyCreate", "apiKey { id }", input).await;
    done(&app, "apiKeyRevoke", "apiKey { id }", json!({ "id": made["apiKey"]["id"] })).await;
    let query = "{ events { nodes { type data } } }";
    let events = app.graphql(query, json!({})).await["data"]["events"]["nodes"].clone();
    let shown = tests::redact(json!(list(&events)));
    let lines: Vec<String> = list(&shown).iter().map(Value::to_string).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    {"type":"key.revoked","data":{"actor":{"id":"key_…","name":"story"},"object":{"id":"key_…","name":"deploy"}}}
    {"type":"key.created","data":{"actor":{"id":"key_…","name":"story"},"object":{"id":"key_…","name":"deploy"}}}
    {"type":"key.created","data":{"actor":{"id":null,"name":"command line"},"object":{"id":"key_…","name":"story"}}}
    {"type":"key.created","data":{"actor":{"id":null,"name":"command line"},"object":{"id":"key_…","name":"admin"}}}
    "#);
    assert_eq!(log(&app, "key.").await.len(), 4);
}
