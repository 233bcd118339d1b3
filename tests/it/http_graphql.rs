//! `/graphql` over HTTP: the table of transport.md, row by row, against raw requests.

use serde_json::json;

use crate::TestApp;
use crate::wire::{Answer, http, post};

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

/// A GET with the key and this `Accept`.
async fn get(app: &TestApp, accept: &str, query_string: &str) -> Answer {
    let line = format!("GET /graphql{query_string}");
    http(app, &line, &[("accept", accept), ("x-api-key", app.key())], "").await
}

#[tokio::test]
async fn accept_decides_the_media_type() {
    let app = TestApp::live().await;
    let body = json!({"query": "{ __typename }"});
    for (accept, media) in [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL),
        ("application/graphql-response+json;q=0.1, application/json", JSON),
    ] {
        let answer = post(&app, accept, &body).await;
        assert_eq!(answer.status, 200, "{accept}");
        let expected = format!("{media}; charset=utf-8");
        assert_eq!(answer.header("content-type"), Some(expected.as_str()), "{accept}");
        assert_eq!(answer.json(), json!({"data": {"__typename": "Query"}}));
    }
    for accept in ["text/plain", "image/*", "application/json;q=0"] {
        assert_eq!(post(&app, accept, &body).await.status, 406, "{accept}");
    }
}

#[tokio::test]
async fn a_missing_accept_means_json() {
    let app = TestApp::live().await;
    let headers = [("content-type", JSON), ("x-api-key", app.key())];
    let answer = http(&app, "POST /graphql", &headers, r#"{"query":"{ __typename }"}"#).await;
    let media = answer.header("content-type").map(str::to_owned);
    assert_eq!((answer.status, media.as_deref()), (200, Some("application/json; charset=utf-8")));
}

#[tokio::test]
async fn a_request_error_has_no_data_and_its_status_depends_on_the_media_type() {
    let app = TestApp::live().await;
    for (query, code) in [
        (json!({"query": "{"}), "GRAPHQL_PARSE_FAILED"),
        (json!({"query": "{ noSuchField }"}), "GRAPHQL_VALIDATION_FAILED"),
        (json!({"query": "subscription { events { cursor } }"}), "GRAPHQL_VALIDATION_FAILED"),
        (json!({"query": "{ __typename }", "operationName": "X"}), "OPERATION_RESOLUTION_FAILURE"),
        (
            json!({"query": "query($n: String!) { __type(name: $n) { name } }", "variables": {}}),
            "BAD_USER_INPUT",
        ),
        (
            json!({
                "query": "query($n: String!) { __type(name: $n) { name } }",
                "variables": {"n": 1}
            }),
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        for (accept, status) in [(JSON, 200), (GRAPHQL, 400)] {
            let answer = post(&app, accept, &query).await;
            assert_eq!(answer.status, status, "{query} as {accept}: {}", answer.body);
            assert_eq!(answer.json().get("data"), None, "{query}");
            assert_eq!(answer.code(), code, "{query}");
        }
    }
}

#[tokio::test]
async fn parameters_of_a_wrong_type_are_refused_whatever_is_accepted() {
    let app = TestApp::live().await;
    let query = "{ __typename }";
    for body in [
        json!([{"query": query}]),
        json!({}),
        json!({"query": 1}),
        json!({"query": query, "operationName": 1}),
        json!({"query": query, "variables": "x"}),
        json!({"query": query, "variables": []}),
        json!({"query": query, "extensions": 1}),
    ] {
        for accept in [JSON, GRAPHQL] {
            let answer = post(&app, accept, &body).await;
            assert_eq!((answer.status, answer.code()), (400, "BAD_REQUEST".into()), "{body}");
        }
    }
    let nulls =
        json!({"query": query, "operationName": null, "variables": null, "extensions": null});
    assert_eq!(post(&app, GRAPHQL, &nulls).await.status, 200);
}

#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let app = TestApp::live().await;
    let send = async |content_type: &str, body: &str| {
        let headers = [("content-type", content_type), ("x-api-key", app.key())];
        http(&app, "POST /graphql", &headers, body).await.status
    };
    let body = r#"{"query":"{ __typename }"}"#;
    assert_eq!(send("application/json; charset=utf-8", body).await, 200);
    assert_eq!(send(JSON, "{").await, 400);
    assert_eq!(send("text/plain", body).await, 415);
    assert_eq!(send("application/x-www-form-urlencoded", body).await, 415);
    let bare = http(&app, "POST /graphql", &[("x-api-key", app.key())], body).await;
    assert_eq!(bare.status, 415);
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte() {
    let app = TestApp::live().await;
    let empty = json!({"query": "{ __typename }", "extensions": {"x": ""}}).to_string().len();
    for (bytes, status) in [(1024 * 1024, 200), (1024 * 1024 + 1, 413), (5_000_000, 413)] {
        let filler = "x".repeat(bytes - empty);
        let body = json!({"query": "{ __typename }", "extensions": {"x": filler}});
        let answer = post(&app, JSON, &body).await;
        assert_eq!(answer.status, status, "{bytes} bytes");
        assert!(answer.json().is_object());
    }
}

#[tokio::test]
async fn get_takes_queries_only() {
    let app = TestApp::live().await;
    let query = "?query=query%20A%20%7B__typename%7D&operationName=A&variables=%7B%7D";
    let answer = get(&app, GRAPHQL, query).await;
    assert_eq!((answer.status, answer.json()["data"]["__typename"].as_str()), (200, Some("Query")));

    let mutation = get(&app, JSON, "?query=mutation%20%7B__typename%7D").await;
    assert_eq!((mutation.status, mutation.header("allow")), (405, Some("post")));

    assert_eq!(get(&app, JSON, "").await.status, 400);
    assert_eq!(get(&app, JSON, "?query=%7B__typename%7D&variables=%7B").await.status, 400);
    let put = http(&app, "PUT /graphql", &[("x-api-key", app.key())], "").await;
    assert_eq!((put.status, put.header("allow")), (405, Some("get, post")));
}

#[tokio::test]
async fn a_browser_is_sent_to_the_playground() {
    let app = TestApp::live().await;
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let answer = http(&app, "GET /graphql", &[("accept", accept)], "").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("/playground")));
}

#[tokio::test]
async fn a_key_is_needed_and_is_read_from_either_header() {
    let app = TestApp::live().await;
    let bearer = format!("Bearer {}", app.key());
    let send = async |name: &str, value: &str| {
        let headers = [("content-type", JSON), (name, value)];
        http(&app, "POST /graphql", &headers, r#"{"query":"{ __typename }"}"#).await
    };
    assert_eq!(send("authorization", &bearer).await.status, 200);
    assert_eq!(send("x-api-key", app.key()).await.status, 200);
    for (name, value) in [("x-other", "1"), ("authorization", "Bearer nonsense")] {
        let answer = send(name, value).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer")));
        assert_eq!(answer.code(), "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn shutdown_answers_503_with_a_time() {
    let app = TestApp::live().await;
    // Connected before, so that the listener's own end does not matter.
    let line = "POST /graphql";
    let headers = [("content-type", JSON), ("x-api-key", app.key())];
    let connection = crate::wire::connect(&app).await;
    app.begin_shutdown();
    let body = r#"{"query":"{ __typename }"}"#;
    let answer = crate::wire::http_on(connection, line, &headers, body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    assert_eq!(answer.code(), "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_field_that_failed_is_null_beside_what_did_not() {
    let app = TestApp::live().await;
    let query = "{ trigger(by: { id: \"frg_x\" }) { id } name: __typename }";
    let answer = post(&app, JSON, &json!({ "query": query })).await;
    let data = answer.json()["data"].to_string();
    assert_eq!((answer.status, data.as_str()), (200, r#"{"trigger":null,"name":"Query"}"#));
}
