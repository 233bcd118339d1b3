//! The simulation: it says what the engine does, and answers within bounds.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::played;

use crate::TestApp;
use crate::operation::{lines, list, text};
use crate::schedule::instant;

/// A sample; `make soak` compares a thousand.
#[tokio::test]
async fn the_simulation_says_of_each_instant_what_the_engine_does() {
    for seed in 0..2 {
        let compared = played::compare(seed, 10).await;
        assert_eq!(compared.schedules, 10);
        assert!(0 < compared.instants && 0 < compared.skipped, "seed {seed}: {compared:?}");
    }
}

async fn simulate(app: &TestApp, input: Value) -> Value {
    let query = "query($input: ScheduleSimulateInput!) { scheduleSimulate(input: $input) {
        summary totalCount isCut counts { status reason count }
        instants { local note status reason startedAt finishedAt } } }";
    app.ask("scheduleSimulate", query, json!({ "input": input })).await
}

fn shown(answer: &Value) -> String {
    let counts = list(&answer["counts"]).iter().map(|count| {
        let reason = count["reason"].as_str().unwrap_or("-");
        format!("{} {reason} x {}", text(&count["status"]), count["count"])
    });
    let instants = list(&answer["instants"]).iter().map(|one| {
        let reason = one["reason"].as_str().unwrap_or("-");
        let note = one["note"].as_str().map_or(String::new(), |note| format!(" ({note})"));
        format!("{} {} {reason}{note}", text(&one["local"]), text(&one["status"]))
    });
    let all = [text(&answer["summary"])].into_iter().chain(counts).chain(instants);
    lines(&all.collect::<Vec<_>>())
}

#[tokio::test]
async fn an_outage_over_a_change_of_clocks_can_be_looked_at_before() {
    let app = TestApp::start().await;
    let answer = simulate(
        &app,
        json!({
            "spec": { "cron": { "expression": "30 2 * * *", "timeZone": "America/New_York" } },
            "policy": { "catchUp": "ALL", "catchUpWindow": "P2D" },
            "from": "2026-03-06T12:00:00Z",
            "until": "2026-03-12T12:00:00Z",
            "outages": [{ "from": "2026-03-08T00:00:00Z", "until": "2026-03-10T03:00:00Z" }],
            "durations": ["PT10M"],
            "overlap": "BUFFER_ALL",
        }),
    )
    .await;
    assert_snapshot!(shown(&answer), @"
    every day at 02:30, America/New_York
    COMPLETED - x 6
    2026-03-07T02:30:00-05:00 COMPLETED -
    2026-03-08T03:00:00-04:00 COMPLETED - (moved from 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00)
    2026-03-09T02:30:00-04:00 COMPLETED -
    2026-03-10T02:30:00-04:00 COMPLETED -
    2026-03-11T02:30:00-04:00 COMPLETED -
    2026-03-12T02:30:00-04:00 COMPLETED -
    ");
}

#[tokio::test]
async fn a_simulation_is_bounded() {
    let app = TestApp::start().await;
    let each_second = |until: &str| {
        json!({
            "spec": { "cron": { "expression": "* * * * * *" } },
            "from": "2027-01-01T00:00:00Z",
            "until": until,
            "first": 0,
        })
    };
    // 527,040 instants: six days, two hours and 24 minutes of seconds.
    let whole = simulate(&app, each_second("2027-01-07T02:24:01Z")).await;
    assert_eq!((&whole["totalCount"], &whole["isCut"]), (&json!(527_040), &json!(false)));
    let cut = simulate(&app, each_second("2027-01-07T02:24:02Z")).await;
    assert_eq!((&cut["totalCount"], &cut["isCut"]), (&json!(527_040), &json!(true)));
    let mut outage = each_second("2040-01-01T00:00:00Z");
    outage["outages"] =
        json!([{ "from": "2027-01-01T00:01:00Z", "until": "2037-01-01T00:00:00Z" }]);
    assert_eq!(simulate(&app, outage).await["isCut"], json!(true));
}

fn minutely(extra: Value) -> Value {
    let mut input = json!({
        "spec": { "cron": { "expression": "* * * * *" } },
        "from": "2027-01-01T00:00:00Z",
        "until": "2027-01-01T04:00:01Z",
    });
    for (name, value) in extra.as_object().expect("an object") {
        input[name] = value.clone();
    }
    input
}

#[tokio::test]
async fn all_instants_can_be_listed_one_list_after_the_other() {
    let app = TestApp::start().await;
    let query = "query($input: ScheduleSimulateInput!) { scheduleSimulate(input: $input) {
        totalCount instants { at } } }";
    let (mut sizes, mut after) = (Vec::new(), Value::Null);
    loop {
        let input = minutely(json!({ "first": 100, "after": after }));
        let answer = app.ask("scheduleSimulate", query, json!({ "input": input })).await;
        assert_eq!(answer["totalCount"], json!(240));
        let Some(last) = list(&answer["instants"]).last() else { break };
        sizes.push(list(&answer["instants"]).len());
        after = last["at"].clone();
    }
    assert_eq!((sizes, after), (vec![100, 100, 40], json!("2027-01-01T04:00:00Z")));
}

#[tokio::test]
async fn outages_durations_and_jitter_have_their_limits() {
    let app = TestApp::start().await;
    let outages = |count: i64| {
        let at = |secs: i64| instant("2027-01-01T00:00:00Z").plus_ms(secs * 1_000).to_string();
        let all = (1..=count).map(|n| json!({ "from": at(n * 2), "until": at(n * 2 + 1) }));
        json!({ "outages": all.collect::<Vec<_>>() })
    };
    let durations = |count: usize| json!({ "durations": vec!["PT1S"; count] });
    let jitter = |minutes: usize| json!({ "policy": { "jitter": format!("PT{minutes}M") } });
    let query =
        "query($input: ScheduleSimulateInput!) { scheduleSimulate(input: $input) { isCut } }";
    let mut shown = Vec::new();
    for (most, over) in [
        (outages(100), outages(101)),
        (durations(1_000), durations(1_001)),
        (jitter(999), jitter(1_000)),
    ] {
        let answer = app.ask("scheduleSimulate", query, json!({ "input": minutely(most) })).await;
        assert_eq!(answer["isCut"], json!(false));
        let answer = app.graphql(query, json!({ "input": minutely(over) })).await;
        let problem = &answer["errors"][0]["extensions"]["problems"][0];
        shown.push(format!("{}: {}", text(&problem["field"]), text(&problem["message"])));
    }
    assert_snapshot!(lines(&shown), @"
    outages: expected at most 100
    durations: expected at most 1000
    policy.jitter: expected at most 1000 instants of the plan within the jitter
    ");
}

#[tokio::test]
async fn each_wrong_part_of_a_question_is_named() {
    let app = TestApp::start().await;
    let query =
        "query($input: ScheduleSimulateInput!) { scheduleSimulate(input: $input) { isCut } }";
    let input = json!({
        "spec": { "cron": { "expression": "0 0 31 2 *" } },
        "policy": { "jitter": "P2D" },
        "from": "2027-01-02T00:00:00Z",
        "until": "2027-01-01T00:00:00Z",
        "outages": [{ "from": "2027-01-02T00:00:00Z", "until": "2027-01-02T00:00:00Z" }],
        "durations": ["P5000D"],
        "first": 1001,
    });
    let answer = app.graphql(query, json!({ "input": input })).await;
    let problems = list(&answer["errors"][0]["extensions"]["problems"]);
    let fields: Vec<String> = problems.iter().map(|problem| text(&problem["field"])).collect();
    assert_snapshot!(lines(&fields), @"
    spec.cron.expression
    policy.jitter
    first
    until
    outages.0
    durations.0
    ");
}
