//! Every mutation that is done leaves an entry of the log that names who did it and to what: the
//! mutations are those of the schema, so that one that is added tomorrow is held to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{list, mutation, text};

/// What leaves none, each with its reason.
const SILENT: [(&str, &str); 4] = [
    ("eventLog", "is the log"),
    ("eventsLog", "is the log"),
    ("timerStart", "is work and changes no definition; the timer is listed, and its end is told"),
    ("timersStart", "as timerStart"),
];

/// The mutations in an order in which each finds what it needs, with the object of the answer.
/// `$name` is the id that the mutation of that name answered with.
const STORY: [(&str, &str, &str); 30] = [
    (
        "eventLog",
        "event { id }",
        r#"{"event": {"email": "a@b.cd", "environment": "e", "component": "c", "message": "m", "data": 1}}"#,
    ),
    ("eventsLog", "events { id }", r#"{"events": []}"#),
    (
        "actionCreate",
        "action { id }",
        r#"{"name": "a", "stages": [{"name": "s", "config": {"log": {"message": "m"}}}]}"#,
    ),
    ("actionUpdate", "action { id }", r#"{"id": "$actionCreate", "name": "b"}"#),
    ("actionDelete", "deletedId", r#"{"id": "$actionCreate"}"#),
    ("triggerCreate", "trigger { id }", r#"{"name": "t"}"#),
    ("triggerUpdate", "trigger { id }", r#"{"id": "$triggerCreate", "name": "u"}"#),
    (
        "scheduleCreate",
        "schedule { id }",
        r#"{"triggerId": "$triggerCreate", "spec": {"every": {"interval": "PT1H"}}}"#,
    ),
    ("calendarSet", "calendar { id }", r#"{"name": "c", "entries": [{"date": "2027-01-01"}]}"#),
    ("calendarDelete", "deletedId", r#"{"id": "$calendarSet"}"#),
    ("scheduleUpdate", "schedule { id }", r#"{"id": "$scheduleCreate", "name": "s"}"#),
    ("schedulePause", "schedule { id }", r#"{"id": "$scheduleCreate"}"#),
    ("scheduleResume", "schedule { id }", r#"{"id": "$scheduleCreate"}"#),
    ("triggerPause", "trigger { id }", r#"{"id": "$triggerCreate"}"#),
    ("triggerResume", "trigger { id }", r#"{"id": "$triggerCreate"}"#),
    ("scheduleFire", "firing { id }", r#"{"id": "$scheduleCreate"}"#),
    (
        "triggerBackfill",
        "operation { id }",
        r#"{"triggerId": "$triggerCreate", "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}"#,
    ),
    ("operationCancel", "operation { id }", r#"{"id": "$triggerBackfill"}"#),
    ("scheduleDelete", "deletedId", r#"{"id": "$scheduleCreate"}"#),
    ("triggerFire", "firing { id }", r#"{"triggerId": "$triggerCreate"}"#),
    ("firingReplay", "firing { id }", r#"{"id": "$triggerFire"}"#),
    ("firingCancel", "firing { id }", r#"{"id": "$firingReplay"}"#),
    ("firingSkip", "firing { id }", r#"{"id": "$failed"}"#),
    (
        "timerStart",
        "timer { id }",
        r#"{"length": {"duration": "PT1H"}, "target": {"triggerId": "$triggerCreate"}}"#,
    ),
    ("timersStart", "timers { id }", r#"{"timers": []}"#),
    ("timerCancel", "timer { id }", r#"{"id": "$timerStart"}"#),
    ("apiKeyCreate", "apiKey { id }", r#"{"name": "k", "scopes": ["READ"]}"#),
    ("apiKeyRevoke", "apiKey { id }", r#"{"id": "$apiKeyCreate"}"#),
    ("projectCreate", "project { id }", r#"{"name": "p"}"#),
    ("projectUpdate", "project { id }", r#"{"id": "$projectCreate", "name": "q"}"#),
];

/// Ends the story: nothing is left to do to a trigger after it.
const LAST: (&str, &str, &str) = ("triggerDelete", "deletedId", r#"{"id": "$triggerCreate"}"#);

#[tokio::test]
async fn every_mutation_names_its_actor_and_its_object() {
    let app = TestApp::start().await;
    let query = "{ __schema { mutationType { fields { name } } } viewer { id name } }";
    let found = app.graphql(query, json!({})).await["data"].clone();
    let (key, name) = (text(&found["viewer"]["id"]), text(&found["viewer"]["name"]));
    let silent: BTreeMap<&str, &str> = SILENT.into_iter().collect();
    let mut told: Vec<&str> = Vec::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    ids.insert("failed".to_owned(), failed(&app).await);
    for (mutation, selection, input) in STORY.into_iter().chain([LAST]) {
        let before = events(&app).await.len();
        let object = run(&app, &mut ids, mutation, selection, input).await;
        let after = events(&app).await;
        let new = &after[..after.len() - before];
        told.push(mutation);
        if silent.contains_key(mutation) {
            continue;
        }
        let is_about = |event: &Value| {
            let named = &event["data"]["object"];
            let is_named = named["id"] == object.as_str() && named["name"].is_string();
            let firing = object.replacen("tmr_", "frg_", 1);
            let by = &event["data"]["actor"];
            let is_definition = is_named && by["id"] == key.as_str() && by["name"] == name.as_str();
            let is_firing = event["firingId"] == firing.as_str();
            event["actor"] == key.as_str() && (is_definition || is_firing)
        };
        assert!(new.iter().any(is_about), "{mutation} of {object}: {new:#?}");
        if mutation == "triggerFire" {
            app.work().await;
        }
    }
    let mut fields: Vec<String> = list(&found["__schema"]["mutationType"]["fields"])
        .iter()
        .map(|field| text(&field["name"]))
        .collect();
    fields.retain(|field| !told.contains(&&**field));
    assert!(fields.is_empty(), "mutations that nobody told of: {fields:?}");
}

/// Does it; the id of its object.
async fn run(
    app: &TestApp,
    ids: &mut BTreeMap<String, String>,
    name: &str,
    selection: &str,
    input: &str,
) -> String {
    let mut input = input.to_owned();
    for (name, id) in ids.iter() {
        input = input.replace(&format!("\"${name}\""), &format!("{id:?}"));
    }
    let input: Value = serde_json::from_str(&input).expect("JSON");
    let payload = app.done(name, &mutation(name, selection), input).await;
    let fields = payload.as_object().expect("a payload");
    let object = fields.iter().find(|(field, _)| *field != "userErrors").expect("an object").1;
    let id = object["id"].as_str().or(object.as_str()).unwrap_or_default().to_owned();
    ids.insert(name.to_owned(), id.clone());
    id
}

/// A firing that failed.
async fn failed(app: &TestApp) -> String {
    let receiver = tests::Receiver::start().await;
    receiver.answer(tests::Answer::status(410));
    let trigger = crate::story::posting(app, "failing", &receiver.url("/")).await;
    let firing = crate::story::fire(app, &trigger).await;
    app.work().await;
    firing
}

/// The log, newest first.
async fn events(app: &TestApp) -> Vec<Value> {
    let query = "{ events(first: 100) { nodes { type actor data firingId } } }";
    list(&app.ask("events", query, json!({})).await["nodes"]).to_vec()
}
