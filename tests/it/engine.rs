//! The engine as it runs in a server: its own loops, on the machine's clock.

use std::time::Duration;

use belfry::engine::Engine;
use serde_json::{Value, json};
use tests::{Answer, Receiver};
use tokio::time::timeout;

use crate::TestApp;

/// What no story waits for longer.
const PATIENCE: Duration = Duration::from_secs(30);
const START: &str = "mutation($input: TimersStartInput!) { timersStart(input: $input) \
     { timers { id } userErrors { code field message } } }";

async fn start_timers(app: &TestApp, url: &str, count: usize) {
    let timer = json!({ "length": { "duration": "PT0S" }, "target": { "url": url } });
    let timers = vec![timer; count];
    app.done("timersStart", START, json!({ "timers": timers })).await;
}

async fn count(app: &TestApp, status: &str) -> Value {
    let query = "query($status: FiringStatus!) { firings(first: 0, \
         filter: {status: {eq: $status}}) { totalCount } }";
    app.ask("firings", query, json!({ "status": status })).await["totalCount"].clone()
}

#[tokio::test]
async fn two_slots_drain_a_hundred_timers() {
    let app = TestApp::live_with(2).await;
    let receiver = Receiver::start().await;
    start_timers(&app, &receiver.url("/hook"), 100).await;
    let engine = Engine::new(&app.app);
    engine.prepare().await.expect("the engine prepares");
    let running = tokio::spawn(engine.run());
    timeout(PATIENCE, receiver.wait_for(100)).await.expect("all are delivered");
    app.begin_shutdown();
    timeout(PATIENCE, running).await.expect("the engine ends").expect("it does not panic");
    assert_eq!(count(&app, "COMPLETED").await, json!(100));
}

#[tokio::test]
async fn shutdown_finishes_what_was_begun() {
    let app = TestApp::live_with(4).await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    start_timers(&app, &receiver.url("/hook"), 1).await;
    let engine = Engine::new(&app.app);
    engine.prepare().await.expect("the engine prepares");
    let running = tokio::spawn(engine.run());
    timeout(PATIENCE, receiver.wait_for(1)).await.expect("it is delivered");
    app.begin_shutdown();
    assert!(!running.is_finished());
    receiver.release();
    timeout(PATIENCE, running).await.expect("the engine ends").expect("it does not panic");
    assert_eq!(count(&app, "COMPLETED").await, json!(1));
}

#[tokio::test]
async fn urged_shutdown_gives_back_what_hangs() {
    let app = TestApp::live_with(4).await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(204).held());
    start_timers(&app, &receiver.url("/hook"), 1).await;
    let engine = Engine::new(&app.app);
    engine.prepare().await.expect("the engine prepares");
    let running = tokio::spawn(engine.run());
    timeout(PATIENCE, receiver.wait_for(1)).await.expect("it is delivered");
    app.app.shutdown().at_once();
    timeout(PATIENCE, running).await.expect("the engine ends").expect("it does not panic");
    assert_eq!(count(&app, "SCHEDULED").await, json!(1));
}
