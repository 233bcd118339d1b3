//! How many firings are to come, and what they need.

use std::collections::BTreeMap;
use std::time::Duration;

use belfry::limits::FORECAST_BUCKETS_MAX;
use entity::Instant;
use serde_json::{Value, json};
use tests::{Answer, Receiver};

use crate::TestApp;
use crate::operation::{cron, done, every, scheduled, text, trigger};
use crate::story::{stranger, timer};

const SECOND: Duration = Duration::from_secs(1);
const FORECAST: &str = "query($from: DateTime, $until: DateTime!, $step: Duration!,
        $filter: ForecastFilter) {
    forecast(from: $from, until: $until, step: $step, filter: $filter) {
        firings overdue isTruncated meanDuration concurrency
        buckets { from until firings accepted planned retries enumerated executors } } }";
const PREVIEW: &str = "query($spec: ScheduleSpecInput!, $from: DateTime) {
    schedulePreview(spec: $spec, first: 1000, from: $from) { instants { at } } }";

async fn forecast(app: &TestApp, until: &str, step: &str) -> Value {
    app.ask("forecast", FORECAST, json!({ "until": until, "step": step })).await
}

/// One number of each bucket.
fn each(forecast: &Value, field: &str) -> Vec<u64> {
    let buckets = forecast["buckets"].as_array().expect("buckets");
    buckets.iter().map(|bucket| bucket[field].as_u64().expect("a number")).collect()
}

/// The instants of a spec after now and before `until`, as its preview shows them.
async fn shown(app: &TestApp, spec: &Value, until: Instant) -> Vec<Instant> {
    let preview = app.ask("schedulePreview", PREVIEW, json!({ "spec": spec })).await;
    let instants = preview["instants"].as_array().expect("instants");
    let at = |shown: &Value| Instant::parse(&text(&shown["at"])).expect("an instant");
    let shown: Vec<Instant> = instants.iter().map(at).collect();
    assert!(shown.len() < 1000 || until <= shown[999], "the preview is too short");
    shown.into_iter().filter(|instant| *instant < until).collect()
}

#[tokio::test]
async fn a_forecast_equals_the_schedules_enumerated_also_where_clocks_change() {
    let app = TestApp::start().await;
    let zoned = |expression: &str, zone: &str| json!({ "cron": { "expression": expression, "timeZone": zone } });
    let specs = [
        zoned("30 2 * * *", "Europe/Berlin"),
        zoned("0 */3 * * 1-5", "America/New_York"),
        zoned("0 0 13 * 5", "Asia/Kolkata"),
        cron("7 4 * * * *"),
        every("PT47M"),
        json!({ "at": "2026-03-29T01:30:00Z" }),
        json!({ "at": "2026-03-02T10:00:00.500Z" }),
    ];
    for (index, spec) in specs.iter().enumerate() {
        scheduled(&app, &format!("t{index}"), spec.clone()).await;
    }
    app.work().await;
    for (until, step, step_ms) in
        [("2026-03-02T10:20:00Z", "PT1M", 60_000), ("2026-03-30T10:00:00Z", "PT7H", 7 * 3_600_000)]
    {
        let end = Instant::parse(until).expect(until);
        let found = forecast(&app, until, step).await;
        let mut expected = vec![0; each(&found, "firings").len()];
        for spec in &specs {
            for instant in shown(&app, spec, end).await {
                let bucket = instant.ms_since(app.now()) / step_ms;
                expected[usize::try_from(bucket).expect("a bucket")] += 1;
            }
        }
        assert_eq!(each(&found, "firings"), expected, "until {until}");
        assert_eq!(found["isTruncated"], json!(false));
    }
    let soon = forecast(&app, "2026-03-02T10:20:00Z", "PT5M").await;
    let planned = each(&soon, "planned");
    assert!(0 < planned[0] && planned[2..] == [0, 0], "five minutes are planned: {planned:?}");
}

#[tokio::test]
async fn a_schedule_of_every_second_is_counted_for_a_month_at_once() {
    let app = TestApp::start().await;
    scheduled(&app, "by interval", every("PT1S")).await;
    scheduled(&app, "by cron", cron("* * * * * *")).await;
    app.work().await;
    let found = forecast(&app, "2026-04-01T10:00:00Z", "P1D").await;
    // The first instant of each is a second after now, the period's end no longer in it.
    assert_eq!(found["firings"], json!(2 * (30 * 86_400 - 1)));
    assert_eq!(each(&found, "firings")[1..29], [2 * 86_400; 28]);
}

#[tokio::test]
async fn as_time_passes_nothing_is_counted_twice_or_forgotten() {
    let app = TestApp::start().await;
    scheduled(&app, "ticks", every("PT10S")).await;
    scheduled(&app, "quarters", cron("*/15 * * * *")).await;
    app.work().await;
    for _ in 0..12 {
        let until = app.now().plus_ms(3_600_000).to_string();
        let found = forecast(&app, &until, "PT1H").await;
        // What is due now has fired; the hour's end is in no bucket.
        let quarters = if app.now().millis() % 900_000 == 0 { 3 } else { 4 };
        assert_eq!(found["firings"], json!(359 + quarters), "at {}: {found}", app.now());
        app.advance(SECOND * 97).await;
        app.advance(SECOND * 3).await;
    }
}

#[tokio::test]
async fn what_is_paused_or_deleted_says_nothing() {
    let app = TestApp::start().await;
    let (first, plan) = scheduled(&app, "first", cron("* * * * *")).await;
    let (second, _) = scheduled(&app, "second", cron("* * * * *")).await;
    app.work().await;
    let firings = async || {
        let found = forecast(&app, "2026-03-02T10:30:30Z", "PT1H").await;
        found["firings"].as_u64().expect("a number")
    };
    assert_eq!(firings().await, 60);
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    assert_eq!(firings().await, 30);
    done(&app, "triggerPause", "trigger { id }", json!({ "id": second })).await;
    assert_eq!(firings().await, 0);
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    done(&app, "triggerResume", "trigger { id }", json!({ "id": second })).await;
    assert_eq!(firings().await, 60);
    done(&app, "triggerDelete", "deletedId", json!({ "id": first })).await;
    assert_eq!(firings().await, 30);
}

#[tokio::test]
async fn what_waits_is_counted_where_it_is_due_and_by_what_it_is() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(503));
    timer(&app, 30, &receiver.url("/fails")).await;
    for minutes in [2, 2, 4] {
        timer(&app, minutes * 60, "https://hooks.example.com/x").await;
    }
    timer(&app, 40, "https://hooks.example.com/x").await;
    app.advance(SECOND * 30).await;
    // The second attempt is due in about five seconds; at 60 s it and one timer are overdue.
    let soon = forecast(&app, "2026-03-02T10:05:00Z", "PT1M").await;
    assert_eq!(each(&soon, "retries"), [1, 0, 0, 0, 0]);
    assert_eq!(each(&soon, "accepted"), [1, 2, 0, 1, 0]);
    app.pass(SECOND * 30);
    let later = forecast(&app, "2026-03-02T10:05:00Z", "PT1M").await;
    assert_eq!(later["overdue"], json!(2));
    assert_eq!(each(&later, "firings"), [0, 2, 0, 1]);
}

#[tokio::test]
async fn only_the_own_project_and_the_named_triggers_are_counted() {
    let app = TestApp::start().await;
    let (first, _) = scheduled(&app, "first", cron("* * * * *")).await;
    scheduled(&app, "second", cron("* * * * *")).await;
    let test = json!({ "name": "test", "isTest": true,
        "schedules": [{ "spec": { "at": "2026-03-02T10:05:00Z" } }] });
    trigger(&app, test).await;
    app.work().await;
    let firings = async |filter: Value| {
        let asked = json!({ "until": "2026-03-02T10:30:30Z", "step": "PT1H", "filter": filter });
        app.ask("forecast", FORECAST, asked).await["firings"].clone()
    };
    assert_eq!(firings(json!({})).await, 60);
    assert_eq!(firings(json!({ "triggerId": { "eq": first } })).await, 30);
    assert_eq!(firings(json!({ "triggerId": { "neq": first } })).await, 30);
    assert_eq!(firings(json!({ "isTest": "INCLUDE" })).await, 61);
    assert_eq!(firings(json!({ "isTest": "ONLY" })).await, 1);
    let (elsewhere, _) = stranger(&app).await;
    let asked = json!({ "until": "2026-03-02T10:30:30Z", "step": "PT1H" });
    let answer = app.graphql_as(&elsewhere, FORECAST, asked).await;
    assert_eq!(answer["data"]["forecast"]["firings"], json!(0));
}

#[tokio::test]
async fn executors_follow_from_how_long_firings_were_executed() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    for _ in 0..3 {
        timer(&app, 120, "https://hooks.example.com/x").await;
    }
    let unknown = forecast(&app, "2026-03-02T10:05:00Z", "PT1M").await;
    assert_eq!(
        (&unknown["meanDuration"], &unknown["buckets"][2]["executors"]),
        (&Value::Null, &Value::Null)
    );
    // One firing that takes 4 s, on the clock by which attempts are stamped.
    receiver.answer(Answer::status(200).held());
    timer(&app, 1, &receiver.url("/slow")).await;
    app.pass(SECOND);
    app.engine.sweeper.run_once().await.expect("a sweep");
    app.engine.executor.run_once().await.expect("a claim");
    receiver.wait_for(1).await;
    app.pass(SECOND * 4);
    receiver.release();
    app.engine.executor.idle().await;

    let asked = json!({ "from": "2026-03-02T10:00:00Z", "until": "2026-03-02T10:05:00Z",
        "step": "PT1M" });
    let known = app.ask("forecast", FORECAST, asked).await;
    assert_eq!(known["meanDuration"], json!("PT4S"));
    let executors = known["buckets"][2]["executors"].as_f64().expect("a number");
    // 3 firings × 4 s over 60 s × 64 places.
    assert!((executors - 12.0 / 3840.0).abs() < 1e-9, "{executors}");
    assert_eq!(known["buckets"][3]["executors"], json!(0.0));
}

#[tokio::test]
async fn a_period_that_is_too_long_or_too_fine_is_refused_by_its_field() {
    let app = TestApp::start().await;
    let mut refused = BTreeMap::new();
    let most = app.now().plus_ms(1000 * FORECAST_BUCKETS_MAX as i64);
    for (until, step) in [
        (most.to_string(), "PT1S"),
        (most.plus_ms(1).to_string(), "PT1S"),
        (app.now().to_string(), "PT1S"),
        (app.now().plus_ms(366 * 86_400_000).to_string(), "P366D"),
        (app.now().plus_ms(366 * 86_400_000 + 1).to_string(), "P367D"),
        (most.to_string(), "PT0.5S"),
    ] {
        let answer = app.graphql(FORECAST, json!({ "until": until, "step": step })).await;
        let said = match answer.get("errors") {
            None => "counted".to_owned(),
            Some(errors) => {
                let code = text(&errors[0]["extensions"]["code"]);
                format!("{code} {}", text(&errors[0]["message"]))
            }
        };
        refused.insert(format!("{until} {step}"), said);
    }
    insta::assert_debug_snapshot!(refused, @r#"
    {
        "2026-03-02T10:00:00Z PT1S": "BAD_USER_INPUT until: expected an instant after `from`",
        "2026-03-02T10:16:40.001Z PT1S": "BAD_USER_INPUT step: expected at most 1000 buckets, not 1001",
        "2026-03-02T10:16:40Z PT0.5S": "BAD_USER_INPUT step: expected at least 1 second",
        "2026-03-02T10:16:40Z PT1S": "counted",
        "2027-03-03T10:00:00.001Z P367D": "BAD_USER_INPUT until: expected at most 366 days",
        "2027-03-03T10:00:00Z P366D": "counted",
    }
    "#);
}

#[tokio::test]
async fn an_autoscaler_reads_the_same_of_all_projects() {
    let app = TestApp::start().await;
    app.listen().await;
    scheduled(&app, "ticks", every("PT10S")).await;
    timer(&app, 600, "https://hooks.example.com/x").await;
    app.work().await;
    let text = crate::wire::http(&app, "GET /metrics", &[], "").await.body;
    for line in [
        "belfry_forecast_firings{window=\"5m\"} 29",
        "belfry_forecast_firings{window=\"15m\"} 90",
        "belfry_forecast_firings{window=\"1h\"} 360",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}
