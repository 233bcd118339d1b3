//! Which pages may speak to the server from another origin, over HTTP and on the WebSocket.

use serde_json::json;

use crate::TestApp;
use crate::wire::{Socket, http};

const CONSOLE: &str = "https://console.example";

async fn preflight(app: &TestApp, origin: &str) -> crate::wire::Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    http(app, "OPTIONS /graphql", &headers, "").await
}

#[tokio::test]
async fn no_page_of_another_origin_may_speak_unless_it_is_allowed() {
    let app = TestApp::live().await;
    let answer = preflight(&app, CONSOLE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None));
}

#[tokio::test]
async fn an_allowed_origin_is_answered_and_sends_no_cookies() {
    let allow = |settings: &mut belfry::app::Settings| {
        settings.allowed_origins = vec![CONSOLE.to_owned()];
    };
    let app = TestApp::served_with(allow).await;
    let answer = preflight(&app, CONSOLE).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(CONSOLE));
    assert_eq!(answer.header("access-control-allow-methods"), Some("get,post"));
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_owned();
    for name in ["authorization", "content-type", "x-api-key", "idempotency-key"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);

    let body = json!({ "query": "{ __typename }" }).to_string();
    let send = async |origin: &str, key: &str| {
        let headers =
            [("origin", origin), ("content-type", "application/json"), ("x-api-key", key)];
        http(&app, "POST /graphql", &headers, &body).await
    };
    let answer = send(CONSOLE, app.key()).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(CONSOLE));
    let refused = send(CONSOLE, "nonsense").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(CONSOLE), "errors are read too");
    let other = send("https://evil.example", app.key()).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    let other = preflight(&app, "https://evil.example").await;
    assert_eq!(other.header("access-control-allow-origin"), None);

    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    assert!(Socket::handshake(&app, &[protocol, ("origin", CONSOLE)]).await.is_ok());
    let evil = ("origin", "https://evil.example");
    assert!(Socket::handshake(&app, &[protocol, evil]).await.is_err());
}
