//! Policies: when a schedule begins and ends, what it leaves out, what it catches up.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{DAY, HOUR, MINUTE, SECOND};
use crate::TestApp;
use crate::operation::{
    ask, cron, done, every, lines, list, log, past, planned, refused, schedule, text,
};

/// Makes a trigger with one schedule under a policy; returns the ids of both.
pub async fn under(app: &TestApp, spec: Value, policy: Value) -> (String, String) {
    let schedules = json!([{ "spec": spec, "policy": policy }]);
    let input = json!({ "name": "story", "overlap": "ALLOW", "schedules": schedules });
    let selection = "trigger { id schedules { id } }";
    let made = done(app, "triggerCreate", selection, input).await;
    (text(&made["trigger"]["id"]), text(&made["trigger"]["schedules"][0]["id"]))
}

/// Every moment of so many minutes.
async fn minutes(app: &TestApp, count: u32) {
    for _ in 0..count {
        app.advance(MINUTE).await;
    }
}

#[tokio::test]
async fn a_schedule_fires_from_its_start_to_its_end_and_is_over() {
    let app = TestApp::start().await;
    let policy = json!({ "startsAt": "2026-03-02T10:03:00Z", "endsAt": "2026-03-02T10:05:00Z" });
    let (id, plan) = under(&app, cron("* * * * *"), policy).await;
    minutes(&app, 8).await;
    let state = schedule(&app, &plan, "state").await;
    assert_snapshot!(lines(&[past(&app, &id).await, vec![text(&state)]].concat()), @"
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 COMPLETED
    03-02 10:05:00 COMPLETED
    PROCESSED
    ");
}

#[tokio::test]
async fn no_more_instants_fire_than_may_and_what_is_skipped_does_not_count() {
    let mut app = TestApp::start().await;
    let (id, plan) = under(&app, cron("* * * * *"), json!({ "maxFirings": 4 })).await;
    minutes(&app, 2).await;
    assert_eq!(planned(&app, &id).await.len(), 2, "the rest is planned");
    let next = schedule(&app, &plan, "nextFireTimes { at }").await;
    assert_eq!(list(&next).len(), 2, "{next}");
    app.pass(MINUTE * 10);
    app = app.restart().await;
    app.work().await;
    minutes(&app, 5).await;
    let state = schedule(&app, &plan, "state").await;
    assert_snapshot!(lines(&[past(&app, &id).await, vec![text(&state)]].concat()), @"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:03:00 - 03-02 10:11:00 SKIPPED CATCH_UP x 9
    03-02 10:12:00 COMPLETED
    03-02 10:13:00 COMPLETED
    PROCESSED
    ");
    assert_eq!(schedule(&app, &plan, "firingCount").await, json!(4));
}

#[tokio::test]
async fn a_schedule_that_was_over_goes_on_from_now_when_it_may_fire_more() {
    let app = TestApp::start().await;
    let policy = json!({ "maxFirings": 2, "catchUp": "ALL" });
    let (id, plan) = under(&app, cron("* * * * *"), policy).await;
    minutes(&app, 30).await;
    let policy = json!({ "maxFirings": 4, "catchUp": "ALL" });
    done(&app, "scheduleUpdate", "schedule { id }", json!({ "id": plan, "policy": policy })).await;
    minutes(&app, 5).await;
    assert_snapshot!(lines(&past(&app, &id).await), @"
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED
    03-02 10:31:00 COMPLETED
    03-02 10:32:00 COMPLETED
    ");
}

#[tokio::test]
async fn what_is_said_of_a_day_that_was_paused_is_said_of_its_instants() {
    let app = TestApp::start().await;
    let (_, plan) = under(&app, cron("0 * * * *"), json!({ "maxFirings": 2 })).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.advance(HOUR * 5).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    let query = "query($id: ID!) { schedule(id: $id) {
        an_hour: explain(at: \"2026-03-02T12:00:00Z\") { verdict }
        between: explain(at: \"2026-03-02T12:17:00Z\") { verdict }
        second: explain(at: \"2026-03-02T17:00:00Z\") { verdict }
        third: explain(at: \"2026-03-02T18:00:00Z\") { verdict } } }";
    let explained = ask(&app, "schedule", query, json!({ "id": plan })).await;
    assert_snapshot!(explained, @r#"{"an_hour":{"verdict":"SKIPPED"},"between":{"verdict":"NOT_PLANNED"},"second":{"verdict":"WILL_FIRE"},"third":{"verdict":"LIMIT_REACHED"}}"#);
}

#[tokio::test]
async fn jitter_holds_a_thousand_instants_and_no_more() {
    let app = TestApp::start().await;
    let create = |jitter: &str| {
        let schedule = json!({ "spec": every("PT1S"), "policy": { "jitter": jitter } });
        json!({ "name": jitter, "schedules": [schedule] })
    };
    done(&app, "triggerCreate", "trigger { id }", create("PT999S")).await;
    let why = refused(&app, "triggerCreate", create("PT1000S")).await;
    assert_snapshot!(lines(&why), @"BAD_USER_INPUT schedules.0.policy.jitter: expected at most 1000 instants of the plan within the jitter");
}

#[tokio::test]
async fn jitter_is_the_same_after_a_restart_and_never_early() {
    let mut app = TestApp::start().await;
    let (id, _) = under(&app, cron("*/10 * * * *"), json!({ "jitter": "PT2M" })).await;
    let due = "query($filter: FiringFilter) { firings(filter: $filter) {
        nodes { nominalAt dueAt } } }";
    let filter = json!({ "filter": { "triggerId": { "eq": id } } });
    minutes(&app, 9).await;
    let before = ask(&app, "firings", due, filter.clone()).await;
    app = app.restart().await;
    minutes(&app, 4).await;
    let after = ask(&app, "firings", due, filter).await;
    let of = |answer: &Value| list(&answer["nodes"]).last().cloned().expect("one");
    assert_eq!(of(&before), of(&after));
    let fired = past(&app, &id).await;
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert!(fired[0].contains("begun"), "it was not due at its instant: {fired:?}");
}

#[tokio::test]
async fn what_is_left_out_makes_no_rows_and_is_explained() {
    let app = TestApp::start().await;
    let exclude = json!([
        { "cron": "2-3 * * * *" },
        { "period": { "from": "2026-03-02T10:05:00Z", "until": "2026-03-02T10:07:00Z" } },
        { "dates": { "from": "2026-03-03", "until": "2026-03-04" } },
    ]);
    let (id, plan) = under(&app, cron("* * * * *"), json!({ "exclude": exclude })).await;
    minutes(&app, 8).await;
    let next = schedule(&app, &plan, "summary").await;
    let query = "query($id: ID!) { schedule(id: $id) {
        out: explain(at: \"2026-03-02T10:03:00Z\") { verdict message previousAt nextAt }
        day: explain(at: \"2026-03-03T10:03:00Z\") { verdict previousAt nextAt } } }";
    let explained = ask(&app, "schedule", query, json!({ "id": plan })).await;
    let shown = [past(&app, &id).await, vec![text(&next), explained.to_string()]].concat();
    assert_snapshot!(lines(&shown), @r#"
    03-02 10:01:00 COMPLETED
    03-02 10:04:00 COMPLETED
    03-02 10:07:00 COMPLETED
    03-02 10:08:00 COMPLETED
    every minute, UTC, with exclusions
    {"day":{"nextAt":"2026-03-05T00:00:00Z","previousAt":"2026-03-02T23:59:00Z","verdict":"EXCLUDED"},"out":{"message":"it is left out by the exclusions of the schedule","nextAt":"2026-03-02T10:04:00Z","previousAt":"2026-03-02T10:01:00Z","verdict":"EXCLUDED"}}
    "#);
}

#[tokio::test]
async fn what_was_missed_is_caught_up_as_the_policy_says() {
    let mut shown = Vec::new();
    for policy in [
        json!({ "catchUp": "SKIP" }),
        json!({ "catchUp": "LAST" }),
        json!({ "catchUp": "ALL" }),
        json!({ "catchUp": "ALL", "catchUpWindow": "PT3M" }),
    ] {
        let mut app = TestApp::start().await;
        let (id, _) = under(&app, cron("* * * * *"), policy.clone()).await;
        minutes(&app, 1).await;
        app.pass(MINUTE * 5 + SECOND * 30);
        app = app.restart().await;
        app.work().await;
        shown.push(policy.to_string());
        shown.extend(past(&app, &id).await);
        // A range is told once the instant after it has begun.
        app.advance(SECOND * 30).await;
        shown.extend(log(&app, "firing.skipped").await);
    }
    assert_snapshot!(lines(&shown), @r#"
    {"catchUp":"SKIP"}
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 10:05:00 SKIPPED CATCH_UP x 4
    03-02 10:06:00 COMPLETED, begun 03-02 10:06:30
    firing.skipped: 4 instants were skipped: CATCH_UP
    {"catchUp":"LAST"}
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 10:05:00 SKIPPED CATCH_UP x 4
    03-02 10:06:00 COMPLETED, begun 03-02 10:06:30
    firing.skipped: 4 instants were skipped: CATCH_UP
    {"catchUp":"ALL"}
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:03:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:04:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:05:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:06:00 COMPLETED, begun 03-02 10:06:30
    {"catchUp":"ALL","catchUpWindow":"PT3M"}
    03-02 10:01:00 COMPLETED
    03-02 10:02:00 - 03-02 10:03:00 SKIPPED CATCH_UP x 2
    03-02 10:04:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:05:00 COMPLETED, begun 03-02 10:06:30
    03-02 10:06:00 COMPLETED, begun 03-02 10:06:30
    firing.skipped: 2 instants were skipped: CATCH_UP
    "#);
}

#[tokio::test]
async fn a_new_policy_replans_and_the_same_one_does_not() {
    let app = TestApp::start().await;
    let (id, plan) = under(&app, cron("* * * * *"), json!({})).await;
    minutes(&app, 1).await;
    let update = |policy: Value| json!({ "id": plan, "policy": policy });
    let selection = "schedule { policy { catchUp endsAt exclude { cron } } }";
    done(&app, "scheduleUpdate", selection, update(json!({ "catchUp": "LAST" }))).await;
    let before = planned(&app, &id).await;
    let policy = json!({ "exclude": [{ "cron": "*/2 * * * *" }] });
    let changed = done(&app, "scheduleUpdate", selection, update(policy)).await;
    minutes(&app, 4).await;
    let shown = [before, vec![changed["schedule"].to_string()], past(&app, &id).await].concat();
    assert_snapshot!(lines(&shown), @r#"
    03-02 10:02:00
    03-02 10:03:00
    03-02 10:04:00
    03-02 10:05:00
    03-02 10:06:00
    {"policy":{"catchUp":"LAST","endsAt":null,"exclude":[{"cron":"*/2 * * * *"}]}}
    03-02 10:01:00 COMPLETED
    03-02 10:03:00 COMPLETED
    03-02 10:05:00 COMPLETED
    "#);
}

#[tokio::test]
async fn whoever_leaves_out_days_by_the_second_is_told_what_to_do() {
    let app = TestApp::start().await;
    // None of the rules is one of whole minutes.
    let rules = ["*/2 * * 2-5 3 *", "1-59/2 * * 2-5 3 *"];
    let exclude = rules.map(|rule| json!({ "cron": rule }));
    let policy = |start: &str| json!({ "exclude": exclude, "startsAt": start });
    let create = |start: &str| {
        let schedule = json!({ "spec": every("PT1S"), "policy": policy(start) });
        json!({ "name": "t", "schedules": [schedule] })
    };
    let why = refused(&app, "triggerCreate", create("2026-03-02T12:00:00Z")).await;
    assert_snapshot!(lines(&why), @"BAD_USER_INPUT schedules.0.policy: expected an instant sooner: up to 2026-03-03T11:08:52.999Z the policy leaves all out, and nothing later is looked for; leave out dates, periods or whole days rather than minutes or seconds, or say `startsAt`");
    done(&app, "triggerCreate", "trigger { id }", create("2026-03-06T00:00:00Z")).await;
}

#[tokio::test]
async fn a_policy_that_leaves_nothing_is_refused_and_every_wrong_part_is_named() {
    let app = TestApp::start().await;
    let create = |policy: Value| json!({ "name": "t", "schedules": [{ "spec": every("PT1M"), "policy": policy }] });
    let mut shown = Vec::new();
    for policy in [
        json!({ "endsAt": "2026-03-02T10:00:30Z" }),
        json!({ "exclude": [{ "cron": "* 0-11 * * *" }, { "cron": "* 12-23 * * *" }] }),
        json!({
            "startsAt": "2026-03-03T00:00:00Z", "endsAt": "2026-03-02T00:00:00Z",
            "maxFirings": 0, "jitter": "P2D", "catchUpWindow": "P367D",
            "exclude": [{ "cron": "* * *" }],
        }),
        json!({ "excludeCalendarIds": ["cal_01h2xcejqtf2nbrexx3vqjhp41", "trg_1"] }),
        json!({ "onlyCalendarIds": ["cal_01h2xcejqtf2nbrexx3vqjhp41"] }),
    ] {
        shown.extend(refused(&app, "triggerCreate", create(policy)).await);
    }
    assert_snapshot!(lines(&shown), @"
    BAD_USER_INPUT schedules.0.policy: expected a plan and a policy that leave an instant after 2026-03-02T10:00:00Z
    BAD_USER_INPUT schedules.0.policy: expected an instant sooner: up to 2026-04-29T06:53:59.999Z the policy leaves all out, and nothing later is looked for; leave out dates, periods or whole days rather than minutes or seconds, or say `startsAt`
    BAD_USER_INPUT schedules.0.policy.endsAt: expected an instant after startsAt, 2026-03-03T00:00:00Z
    BAD_USER_INPUT schedules.0.policy.maxFirings: expected a number from 1
    BAD_USER_INPUT schedules.0.policy.jitter: expected a duration of at most 24 hours
    BAD_USER_INPUT schedules.0.policy.catchUpWindow: expected 1 second to 366 days
    BAD_USER_INPUT schedules.0.policy.exclude.0.cron: at character 6: expected 5 fields (minute, hour, day of the month, month, day of the week) or 6 with leading seconds, not 3
    BAD_USER_INPUT schedules.0.policy.excludeCalendarIds.1: expected the id of a calendar: cal_ and 26 characters
    NOT_FOUND schedules.0.policy.onlyCalendarIds.0: no calendar has the id cal_01h2xcejqtf2nbrexx3vqjhp41
    ");
}

#[tokio::test]
async fn an_instant_is_explained_from_its_record_or_from_the_schedule() {
    let mut app = TestApp::start().await;
    let spec = json!({ "cron": { "expression": "*/10 * * * *", "timeZone": "Europe/Berlin" } });
    let policy = json!({ "maxFirings": 8, "endsAt": "2026-03-02T20:00:00Z" });
    let (_, plan) = under(&app, spec, policy).await;
    app.advance(MINUTE * 10).await;
    app.pass(HOUR);
    app = app.restart().await;
    app.work().await;
    let query = "query($id: ID!, $at: DateTime!) { schedule(id: $id) {
        explain(at: $at) { verdict message local firing { status } } } }";
    let mut shown = Vec::new();
    for at in ["09:50", "10:05", "10:10", "10:30", "11:20", "12:00", "20:10"] {
        let at = format!("2026-03-02T{at}:00Z");
        let answer = ask(&app, "schedule", query, json!({ "id": plan, "at": at })).await;
        let explained = &answer["explain"];
        let status = explained["firing"]["status"].as_str().unwrap_or("-");
        let (verdict, message) = (text(&explained["verdict"]), text(&explained["message"]));
        shown.push(format!("{} {verdict} {status}: {message}", text(&explained["local"])));
    }
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    let at = "2026-03-02T12:00:00Z";
    let answer = ask(&app, "schedule", query, json!({ "id": plan, "at": at })).await;
    shown.push(answer["explain"]["verdict"].to_string());
    assert_snapshot!(lines(&shown), @r#"
    2026-03-02T10:50:00+01:00 BEFORE_START -: the schedule was made at 2026-03-02T10:00:00Z
    2026-03-02T11:05:00+01:00 NOT_PLANNED -: the time plan has no such instant
    2026-03-02T11:10:00+01:00 FIRED COMPLETED: it fired, and was successful
    2026-03-02T11:30:00+01:00 SKIPPED SKIPPED: it was skipped with 4 others: it was missed by more than a minute and was not caught up
    2026-03-02T12:20:00+01:00 WILL_FIRE -: it will fire, and be due at 2026-03-02T11:20:00Z
    2026-03-02T13:00:00+01:00 WILL_FIRE -: it will fire, and be due at 2026-03-02T12:00:00Z
    2026-03-02T21:10:00+01:00 AFTER_END -: the schedule ends at 2026-03-02T20:00:00Z
    "PAUSED"
    "#);
}

#[tokio::test]
async fn a_preview_obeys_the_policy() {
    let app = TestApp::start().await;
    let query = "query($spec: ScheduleSpecInput!, $policy: SchedulePolicyInput) {
        schedulePreview(spec: $spec, policy: $policy, first: 3) {
            summary instants { local } } }";
    let policy = json!({ "exclude": [{ "cron": "* * * * SAT,SUN" }], "maxFirings": 2 });
    let variables = json!({ "spec": cron("0 9 * * *"), "policy": policy });
    app.pass(DAY * 4);
    let preview = ask(&app, "schedulePreview", query, variables).await;
    assert_snapshot!(preview, @r#"{"instants":[{"local":"2026-03-09T09:00:00+00:00"},{"local":"2026-03-10T09:00:00+00:00"}],"summary":"every day at 09:00, UTC, 2 times at most, with exclusions"}"#);
}
