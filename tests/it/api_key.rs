//! API keys: what they open, when they stop, and that one project is not there for another.

use std::time::Duration;

use belfry::service::{Caller, Scope, Scopes, api_key};
use futures_util::StreamExt as _;
use insta::assert_snapshot;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::every_operation::operations;
use crate::story::{caller_with, fire, fire_with, log, posting, stranger, text, timer};
use crate::wire::http;

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
    event: READ ADMIN
    events: READ ADMIN
    firing: READ ADMIN
    firings: READ ADMIN
    forecast: READ ADMIN
    node: READ ADMIN
    nodes: READ ADMIN
    schedule: READ ADMIN
    schedulePreview: READ ADMIN
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
    eventLog: EVENTS_WRITE ADMIN
    eventsLog: EVENTS_WRITE ADMIN
    firingCancel: WRITE ADMIN
    firingReplay: WRITE ADMIN
    firingSkip: WRITE ADMIN
    scheduleCreate: WRITE ADMIN
    scheduleDelete: WRITE ADMIN
    schedulePause: WRITE ADMIN
    scheduleResume: WRITE ADMIN
    scheduleUpdate: WRITE ADMIN
    timerCancel: FIRE ADMIN
    timerStart: FIRE ADMIN
    timersStart: FIRE ADMIN
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
    api_key::revoke(&app.app, caller.project, caller.key).await.expect("it is revoked");
    app.pass(Duration::from_secs(1));
    assert_eq!(status_of(&app, &key).await, 401);
    assert_eq!(status_of(&app, app.key()).await, 200, "another one is untouched");
    let again = api_key::revoke(&app.app, caller.project, caller.key).await;
    assert_eq!(again.expect_err("it was revoked before").code().as_str(), "NOT_FOUND");
}

#[tokio::test]
async fn an_expired_key_opens_nothing_from_its_instant_on() {
    let app = served().await;
    let (caller, key) = caller_with(&app, &[Scope::Read]).await;
    let db = Database::connect(&app.app.settings().database_url).await.expect("the database");
    let until = app.now().plus_ms(10_000).millis();
    let id = match tests::is_postgres() {
        true => format!("'{}'", caller.key.0),
        false => format!("X'{}'", caller.key.0.simple()),
    };
    let sql = format!("UPDATE api_key SET expires_at = {until} WHERE id = {id}");
    let done = db.execute_unprepared(&sql).await.expect("it is set");
    assert_eq!(done.rows_affected(), 1);
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
async fn an_operator_may_bring_a_key_of_another_form() {
    let app = served().await;
    let own = "correct horse battery staple, and then some";
    let scopes = Scopes::new(vec![Scope::Read]);
    let project = app.caller.project;
    let made = api_key::create(&app.app, project, "own", scopes, Some(own.to_owned())).await;
    assert_eq!(made.expect("a key").text, own);
    let bearer = format!("Bearer {own}");
    let answer = answer_to(&app, Some(("authorization", &bearer)), "{ viewer { name } }").await;
    assert_eq!((answer.0, status_of(&app, own).await), (200, 200));
    assert_eq!(status_of(&app, &own[1..]).await, 401);
}

#[tokio::test]
async fn of_a_key_only_its_hash_is_stored() {
    if tests::is_postgres() {
        return; // There is no file to look into; what is written is the same.
    }
    let app = served().await;
    assert_eq!(status_of(&app, app.key()).await, 200);
    let secret = app.key().rsplit('_').next().expect("a secret").as_bytes().to_vec();
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

/// One of everything; ids by noun.
async fn everything(app: &TestApp) -> Value {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(410));
    let action = "mutation($input: ActionCreateInput!) {
        actionCreate(input: $input) { action { id } userErrors { code field message } } }";
    let config = json!({ "http": { "url": receiver.url("/hook") } });
    let stages = json!([{ "name": "post", "config": config }]);
    let made =
        app.done("actionCreate", action, json!({ "name": "action", "stages": stages })).await;
    let trigger = posting(app, "order", &receiver.url("/hook")).await;
    let schedule = "mutation($input: ScheduleCreateInput!) {
        scheduleCreate(input: $input) { schedule { id } userErrors { code field message } } }";
    let input = json!({ "triggerId": trigger, "spec": { "every": { "interval": "PT1H" } } });
    let schedule = app.done("scheduleCreate", schedule, input).await;
    let failed = fire(app, &trigger).await;
    app.work().await;
    let timer = timer(app, 3_600, &receiver.url("/timer")).await;
    json!({ "act": made["action"]["id"], "trg": trigger, "sch": schedule["schedule"]["id"],
        "frg": failed, "tmr": timer, "evt": log(app, &["mine"]).await[0] })
}

/// The operation with the ids of `owned` for those that refer to nothing.
fn about(document: &str, owned: &Value) -> String {
    let mut document = document.to_owned();
    for (prefix, id) in owned.as_object().expect("ids") {
        let nothing = format!("{prefix}_01h2xcejqtf2nbrexx3vqjhp41");
        document = document.replace(&nothing, id.as_str().expect("an id"));
    }
    document
}

#[tokio::test]
async fn to_another_project_an_object_is_as_if_it_were_not_there() {
    let app = TestApp::start().await;
    let owned = everything(&app).await;
    let (other, _) = stranger(&app).await;
    let mut compared = 0;
    for root in ["Query", "Mutation"] {
        for operation in operations(&app, root).await {
            let document = about(&operation.document, &owned);
            if document == operation.document {
                continue;
            }
            let unknown = app.graphql_as(&other, &operation.document, json!({})).await;
            let foreign = app.graphql_as(&other, &document, json!({})).await;
            assert_eq!(about(&unknown.to_string(), &owned), foreign.to_string(), "{document}");
            compared += 1;
        }
    }
    assert!(20 <= compared, "{compared} operations take an id");
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ids: Vec<Value> = owned.as_object().expect("ids").values().cloned().collect();
    let seen = app.graphql_as(&other, query, json!({ "ids": ids })).await;
    assert_eq!(seen["data"]["nodes"], json!([null, null, null, null, null, null]));
    let own = app.graphql(query, json!({ "ids": ids })).await;
    assert!(own["data"]["nodes"].as_array().expect("nodes").iter().all(Value::is_object), "{own}");
}

#[tokio::test]
async fn lists_and_cursors_of_one_project_hold_nothing_of_another() {
    let app = TestApp::start().await;
    let owned = everything(&app).await;
    let (other, _) = stranger(&app).await;
    let ends = "pageInfo { startCursor }";
    let lists = ["actions", "triggers", "schedules", "firings", "timers"];
    for list in lists {
        let own = app.ask(list, &format!("{{ {list} {{ totalCount {ends} }} }}"), json!({})).await;
        assert_ne!(own["totalCount"], 0, "{list}");
        let cursor = text(&own["pageInfo"]["startCursor"]);
        for arguments in [
            String::new(),
            format!("(last: 5, before: \"{cursor}\")"),
            format!("(after: \"{cursor}\")"),
        ] {
            let query = format!("{{ {list}{arguments} {{ totalCount nodes {{ id }} }} }}");
            let seen = app.graphql_as(&other, &query, json!({})).await["data"][list].clone();
            assert_eq!(seen, json!({ "totalCount": 0, "nodes": [] }), "{query}");
        }
    }
    let trigger = &owned["trg"];
    for query in [
        format!("{{ firings(filter: {{ triggerId: {{ eq: {trigger} }} }}) {{ totalCount }} }}"),
        format!("{{ schedules(filter: {{ triggerId: {{ eq: {trigger} }} }}) {{ totalCount }} }}"),
        "{ events(filter: { or: [{ isArchived: INCLUDE }, { isTest: INCLUDE }],
            not: { type: { startsWith: \"key.\" } } }) { totalCount } }"
            .to_owned(),
    ] {
        let seen = app.graphql_as(&other, &query, json!({})).await["data"].clone();
        let list = seen.as_object().expect("data").values().next().expect("a list").clone();
        assert_eq!(list, json!({ "totalCount": 0 }), "{query}");
    }
}

#[tokio::test]
async fn a_watcher_of_one_project_sees_nothing_of_another() {
    let app = TestApp::start().await;
    let owned = everything(&app).await;
    let (other, _) = stranger(&app).await;
    let start = text(
        &app.ask("events", "{ events(first: 0) { headCursor } }", json!({})).await["headCursor"],
    );
    let tail = format!("subscription {{ events(after: \"{start}\") {{ events {{ message }} }} }}");
    let mut events = app.stream_as(&other, &tail);
    let mut all = app.stream_as(&other, "subscription { firingUpdated { correlationId } }");
    let one = format!("subscription {{ firingUpdated(id: {}) {{ id }} }}", owned["frg"]);
    let mut one = app.stream_as(&other, &one);
    let (mut all_next, mut one_next) = (Box::pin(all.next()), Box::pin(one.next()));
    assert!(futures_util::poll!(&mut all_next).is_pending());
    assert!(futures_util::poll!(&mut one_next).is_pending());

    log(&app, &["not yours"]).await;
    fire_with(&app, json!({ "triggerId": owned["trg"], "correlationId": "not yours" })).await;
    let made = "mutation { triggerCreate(input: { name: \"order\" }) { trigger { id } } }";
    let made = app.graphql_as(&other, made, json!({})).await;
    let trigger = &made["data"]["triggerCreate"]["trigger"]["id"];
    let fire =
        "mutation($id: ID!) { triggerFire(input: { triggerId: $id, correlationId: \"yours\" }) {
        firing { id } } }";
    app.graphql_as(&other, fire, json!({ "id": trigger })).await;
    let seen = all_next.await.expect("a row");
    assert_eq!(seen["data"]["firingUpdated"]["correlationId"], "yours");
    assert!(futures_util::poll!(&mut one_next).is_pending());
    let seen = events.next().await.expect("a batch");
    assert_eq!(
        seen["data"]["events"]["events"],
        json!([{ "message": "trigger order" }, { "message": null }])
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
