//! The request guard over the wire: what stops other servers is refused, on HTTP and on the
//! WebSocket alike, and the tools' introspection passes. The limits themselves are tested beside
//! the guard.

use serde_json::json;

use crate::TestApp;
use crate::operation::{every, scheduled};
use crate::wire::{Socket, http, post};

const JSON: &str = "application/json";

/// Each level spreads the next so many times.
fn spreading(levels: usize, times: usize) -> String {
    let level = |n: usize| {
        let spreads = format!("...F{} ", n + 1).repeat(times);
        format!("fragment F{n} on Query {{ {spreads}}} ")
    };
    let chain: String = (0..levels).map(level).collect();
    format!("{{ ...F0 }} {chain} fragment F{levels} on Query {{ __typename }}")
}

pub fn attacks() -> Vec<String> {
    vec![
        format!("{{ __type(name: {}{}) {{ name }} }}", "[".repeat(1_600), "]".repeat(1_600)),
        format!("{{ __type(name: {}1{}) {{ name }} }}", "{a:".repeat(1_600), "}".repeat(1_600)),
        spreading(25, 2),
        spreading(30, 2),
        spreading(7, 60),
        "{ ...F } fragment F on Query { ...F }".to_owned(),
        format!("{{ __typename {} }}", "#".repeat(15_000)),
        format!("{{ {} }}", "a ".repeat(2_000)),
        roots(21),
        format!("query {{ __typename {} }}", "@include(if: true) ".repeat(51)),
        format!("{{ __schema {{ {} }} }}", "x: description ".repeat(101)),
        deep(16),
    ]
}

fn roots(count: usize) -> String {
    format!("{{ {} }}", (0..count).map(|n| format!("a{n}: __typename ")).collect::<String>())
}

/// So many levels of fields.
fn deep(levels: usize) -> String {
    let (open, close) = ("ofType { ".repeat(levels - 3), "}".repeat(levels - 3));
    format!("{{ __schema {{ types {{ {open} name {close} }} }} }}")
}

/// What stays just within the limits that [`attacks`] exceed by little.
fn large() -> Vec<String> {
    vec![
        roots(20),
        format!("query {{ __typename {} }}", "@include(if: true) ".repeat(50)),
        format!("{{ __schema {{ {} }} }}", "x: description ".repeat(100)),
        deep(15),
        format!("{{ __typename }} {}", "#".repeat(15_000 - 15)),
    ]
}

#[tokio::test]
async fn what_is_at_the_limits_passes_on_every_transport() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for (n, query) in large().into_iter().enumerate() {
        let body = json!({ "query": query });
        let answer = post(&app, JSON, &body).await;
        assert!(answer.json()["data"].is_object(), "{query}: {}", answer.body);
        let headers =
            [("accept", "text/event-stream"), ("content-type", JSON), ("x-api-key", app.key())];
        let answer = http(&app, "POST /graphql", &headers, body.to_string()).await;
        assert!(answer.body.contains("data: {\"data\":{"), "{query}: {}", answer.body);
        socket.subscribe(&n.to_string(), &query).await;
        assert_eq!(socket.next().await["type"], "next", "{query}");
        assert_eq!(socket.next().await["type"], "complete");
    }
}

/// Costs exactly 50,000: 1 + 100 × (1 + 2 + 1 + 99 × (1 + 4)), and 1 + 49 × (1 + 1).
const COSTLY: &str = "{ triggers(first: 100) { nodes { id name
    firings(first: 99) { nodes { id status dueAt reason } } } } firings(first: 49) { nodes { id } } }";

#[tokio::test]
async fn a_query_may_cost_fifty_thousand_on_every_transport() {
    let app = TestApp::live().await;
    let variables = async_graphql::Variables::default();
    let cost = belfry::graphql::guard::check(COSTLY, None).expect("it passes");
    assert_eq!(cost.complexity(None, &variables), 50_000, "the rate limit counts alike");
    let mut socket = Socket::acknowledged(&app).await;
    let over = COSTLY.replace("first: 49", "first: 50");
    for (id, query, expected) in [("1", COSTLY, "{\"data\":{"), ("2", &over, "{\"errors\":[{")] {
        let body = json!({ "query": query });
        let answer = post(&app, JSON, &body).await;
        assert!(answer.body.starts_with(expected), "{}", answer.body);
        let headers =
            [("accept", "text/event-stream"), ("content-type", JSON), ("x-api-key", app.key())];
        let stream = http(&app, "POST /graphql", &headers, body.to_string()).await;
        assert!(stream.body.contains(&format!("data: {expected}")), "{}", stream.body);
        socket.subscribe(id, query).await;
        let message = socket.next().await;
        if id == "1" {
            assert_eq!(message["type"], "next");
            assert_eq!(socket.next().await["type"], "complete");
        } else {
            assert_eq!(answer.code(), "QUERY_TOO_COMPLEX");
            assert!(stream.body.contains("QUERY_TOO_COMPLEX"), "{}", stream.body);
            assert_eq!(message["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
        }
    }
}

/// So many times the same field.
fn aliased(times: usize, field: &str) -> String {
    (0..times).map(|n| format!("a{n}: {field} ")).collect()
}

/// Of a document's 50,000 an instant takes one for each of its fields, and an explanation two
/// hundred.
#[tokio::test]
async fn lists_of_instants_cost_what_they_hold_and_explanations_what_they_look_at() {
    let app = TestApp::live().await;
    let (_, plan) = scheduled(&app, "t", every("PT1S")).await;
    let instants = "{ at local note }";
    let preview = format!(
        "schedulePreview(first: 1000, spec: {{ every: {{ interval: \"PT1S\" }} }}) {{
        instants {instants} }}"
    );
    let times = format!("nextFireTimes(first: 1000) {instants}");
    let explain = "explain(at: \"2026-03-02T12:00:00Z\") { verdict }";
    let of_plan = |fields: String| format!("{{ schedule(id: \"{plan}\") {{ {fields} }} }}");
    let of_all = |fields: String| format!("{{ schedules(first: 99) {{ nodes {{ {fields} }} }} }}");
    for (most, over) in [
        (format!("{{ {} }}", aliased(12, &preview)), format!("{{ {} }}", aliased(13, &preview))),
        (of_plan(aliased(16, &times)), of_plan(aliased(17, &times))),
        (of_all(aliased(2, explain)), of_all(aliased(3, explain))),
    ] {
        let answer = post(&app, JSON, &json!({ "query": most })).await;
        assert!(answer.json()["errors"].is_null(), "{most}: {}", answer.body);
        let answer = post(&app, JSON, &json!({ "query": over })).await;
        assert_eq!(answer.code(), "QUERY_TOO_COMPLEX", "{over}: {}", answer.body);
    }
    let usual =
        "{ schedules(first: 100) { nodes { id summary nextFireTimes { at local note } } } }";
    let answer = post(&app, JSON, &json!({ "query": usual })).await;
    assert!(answer.json()["errors"].is_null(), "{}", answer.body);
}

#[tokio::test]
async fn attacks_are_refused_over_http() {
    let app = TestApp::live().await;
    for query in attacks() {
        let answer = post(&app, JSON, &json!({"query": query})).await;
        assert_eq!((answer.status, answer.code()), (200, "QUERY_TOO_COMPLEX".into()), "{query}");
        assert_eq!(answer.json().get("data"), None);
    }
}

#[tokio::test]
async fn attacks_are_refused_on_the_socket() {
    let app = TestApp::live().await;
    let mut socket = Socket::acknowledged(&app).await;
    for (n, query) in attacks().into_iter().enumerate() {
        let id = n.to_string();
        socket.subscribe(&id, &query).await;
        let error = socket.next().await;
        assert_eq!((error["type"].as_str(), error["id"].as_str()), (Some("error"), Some(&*id)));
        assert_eq!(error["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    }
}

#[tokio::test]
async fn one_broken_rule_is_not_reported_a_million_times() {
    let app = TestApp::live().await;
    let arguments: String = (0..250).map(|n| format!("x{n}:1 ")).collect();
    let (open, close) = ("...{".repeat(25), "}".repeat(25));
    let conflicts = " name".repeat(800);
    let set = format!("{open} name({arguments}){conflicts} {close}");
    for query in [
        format!("{{ __type(name: \"Query\") {{ {set} }} }}"),
        format!("{{ __schema {{ {} }} }}", "x ".repeat(1_500)),
    ] {
        let answer = post(&app, JSON, &json!({"query": query})).await;
        assert_eq!(answer.code(), "GRAPHQL_VALIDATION_FAILED");
        let errors = answer.json()["errors"].as_array().map(Vec::len).expect("errors");
        assert!((1..=100).contains(&errors), "{errors} errors");
    }
}

/// As graphql-js 16 writes it with every option on; GraphiQL and Altair send what it writes.
#[tokio::test]
async fn the_introspection_of_the_tools_passes() {
    let app = TestApp::live().await;
    let answer = post(&app, JSON, &json!({"query": introspection()})).await;
    let answer = answer.json();
    assert_eq!(answer.get("errors"), None);
    assert_eq!(answer["data"]["__schema"]["queryType"]["name"], "Query");
}

fn introspection() -> String {
    let of_type = "ofType { name kind ".repeat(9) + &"}".repeat(9);
    format!(
        "query IntrospectionQuery {{ __schema {{ description
            queryType {{ name kind }} mutationType {{ name kind }} subscriptionType {{ name kind }}
            types {{ ...FullType }}
            directives {{ name description isRepeatable locations
                args(includeDeprecated: true) {{ ...InputValue }} }} }} }}
        fragment FullType on __Type {{ kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) {{ name description
                args(includeDeprecated: true) {{ ...InputValue }}
                type {{ ...TypeRef }} isDeprecated deprecationReason }}
            inputFields(includeDeprecated: true) {{ ...InputValue }}
            interfaces {{ ...TypeRef }}
            enumValues(includeDeprecated: true) {{
                name description isDeprecated deprecationReason }}
            possibleTypes {{ ...TypeRef }} }}
        fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue
            isDeprecated deprecationReason }}
        fragment TypeRef on __Type {{ kind name {of_type} }}"
    )
}
