//! How a process ends: what runs is finished or given back, and everybody who waits is told.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tests::{Answer, Receiver};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::process::{Server, folder};

const ADMIN_KEY: &str = "an-admin-key-of-thirty-two-chars";
const TIMER_START: &str = "mutation ($input: TimerStartInput!) {
    timerStart(input: $input) { timer { firing { id } } userErrors { message } }
}";
const FIRING: &str = "query ($id: ID!) { firing(id: $id) { status attempts { status } } }";

fn server(folder: &std::path::Path) -> Server {
    Server::start(folder, &["--admin-key", ADMIN_KEY])
}

/// A timer that ends at once; the id of its firing.
fn start_timer(server: &Server, url: &str) -> Value {
    let input = json!({ "length": { "duration": "PT0.05S" }, "target": { "url": url } });
    let data = server.graphql(ADMIN_KEY, TIMER_START, &json!({ "input": input }));
    data["timerStart"]["timer"]["firing"]["id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_runs_and_tells_everybody_meanwhile() {
    let folder = folder();
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let first = server(folder.path());
    let id = start_timer(&first, &receiver.url("/held"));
    receiver.wait_for(1).await;

    let mut request = format!("ws://{}/graphql", first.address).into_client_request().unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = connect_async(request).await.expect("a WebSocket");
    let init = json!({ "type": "connection_init", "payload": { "authorization": ADMIN_KEY } });
    socket.send(Message::text(init.to_string())).await.expect("it is sent");
    let acknowledged = socket.next().await.expect("an answer").expect("a message");
    assert!(acknowledged.to_text().unwrap().contains("connection_ack"));

    first.process.signal("TERM");
    let close = loop {
        match socket.next().await.expect("a close frame").expect("a message") {
            Message::Close(Some(close)) => break u16::from(close.code),
            _ => continue,
        }
    };
    assert_eq!(close, 1012);
    let stopping = first.get("/readyz", None);
    assert_eq!(stopping.status, 503);
    assert!(stopping.body.contains("the server is stopping"), "{}", stopping.body);
    assert_eq!(first.get("/livez", None).status, 200);

    receiver.release();
    assert_eq!(first.process.ended().code(), Some(0));
    let second = server(folder.path());
    let firing = second.graphql(ADMIN_KEY, FIRING, &json!({ "id": id }));
    let expected = json!({ "status": "COMPLETED", "attempts": [{ "status": "SUCCEEDED" }] });
    assert_eq!(firing["firing"], expected);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_and_what_ran_is_taken_up_again() {
    let folder = folder();
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    let first = server(folder.path());
    let id = start_timer(&first, &receiver.url("/hangs"));
    receiver.wait_for(1).await;
    first.process.signal("TERM");
    while first.get("/readyz", None).status == 200 {}
    first.process.signal("TERM");
    assert_eq!(first.process.ended().code(), Some(0));

    let second = server(folder.path());
    receiver.wait_for(2).await;
    let sent = receiver.received();
    assert_eq!(sent[0].header("webhook-id"), sent[1].header("webhook-id"));
    second.process.signal("TERM");
    assert_eq!(second.process.ended().code(), Some(0));
    let third = server(folder.path());
    let firing = third.graphql(ADMIN_KEY, FIRING, &json!({ "id": id }));
    assert_eq!(firing["firing"]["status"], json!("COMPLETED"));
}
