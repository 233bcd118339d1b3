//! What PostgreSQL promises beyond what every home does: many processes at once, a log that commits
//! in its order, partitions, and plans that hold whatever the statistics say. Told only where the
//! stories are told on PostgreSQL.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use belfry::domain::event::{Stamp, blank};
use belfry::domain::firing::{Times, scheduled};
use belfry::store::claim::{Lease, claim, renew};
use belfry::store::record::{Outcome, record};
use belfry::store::{Origin, Store, event, firing};
use entity::event::Class;
use entity::firing::{Cause, Model, Status};
use entity::{EventId, FiringId, ScheduleId, TypedId};
use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _};
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _,
};
use serde_json::json;
use tests::services::shared;
use tokio::sync::oneshot;

use crate::TestApp;
use crate::operation::{cron, done, scheduled as scheduled_by};

/// Tells a story only on PostgreSQL.
macro_rules! on_postgres {
    ($($(#[$doc:meta])* async fn $name:ident() $body:block)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if tests::is_postgres() $body
        }
    )*};
}

const HOUR: Duration = Duration::from_secs(3_600);
/// Passes of the planner in one round of measuring.
const PASSES: i64 = 40;

async fn open(url: &str) -> Result<Store, String> {
    Store::open(url, Arc::new(|_| {})).await
}

async fn connect(app: &TestApp) -> DatabaseConnection {
    Database::connect(&app.app.settings().database_url).await.expect("the database")
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// Writes `count` firings that are due now.
async fn due_now(app: &TestApp, count: usize) -> Vec<FiringId> {
    let (project, now) = (app.caller.project, app.now());
    let times = Times { created: now, due: now };
    let rows: Vec<_> =
        (0..count).map(|_| scheduled(app.app.ids().make(), project, Cause::Api, times)).collect();
    let ids = rows.iter().map(|row| row.id).collect();
    let store = app.app.store();
    let added = store.change(Origin::Api, move |change| {
        async move { firing::insert(change, rows).await }.boxed()
    });
    added.await.expect("firings");
    ids
}

/// Writes `count` firings of each schedule that are long over.
async fn history(app: &TestApp, plans: &[ScheduleId], count: i64) {
    let (project, now) = (app.caller.project, app.now());
    let mut rows = Vec::new();
    for schedule in plans {
        for minute in 1..=count {
            let at = now.plus_ms(-60_000 * minute);
            let times = Times { created: at, due: at };
            let row = scheduled(app.app.ids().make(), project, Cause::Schedule, times);
            let (schedule_id, status) = (Some(*schedule), Status::Completed);
            rows.push(Model { schedule_id, status, finished_at: Some(at), epoch: 1, ..row });
        }
    }
    let store = app.app.store();
    let added = store.change(Origin::Api, move |change| {
        async move { firing::insert(change, rows).await }.boxed()
    });
    added.await.expect("firings");
}

async fn claim_some(store: &Store, app: &TestApp, ids: &[FiringId]) -> Vec<(FiringId, i32)> {
    let now = app.now();
    let lease = Lease { owner: app.app.process(), now, until: now.plus_ms(15_000) };
    let ids = ids.to_vec();
    let claimed = store
        .change(Origin::Engine, move |change| {
            async move { claim(change, &ids, lease).await }.boxed()
        })
        .await
        .expect("a claim");
    claimed.into_iter().map(|claimed| (claimed.firing.id, claimed.firing.epoch)).collect()
}

async fn complete(app: &TestApp, claimed: Vec<(FiringId, i32)>) -> usize {
    let (project, now) = (app.caller.project, app.now());
    let outcome = |(firing, epoch)| Outcome {
        firing,
        project,
        epoch,
        status: Status::Completed,
        reason: None,
        due_at: now,
        finished_at: Some(now),
        result: None,
        error: None,
        stage: None,
        trigger: None,
        slot: None,
        counted: None,
        test_trigger: None,
        attempt: None,
        events: Vec::new(),
    };
    let outcomes: Vec<Outcome> = claimed.into_iter().map(outcome).collect();
    let store = app.app.store();
    let recorded = store.change(Origin::Engine, move |change| {
        async move { Ok(record(change, &outcomes, now).await?.firings) }.boxed()
    });
    recorded.await.expect("a record")
}

fn entry(app: &TestApp, message: &str) -> entity::event::Model {
    let id: EventId = app.app.ids().make();
    let stamp = Stamp { id, at: belfry::clock::stamped_at(id.uuid()), project: app.caller.project };
    entity::event::Model { message: Some(message.into()), ..blank(stamp, Class::App, "app.event") }
}

async fn log(store: &Store, entry: entity::event::Model) -> belfry::error::Result<()> {
    let written = store.change(Origin::Engine, move |change| {
        async move { event::insert(change, vec![entry]).await }.boxed()
    });
    written.await
}

on_postgres! {
    /// A recorder and a renewal that wait for each other's rows stop everything for a second.
    async fn a_renewal_waits_for_no_row_and_gives_none_up() {
        let app = TestApp::start().await;
        let store = app.app.store();
        let ids = due_now(&app, 3).await;
        assert_eq!(claim_some(store, &app, &ids).await.len(), 3);
        let db = connect(&app).await;
        let held = db.begin().await.expect("a transaction");
        let sql = format!("SELECT id FROM firing WHERE id = '{}' FOR UPDATE", ids[1].uuid());
        held.execute_unprepared(&sql).await.expect("a locked row");
        let (owner, until) = (app.app.process(), app.now().plus_ms(99_000));
        let renewing = {
            let ids = ids.clone();
            store.change(Origin::Engine, move |change| {
                async move { renew(change, &ids, owner, until).await }.boxed()
            })
        };
        let owned: HashSet<FiringId> = renewing.await.expect("leases").into_iter().collect();
        assert_eq!(owned, ids.into_iter().collect());
        held.rollback().await.expect("the row is free");
        let renewed = format!("SELECT count(*) FROM firing WHERE lease_until = {}", until.millis());
        assert_eq!(number(&db, &renewed).await, 2);
    }
    async fn ten_processes_start_on_an_empty_database_at_once() {
        let database = shared::database(None).await;
        let opened = join_all((0..10).map(|_| open(&database.url))).await;
        for store in opened {
            store.expect("each opens").close().await;
        }
    }

    async fn the_schema_of_a_newer_binary_is_refused() {
        let app = TestApp::start().await;
        let db = connect(&app).await;
        let newer = "INSERT INTO seaql_migrations VALUES ('m9999_from_the_future', 0)";
        db.execute_unprepared(newer).await.expect("a step of the future");
        let refused = open(&app.app.settings().database_url).await.err().expect("it is refused");
        assert_eq!(refused, "its schema: it was written by a newer version of belfry");
    }

    /// Stores as in eight processes, each proposing everything.
    async fn eight_claim_five_hundred_and_none_twice() {
        let app = TestApp::start().await;
        let ids = due_now(&app, 500).await;
        let url = app.app.settings().database_url.clone();
        let stores = join_all((0..8).map(|_| open(&url))).await;
        let claims = stores.iter().flatten().map(|store| claim_some(store, &app, &ids));
        let claimed: Vec<_> = join_all(claims).await.into_iter().flatten().collect();
        let distinct: HashSet<_> = claimed.iter().map(|(id, _)| *id).collect();
        assert_eq!((claimed.len(), distinct.len()), (500, 500));
        for store in stores.into_iter().flatten() {
            store.close().await;
        }
    }

    /// What is read is counted by PostgreSQL itself: a plan that walks a table, or that compares
    /// each row with each id of a batch, reads a hundred times more.
    async fn claim_and_record_read_by_key_whatever_the_statistics_say() {
        let app = TestApp::start().await;
        let db = connect(&app).await;
        let read = "SELECT (COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))::bigint \
                    FROM pg_stat_user_tables WHERE relname = 'firing'";
        for round in ["no statistics at all", "statistics of an idle hour"] {
            let ids = due_now(&app, 30_000).await;
            db.execute_unprepared("SELECT pg_stat_clear_snapshot()").await.expect("done");
            let before = number(&db, read).await;
            for batch in ids.chunks(256) {
                let claimed = claim_some(app.app.store(), &app, batch).await;
                assert_eq!(claimed.len(), batch.len());
                assert_eq!(complete(&app, claimed).await, batch.len());
            }
            db.execute_unprepared("ANALYZE").await.expect("statistics in which nothing waits");
            let per_firing = (number(&db, read).await - before) / 30_000;
            assert!(per_firing <= 20, "{round}: {per_firing} rows were read for each firing");
        }
    }

    /// What an edited schedule has a record of is asked at each step: its history is not read for it.
    async fn planning_what_was_edited_reads_by_key_whatever_the_statistics_say() {
        let app = TestApp::start().await;
        let db = connect(&app).await;
        let mut plans = Vec::new();
        for number in 0..20 {
            let (_, plan) = scheduled_by(&app, &format!("{number}"), cron("* * * * *")).await;
            let change = json!({ "id": plan, "spec": cron("*/1 * * * *") });
            done(&app, "scheduleUpdate", "schedule { id }", change).await;
            plans.push(plan.parse().expect("an id"));
        }
        history(&app, &plans, 1_500).await;
        let read = "SELECT (COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))::bigint \
                    FROM pg_stat_user_tables WHERE relname = 'firing'";
        for round in ["no statistics at all", "statistics of this history"] {
            app.work().await;
            db.execute_unprepared("SELECT pg_stat_clear_snapshot()").await.expect("done");
            let before = number(&db, read).await;
            // For long enough that the connections tell what they read.
            for _ in 0..PASSES {
                app.advance(Duration::from_secs(60)).await;
            }
            db.execute_unprepared("ANALYZE").await.expect("statistics of this history");
            let per_schedule = (number(&db, read).await - before) / 20 / PASSES;
            assert!(0 < per_schedule, "{round}: nothing was counted");
            assert!(per_schedule <= 200, "{round}: {per_schedule} rows were read for each schedule");
        }
    }

    async fn an_open_transaction_delays_the_log_and_loses_nothing() {
        let app = TestApp::start().await;
        let head = app.ask("events", "{ events { headCursor } }", json!({})).await;
        let after = head["headCursor"].as_str().expect("a cursor").to_owned();
        let db = connect(&app).await;
        let before = event::head(app.app.store()).await.expect("the head");
        // Numbers an entry as every transaction does, and stays open.
        let open = db.begin().await.expect("a transaction");
        let first = entry(&app, "first");
        open.execute_unprepared(&format!(
            "WITH head AS (UPDATE log_head SET seq = seq + 1 RETURNING seq) \
             INSERT INTO event (seq, id, project_id, class, type, severity, message, is_test, created_at) \
             SELECT seq, '{}', '{}', 'APP', 'app.event', 20, 'first', false, {} FROM head",
            first.id.uuid(), first.project_id.uuid(), first.created_at.millis()
        ))
        .await
        .expect("an entry");
        let second = entry(&app, "second");
        let store = app.app.store().clone();
        let later = tokio::spawn(async move {
            log(&store, second).await
        });
        // Nobody sees the second while the first is open.
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND datname = current_database()";
        while number(&db, waits).await == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(event::head(app.app.store()).await.expect("the head"), before);
        open.commit().await.expect("the first commits");
        later.await.expect("it ends").expect("the second commits");
        let query = format!("subscription {{ events(after: \"{after}\") {{ events {{ message }} }} }}");
        let batch = app.stream(&query).next().await.expect("a batch");
        let seen = batch["data"]["events"]["events"].clone();
        assert_eq!(seen, json!([{ "message": "first" }, { "message": "second" }]));
    }

    /// Identities are made before the commit, places in the log with it.
    async fn the_log_is_in_the_order_of_commits() {
        let app = TestApp::start().await;
        let (begun, is_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (store, slow) = (app.app.store().clone(), entry(&app, "begun first"));
        let first = tokio::spawn(async move {
            store
                .change(Origin::Engine, |change| {
                    async move {
                        event::insert(change, vec![slow]).await?;
                        let _ = begun.send(());
                        let _ = may_go_on.await;
                        Ok(())
                    }
                    .boxed()
                })
                .await
        });
        is_begun.await.expect("it begins");
        let quick = entry(&app, "committed first");
        log(app.app.store(), quick).await.expect("it does not wait");
        go_on.send(()).expect("it waits");
        first.await.expect("it ends").expect("it commits");
        let messages = app.ask(
            "events",
            "{ events(q: \"type eq 'app.event'\", orderBy: { direction: ASC }) { nodes { message } } }",
            json!({}),
        );
        assert_eq!(
            messages.await["nodes"],
            json!([{ "message": "committed first" }, { "message": "begun first" }])
        );
    }

    async fn partitions_are_made_ahead_and_dropped_when_all_in_them_is_old() {
        let app = TestApp::start().await;
        let store = app.app.store();
        // What was written on the first day lies in the rest.
        app.pass(24 * HOUR);
        store.prepare_log(app.now()).await.expect("partitions");
        let db = connect(&app).await;
        let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_system'::regclass";
        let made = number(&db, partitions).await;
        assert!(5 <= made, "a day ahead and the rest: {made}");
        store.prepare_log(app.now()).await.expect("partitions");
        assert_eq!(number(&db, partitions).await, made, "made once");
        let rest = "SELECT count(*) FROM event_system_rest";
        let before = number(&db, rest).await;
        crate::story::trigger(&app, json!({ "name": "order" })).await;
        assert_eq!(number(&db, rest).await, before);
        let old = number(&db, "SELECT count(*) FROM event").await;
        assert!(before < old);
        app.pass(47 * HOUR);
        let report = app.engine.retention.run_once().await.expect("a pass");
        assert_eq!(report.events, before.unsigned_abs());
        app.pass(8 * HOUR);
        let report = app.engine.retention.run_once().await.expect("a pass");
        assert_eq!(report.events, (old - before).unsigned_abs());
        assert!(number(&db, partitions).await < made);
        assert_eq!(number(&db, "SELECT seq FROM log_floor WHERE class = 'SYSTEM'").await, old);
    }
}
