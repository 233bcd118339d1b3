//! `POST /fire/{triggerId}`: with a key or with a signature, once for each message, and nothing to
//! learn for whoever has neither.

use std::time::Duration;

use belfry::domain::signature::SigningKey;
use belfry::limits::{PAYLOAD_BYTES_MAX, WEBHOOK_ID_CHARS_MAX};
use belfry::service::Scope;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{done, text};
use crate::story::{caller_with, firing, stranger, trigger};
use crate::wire::{Answer, http};

const JSON: (&str, &str) = ("content-type", "application/json");
const UNKNOWN: &str = "trg_01h2xcejqtf2nbrexx3vqjhp41";
const BODY: &str = r#"{ "order": 7 }"#;

/// A sender that signs: what it knows.
struct Sender {
    trigger: String,
    key: SigningKey,
}

async fn secret(app: &TestApp, trigger: &str) -> String {
    let query = "query($id: ID!) { trigger(by: { id: $id }) { inboundSecret } }";
    text(&app.ask("trigger", query, json!({ "id": trigger })).await["inboundSecret"])
}

async fn sender(app: &TestApp, input: Value) -> Sender {
    app.listen().await;
    let trigger = trigger(app, input).await;
    let key = SigningKey::parse(&secret(app, &trigger).await).expect("a key");
    Sender { trigger, key }
}

impl Sender {
    /// Posts `body`, signed by its key as sent `late_secs` ago.
    async fn post(&self, app: &TestApp, id: &str, late_secs: i64, body: &str) -> Answer {
        let sent = app.now().millis() / 1_000 - late_secs;
        let signature = self.key.sign(id, sent, body.as_bytes());
        let sent = sent.to_string();
        let headers = [
            JSON,
            ("webhook-id", id),
            ("webhook-timestamp", &sent),
            ("webhook-signature", &signature),
        ];
        http(app, &format!("POST /fire/{}", self.trigger), &headers, body).await
    }
}

async fn post(app: &TestApp, trigger: &str, key: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [&[JSON, ("x-api-key", key)], more].concat();
    http(app, &format!("POST /fire/{trigger}"), &headers, BODY).await
}

async fn count(app: &TestApp) -> Value {
    app.ask("firings", "{ firings { totalCount } }", json!({})).await["totalCount"].clone()
}

/// Status and errors, one a line.
fn refusal(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.body)
}

#[tokio::test]
async fn a_key_fires_and_is_told_the_firing() {
    let app = TestApp::start().await;
    app.listen().await;
    let id = trigger(&app, json!({ "name": "order" })).await;
    let (_, key) = caller_with(&app, &[Scope::Fire]).await;
    let answer = post(&app, &id, &key, &[]).await;
    let fired = text(&answer.json()["id"]);
    assert_eq!((answer.status, answer.json()), (202, json!({ "id": fired })));
    app.work().await;
    let row = firing(&app, &fired).await;
    assert_eq!((&row["status"], &row["cause"]), (&json!("COMPLETED"), &json!("API")));
    assert_eq!(row["payload"], json!({ "order": 7 }));
}

#[tokio::test]
async fn with_a_key_what_is_wrong_is_told() {
    let app = TestApp::start().await;
    app.listen().await;
    let schema = json!({ "type": "object", "required": ["customer"] });
    let id = trigger(&app, json!({ "name": "order", "payloadSchema": schema })).await;
    let (_, key) = caller_with(&app, &[Scope::Fire]).await;
    let (_, reader) = caller_with(&app, &[Scope::Read]).await;
    let (_, other) = stranger(&app).await;
    let path = format!("POST /fire/{id}");
    let mut lines = vec![
        refusal(&post(&app, &id, &key, &[]).await),
        refusal(&post(&app, &id, &reader, &[]).await),
        refusal(&post(&app, &id, &other, &[]).await).replace(&id, UNKNOWN),
        refusal(&post(&app, UNKNOWN, &other, &[]).await),
        refusal(&post(&app, "order", &key, &[]).await),
        refusal(&post(&app, "%ff", &key, &[]).await),
        refusal(&post(&app, &id, &key, &[("idempotency-key", "")]).await),
    ];
    let headers = [("x-api-key", &*key), ("content-type", "text/plain")];
    lines.push(refusal(&http(&app, &path, &headers, BODY).await));
    let headers = [("x-api-key", &*key), JSON];
    lines.push(refusal(&http(&app, &path, &headers, "{").await));
    lines.push(refusal(&http(&app, &path, &headers, "").await));
    assert_eq!(lines[2], lines[3], "another project's trigger is not there");
    assert_snapshot!(lines.join("\n"), @r#"
    400 {"errors":[{"field":"payload","message":"\"customer\" is a required property"}]}
    403 {"errors":[{"field":null,"message":"the API key lacks the scope FIRE"}]}
    404 {"errors":[{"field":"triggerId","message":"no trigger has the id trg_01h2xcejqtf2nbrexx3vqjhp41"}]}
    404 {"errors":[{"field":"triggerId","message":"no trigger has the id trg_01h2xcejqtf2nbrexx3vqjhp41"}]}
    400 {"errors":[{"field":"triggerId","message":"expected the id of a trigger: trg_ and 26 characters"}]}
    400 {"errors":[{"field":"triggerId","message":"expected the id of a trigger: trg_ and 26 characters"}]}
    400 {"errors":[{"field":"idempotencyKey","message":"expected a text that is not blank"}]}
    415 {"errors":[{"field":null,"message":"expected Content-Type: application/json"}]}
    400 {"errors":[{"field":null,"message":"expected JSON as the body: EOF while parsing an object at line 1 column 1"}]}
    400 {"errors":[{"field":null,"message":"expected JSON as the body: EOF while parsing a value at line 1 column 0"}]}
    "#);
    assert_eq!(count(&app).await, 0);
}

#[tokio::test]
async fn a_payload_may_be_as_large_as_the_limit_and_no_larger() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    let body = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let answer = sender.post(&app, "largest", 0, &body(PAYLOAD_BYTES_MAX)).await;
    assert_eq!(answer.status, 202);
    let answer = sender.post(&app, "larger", 0, &body(PAYLOAD_BYTES_MAX + 1)).await;
    assert_eq!(answer.status, 413);
    let headers = [JSON, ("x-api-key", app.key())];
    let path = format!("POST /fire/{}", sender.trigger);
    let answer = http(&app, &path, &headers, body(PAYLOAD_BYTES_MAX + 1)).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn an_idempotency_key_fires_once() {
    let app = TestApp::start().await;
    app.listen().await;
    let id = trigger(&app, json!({ "name": "order" })).await;
    let once = [("idempotency-key", "order-7")];
    let first = post(&app, &id, app.key(), &once).await;
    let second = post(&app, &id, app.key(), &once).await;
    assert_eq!((first.status, first.json()), (second.status, second.json()));
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn a_signed_message_fires_once_however_often_it_comes() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    let first = sender.post(&app, "msg_1", 0, BODY).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let repeated = sender.post(&app, "msg_1", 0, BODY).await;
    assert_eq!((repeated.status, repeated.json()), (202, first.json()));
    app.pass(Duration::from_secs(3_600));
    // The sender's own repeat has a timestamp of its own.
    let later = sender.post(&app, "msg_1", 0, BODY).await;
    assert_eq!((later.status, later.json()), (202, first.json()));
    let other_body = sender.post(&app, "msg_1", 0, r#"{ "order": 8 }"#).await;
    assert_eq!(other_body.status, 409);
    let other = sender.post(&app, "msg_2", 0, BODY).await;
    assert_ne!(other.json(), first.json());
    assert_eq!(count(&app).await, 2);
    let query = "{ events(filter: { type: { eq: \"firing.accepted\" } }) { nodes { actor } } }";
    let actor = &app.ask("events", query, json!({})).await["nodes"][0]["actor"];
    assert_eq!(actor, "inbound signature");
}

#[tokio::test]
async fn a_signature_holds_for_five_minutes_either_way() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    let mut seen = Vec::new();
    for late_secs in [300, 301, -300, -301] {
        let id = format!("msg_{late_secs}");
        seen.push((late_secs, sender.post(&app, &id, late_secs, BODY).await.status));
    }
    assert_eq!(seen, [(300, 202), (301, 401), (-300, 202), (-301, 401)]);
}

#[tokio::test]
async fn whoever_cannot_sign_learns_nothing() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    let body = BODY.as_bytes();
    let now = (app.now().millis() / 1_000).to_string();
    let right = sender.key.sign("m", app.now().millis() / 1_000, body);
    let project = "{ viewer { project { signingSecret } } }";
    let project = app.ask("viewer", project, json!({})).await["project"]["signingSecret"].clone();
    let project = SigningKey::parse(&text(&project)).expect("a key");
    let webhooks = project.sign("m", app.now().millis() / 1_000, body);
    let other = trigger(&app, json!({ "name": "other" })).await;
    let (own, late) = (&*sender.trigger, "1772440000");
    let mut answers = Vec::new();
    for (trigger, id, sent, signature) in [
        (own, "m", &*now, "v1,AAAA"),
        (own, "m", &*now, ""),
        (own, "m2", &*now, &*right),
        (own, "m", late, &*right),
        (own, "m", "soon", &*right),
        (own, "m", &*now, &*webhooks),
        (&*other, "m", &*now, &*right),
        (UNKNOWN, "m", &*now, &*right),
        ("order", "m", &*now, &*right),
        ("%ff", "m", &*now, &*right),
    ] {
        let path = format!("POST /fire/{trigger}");
        let headers = [
            JSON,
            ("webhook-id", id),
            ("webhook-timestamp", sent),
            ("webhook-signature", signature),
        ];
        answers.push(refusal(&http(&app, &path, &headers, BODY).await));
    }
    let some = [JSON, ("webhook-signature", &*right)];
    answers.push(refusal(&http(&app, &format!("POST /fire/{own}"), &some, BODY).await));
    answers.dedup();
    assert_snapshot!(answers.join("\n"), @r#"
    401 {"errors":[{"field":null,"message":"the signature is not valid for this trigger"}]}
    "#);
    let nothing = http(&app, &format!("POST /fire/{own}"), &[JSON], BODY).await;
    assert_eq!((nothing.status, nothing.header("www-authenticate")), (401, Some("bearer")));
    assert_eq!(count(&app).await, 0);
}

#[tokio::test]
async fn the_id_of_a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    let longest = sender.post(&app, &"m".repeat(WEBHOOK_ID_CHARS_MAX), 0, BODY).await;
    let longer = sender.post(&app, &"m".repeat(WEBHOOK_ID_CHARS_MAX + 1), 0, BODY).await;
    assert_eq!((longest.status, longer.status), (202, 400));
    assert_eq!(sender.post(&app, "msg.1", 0, BODY).await.status, 400);
    assert_snapshot!(longer.body, @r#"{"errors":[{"field":"webhook-id","message":"expected at most 128 characters, not 129"}]}"#);
}

#[tokio::test]
async fn a_secret_that_is_rotated_fires_no_more_and_is_for_admins_alone() {
    let app = TestApp::start().await;
    let mut sender = sender(&app, json!({ "name": "order" })).await;
    let input = json!({ "id": sender.trigger, "rotateInboundSecret": true });
    done(&app, "triggerUpdate", "trigger { version }", input.clone()).await;
    assert_eq!(sender.post(&app, "m", 0, BODY).await.status, 401);
    sender.key = SigningKey::parse(&secret(&app, &sender.trigger).await).expect("a key");
    assert_eq!(sender.post(&app, "m", 0, BODY).await.status, 202);

    let (writer, _) = caller_with(&app, &[Scope::Read, Scope::Write]).await;
    let query = "{ triggers { nodes { name inboundSecret } } }";
    let seen = app.graphql_as(&writer, query, json!({})).await;
    assert_eq!(
        seen["data"]["triggers"]["nodes"],
        json!([{ "name": "order", "inboundSecret": null }])
    );
    let mutation = crate::operation::mutation("triggerUpdate", "trigger { version }");
    let seen = app.graphql_as(&writer, &mutation, json!({ "input": input })).await;
    assert_eq!(seen["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn a_server_that_stops_takes_no_message() {
    let app = TestApp::start().await;
    let sender = sender(&app, json!({ "name": "order" })).await;
    app.begin_shutdown();
    let answer = sender.post(&app, "m", 0, BODY).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
}
