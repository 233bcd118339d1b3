//! Time plans that make no sense, wherever they are said.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{judge, on, problems, said};
use crate::TestApp;
use crate::operation::{cron, every, scheduled, trigger};

#[tokio::test]
async fn specs_that_make_no_sense() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let zone = |expression: &str, zone: &str| json!({ "cron": { "expression": expression, "timeZone": zone } });
    let inputs = [
        cron(""),
        cron("* * * *"),
        cron("* * * * * * *"),
        cron("60 * * * *"),
        cron("* 24 * * *"),
        cron("* * 0 * *"),
        cron("* * * 13 *"),
        cron("* * * * 8"),
        cron("5-1 * * * *"),
        cron("*/0 * * * *"),
        cron("* * * * mom"),
        cron("@fortnightly"),
        cron("0 0 31 2 *"),
        cron("0 0 30 feb *"),
        cron("\u{0} * * * *"),
        cron("٣ * * * *"),
        zone("0 0 * * *", "Mars/Phobos"),
        zone("0 0 * * *", ""),
        zone("61 0 * * *", "CEST"),
        json!({ "at": "2026-03-02T10:00:00Z" }),
        json!({ "at": "2020-01-01T00:00:00+14:00" }),
        json!({ "at": "2026-02-30T00:00:00Z" }),
        json!({ "at": "2026-03-03T10:00:00" }),
        json!({ "at": "tomorrow" }),
        json!({ "at": "+10000-01-01T00:00:00Z" }),
        json!({ "in": "PT0S" }),
        json!({ "in": "-PT1S" }),
        json!({ "in": "P1Y" }),
        json!({ "in": "10" }),
        json!({ "in": "P3651D" }),
        every("PT0S"),
        every("PT0.999S"),
        every("PT1.5S"),
        every("P99999999D"),
        json!({ "every": { "interval": "PT1S", "anchor": "9999-12-31T23:59:59.500Z" } }),
        json!({}),
        json!({ "in": "PT1S", "at": "2027-01-01T00:00:00Z" }),
        json!({ "in": null }),
    ];
    let inputs = inputs.into_iter().map(|spec| on(&id, spec)).collect();
    let story = judge(&app, "scheduleCreate", inputs).await.replace(&id, "trg_…");
    assert_snapshot!(story, @r#"
    {"triggerId":"trg_…","spec":{"cron":{"expression":""}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected 5 fields (minute, hour, day of the month, month, day of the week) or 6 with leading seconds, not 0
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 8: expected 5 fields (minute, hour, day of the month, month, day of the week) or 6 with leading seconds, not 4
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * * * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 13: expected 5 fields (minute, hour, day of the month, month, day of the week) or 6 with leading seconds, not 7
    {"triggerId":"trg_…","spec":{"cron":{"expression":"60 * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected a minute from 0 to 59, not `60`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* 24 * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 3: expected an hour from 0 to 23, not `24`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * 0 * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 5: expected a day of the month from 1 to 31, not `0`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * * 13 *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 7: expected a month from 1 to 12 or JAN to DEC, not `13`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * * * 8"}}}
      BAD_USER_INPUT spec.cron.expression: at character 9: expected a day of the week from 0 to 7 or SUN to SAT, not `8`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"5-1 * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected a range that does not run backwards, not `5-1`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"*/0 * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 3: expected a step from 1 to 59, not `0`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"* * * * mom"}}}
      BAD_USER_INPUT spec.cron.expression: at character 9: expected a day of the week from 0 to 7 or SUN to SAT, not `mom`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"@fortnightly"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually (an interval is a schedule of the kind `every`), not `@fortnightly`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"0 0 31 2 *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 5: expected a day that exists in one of the months, not `31`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"0 0 30 feb *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 5: expected a day that exists in one of the months, not `30`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"\u0000 * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected ASCII letters, digits and blanks only
    {"triggerId":"trg_…","spec":{"cron":{"expression":"٣ * * * *"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected ASCII letters, digits and blanks only
    {"triggerId":"trg_…","spec":{"cron":{"expression":"0 0 * * *","timeZone":"Mars/Phobos"}}}
      BAD_USER_INPUT spec.cron.timeZone: expected an IANA time zone such as Europe/Berlin, not `Mars/Phobos`
    {"triggerId":"trg_…","spec":{"cron":{"expression":"0 0 * * *","timeZone":""}}}
      BAD_USER_INPUT spec.cron.timeZone: expected an IANA time zone such as Europe/Berlin, not ``
    {"triggerId":"trg_…","spec":{"cron":{"expression":"61 0 * * *","timeZone":"CEST"}}}
      BAD_USER_INPUT spec.cron.expression: at character 1: expected a minute from 0 to 59, not `61`
      BAD_USER_INPUT spec.cron.timeZone: expected an IANA time zone such as Europe/Berlin, not `CEST`
    {"triggerId":"trg_…","spec":{"at":"2026-03-02T10:00:00Z"}}
      BAD_USER_INPUT spec.at: expected an instant in the future, after 2026-03-02T10:00:00Z
    {"triggerId":"trg_…","spec":{"at":"2020-01-01T00:00:00+14:00"}}
      BAD_USER_INPUT spec.at: expected an instant in the future, after 2026-03-02T10:00:00Z
    {"triggerId":"trg_…","spec":{"at":"2026-02-30T00:00:00Z"}}
      !! -: Failed to parse "DateTime": expected an RFC 3339 instant such as 2026-11-21T09:00:00Z: input is out of range, not "2026-02-30T00:00:00Z" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"at":"2026-03-03T10:00:00"}}
      !! -: Failed to parse "DateTime": expected an RFC 3339 instant such as 2026-11-21T09:00:00Z: premature end of input, not "2026-03-03T10:00:00" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"at":"tomorrow"}}
      !! -: Failed to parse "DateTime": expected an RFC 3339 instant such as 2026-11-21T09:00:00Z: premature end of input, not "tomorrow" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"at":"+10000-01-01T00:00:00Z"}}
      !! -: Failed to parse "DateTime": expected an RFC 3339 instant such as 2026-11-21T09:00:00Z: input contains invalid characters, not "+10000-01-01T00:00:00Z" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"in":"PT0S"}}
      BAD_USER_INPUT spec.in: expected a duration from 1 ms to 10 years
    {"triggerId":"trg_…","spec":{"in":"-PT1S"}}
      !! -: Failed to parse "Duration": expected an ISO 8601 duration such as PT1H20M or P1D: a duration is written without a sign, not "-PT1S" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"in":"P1Y"}}
      !! -: Failed to parse "Duration": expected an ISO 8601 duration such as PT1H20M or P1D: years and months are not read, because their length varies (minutes follow a `T`), not "P1Y" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"in":"10"}}
      !! -: Failed to parse "Duration": expected an ISO 8601 duration such as PT1H20M or P1D: a duration starts with `P`, not "10" (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"in":"P3651D"}}
      BAD_USER_INPUT spec.in: expected a duration from 1 ms to 10 years
    {"triggerId":"trg_…","spec":{"every":{"interval":"PT0S"}}}
      BAD_USER_INPUT spec.every.interval: expected whole seconds, at least 1
    {"triggerId":"trg_…","spec":{"every":{"interval":"PT0.999S"}}}
      BAD_USER_INPUT spec.every.interval: expected whole seconds, at least 1
    {"triggerId":"trg_…","spec":{"every":{"interval":"PT1.5S"}}}
      BAD_USER_INPUT spec.every.interval: expected whole seconds, at least 1
    {"triggerId":"trg_…","spec":{"every":{"interval":"P99999999D"}}}
      !! -: Failed to parse "Duration": expected a duration of at most 2932896 days, not "P99999999D" (occurred while parsing "EveryInput") (occurred while parsing "ScheduleSpecInput") (occurred while parsing "ScheduleCreateInput")
    {"triggerId":"trg_…","spec":{"every":{"interval":"PT1S","anchor":"9999-12-31T23:59:59.500Z"}}}
      BAD_USER_INPUT spec.every.interval: expected a first firing before the year 10000
    {"triggerId":"trg_…","spec":{}}
      !! -: Invalid value for argument "input.spec", Oneof input objects requires have exactly one field
    {"triggerId":"trg_…","spec":{"in":"PT1S","at":"2027-01-01T00:00:00Z"}}
      !! -: Invalid value for argument "input.spec", Oneof input objects requires have exactly one field
    {"triggerId":"trg_…","spec":{"in":null}}
      !! -: Invalid value for argument "input.spec", Oneof Input Objects require that exactly one field must be supplied and that field must not be null
    "#);
}

#[tokio::test]
async fn an_edit_and_a_preview_refuse_the_same_specs_by_the_same_paths() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT60S")).await;
    let preview = "query($spec: ScheduleSpecInput!) { schedulePreview(spec: $spec) { summary } }";
    for spec in [
        cron("61 * * * *"),
        json!({ "cron": { "expression": "x", "timeZone": "y" } }),
        json!({ "at": "2020-01-01T00:00:00Z" }),
        json!({ "in": "PT0S" }),
        every("PT0S"),
    ] {
        let created = problems(&app, "scheduleCreate", on(&id, spec.clone())).await;
        let edit = json!({ "id": plan, "spec": spec });
        assert_eq!(problems(&app, "scheduleUpdate", edit).await, created);
        let with = json!({ "name": "new", "schedules": [{ "spec": spec }] });
        let below = created.replace(" spec.", " schedules.0.spec.");
        assert_eq!(problems(&app, "triggerCreate", with).await, below);
        let answer = app.graphql(preview, json!({ "spec": spec })).await;
        let found = &answer["errors"][0]["extensions"]["problems"];
        assert_eq!(said(found, &Value::Null), created, "{answer}");
    }
}
