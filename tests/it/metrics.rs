//! What operators see without a key: health, part by part, and metrics that name nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::operation::{cron, done, every, scheduled};
use crate::story::{posting, timer};
use crate::wire::http;

const SECOND: Duration = Duration::from_secs(1);

async fn served() -> TestApp {
    let app = TestApp::start().await;
    app.listen().await;
    app
}

/// What `/metrics` answers.
async fn scrape(app: &TestApp) -> String {
    let answer = http(app, "GET /metrics", &[], "").await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// The value of one series.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// `/readyz`: the code, and each part that is not well.
async fn readiness(app: &TestApp) -> String {
    let answer = http(app, "GET /readyz", &[], "").await;
    format!("{} {}", answer.status, answer.body)
}

#[tokio::test]
async fn the_reference_names_every_metric_and_no_other() {
    let app = TestApp::start().await;
    let described = app.app.metrics().described().iter().map(|metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("`{}` {} {}", metric.name, metric.kind, labels.join(" ")).trim().to_owned()
    });
    let reference = include_str!("../../docs/metrics.md");
    let rows = reference.lines().filter(|line| line.starts_with("| `belfry_")).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells[1..4].join(" ").trim().to_owned()
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), described.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn what_happened_is_counted_by_what_it_was_and_names_nobody() {
    let app = served().await;
    let receiver = Receiver::start().await;
    posting(&app, "secret-name", &receiver.url("/secret-path")).await;
    receiver.answer(Answer::status(200));
    receiver.answer(Answer::status(404));
    timer(&app, 1, &receiver.url("/secret-path")).await;
    app.advance(SECOND).await;
    timer(&app, 1, &receiver.url("/secret-path")).await;
    app.advance(SECOND * 3).await;
    let (_, plan) = scheduled(&app, "ticks", every("PT10S")).await;
    app.advance(SECOND * 10).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.advance(SECOND * 60).await;

    let text = scrape(&app).await;
    let found = |series: &str| value(&text, series).unwrap_or("-").to_owned();
    for (series, expected) in [
        ("belfry_firings_total{cause=\"TIMER\",status=\"COMPLETED\"}", "1"),
        ("belfry_firings_total{cause=\"TIMER\",status=\"FAILED\"}", "1"),
        ("belfry_firings_total{cause=\"SCHEDULE\",status=\"COMPLETED\"}", "1"),
        ("belfry_attempts_total{kind=\"http\",outcome=\"SUCCEEDED\"}", "1"),
        ("belfry_attempts_total{kind=\"http\",outcome=\"FAILED\"}", "1"),
        ("belfry_stage_duration_seconds_count{kind=\"http\"}", "2"),
        ("belfry_skipped_total{reason=\"PAUSED\"}", "6"),
        // The second timer began two seconds late.
        ("belfry_firing_lateness_seconds_count", "3"),
        ("belfry_firing_lateness_seconds_sum", "2"),
        ("belfry_overdue_seconds", "0"),
        ("belfry_schedules_unarmed", "0"),
        ("belfry_executor_slots{state=\"busy\"}", "0"),
        ("belfry_executor_slots{state=\"free\"}", "64"),
        ("belfry_database_up", "1"),
        ("belfry_tails", "0"),
        ("belfry_redis_up", if tests::is_postgres() { "1" } else { "-" }),
    ] {
        assert_eq!(found(series), expected, "{series}");
    }
    assert!(found("belfry_database_commit_seconds_count").parse::<u64>().unwrap() > 3);
    for secret in ["secret", "ticks", "trg_", "prj_", "127.0.0.1", "tenant"] {
        assert!(!text.contains(secret), "{secret} is told");
    }
}

#[tokio::test]
async fn what_waits_too_long_and_what_nobody_plans_is_seen_within_seconds() {
    let app = served().await;
    scheduled(&app, "minutely", cron("* * * * *")).await;
    app.advance(SECOND).await;
    let seen = |text: &str| {
        let of = |series| value(text, series).unwrap_or("-").to_owned();
        (of("belfry_overdue_seconds"), of("belfry_schedules_unarmed"))
    };
    let both = |overdue: &str, unarmed: &str| (overdue.to_owned(), unarmed.to_owned());
    assert_eq!(seen(&scrape(&app).await), both("0", "0"));
    // Neither the planner nor the executor works.
    app.pass(SECOND * 4);
    assert_eq!(seen(&scrape(&app).await), both("0", "0"), "not looked up anew");
    app.pass(SECOND * 125);
    assert_eq!(seen(&scrape(&app).await), both("70", "1"));
    app.advance(SECOND * 5).await;
    assert_eq!(seen(&scrape(&app).await), both("0", "0"));
}

#[tokio::test]
async fn a_cancelled_last_instant_leaves_no_schedule_unarmed() {
    let app = served().await;
    let (trigger, _) = scheduled(&app, "once", json!({ "in": "PT60S" })).await;
    app.work().await;
    let query = "query($filter: FiringFilter) { firings(filter: $filter) { nodes { id } } }";
    let filter = json!({ "filter": { "triggerId": { "eq": trigger } } });
    let planned = app.ask("firings", query, filter).await;
    let id = planned["nodes"][0]["id"].clone();
    done(&app, "firingCancel", "firing { id }", json!({ "id": id })).await;
    app.advance(SECOND * 3_600).await;
    assert_eq!(value(&scrape(&app).await, "belfry_schedules_unarmed"), Some("0"));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let app = served().await;
    for path in ["/livez", "/timer/tmr_01h2xcejqtf2nbrexx3vqjhp41", "/nothing/here"] {
        http(&app, &format!("GET {path}"), &[("x-api-key", app.key())], "").await;
    }
    http(&app, "BREW /livez", &[], "").await;
    let text = scrape(&app).await;
    for series in [
        "belfry_http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"}",
        "belfry_http_requests_total{method=\"GET\",route=\"/timer/{id}\",status=\"404\"}",
        "belfry_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}",
        "belfry_http_requests_total{method=\"other\",route=\"/livez\",status=\"405\"}",
        "belfry_http_request_duration_seconds_count{route=\"/timer/{id}\"}",
    ] {
        assert_eq!(value(&text, series), Some("1"), "{series} in {text}");
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_is_seen_to_lag() {
    let app = served().await;
    let mut tail = app.stream("subscription { events { cursor } }");
    let mut first = Box::pin(tail.next());
    assert!(futures_util::poll!(&mut first).is_pending());
    while value(&scrape(&app).await, "belfry_tails") != Some("1") {
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    crate::story::log(&app, &["one", "two", "three"]).await;
    app.pass(SECOND * 5);
    assert_eq!(value(&scrape(&app).await, "belfry_tail_lag_entries"), Some("3"));
    first.await;
    app.pass(SECOND * 5);
    let text = scrape(&app).await;
    assert_eq!(value(&text, "belfry_tail_lag_entries"), Some("0"));
    drop(tail);
    assert_eq!(value(&scrape(&app).await, "belfry_tails"), Some("0"));
}

#[tokio::test]
async fn readiness_says_what_is_wrong_and_with_which_part() {
    let app = served().await;
    let well = r#"{"status":"OK"}"#;
    // Beside PostgreSQL the stories have Redis.
    let redis = if tests::is_postgres() { format!(r#","redis":{well}"#) } else { String::new() };
    let expected =
        format!(r#"{{"status":"OK","checks":{{"database":{well},"migrations":{well}{redis}}}}}"#);
    assert_eq!(readiness(&app).await, format!("200 {expected}"));

    let url = app.app.settings().database_url.clone();
    let database = Database::connect(url).await.expect("the database of the story");
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
    database.execute_unprepared(newer).await.expect("a step of a later version");
    assert_eq!(readiness(&app).await, format!("200 {expected}"), "an answer may be a second old");
    app.pass(SECOND);
    let newer = readiness(&app).await;
    assert!(newer.starts_with(r#"200 {"status":"DEGRADED""#), "{newer}");
    assert!(newer.contains("the schema was written by a newer version"), "{newer}");

    let none = "DELETE FROM seaql_migrations";
    database.execute_unprepared(none).await.expect("the steps are forgotten");
    app.pass(SECOND);
    let older = readiness(&app).await;
    assert!(older.starts_with(r#"503 {"status":"UNAVAILABLE""#), "{older}");
    assert!(older.contains("steps of the schema are missing"), "{older}");
    assert_eq!(http(&app, "GET /livez", &[], "").await.status, 200);
}

#[tokio::test]
async fn readiness_is_gone_as_soon_as_shutdown_begins() {
    let app = served().await;
    assert!(readiness(&app).await.starts_with("200"));
    app.begin_shutdown();
    let stopping = readiness(&app).await;
    assert!(stopping.starts_with(r#"503 {"status":"UNAVAILABLE""#), "{stopping}");
    assert!(stopping.contains("the server is stopping"), "{stopping}");
}
