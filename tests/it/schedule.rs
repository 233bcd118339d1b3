//! Schedules: when they fire, what an edit, a pause or an outage does to what was planned.

mod clock;
mod edit;
mod explain;
mod fire;
mod outage;
mod pause;
mod planner;
mod policy;

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tests::redact;

use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, lines, list, past, planned, refused, schedule, scheduled, text, trigger,
};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3_600);
pub const DAY: Duration = Duration::from_secs(86_400);
const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn each_kind_fires_exactly_at_its_instants_and_never_before() {
    let app = TestApp::start().await;
    for (spec, first) in [
        (json!({ "at": "2026-03-02T11:01:30+01:00" }), 90),
        (json!({ "in": "PT90S" }), 90),
        (every("PT90S"), 90),
        (cron("30 1 10 * * *"), 90),
    ] {
        let before = app.now();
        let (id, _) = scheduled(&app, &format!("{spec}"), spec.clone()).await;
        app.work().await;
        app.advance(SECOND * first - MS).await;
        assert_eq!(past(&app, &id).await, Vec::<String>::new(), "{spec} was early");
        app.advance(MS).await;
        let fired = past(&app, &id).await;
        assert_eq!(fired.len(), 1, "{spec}");
        assert!(fired[0].ends_with(" COMPLETED"), "{spec}: {fired:?}");
        done(&app, "triggerDelete", "deletedId", json!({ "id": id })).await;
        app.set_clock(before);
    }
}

#[tokio::test]
async fn every_counts_from_its_anchor_and_never_drifts() {
    let app = TestApp::start().await;
    let spec = json!({ "every": { "interval": "PT1H20M", "anchor": "2026-03-02T09:00:00.250Z" } });
    let (id, _) = scheduled(&app, "compound", spec).await;
    // Whoever looks late does not shift what follows.
    for (number, late) in (1..).zip([37, 11, 59, 3, 42]) {
        app.set_clock(instant("2026-03-02T09:00:00Z").plus_ms((number * 80 * 60 + late) * 1_000));
        app.work().await;
    }
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:20:00.250 COMPLETED, begun 03-02 10:20:37
    03-02 11:40:00.250 COMPLETED, begun 03-02 11:40:11
    03-02 13:00:00.250 COMPLETED, begun 03-02 13:00:59
    03-02 14:20:00.250 COMPLETED, begun 03-02 14:20:03
    03-02 15:40:00.250 COMPLETED, begun 03-02 15:40:42
    ");
}

#[tokio::test]
async fn several_schedules_of_one_trigger_fire_with_their_own_payloads() {
    let app = TestApp::start().await;
    let id = trigger(
        &app,
        json!({
            "name": "report",
            "overlap": "ALLOW",
            "schedules": [
                { "name": "daily", "spec": cron("0 12 * * *"), "payload": { "kind": "day" } },
                { "name": "weekly", "spec": cron("0 12 * * mon"), "payload": { "kind": "week" } },
                { "spec": { "at": "2026-03-03T12:00:00Z" } },
            ],
        }),
    )
    .await;
    app.advance(HOUR * 2).await;
    app.advance(DAY).await;
    let query = "query($id: ID!) { trigger(by: { id: $id }) { firings(first: 10) { nodes {
        nominalAt scheduleKind schedule { name } payload status } } } }";
    let found = ask(&app, "trigger", query, json!({ "id": id })).await;
    let shown = |row: &serde_json::Value| {
        format!(
            "{} {} {} {} {}",
            text(&row["nominalAt"]),
            text(&row["scheduleKind"]),
            row["schedule"]["name"],
            row["payload"],
            text(&row["status"]),
        )
    };
    let mut rows: Vec<String> = list(&found["firings"]["nodes"]).iter().map(shown).collect();
    rows.retain(|row| !row.ends_with("SCHEDULED"));
    rows.sort();
    assert_snapshot!(lines(&rows), @r#"
    2026-03-02T12:00:00Z CRON "daily" {"kind":"day"} COMPLETED
    2026-03-02T12:00:00Z CRON "weekly" {"kind":"week"} COMPLETED
    2026-03-03T12:00:00Z AT null null COMPLETED
    2026-03-03T12:00:00Z CRON "daily" {"kind":"day"} COMPLETED
    "#);
}

#[tokio::test]
async fn a_payload_is_checked_when_saved_and_when_the_schema_changes() {
    let app = TestApp::start().await;
    let schema = json!({ "type": "object", "required": ["n"],
        "properties": { "n": { "type": "integer" } } });
    let good = json!({ "spec": cron("0 12 * * *"), "payload": { "n": 1 } });
    let bad = json!({ "spec": cron("0 12 * * *"), "payload": { "n": "x", "m": 1 } });
    let input = json!({ "name": "t", "payloadSchema": schema, "schedules": [good, bad, {
        "spec": { "in": "PT5S" } }] });
    let mut said = refused(&app, "triggerCreate", input).await;
    let input = json!({ "name": "t", "payloadSchema": schema, "schedules": [good] });
    let made = done(&app, "triggerCreate", "trigger { id schedules { id } }", input).await;
    let (id, plan) = (text(&made["trigger"]["id"]), text(&made["trigger"]["schedules"][0]["id"]));
    let input = json!({ "triggerId": id, "spec": { "in": "PT5S" }, "payload": 7 });
    said.extend(refused(&app, "scheduleCreate", input).await);
    let input = json!({ "id": plan, "payload": { "n": 1.5 } });
    said.extend(refused(&app, "scheduleUpdate", input).await);
    let narrower = json!({ "properties": { "n": { "minimum": 2 } } });
    let input = json!({ "id": id, "payloadSchema": narrower });
    said.extend(refused(&app, "triggerUpdate", input).await);
    assert_snapshot!(lines(&said.iter().map(|line| line.replace(&plan, "sch_…")).collect::<Vec<_>>()), @r#"
    BAD_USER_INPUT schedules.1.payload.n: "x" is not of type "integer"
    BAD_USER_INPUT schedules.2.payload: null is not of type "object"
    BAD_USER_INPUT payload: 7 is not of type "object"
    BAD_USER_INPUT payload.n: 1.5 is not of type "integer"
    BAD_USER_INPUT payloadSchema: the payload of sch_…: 1 is less than the minimum of 2
    "#);
}

#[tokio::test]
async fn a_schedule_that_is_over_does_not_hold_a_new_schema_up_but_is_checked_when_revived() {
    let app = TestApp::start().await;
    let input = json!({ "name": "t", "schedules": [
        { "spec": { "in": "PT5S" }, "payload": { "n": "x" } }] });
    let made = done(&app, "triggerCreate", "trigger { id schedules { id } }", input).await;
    let (id, plan) = (text(&made["trigger"]["id"]), text(&made["trigger"]["schedules"][0]["id"]));
    app.advance(SECOND * 5).await;
    let schema = json!({ "properties": { "n": { "type": "integer" } } });
    done(&app, "triggerUpdate", "trigger { id }", json!({ "id": id, "payloadSchema": schema }))
        .await;
    let said = refused(&app, "scheduleUpdate", json!({ "id": plan, "spec": { "in": "PT6S" } }));
    assert_snapshot!(lines(&said.await), @r#"BAD_USER_INPUT payload.n: "x" is not of type "integer""#);
}

#[tokio::test]
async fn a_created_schedule_is_armed_when_acknowledged() {
    let app = TestApp::start().await;
    app.work().await;
    let (id, plan) = scheduled(&app, "armed", every("PT60S")).await;
    assert_eq!(planned(&app, &id).await.len(), 5);
    assert_eq!(schedule(&app, &plan, "state").await, json!("SCHEDULED"));
    // Nobody plans and nobody sweeps any more; the queue knows already.
    app.pass(MINUTE);
    app.engine.executor.run_once().await.expect("a claim");
    app.engine.executor.idle().await;
    assert_eq!(past(&app, &id).await, ["03-02 10:01:00 COMPLETED"]);
}

#[tokio::test]
async fn a_preview_says_what_a_schedule_will_do_saved_or_not() {
    let app = TestApp::start().await;
    let spec = json!({ "cron": { "expression": "30 2 * * *", "timeZone": "Europe/Berlin" } });
    let query = "query($spec: ScheduleSpecInput!) {
        schedulePreview(spec: $spec, first: 2, from: \"2026-03-28T00:00:00Z\") {
            summary timeZone instants { at local note } } }";
    let unsaved = ask(&app, "schedulePreview", query, json!({ "spec": spec })).await;
    let (_, plan) = scheduled(&app, "berlin", spec).await;
    let query = "query($id: ID!) { schedule(id: $id) {
        summary timeZone nextFireAt nextFireTimes(first: 2) { at local note } } }";
    let saved = ask(&app, "schedule", query, json!({ "id": plan })).await;
    let both = json!({ "unsaved": unsaved, "saved": saved });
    assert_snapshot!(serde_json::to_string_pretty(&both).expect("JSON"), @r#"
    {
      "unsaved": {
        "instants": [
          {
            "at": "2026-03-28T01:30:00Z",
            "local": "2026-03-28T02:30:00+01:00",
            "note": null
          },
          {
            "at": "2026-03-29T01:00:00Z",
            "local": "2026-03-29T03:00:00+02:00",
            "note": "moved from 02:30, which does not exist on 2026-03-29: clocks go forward from 02:00 to 03:00"
          }
        ],
        "summary": "every day at 02:30, Europe/Berlin",
        "timeZone": "Europe/Berlin"
      },
      "saved": {
        "nextFireAt": "2026-03-03T01:30:00Z",
        "nextFireTimes": [
          {
            "at": "2026-03-03T01:30:00Z",
            "local": "2026-03-03T02:30:00+01:00",
            "note": null
          },
          {
            "at": "2026-03-04T01:30:00Z",
            "local": "2026-03-04T02:30:00+01:00",
            "note": null
          }
        ],
        "summary": "every day at 02:30, Europe/Berlin",
        "timeZone": "Europe/Berlin"
      }
    }
    "#);
}

#[tokio::test]
async fn a_preview_is_bounded() {
    let app = TestApp::start().await;
    let query = "query($first: Int!) {
        schedulePreview(spec: { every: { interval: \"PT1S\" } }, first: $first) {
            instants { at } } }";
    let most = ask(&app, "schedulePreview", query, json!({ "first": 1_000 })).await;
    assert_eq!(list(&most["instants"]).len(), 1_000);
    for first in [-1, 1_001] {
        let answer = app.graphql(query, json!({ "first": first })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
}

#[tokio::test]
async fn a_preview_is_of_a_schedule_made_now_or_at_its_beginning() {
    let app = TestApp::start().await;
    let query = "query($spec: ScheduleSpecInput!, $from: DateTime!, $policy: SchedulePolicyInput) {
        schedulePreview(spec: $spec, from: $from, policy: $policy) { instants { at } } }";
    let mut shown = Vec::new();
    for (spec, from, policy) in [
        // Ten o'clock is now.
        (json!({ "at": "2026-03-02T09:00:00Z" }), "2026-03-02T08:00:00Z", json!({})),
        (json!({ "in": "PT10M" }), "2026-03-02T08:00:00Z", json!({})),
        (cron("0 * * * *"), "2026-03-02T08:00:00Z", json!({ "maxFirings": 2 })),
        (cron("0 * * * *"), "2026-03-02T10:30:00Z", json!({ "maxFirings": 2 })),
        (cron("0 * * * *"), "2026-03-02T11:30:00Z", json!({ "maxFirings": 2 })),
        (cron("0 * * * *"), "2026-03-02T12:00:00Z", json!({ "maxFirings": 2 })),
        (cron("0 0 1 1 *"), "9000-01-01T00:00:00Z", json!({ "maxFirings": 9_000 })),
        (cron("* * * * * *"), "2026-03-02T12:00:00Z", json!({ "jitter": "P1D" })),
    ] {
        let variables = json!({ "spec": spec, "from": from, "policy": policy });
        let answer = app.graphql(query, variables).await;
        shown.push(match answer["errors"][0]["message"].as_str() {
            Some(message) => message.to_owned(),
            None => answer["data"]["schedulePreview"]["instants"].to_string(),
        });
    }
    assert_snapshot!(lines(&shown), @r#"
    [{"at":"2026-03-02T09:00:00Z"}]
    [{"at":"2026-03-02T08:10:00Z"}]
    [{"at":"2026-03-02T09:00:00Z"},{"at":"2026-03-02T10:00:00Z"}]
    [{"at":"2026-03-02T11:00:00Z"},{"at":"2026-03-02T12:00:00Z"}]
    [{"at":"2026-03-02T12:00:00Z"}]
    []
    from: expected an earlier instant: what `maxFirings` leaves is not counted so far
    policy.jitter: expected at most 1000 instants of the plan within the jitter
    "#);
}

#[tokio::test]
async fn a_schedule_is_pending_or_scheduled_until_nothing_follows() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "once", json!({ "in": "PT1H" })).await;
    let mut states = Vec::new();
    let state = async |what: &str| {
        let trigger = "query($id: ID!) { trigger(by: { id: $id }) { state } }";
        let trigger = ask(&app, "trigger", trigger, json!({ "id": id })).await;
        let next = schedule(&app, &plan, "nextFireAt").await;
        let plan = schedule(&app, &plan, "state").await;
        format!("{what}: {plan}, the trigger {}, next {next}", trigger["state"])
    };
    states.push(state("made").await);
    app.advance(MINUTE * 59).await;
    states.push(state("a minute before").await);
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    states.push(state("paused").await);
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    states.push(state("resumed").await);
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    states.push(state("the trigger paused").await);
    done(&app, "triggerResume", "trigger { id }", json!({ "id": id })).await;
    app.advance(MINUTE).await;
    states.push(state("over").await);
    let input = json!({ "id": plan, "spec": { "in": "PT2H" } });
    done(&app, "scheduleUpdate", "schedule { id }", input).await;
    states.push(state("revived").await);
    assert_snapshot!(lines(&states), @r#"
    made: "SCHEDULED", the trigger "ACTIVE", next "2026-03-02T11:00:00Z"
    a minute before: "SCHEDULED", the trigger "ACTIVE", next "2026-03-02T11:00:00Z"
    paused: "PAUSED", the trigger "ACTIVE", next null
    resumed: "SCHEDULED", the trigger "ACTIVE", next "2026-03-02T11:00:00Z"
    the trigger paused: "SCHEDULED", the trigger "PAUSED", next null
    over: "PROCESSED", the trigger "COMPLETED", next null
    revived: "SCHEDULED", the trigger "ACTIVE", next "2026-03-02T13:00:00Z"
    "#);
}

#[tokio::test]
async fn what_is_over_cannot_be_paused_and_what_runs_cannot_be_resumed() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "once", json!({ "in": "PT1S" })).await;
    let mut said = refused(&app, "scheduleResume", json!({ "id": plan })).await;
    said.extend(refused(&app, "triggerResume", json!({ "id": id })).await);
    app.advance(SECOND).await;
    said.extend(refused(&app, "schedulePause", json!({ "id": plan })).await);
    done(&app, "triggerPause", "trigger { id }", json!({ "id": id })).await;
    said.extend(refused(&app, "triggerPause", json!({ "id": id })).await);
    assert_snapshot!(lines(&said), @r"
    CONFLICT id: expected a schedule that is PAUSED
    CONFLICT id: expected a trigger that is PAUSED
    CONFLICT id: expected a schedule that is PENDING or SCHEDULED
    CONFLICT id: expected a trigger that is ACTIVE
    ");
}

#[tokio::test]
async fn a_daily_schedule_stays_at_its_hour_on_the_wall_when_clocks_change() {
    let app = TestApp::start().await;
    let spec = json!({ "cron": { "expression": "0 9 * * *", "timeZone": "Europe/Berlin" } });
    let (id, _) = scheduled(&app, "nine", spec).await;
    let gap = json!({ "cron": { "expression": "30 2 * * *", "timeZone": "Europe/Berlin" } });
    let (gap, _) = scheduled(&app, "half past two", gap).await;
    app.set_clock(instant("2026-03-28T00:00:00Z"));
    for _ in 0..2 * 48 {
        app.advance(MINUTE * 30).await;
    }
    let tail = |list: Vec<String>| list[list.len() - 3..].join("\n");
    let both = [past(&app, &id).await, past(&app, &gap).await].map(tail);
    assert_snapshot!(both.join("\n\n"), @r"
    03-27 08:00:00 COMPLETED, begun 03-28 00:30:00
    03-28 08:00:00 COMPLETED
    03-29 07:00:00 COMPLETED

    03-27 01:30:00 COMPLETED, begun 03-28 00:30:00
    03-28 01:30:00 COMPLETED
    03-29 01:00:00 COMPLETED
    ");
}

#[tokio::test]
async fn no_more_than_64_firings_are_planned_ahead_and_none_is_left_out() {
    let app = TestApp::start().await;
    let (id, _) = scheduled(&app, "ticks", every("PT1S")).await;
    for step in 0..30 {
        let ahead = planned(&app, &id).await.len();
        assert!((1..=64).contains(&ahead), "{ahead} planned at step {step}");
        app.advance(SECOND * 7).await;
    }
    let fired = past(&app, &id).await;
    assert_eq!(fired.len(), 210);
    assert!(fired.iter().all(|line| line.contains(" COMPLETED")));
}

#[tokio::test]
async fn a_restart_makes_no_duplicates_and_no_hole() {
    let mut app = TestApp::start().await;
    let (id, _) = scheduled(&app, "minutely", cron("* * * * *")).await;
    for _ in 0..6 {
        app.advance(MINUTE).await;
        app = app.restart().await;
    }
    app.work().await;
    assert_snapshot!(lines(&past(&app, &id).await), @r"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 COMPLETED
    03-02 10:05:00 COMPLETED
    03-02 10:06:00 COMPLETED
    ");
}

#[tokio::test]
async fn planners_that_work_at_once_make_no_duplicates() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(scheduled(&app, &format!("t{number}"), every("PT20S")).await.0);
    }
    let others = [(); 4].map(|()| belfry::engine::Planner::new(&app.app));
    for _ in 0..20 {
        app.pass(SECOND * 20);
        let passes = others.iter().map(|planner| planner.run_once());
        for done in futures_util::future::join_all(passes).await {
            done.expect("planning");
        }
        app.work().await;
    }
    for id in ids {
        assert_eq!(past(&app, &id).await.len(), 20);
    }
}

#[tokio::test]
async fn schedules_are_listed_newest_first_and_filtered() {
    let app = TestApp::start().await;
    let (first, _) = scheduled(&app, "a", every("PT60S")).await;
    scheduled(&app, "b", json!({ "in": "PT1S" })).await;
    app.advance(SECOND).await;
    let query = "query($filter: ScheduleFilter) { schedules(filter: $filter) {
        totalCount nodes { id kind state summary interval cronExpression trigger { name } } } }";
    let mut pages = Vec::new();
    for filter in [
        json!({}),
        json!({ "triggerId": { "eq": first } }),
        json!({ "kind": { "in": ["CRON", "AT"] } }),
        json!({ "state": { "eq": "PROCESSED" } }),
    ] {
        let page = ask(&app, "schedules", query, json!({ "filter": filter })).await;
        pages.push(redact(page).to_string());
    }
    assert_snapshot!(lines(&pages), @r#"
    {"nodes":[{"cronExpression":null,"id":"sch_…","interval":null,"kind":"IN","state":"PROCESSED","summary":"once, after 1 second, at 2026-03-02T10:00:01Z","trigger":{"name":"b"}},{"cronExpression":null,"id":"sch_…","interval":"PT1M","kind":"EVERY","state":"SCHEDULED","summary":"every minute, counted from 2026-03-02T10:00:00Z","trigger":{"name":"a"}}],"totalCount":2}
    {"nodes":[{"cronExpression":null,"id":"sch_…","interval":"PT1M","kind":"EVERY","state":"SCHEDULED","summary":"every minute, counted from 2026-03-02T10:00:00Z","trigger":{"name":"a"}}],"totalCount":1}
    {"nodes":[],"totalCount":0}
    {"nodes":[{"cronExpression":null,"id":"sch_…","interval":null,"kind":"IN","state":"PROCESSED","summary":"once, after 1 second, at 2026-03-02T10:00:01Z","trigger":{"name":"b"}}],"totalCount":1}
    "#);
}

pub fn instant(text: &str) -> entity::Instant {
    entity::Instant::parse(text).expect("RFC 3339")
}
