//! The request guard over the wire: what stops other servers is refused, on HTTP and on the
//! WebSocket alike, and the tools' introspection passes. The limits themselves are tested beside
//! the guard.

use serde_json::json;

use crate::TestApp;
use crate::wire::{Socket, post};

const JSON: &str = "application/json";

/// Each level spreads the next twice.
fn doubling(levels: usize) -> String {
    let level = |n: usize| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1);
    let chain: String = (0..levels).map(level).collect();
    format!("{{ ...F0 }} {chain} fragment F{levels} on Query {{ __typename }}")
}

fn attacks() -> Vec<String> {
    vec![
        format!("{{ __type(name: {}{}) {{ name }} }}", "[".repeat(1_600), "]".repeat(1_600)),
        format!("{{ __type(name: {}1{}) {{ name }} }}", "{a:".repeat(1_600), "}".repeat(1_600)),
        doubling(25),
        doubling(30),
        "{ ...F } fragment F on Query { ...F }".to_owned(),
        format!("{{ __typename {} }}", "#".repeat(15_000)),
        format!("{{ {} }}", "a ".repeat(2_000)),
        format!("{{ {} }}", (0..21).map(|n| format!("a{n}: __typename ")).collect::<String>()),
    ]
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
