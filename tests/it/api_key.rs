//! API keys: what they open, and when they stop.

use std::time::Duration;

use belfry::service::{Caller, Scope, Scopes, api_key};
use futures_util::StreamExt as _;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::every_operation::operations;
use crate::operation::done;
use crate::story::{caller_with, stranger, text};
use crate::wire::http;

mod managed;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn served() -> TestApp {
    let app = TestApp::start().await;
    app.listen().await;
    app
}

/// Status and code of an operation over HTTP with these headers.
async fn answer_to(app: &TestApp, header: Option<(&str, &str)>, query: &str) -> (u16, String) {
    let headers: Vec<(&str, &str)> = [Some(JSON), header].into_iter().flatten().collect();
    let answer = http(app, "POST /graphql", &headers, json!({ "query": query }).to_string()).await;
    (answer.status, answer.code())
}

async fn status_of(app: &TestApp, key: &str) -> u16 {
    answer_to(app, Some(("x-api-key", key)), "{ viewer { name } }").await.0
}

fn code(answer: &Value) -> String {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("-").to_owned()
}

#[tokio::test]
async fn nothing_is_read_or_changed_without_a_key() {
    let app = served().await;
    let mut count = 0;
    for root in ["Query", "Mutation"] {
        for operation in operations(&app, root).await {
            let refused = (401, "UNAUTHENTICATED".to_owned());
            assert_eq!(answer_to(&app, None, &operation.document).await, refused);
            let wrong = Some(("authorization", "Bearer nonsense"));
            assert_eq!(answer_to(&app, wrong, &operation.document).await, refused);
            count += 1;
        }
    }
    assert!(35 <= count, "{count} operations");
    let refused = (401, "UNAUTHENTICATED".to_owned());
    for query in
        ["{ __schema { types { name } } }", "{ __typename }", "subscription { events { cursor } }"]
    {
        assert_eq!(answer_to(&app, None, query).await, refused);
    }
}

#[tokio::test]
async fn each_operation_needs_its_scope() {
    let app = TestApp::start().await;
    let mut lines = Vec::new();
    for root in ["Query", "Mutation"] {
        for operation in operations(&app, root).await {
            let mut opened_by = Vec::new();
            for scopes in [
                vec![],
                vec![Scope::Read],
                vec![Scope::Fire],
                vec![Scope::EventsWrite],
                vec![Scope::Write],
                vec![Scope::Admin],
            ] {
                let name = scopes.first().map_or("(none)", |scope| scope.as_str());
                let caller = Caller { scopes: Scopes::new(scopes), ..app.caller.clone() };
                let answer = app.graphql_as(&caller, &operation.document, json!({})).await;
                let code = code(&answer);
                assert_ne!(code, "INTERNAL_SERVER_ERROR", "{} {answer}", operation.document);
                if code != "FORBIDDEN" {
                    opened_by.push(name);
                }
            }
            lines.push(format!("{}: {}", operation.name, opened_by.join(" ")));
        }
    }
    assert_snapshot!(lines.join("\n"), @"
    action: READ ADMIN
    actions: READ ADMIN
    apiKeys: ADMIN
    calendar: READ ADMIN
    calendars: READ ADMIN
    event: READ ADMIN
    events: READ ADMIN
    firing: READ ADMIN
    firings: READ ADMIN
    forecast: READ ADMIN
    node: READ ADMIN
    nodes: READ ADMIN
    operation: READ ADMIN
    operations: READ ADMIN
    project: READ ADMIN
    projects: READ ADMIN
    schedule: READ ADMIN
    schedulePreview: READ ADMIN
    scheduleSimulate: READ ADMIN
    schedules: READ ADMIN
    server: (none) READ FIRE EVENTS_WRITE WRITE ADMIN
    timer: READ ADMIN
    timers: READ ADMIN
    trigger: READ ADMIN
    triggers: READ ADMIN
    viewer: (none) READ FIRE EVENTS_WRITE WRITE ADMIN
    actionCreate: WRITE ADMIN
    actionDelete: WRITE ADMIN
    actionUpdate: WRITE ADMIN
    apiKeyCreate: ADMIN
    apiKeyRevoke: ADMIN
    calendarDelete: WRITE ADMIN
    calendarSet: WRITE ADMIN
    eventLog: EVENTS_WRITE ADMIN
    eventsLog: EVENTS_WRITE ADMIN
    firingCancel: WRITE ADMIN
    firingReplay: WRITE ADMIN
    firingSkip: WRITE ADMIN
    operationCancel: WRITE ADMIN
    projectCreate: ADMIN
    projectUpdate: ADMIN
    scheduleCreate: WRITE ADMIN
    scheduleDelete: WRITE ADMIN
    scheduleFire: FIRE ADMIN
    schedulePause: WRITE ADMIN
    scheduleResume: WRITE ADMIN
    scheduleUpdate: WRITE ADMIN
    timerCancel: FIRE ADMIN
    timerStart: FIRE ADMIN
    timersStart: FIRE ADMIN
    triggerBackfill: WRITE ADMIN
    triggerCreate: WRITE ADMIN
    triggerDelete: WRITE ADMIN
    triggerFire: FIRE ADMIN
    triggerPause: WRITE ADMIN
    triggerResume: WRITE ADMIN
    triggerUpdate: WRITE ADMIN
    ");
}

#[tokio::test]
async fn what_is_watched_needs_the_scope_to_read() {
    let app = TestApp::start().await;
    let (blind, _) = caller_with(&app, &[Scope::Fire, Scope::EventsWrite, Scope::Write]).await;
    for query in ["subscription { events { cursor } }", "subscription { firingUpdated { id } }"] {
        let answer = app.stream_as(&blind, query).next().await.expect("an answer");
        assert_eq!(code(&answer), "FORBIDDEN", "{query}");
    }
}

#[tokio::test]
async fn what_a_key_may_not_do_did_not_happen() {
    let app = TestApp::start().await;
    let (reader, _) = caller_with(&app, &[Scope::Read]).await;
    for operation in operations(&app, "Mutation").await {
        let answer = app.graphql_as(&reader, &operation.document, json!({})).await;
        assert_eq!(code(&answer), "FORBIDDEN", "{}", operation.name);
    }
    let query = "{ triggers { totalCount } actions { totalCount } timers { totalCount }
        firings { totalCount } events(q: \"NOT (type sw 'key.')\") { totalCount } }";
    let none = json!({ "totalCount": 0 });
    assert_eq!(
        app.graphql(query, json!({})).await["data"],
        json!({ "triggers": none, "actions": none, "timers": none, "firings": none, "events": none })
    );
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_after_a_second() {
    let app = served().await;
    let (caller, key) = caller_with(&app, &[Scope::Read]).await;
    assert_eq!(status_of(&app, &key).await, 200);
    let id = caller.key().expect("a key");
    app.revoke(&caller, id).await;
    app.pass(Duration::from_secs(1));
    assert_eq!(status_of(&app, &key).await, 401);
    assert_eq!(status_of(&app, app.key()).await, 200, "another one is untouched");
    let again = api_key::revoke(&app.app, &app.caller, id).await;
    assert_eq!(again.expect_err("it was revoked before").code().as_str(), "CONFLICT");
}

#[tokio::test]
async fn an_expired_key_opens_nothing_from_its_instant_on() {
    let app = served().await;
    let input = json!({ "name": "brief", "scopes": ["READ"], "expiresIn": "PT10S" });
    let made = done(&app, "apiKeyCreate", "secret apiKey { expiresAt }", input).await;
    assert_eq!(made["apiKey"]["expiresAt"], "2026-03-02T10:00:10Z");
    let key = text(&made["secret"]);
    app.pass(Duration::from_millis(9_999));
    let before = status_of(&app, &key).await;
    app.pass(Duration::from_millis(1));
    assert_eq!((before, status_of(&app, &key).await), (200, 401));
}

#[tokio::test]
async fn a_key_that_is_mistyped_anywhere_is_refused() {
    let app = served().await;
    let key = app.key().to_owned();
    for place in [5, 33, key.len() - 1] {
        let mut wrong = key.clone().into_bytes();
        wrong[place] = if wrong[place] == b'a' { b'b' } else { b'a' };
        assert_eq!(status_of(&app, &String::from_utf8(wrong).expect("ASCII")).await, 401);
    }
    for wrong in [&key[..key.len() - 1], &format!("{key}x"), "blf_", "blf_ü", ""] {
        assert_eq!(status_of(&app, wrong).await, 401, "{wrong:?}");
    }
}

#[tokio::test]
async fn of_a_key_only_its_hash_is_stored() {
    if tests::is_postgres() {
        return; // There is no file to look into; what is written is the same.
    }
    let app = served().await;
    assert_eq!(status_of(&app, app.key()).await, 200);
    // The secret itself may have an underscore.
    let secret = app.key().splitn(3, '_').nth(2).expect("a secret").as_bytes().to_vec();
    let url = app.app.settings().database_url.clone();
    let file = std::path::Path::new(url.strip_prefix("sqlite://").expect("a path"));
    let folder = file.parent().expect("a folder");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        seen += bytes.len();
    }
    assert!(10_000 < seen, "the database was read");
}

#[tokio::test]
async fn a_key_tells_its_own_name_and_scopes_and_no_text() {
    let app = TestApp::start().await;
    let (caller, _) = caller_with(&app, &[Scope::Read, Scope::Fire]).await;
    let query = "{ viewer { name scopes createdAt expiresAt } }";
    assert_eq!(
        app.graphql_as(&caller, query, json!({})).await["data"]["viewer"],
        json!({ "name": "story", "scopes": ["READ", "FIRE"],
            "createdAt": "2026-03-02T10:00:00Z", "expiresAt": null })
    );
}

#[tokio::test]
async fn two_projects_may_use_the_same_names_and_idempotency_keys() {
    let app = TestApp::start().await;
    let (other, _) = stranger(&app).await;
    let create = "mutation { triggerCreate(input: { name: \"order\", idempotencyKey: \"k\" }) {
        trigger { id } userErrors { message } } }";
    let first = app.graphql(create, json!({})).await["data"]["triggerCreate"].clone();
    let second = app.graphql_as(&other, create, json!({})).await["data"]["triggerCreate"].clone();
    assert_eq!((&first["userErrors"], &second["userErrors"]), (&json!([]), &json!([])));
    assert_ne!(first["trigger"]["id"], second["trigger"]["id"]);
}
