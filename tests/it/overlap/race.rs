//! Many processes that claim and record firings of the same triggers at once, and one that dies
//! between a claim and what follows from it.

use std::collections::HashMap;
use std::sync::Mutex;

use belfry::store::Origin;
use belfry::store::claim::{Claimed, Lease};
use belfry::store::overlap;
use belfry::store::record::{Outcome, record};
use belfry::store::sweep::{Mark, waiting};
use entity::firing::Status;
use entity::{FiringId, TriggerId};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{MINUTE, minute, minutely, shown};
use crate::TestApp;
use crate::operation::{cron, lines, log, past, planned, trigger};

/// A trigger with so many schedules that all fire each minute.
async fn crowd(app: &TestApp, name: &str, policy: &str, schedules: usize) -> String {
    let schedules: Vec<Value> =
        (0..schedules).map(|_| json!({ "spec": cron("* * * * *") })).collect();
    trigger(app, json!({ "name": name, "overlap": policy, "schedules": schedules })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_claim_at_once_one_runs() {
    let app = TestApp::start().await;
    let id = crowd(&app, "crowd", "BUFFER_ALL", 20).await;
    app.pass(MINUTE);
    let ids = due(&app).await;
    assert_eq!(ids.len(), 20);
    let claims = ids.chunks(5).map(|ids| claim(&app, ids.to_vec()));
    let claimed: Vec<usize> = join_all(claims).await.iter().map(Vec::len).collect();
    assert_eq!(claimed.iter().sum::<usize>(), 1, "{claimed:?}");
    let all = planned(&app, &id).await;
    assert_eq!(all.iter().filter(|at| at.as_str() == "03-02 10:01:00").count(), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_claim_and_record_at_once_run_each_once_and_one_at_a_time() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c"] {
        crowd(&app, name, "BUFFER_ALL", 20).await;
    }
    app.pass(MINUTE);
    let running: Mutex<HashMap<TriggerId, usize>> = Mutex::default();
    let done: Mutex<Vec<FiringId>> = Mutex::default();
    let process = async |number: usize| {
        for round in 0..400 {
            let mut ids = due(&app).await;
            if ids.is_empty() && done.lock().unwrap().len() == 60 {
                return;
            }
            // Each looks at them in an order of its own.
            let middle = (number * 7 + round) % ids.len().max(1);
            ids.rotate_left(middle);
            ids.truncate(8);
            let claimed = claim(&app, ids).await;
            for Claimed { firing, .. } in &claimed {
                let mut running = running.lock().unwrap();
                let count = running.entry(firing.trigger_id.unwrap()).or_default();
                *count += 1;
                assert_eq!(*count, 1, "two of one trigger run");
                drop(running);
                done.lock().unwrap().push(firing.id);
            }
            tokio::task::yield_now().await;
            for Claimed { firing, .. } in &claimed {
                *running.lock().unwrap().get_mut(&firing.trigger_id.unwrap()).unwrap() -= 1;
            }
            complete(&app, &claimed).await;
        }
        panic!("it does not end");
    };
    join_all((0..4).map(process)).await;
    let mut done = done.into_inner().unwrap();
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_skipped_before_it_died_is_folded_by_the_sweeper() {
    let app = TestApp::start().await;
    let (id, receiver) = minutely(&app, "SKIP", 1).await;
    minute(&app).await;
    receiver.wait_for(1).await;
    for _ in 0..3 {
        super::renew(&app).await;
        app.pass(MINUTE);
        claim(&app, due(&app).await).await;
    }
    assert_snapshot!(shown(&app, &id).await, @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 - 03-02 10:02:00 SKIPPED OVERLAP x 1
    03-02 10:03:00 - 03-02 10:03:00 SKIPPED OVERLAP x 1
    03-02 10:04:00 - 03-02 10:04:00 SKIPPED OVERLAP x 1
    ");
    super::renew(&app).await;
    app.engine.sweeper.run_once().await.expect("a sweep");
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 EXECUTING
    03-02 10:02:00 - 03-02 10:04:00 SKIPPED OVERLAP x 3
    ");
    receiver.release();
    app.engine.executor.idle().await;
    app.advance(MINUTE).await;
    assert_snapshot!(lines(&log(&app, "firing.skipped").await), @"firing.skipped: 3 instants were skipped: OVERLAP");
}

/// What is planned and due, after the planner has looked.
async fn due(app: &TestApp) -> Vec<FiringId> {
    while app.engine.planner.run_once().await.expect("planning").schedules != 0 {}
    let due = waiting(app.app.store(), None, Mark::start(), app.now(), 100).await.expect("rows");
    due.into_iter().map(|due| due.firing).collect()
}

/// The second step of a claim, as another process would make it.
async fn claim(app: &TestApp, firings: Vec<FiringId>) -> Vec<Claimed> {
    let owner = uuid::Uuid::from_u128(7);
    let lease = Lease { owner, now: app.now(), until: app.now().plus_ms(15_000) };
    let ids = app.app.ids().clone();
    let done = app.app.store().change(Origin::Engine, move |change| {
        async move { overlap::claim(change, &ids, &firings, lease).await }.boxed()
    });
    done.await.expect("a claim").claimed
}

async fn complete(app: &TestApp, claimed: &[Claimed]) {
    let now = app.now();
    let outcome = |claimed: &Claimed| Outcome {
        firing: claimed.firing.id,
        project: claimed.firing.project_id,
        epoch: claimed.firing.epoch,
        status: Status::Completed,
        reason: None,
        due_at: now,
        finished_at: Some(now),
        result: None,
        error: None,
        stage: None,
        trigger: None,
        slot: claimed.firing.trigger_id,
        counted: None,
        test_trigger: None,
        attempt: None,
        events: Vec::new(),
    };
    let outcomes: Vec<Outcome> = claimed.iter().map(outcome).collect();
    let done = app.app.store().change(Origin::Engine, move |change| {
        async move { record(change, &outcomes, now).await }.boxed()
    });
    done.await.expect("a record");
}
