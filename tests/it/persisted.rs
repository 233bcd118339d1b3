//! Persisted queries: Apollo's protocol on every transport, and nothing told to other projects.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::TestApp;
use crate::wire::{Socket, http, post};

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

fn extensions(query: &str) -> Value {
    let digest = Sha256::digest(query.as_bytes());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

#[tokio::test]
async fn a_hash_runs_once_its_query_was_sent() {
    let app = TestApp::live().await;
    let query = "query($n: String!) { __type(name: $n) { name } }";
    let variables = json!({ "n": "Query" });
    let alone = json!({ "extensions": extensions(query), "variables": variables });
    for (accept, status) in [(JSON, 200), (GRAPHQL, 400)] {
        let answer = post(&app, accept, &alone).await;
        assert_eq!((answer.status, answer.code()), (status, "PERSISTED_QUERY_NOT_FOUND".into()));
        assert_eq!(answer.json()["errors"][0]["message"], "PersistedQueryNotFound");
    }
    let both = json!({ "query": query, "extensions": extensions(query), "variables": variables });
    let expected = json!({ "data": { "__type": { "name": "Query" } } });
    assert_eq!(post(&app, JSON, &both).await.json(), expected);
    assert_eq!(post(&app, JSON, &alone).await.json(), expected);

    let query_string = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("extensions", &extensions(query).to_string())
        .append_pair("variables", &variables.to_string())
        .finish();
    let line = format!("GET /graphql?{query_string}");
    let answer = http(&app, &line, &[("accept", JSON), ("x-api-key", app.key())], "").await;
    assert_eq!(answer.json(), expected, "over GET");

    let mut socket = Socket::acknowledged(&app).await;
    socket.send(&json!({ "type": "subscribe", "id": "1", "payload": alone })).await;
    assert_eq!(socket.next().await["payload"], expected, "over the WebSocket");

    let headers =
        [("accept", "text/event-stream"), ("content-type", JSON), ("x-api-key", app.key())];
    let answer = http(&app, "POST /graphql", &headers, alone.to_string()).await;
    assert!(answer.body.contains(&expected.to_string()), "over SSE: {}", answer.body);
}

#[tokio::test]
async fn a_hash_must_be_that_of_the_query() {
    let app = TestApp::live().await;
    let body = json!({ "query": "{ __typename }", "extensions": extensions("{ other }") });
    let answer = post(&app, JSON, &body).await;
    assert_eq!((answer.status, answer.code()), (400, "BAD_REQUEST".into()));
    let alone = json!({ "extensions": extensions("{ other }") });
    assert_eq!(post(&app, JSON, &alone).await.code(), "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn what_the_guard_refuses_is_not_kept() {
    let app = TestApp::live().await;
    let query = "{ ...F } fragment F on Query { ...F }";
    let both = json!({ "query": query, "extensions": extensions(query) });
    assert_eq!(post(&app, JSON, &both).await.code(), "QUERY_TOO_COMPLEX");
    let alone = json!({ "extensions": extensions(query) });
    assert_eq!(post(&app, JSON, &alone).await.code(), "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn a_mutation_by_its_hash_needs_post_all_the_same() {
    let app = TestApp::live().await;
    let query = "mutation { __typename }";
    let both = json!({ "query": query, "extensions": extensions(query) });
    assert_eq!(post(&app, JSON, &both).await.status, 200);
    let query_string = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("extensions", &extensions(query).to_string())
        .finish();
    let line = format!("GET /graphql?{query_string}");
    let answer = http(&app, &line, &[("x-api-key", app.key())], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("post")));
}
