//! One project, or one trigger, with slow targets and any backlog delays nobody else.

use std::time::Duration;

use belfry::domain::action::Action;
use belfry::domain::firing::{Times, scheduled};
use belfry::queue::Room;
use belfry::store::{Origin, firing as store};
use entity::firing::{Cause, Model};
use entity::{Instant, ProjectId};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::story::{fire, posting, stranger, trigger};

/// What the issue calls a saturated project.
const BACKLOG: usize = 50_000;
const TIMER_START: &str = "mutation($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { code field message } } }";
const UPDATE: &str = "mutation($input: TriggerUpdateInput!) {
    triggerUpdate(input: $input) { trigger { concurrency }
        userErrors { code field message } } }";
const CREATE: &str = "mutation($input: TriggerCreateInput!) {
    triggerCreate(input: $input) { trigger { id concurrency }
        userErrors { code field message } } }";

/// Firings that lie in SQL and that no queue was told of.
async fn backlog(app: &TestApp, project: ProjectId, due_at: Instant, count: usize, url: &str) {
    let action = Action::post(url).to_text();
    for _ in 0..count.div_ceil(5_000) {
        let row = |_| -> Model {
            let times = Times { created: due_at, due: due_at };
            let row = scheduled(app.app.ids().make(), project, Cause::Api, times);
            Model { inline_action: Some(action.clone()), ..row }
        };
        let rows: Vec<Model> = (0..count.min(5_000)).map(row).collect();
        let change = app
            .app
            .store()
            .change(Origin::Api, |change| async move { store::insert(change, rows).await }.boxed());
        change.await.expect("rows");
    }
}

/// Claims and starts what is due and has room, and waits for none of it.
async fn start_what_is_due(app: &TestApp) {
    app.engine.sweeper.run_once().await.expect("a sweep");
    loop {
        app.app.queue().flush().await;
        if app.engine.executor.run_once().await.expect("a claim").pulled == 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_lost_everything_is_refilled_fairly_within_one_sweep() {
    let app = TestApp::start().await;
    let (other, _) = stranger(&app).await;
    let url = "http://127.0.0.1:9/";
    let (long_ago, just_now) = (app.now().plus_ms(-3_600_000), app.now().plus_ms(-3_000));
    backlog(&app, app.caller.project, long_ago, BACKLOG, url).await;
    backlog(&app, other.project, just_now, 1, url).await;
    let report = app.engine.sweeper.run_once().await.expect("a sweep");
    assert_eq!(report.pushed, BACKLOG + 1);
    app.app.queue().flush().await;
    let first = app.app.queue().pull(app.now(), &Room::of(2)).await.due;
    assert!(first.iter().any(|due| due.project == other.project), "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_a_queue_is_the_greedy_projects() {
    let app = TestApp::with_queue_of(100).await;
    let (other, _) = stranger(&app).await;
    let url = "http://127.0.0.1:9/";
    let (long_ago, just_now) = (app.now().plus_ms(-3_600_000), app.now().plus_ms(-3_000));
    backlog(&app, app.caller.project, long_ago, 5_000, url).await;
    backlog(&app, other.project, just_now, 10, url).await;
    app.engine.sweeper.run_once().await.expect("a sweep");
    app.app.queue().flush().await;
    let all = app.app.queue().pull(app.now(), &Room::of(100)).await.due;
    assert_eq!(all.len(), 100);
    assert_eq!(all.iter().filter(|due| due.project == other.project).count(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_whose_targets_hang_delays_nobody_else() {
    let app = TestApp::start().await;
    let (other, _) = stranger(&app).await;
    let (hangs, answers) = (Receiver::start().await, Receiver::start().await);
    // Some end by their timeout while the story is told, and others take their slots.
    for _ in 0..10_000 {
        hangs.answer(Answer::status(204).held());
    }
    backlog(&app, app.caller.project, app.now(), BACKLOG, &hangs.url("/slow")).await;
    start_what_is_due(&app).await;
    // It runs what it may: three quarters of the slots, and no more come.
    hangs.wait_for(48).await;
    for second in 1..=20 {
        let input = json!({ "length": { "parts": { "seconds": 1 } },
            "target": { "url": answers.url("/quick") } });
        let made = app.graphql_as(&other, TIMER_START, json!({ "input": input })).await;
        assert_eq!(made["data"]["timerStart"]["userErrors"], json!([]), "{made}");
        app.pass(Duration::from_secs(1));
        start_what_is_due(&app).await;
        answers.wait_for(second).await;
    }
}

#[tokio::test]
async fn a_trigger_runs_as_many_at_a_time_as_its_owner_says() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    for _ in 0..2 {
        receiver.answer(Answer::status(204).held());
    }
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/two") } } });
    let action = json!({ "inline": { "stages": [stage] } });
    let of_two = trigger(&app, json!({ "name": "two", "action": action, "concurrency": 2 })).await;
    let free = posting(&app, "free", &receiver.url("/free")).await;
    for _ in 0..5 {
        fire(&app, &of_two).await;
    }
    start_what_is_due(&app).await;
    receiver.wait_for(2).await;
    fire(&app, &free).await;
    start_what_is_due(&app).await;
    receiver.wait_for(3).await;
    let paths: Vec<String> = receiver.received().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/two", "/two", "/free"]);
    receiver.release();
    receiver.release();
    app.engine.executor.idle().await;
    app.work().await;
    assert_eq!(receiver.received().len(), 6);
}

#[tokio::test]
async fn the_bound_of_a_trigger_is_between_1_and_10_000() {
    let app = TestApp::start().await;
    let create = |concurrency: i32| json!({ "name": "t", "concurrency": concurrency });
    for wrong in [0, 10_001] {
        let refused = app.refused("triggerCreate", CREATE, create(wrong)).await;
        assert_eq!(refused, ["BAD_USER_INPUT concurrency: expected a number from 1 to 10000"]);
    }
    let made = app.done("triggerCreate", CREATE, create(10_000)).await["trigger"].clone();
    assert_eq!(made["concurrency"], 10_000);
    let update = async |concurrency: Value| {
        let input = json!({ "id": made["id"], "concurrency": concurrency });
        app.done("triggerUpdate", UPDATE, input).await["trigger"]["concurrency"].clone()
    };
    assert_eq!(update(json!(1)).await, json!(1));
    assert_eq!(update(Value::Null).await, Value::Null);
    let input = json!({ "id": made["id"], "concurrency": 0 });
    let refused = app.refused("triggerUpdate", UPDATE, input).await;
    assert_eq!(refused, ["BAD_USER_INPUT concurrency: expected a number from 1 to 10000"]);
}
