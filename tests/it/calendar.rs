//! Calendars: shared by schedules, which follow their changes.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{ask, cron, done, lines, log, past, planned, refused, text};

const MINUTE: Duration = Duration::from_secs(60);

async fn set(app: &TestApp, entries: Value) -> Value {
    let input = json!({ "name": "quiet", "timeZone": "UTC", "entries": entries });
    done(app, "calendarSet", "calendar { id version }", input).await["calendar"].clone()
}

/// A trigger whose schedule refers to a calendar.
async fn referring(app: &TestApp, name: &str, policy: Value) -> String {
    let schedules = json!([{ "spec": cron("* * * * *"), "policy": policy }]);
    let input = json!({ "name": name, "overlap": "ALLOW", "schedules": schedules });
    let made = done(app, "triggerCreate", "trigger { id }", input).await;
    text(&made["trigger"]["id"])
}

#[tokio::test]
async fn schedules_follow_the_changes_of_the_calendars_that_they_share() {
    let app = TestApp::start().await;
    let calendar = set(&app, json!([{ "cron": "1 * * * *" }])).await;
    let ids = json!([calendar["id"]]);
    let out = referring(&app, "out", json!({ "excludeCalendarIds": ids })).await;
    let only = referring(&app, "only", json!({ "onlyCalendarIds": ids })).await;
    for _ in 0..2 {
        app.advance(MINUTE).await;
    }
    let again = set(&app, json!([{ "cron": "3-4 * * * *" }])).await;
    assert_eq!((&again["id"], &again["version"]), (&calendar["id"], &json!(2)));
    let ahead = [planned(&app, &out).await, planned(&app, &only).await];
    for _ in 0..3 {
        app.advance(MINUTE).await;
    }
    let mut shown = vec!["planned".to_owned()];
    shown.extend(ahead.concat());
    shown.push("out".to_owned());
    shown.extend(past(&app, &out).await);
    shown.push("only".to_owned());
    shown.extend(past(&app, &only).await);
    shown.extend(log(&app, "calendar.").await);
    assert_snapshot!(lines(&shown), @"
    planned
    03-02 10:05:00
    03-02 10:06:00
    03-02 10:07:00
    03-02 10:03:00
    03-02 10:04:00
    out
    03-02 10:02:00 COMPLETED
    03-02 10:05:00 COMPLETED
    only
    03-02 10:01:00 COMPLETED
    03-02 10:03:00 COMPLETED
    03-02 10:04:00 COMPLETED
    calendar.created: calendar quiet by a key
    calendar.updated: calendar quiet by a key
    ");
}

#[tokio::test]
async fn a_calendar_in_use_stays_and_what_is_wrong_with_one_is_named() {
    let app = TestApp::start().await;
    let calendar = set(&app, json!([{ "date": "2026-12-24" }])).await;
    let trigger = referring(&app, "t", json!({ "excludeCalendarIds": [calendar["id"]] })).await;
    let delete = json!({ "id": calendar["id"] });
    let mut shown = refused(&app, "calendarDelete", delete.clone()).await;
    let wrong = json!({
        "name": " ", "timeZone": "Mars", "entries": [
            { "dates": { "from": "2026-12-24", "until": "2026-12-23" } },
            { "cron": "0 0 31 2 *" },
        ],
    });
    shown.extend(refused(&app, "calendarSet", wrong).await);
    let stale = json!({ "name": "quiet", "entries": [], "expectedVersion": 0 });
    shown.extend(refused(&app, "calendarSet", stale).await);
    done(&app, "triggerDelete", "deletedId", json!({ "id": trigger })).await;
    done(&app, "calendarDelete", "deletedId", delete).await;
    let query = "{ calendars { totalCount nodes { name } } }";
    shown.push(ask(&app, "calendars", query, json!({})).await.to_string());
    assert_snapshot!(lines(&shown), @r#"
    CONFLICT id: 1 schedule refers to this calendar; change it first
    BAD_USER_INPUT name: expected a text that is not blank
    BAD_USER_INPUT timeZone: expected an IANA time zone such as Europe/Berlin, not `Mars`
    BAD_USER_INPUT entries.0.until: expected 2026-12-24 or later, not 2026-12-23
    BAD_USER_INPUT entries.1.cron: at character 5: expected a day that exists in one of the months, not `31`
    CONFLICT expectedVersion: expected version 0, but it is at version 1
    {"nodes":[],"totalCount":0}
    "#);
}

#[tokio::test]
async fn a_calendar_is_read_as_it_was_written() {
    let app = TestApp::start().await;
    let entries = json!([
        { "date": "2026-12-24" },
        { "dates": { "from": "2027-01-01", "until": "2027-01-06" } },
        { "period": { "from": "2026-03-02T10:00:00+01:00", "until": "2026-03-02T10:00:00Z" } },
        { "cron": "* * * * SAT,SUN" },
    ]);
    let calendar = set(&app, entries).await;
    let query = "query($id: ID!) { calendar(id: $id) { name timeZone version entries {
        dates { from until } period { from until } cron } } }";
    let read = ask(&app, "calendar", query, json!({ "id": calendar["id"] })).await;
    assert_snapshot!(read, @r#"{"entries":[{"cron":null,"dates":{"from":"2026-12-24","until":"2026-12-24"},"period":null},{"cron":null,"dates":{"from":"2027-01-01","until":"2027-01-06"},"period":null},{"cron":null,"dates":null,"period":{"from":"2026-03-02T09:00:00Z","until":"2026-03-02T10:00:00Z"}},{"cron":"* * * * SAT,SUN","dates":null,"period":null}],"name":"quiet","timeZone":"UTC","version":1}"#);
}

/// What adds so many schedules that refer to a calendar, to a trigger of its own.
fn schedules(name: &str, calendar: &Value, count: usize) -> Value {
    let schedule = json!({ "spec": { "at": "2026-12-01T10:00:00Z" },
        "policy": { "excludeCalendarIds": [calendar] } });
    json!({ "name": name, "schedules": vec![schedule; count] })
}

#[tokio::test]
async fn a_thousand_schedules_refer_to_a_calendar_and_test_triggers_give_their_place_back() {
    let app = TestApp::start().await;
    let calendar = set(&app, json!([{ "date": "2026-12-24" }])).await["id"].clone();
    let create = async |input| done(&app, "triggerCreate", "trigger { id }", input).await;
    for index in 0..19 {
        create(schedules(&format!("t{index}"), &calendar, 50)).await;
    }
    create(schedules("last", &calendar, 49)).await;
    let mut trial = schedules("trial", &calendar, 1);
    trial["isTest"] = json!(true);
    let trial = create(trial).await["trigger"]["id"].clone();
    let past = schedules("past", &calendar, 1);
    let errors = refused(&app, "triggerCreate", past.clone()).await;
    assert_snapshot!(lines(&errors), @"BAD_USER_INPUT schedules.0.policy.excludeCalendarIds.0: expected at most 1000 schedules of a calendar");
    done(&app, "triggerFire", "firing { id }", json!({ "triggerId": trial })).await;
    app.work().await;
    create(past).await;
    assert_eq!(refused(&app, "triggerCreate", schedules("more", &calendar, 1)).await, errors);
}
