//! The store: one writer for everybody, whose changes stand alone, and results that came too late.

use std::time::Duration;

use belfry::domain::outbox::Notice;
use belfry::error::Error;
use belfry::store::record::{Outcome, record};
use belfry::store::{Change, Origin, project};
use entity::firing::Status;
use entity::{FiringId, project as row};
use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::json;
use tests::{Answer, Receiver};
use tokio::sync::oneshot;

use crate::TestApp;
use crate::story::{fire, firing, posting};

/// Something small to write: a project of this name.
fn named(app: &TestApp, name: impl Into<String>) -> row::Model {
    row::Model::new(app.app.ids().make(), name.into(), app.now())
}

async fn names(app: &TestApp) -> Vec<String> {
    let rows = project::all(app.app.store()).await.expect("projects");
    rows.into_iter().map(|row| row.name).filter(|name| name != "default").collect()
}

async fn write(app: &TestApp, origin: Origin, row: row::Model) -> Result<(), Error> {
    let store = app.app.store();
    store.change(origin, |change| async move { project::insert(change, row).await }.boxed()).await
}

#[tokio::test]
async fn a_change_that_fails_takes_none_of_its_neighbours_with_it() {
    let app = TestApp::start().await;
    let changes = (0..100).map(|number| {
        let row = named(&app, number.to_string());
        app.app.store().change(Origin::Api, move |change| {
            async move {
                project::insert(change, row).await?;
                if number % 3 == 0 { Err(Error::invalid("n", "a third")) } else { Ok(()) }
            }
            .boxed()
        })
    });
    let failed = join_all(changes).await.into_iter().filter(Result::is_err).count();
    let expected: Vec<String> =
        (0..100).filter(|number| number % 3 != 0).map(|number| number.to_string()).collect();
    assert_eq!((failed, names(&app).await), (34, expected));
}

#[tokio::test]
async fn a_statement_that_the_database_refuses_takes_none_of_its_neighbours_with_it() {
    let app = TestApp::start().await;
    let twice = ["a", "b", "a", "c"].map(|name| write(&app, Origin::Api, named(&app, name)));
    let done: Vec<bool> = join_all(twice).await.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, true, false, true]);
    assert_eq!(names(&app).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_change_that_panics_is_undone_and_does_not_stop_the_writer() {
    let app = TestApp::start().await;
    let row = named(&app, "panics");
    let panics = app.app.store().change(Origin::Engine, |change| {
        async move {
            project::insert(change, row).await?;
            if change_is_begun(change) {
                panic!("this is what the story is about");
            }
            Ok(())
        }
        .boxed()
    });
    let (panicked, other) = tokio::join!(panics, write(&app, Origin::Api, named(&app, "other")));
    assert!(matches!(panicked, Err(Error::Internal(_))) && other.is_ok());
    write(&app, Origin::Engine, named(&app, "later")).await.expect("the writer goes on");
    assert_eq!(names(&app).await, ["other", "later"]);
}

fn change_is_begun(_: &Change) -> bool {
    true
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_undo_a_change_that_was_begun() {
    let app = TestApp::start().await;
    let (begun, is_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let mut listener = app.app.bus().listen();
    let (store, row) = (app.app.store().clone(), named(&app, "begun"));
    let caller = tokio::spawn(async move {
        store
            .change(Origin::Api, |change| {
                async move {
                    let _ = begun.send(());
                    let _ = may_go_on.await;
                    change.notify(Notice::Replan);
                    project::insert(change, row).await
                }
                .boxed()
            })
            .await
    });
    is_begun.await.expect("it begins");
    caller.abort();
    assert!(caller.await.expect_err("it was aborted").is_cancelled());
    go_on.send(()).expect("the change still waits");
    assert_eq!(listener.next().await, Some(Notice::Replan));
    assert_eq!(names(&app).await, ["begun"]);
}

#[tokio::test]
async fn what_a_failed_change_had_to_say_is_not_said() {
    let app = TestApp::start().await;
    let mut listener = app.app.bus().listen();
    let failed: Result<(), Error> = app
        .app
        .store()
        .change(Origin::Api, |change| {
            async move {
                change.notify(Notice::Replan);
                Err(Error::invalid("n", "no"))
            }
            .boxed()
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(listener.next().now_or_never(), None);
}

#[tokio::test]
async fn what_a_change_had_to_say_is_said_once_it_is_visible_and_before_it_is_answered() {
    let app = TestApp::start().await;
    let mut listener = app.app.bus().listen();
    let row = named(&app, "visible");
    let change = app.app.store().change(Origin::Api, |change| {
        async move {
            change.notify(Notice::Replan);
            project::insert(change, row).await
        }
        .boxed()
    });
    let heard = async {
        assert_eq!(listener.next().await, Some(Notice::Replan));
        names(&app).await
    };
    let (seen, done) = tokio::join!(heard, change);
    assert_eq!((seen, done.is_ok()), (vec!["visible".to_owned()], true));
}

#[tokio::test]
async fn neither_clients_nor_duties_starve_the_other() {
    let app = TestApp::start().await;
    // Far more than one side may have waiting.
    let flood = stream::iter(0..3_000).for_each_concurrent(None, |number| {
        let row = named(&app, format!("api {number}"));
        async { write(&app, Origin::Api, row).await.expect("a change") }
    });
    let duty = async {
        for number in 0..10 {
            let row = named(&app, format!("engine {number}"));
            write(&app, Origin::Engine, row).await.expect("a change");
        }
        names(&app).await.len()
    };
    let (seen, ()) = tokio::join!(duty, flood);
    assert!(seen < 3_010, "the duty waited for all {seen} changes");
}

#[tokio::test]
async fn a_store_that_is_closed_says_so() {
    let app = TestApp::start().await;
    app.app.store().close().await;
    let refused = write(&app, Origin::Api, named(&app, "late")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_result_counts_only_for_the_claim_that_it_belongs_to_and_only_once() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    app.work().await;
    receiver.answer(Answer::status(200).held());
    let id = fire(&app, &trigger).await;
    app.engine.executor.run_once().await.expect("a claim");
    receiver.wait_for(1).await;
    let mut seen = Vec::new();
    for epoch in [0, 2, 1, 1] {
        let outcome = completed(&app, id.parse().expect("an id"), epoch);
        let now = app.now();
        let recorded = app.app.store().change(Origin::Engine, move |change| {
            async move { Ok(record(change, &[outcome], now).await?.firings) }.boxed()
        });
        seen.push(recorded.await.expect("a record"));
    }
    assert_eq!(seen, [0, 0, 1, 0]);
    assert_eq!(firing(&app, &id).await["result"], json!({ "epoch": 1 }));
    let query = "{ events(q: \"type eq 'app.event'\") { totalCount } }";
    assert_eq!(app.ask("events", query, json!({})).await["totalCount"], 1);
}

#[tokio::test]
async fn a_stale_result_is_dropped_also_when_it_comes_with_the_one_that_counts() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let trigger = posting(&app, "order", &receiver.url("/hook")).await;
    app.work().await;
    receiver.answer(Answer::status(200).held());
    let id = fire(&app, &trigger).await;
    app.engine.executor.run_once().await.expect("a claim");
    receiver.wait_for(1).await;
    let outcomes = [0, 1, 2].map(|epoch| completed(&app, id.parse().expect("an id"), epoch));
    let now = app.now();
    let recorded = app.app.store().change(Origin::Engine, move |change| {
        async move { Ok(record(change, &outcomes, now).await?.firings) }.boxed()
    });
    assert_eq!(recorded.await.expect("a record"), 1);
    let query = "{ events(q: \"type eq 'app.event'\") { totalCount } }";
    assert_eq!(app.ask("events", query, json!({})).await["totalCount"], 1);
}

fn completed(app: &TestApp, firing: FiringId, epoch: i32) -> Outcome {
    use belfry::domain::event::{Stamp, blank};
    let id = app.app.ids().make();
    let stamp = Stamp { id, at: app.now(), project: app.caller.project };
    Outcome {
        trigger: None,
        firing,
        project: app.caller.project,
        epoch,
        status: Status::Completed,
        reason: None,
        due_at: app.now(),
        finished_at: Some(app.now()),
        result: Some(json!({ "epoch": epoch }).to_string()),
        error: None,
        stage: None,
        slot: None,
        counted: None,
        test_trigger: None,
        attempt: None,
        events: vec![blank(stamp, entity::event::Class::App, "app.event")],
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_process_died() {
    let app = TestApp::start().await;
    for number in 0..50 {
        write(&app, Origin::Api, named(&app, number.to_string())).await.expect("a change");
    }
    app.pass(Duration::from_secs(1));
    let app = app.restart().await;
    assert_eq!(names(&app).await.len(), 50);
}
