//! Bad input: each is refused with the field that it is about, nothing is stored, and nobody sees an
//! internal error. Limits hold at their ends, and one past them.

mod limit;
mod spec;

use insta::assert_snapshot;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{cron, done, every, lines, mutation, scheduled, text, trigger};
use crate::schedule::DAY;

/// How many rows each table has.
pub async fn rows(app: &TestApp) -> Vec<(String, i64)> {
    let db = app.app.store().readers();
    let backend = db.get_database_backend();
    let query = |sql: String| Statement::from_string(backend, sql);
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT tablename::text AS name FROM pg_tables \
             WHERE schemaname = 'public' ORDER BY tablename"
        }
        _ => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    };
    let sql = sql.to_owned();
    let mut counts = Vec::new();
    for row in db.query_all_raw(query(sql)).await.expect("the tables") {
        let table: String = row.try_get("", "name").expect("a name");
        let sql = format!("SELECT count(*) AS rows FROM \"{table}\"");
        let row = db.query_one_raw(query(sql)).await.expect("a count").expect("a row");
        counts.push((table, row.try_get("", "rows").expect("a number")));
    }
    counts
}

/// What an operation is refused with: user errors, or top-level ones. Nothing may be stored.
pub async fn problems(app: &TestApp, name: &str, input: Value) -> String {
    let before = rows(app).await;
    let query = mutation(name, "__typename");
    let answer = app.graphql(&query, json!({ "input": input })).await;
    assert_eq!(rows(app).await, before, "{name} {input} left something behind");
    let said = said(&answer["data"][name]["userErrors"], &answer["errors"]);
    assert!(!said.is_empty(), "{name} {input} was not refused: {answer}");
    assert!(!said.contains("INTERNAL_SERVER_ERROR"), "{name} {input}: {said}");
    said
}

/// User errors, or those of the top level, as lines.
pub fn said(user_errors: &Value, errors: &Value) -> String {
    let of = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let user = of(user_errors).into_iter().map(|error| {
        format!("{} {}: {}", text(&error["code"]), text(&error["field"]), text(&error["message"]))
    });
    let top = of(errors).into_iter().map(|error| {
        format!("!! {}: {}", text(&error["extensions"]["code"]), text(&error["message"]))
    });
    user.chain(top).collect::<Vec<_>>().join("\n")
}

/// A table of bad inputs as a story: each input with what it is refused with.
pub async fn judge(app: &TestApp, name: &str, inputs: Vec<Value>) -> String {
    let mut story = Vec::new();
    for input in inputs {
        let said = problems(app, name, input.clone()).await;
        story.push(format!("{input}\n  {}", said.replace('\n', "\n  ")));
    }
    lines(&story)
}

/// A schedule with this spec.
pub fn on(trigger: &str, spec: Value) -> Value {
    json!({ "triggerId": trigger, "spec": spec })
}

#[tokio::test]
async fn names_and_texts_that_are_none() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT60S")).await;
    let mut story = Vec::new();
    let stages = json!([{ "name": "n", "config": { "log": { "message": "m" } } }]);
    for bad in ["", " \t\u{a0}", "a\u{0}b", "a\nb"] {
        for (name, input) in [
            ("triggerCreate", json!({ "name": bad })),
            ("triggerUpdate", json!({ "id": id, "name": bad })),
            ("actionCreate", json!({ "name": bad, "stages": stages })),
            ("scheduleCreate", json!({ "triggerId": id, "name": bad, "spec": every("PT1S") })),
            ("scheduleUpdate", json!({ "id": plan, "name": bad })),
            ("triggerFire", json!({ "triggerId": id, "idempotencyKey": bad })),
            ("triggerFire", json!({ "triggerId": id, "correlationId": bad })),
        ] {
            let said = problems(&app, name, input).await.replace('\n', "; ");
            story.push(format!("{bad:?} {name}: {said}"));
        }
    }
    for (name, input) in [
        ("triggerCreate", json!({ "name": "n", "description": "\u{0}" })),
        ("triggerCreate", json!({ "name": "n", "payloadSchema": { "const": "\u{0}" } })),
        ("triggerPause", json!({ "id": id, "reason": "\u{0}" })),
        ("schedulePause", json!({ "id": plan, "reason": "\u{0}" })),
        ("triggerFire", json!({ "triggerId": id, "payload": { "a": ["\u{0}"] } })),
        ("triggerFire", json!({ "triggerId": id, "payload": { "\u{0}": 1 } })),
        ("scheduleUpdate", json!({ "id": plan, "payload": "\u{0}" })),
    ] {
        story.push(format!("{name}: {}", problems(&app, name, input).await));
    }
    assert_snapshot!(lines(&story), @r#"
    "" triggerCreate: BAD_USER_INPUT name: expected a text that is not blank
    "" triggerUpdate: BAD_USER_INPUT name: expected a text that is not blank
    "" actionCreate: BAD_USER_INPUT name: expected a text that is not blank
    "" scheduleCreate: BAD_USER_INPUT name: expected a text that is not blank
    "" scheduleUpdate: BAD_USER_INPUT name: expected a text that is not blank
    "" triggerFire: BAD_USER_INPUT idempotencyKey: expected a text that is not blank
    "" triggerFire: BAD_USER_INPUT correlationId: expected a text that is not blank
    " \t\u{a0}" triggerCreate: BAD_USER_INPUT name: expected a text that is not blank; BAD_USER_INPUT name: expected no control characters
    " \t\u{a0}" triggerUpdate: BAD_USER_INPUT name: expected a text that is not blank; BAD_USER_INPUT name: expected no control characters
    " \t\u{a0}" actionCreate: BAD_USER_INPUT name: expected a text that is not blank; BAD_USER_INPUT name: expected no control characters
    " \t\u{a0}" scheduleCreate: BAD_USER_INPUT name: expected a text that is not blank; BAD_USER_INPUT name: expected no control characters
    " \t\u{a0}" scheduleUpdate: BAD_USER_INPUT name: expected a text that is not blank; BAD_USER_INPUT name: expected no control characters
    " \t\u{a0}" triggerFire: BAD_USER_INPUT idempotencyKey: expected a text that is not blank; BAD_USER_INPUT idempotencyKey: expected no control characters
    " \t\u{a0}" triggerFire: BAD_USER_INPUT correlationId: expected a text that is not blank; BAD_USER_INPUT correlationId: expected no control characters
    "a\0b" triggerCreate: BAD_USER_INPUT name: expected no control characters
    "a\0b" triggerUpdate: BAD_USER_INPUT name: expected no control characters
    "a\0b" actionCreate: BAD_USER_INPUT name: expected no control characters
    "a\0b" scheduleCreate: BAD_USER_INPUT name: expected no control characters
    "a\0b" scheduleUpdate: BAD_USER_INPUT name: expected no control characters
    "a\0b" triggerFire: BAD_USER_INPUT idempotencyKey: expected no control characters
    "a\0b" triggerFire: BAD_USER_INPUT correlationId: expected no control characters
    "a\nb" triggerCreate: BAD_USER_INPUT name: expected no control characters
    "a\nb" triggerUpdate: BAD_USER_INPUT name: expected no control characters
    "a\nb" actionCreate: BAD_USER_INPUT name: expected no control characters
    "a\nb" scheduleCreate: BAD_USER_INPUT name: expected no control characters
    "a\nb" scheduleUpdate: BAD_USER_INPUT name: expected no control characters
    "a\nb" triggerFire: BAD_USER_INPUT idempotencyKey: expected no control characters
    "a\nb" triggerFire: BAD_USER_INPUT correlationId: expected no control characters
    triggerCreate: BAD_USER_INPUT description: expected no character U+0000
    triggerCreate: BAD_USER_INPUT payloadSchema: expected no character U+0000 in any text
    triggerPause: BAD_USER_INPUT reason: expected no character U+0000
    schedulePause: BAD_USER_INPUT reason: expected no character U+0000
    triggerFire: BAD_USER_INPUT payload: expected no character U+0000 in any text
    triggerFire: BAD_USER_INPUT payload: expected no character U+0000 in any text
    scheduleUpdate: BAD_USER_INPUT payload: expected no character U+0000 in any text
    "#);
}

#[tokio::test]
async fn ids_that_are_unknown_malformed_or_of_another_noun() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT60S")).await;
    let unknown = "0000000000000000000000000z";
    let mut story = Vec::new();
    for (noun, prefix, other, calls) in [
        ("trigger", "trg", &plan, vec!["Update", "Delete", "Pause", "Resume"]),
        ("schedule", "sch", &id, vec!["Update", "Delete", "Pause", "Resume"]),
        ("action", "act", &id, vec!["Update", "Delete"]),
        ("firing", "frg", &id, vec!["Cancel", "Replay", "Skip"]),
        ("timer", "tmr", &id, vec!["Cancel"]),
    ] {
        for call in calls {
            let name = format!("{noun}{call}");
            let malformed = problems(&app, &name, json!({ "id": "" })).await;
            for bad in ["x", "trg_\u{0}", &format!("{prefix}_"), &"z".repeat(200)] {
                assert_eq!(problems(&app, &name, json!({ "id": bad })).await, malformed);
            }
            for bad in [&format!("{prefix}_{unknown}"), other.as_str()] {
                let said = problems(&app, &name, json!({ "id": bad })).await;
                let bad = bad.replace(&plan, "<a schedule>").replace(&id, "<a trigger>");
                story.push(format!("{name} {bad:?}: {said}"));
            }
        }
    }
    let missing = |prefix: &str| format!("{prefix}_{unknown}");
    for (name, input) in [
        ("triggerFire", json!({ "triggerId": missing("trg") })),
        ("triggerFire", json!({ "triggerId": plan })),
        ("scheduleCreate", on(&missing("trg"), every("PT1S"))),
        ("scheduleCreate", on("x", every("PT1S"))),
        ("triggerCreate", json!({ "name": "n", "action": { "id": missing("act") } })),
        ("triggerCreate", json!({ "name": "n", "action": { "id": id } })),
        ("triggerUpdate", json!({ "id": id, "action": { "id": missing("act") } })),
    ] {
        story.push(format!("{name}: {}", problems(&app, name, input).await));
    }
    let story = lines(&story).replace(&plan, "<a schedule>").replace(&id, "<a trigger>");
    assert_snapshot!(story, @r#"
    triggerUpdate "trg_0000000000000000000000000z": NOT_FOUND id: no trigger has the id trg_0000000000000000000000000z
    triggerUpdate "<a schedule>": BAD_USER_INPUT id: expected the id of a trigger: trg_ and 26 characters
    triggerDelete "trg_0000000000000000000000000z": NOT_FOUND id: no trigger has the id trg_0000000000000000000000000z
    triggerDelete "<a schedule>": BAD_USER_INPUT id: expected the id of a trigger: trg_ and 26 characters
    triggerPause "trg_0000000000000000000000000z": NOT_FOUND id: no trigger has the id trg_0000000000000000000000000z
    triggerPause "<a schedule>": BAD_USER_INPUT id: expected the id of a trigger: trg_ and 26 characters
    triggerResume "trg_0000000000000000000000000z": NOT_FOUND id: no trigger has the id trg_0000000000000000000000000z
    triggerResume "<a schedule>": BAD_USER_INPUT id: expected the id of a trigger: trg_ and 26 characters
    scheduleUpdate "sch_0000000000000000000000000z": NOT_FOUND id: no schedule has the id sch_0000000000000000000000000z
    scheduleUpdate "<a trigger>": BAD_USER_INPUT id: expected the id of a schedule: sch_ and 26 characters
    scheduleDelete "sch_0000000000000000000000000z": NOT_FOUND id: no schedule has the id sch_0000000000000000000000000z
    scheduleDelete "<a trigger>": BAD_USER_INPUT id: expected the id of a schedule: sch_ and 26 characters
    schedulePause "sch_0000000000000000000000000z": NOT_FOUND id: no schedule has the id sch_0000000000000000000000000z
    schedulePause "<a trigger>": BAD_USER_INPUT id: expected the id of a schedule: sch_ and 26 characters
    scheduleResume "sch_0000000000000000000000000z": NOT_FOUND id: no schedule has the id sch_0000000000000000000000000z
    scheduleResume "<a trigger>": BAD_USER_INPUT id: expected the id of a schedule: sch_ and 26 characters
    actionUpdate "act_0000000000000000000000000z": NOT_FOUND id: no action has the id act_0000000000000000000000000z
    actionUpdate "<a trigger>": BAD_USER_INPUT id: expected the id of an action: act_ and 26 characters
    actionDelete "act_0000000000000000000000000z": NOT_FOUND id: no action has the id act_0000000000000000000000000z
    actionDelete "<a trigger>": BAD_USER_INPUT id: expected the id of an action: act_ and 26 characters
    firingCancel "frg_0000000000000000000000000z": NOT_FOUND id: no firing has the id frg_0000000000000000000000000z
    firingCancel "<a trigger>": BAD_USER_INPUT id: expected the id of a firing: frg_ and 26 characters
    firingReplay "frg_0000000000000000000000000z": NOT_FOUND id: no firing has the id frg_0000000000000000000000000z
    firingReplay "<a trigger>": BAD_USER_INPUT id: expected the id of a firing: frg_ and 26 characters
    firingSkip "frg_0000000000000000000000000z": NOT_FOUND id: no firing has the id frg_0000000000000000000000000z
    firingSkip "<a trigger>": BAD_USER_INPUT id: expected the id of a firing: frg_ and 26 characters
    timerCancel "tmr_0000000000000000000000000z": NOT_FOUND id: no timer has the id tmr_0000000000000000000000000z
    timerCancel "<a trigger>": BAD_USER_INPUT id: expected the id of a timer: tmr_ and 26 characters
    triggerFire: NOT_FOUND triggerId: no trigger has the id trg_0000000000000000000000000z
    triggerFire: BAD_USER_INPUT triggerId: expected the id of a trigger: trg_ and 26 characters
    scheduleCreate: NOT_FOUND triggerId: no trigger has the id trg_0000000000000000000000000z
    scheduleCreate: BAD_USER_INPUT triggerId: expected the id of a trigger: trg_ and 26 characters
    triggerCreate: NOT_FOUND action.id: no action has the id act_0000000000000000000000000z
    triggerCreate: BAD_USER_INPUT action.id: expected the id of an action: act_ and 26 characters
    triggerUpdate: NOT_FOUND action.id: no action has the id act_0000000000000000000000000z
    "#);
}

#[tokio::test]
async fn an_unknown_id_in_a_query_is_null_and_a_malformed_one_is_refused() {
    let app = TestApp::start().await;
    for (field, argument, prefix) in [
        ("trigger", "by: { id: $id }", "trg"),
        ("action", "by: { id: $id }", "act"),
        ("schedule", "id: $id", "sch"),
        ("calendar", "id: $id", "cal"),
        ("firing", "id: $id", "frg"),
        ("timer", "id: $id", "tmr"),
        ("event", "id: $id", "evt"),
        ("node", "id: $id", "trg"),
    ] {
        let query = format!("query($id: ID!) {{ {field}({argument}) {{ id }} }}");
        let id = format!("{prefix}_0000000000000000000000000z");
        let answer = app.graphql(&query, json!({ "id": id })).await;
        assert_eq!(answer, json!({ "data": { field: null } }), "{field}");
        for bad in ["x", "key_0000000000000000000000000z", "\u{0}"] {
            let answer = app.graphql(&query, json!({ "id": bad })).await;
            let code = &answer["errors"][0]["extensions"]["code"];
            let is_foreign_node = field == "node" && bad.starts_with("key_");
            assert!(is_foreign_node || code == "BAD_USER_INPUT", "{field} {bad}: {answer}");
        }
    }
}

#[tokio::test]
async fn fires_that_cannot_be() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let inputs = [
        json!({ "at": "2026-03-02T10:00:00Z" }),
        json!({ "at": "2026-03-02T10:59:59+01:00" }),
        json!({ "in": "P3651D" }),
        json!({ "in": "PT1S", "at": "2027-01-01T00:00:00Z" }),
        json!({ "in": "soon" }),
        json!({ "at": 7 }),
    ];
    let inputs = inputs.into_iter().map(|mut input| {
        input["triggerId"] = json!(id);
        input
    });
    let story = judge(&app, "triggerFire", inputs.collect()).await.replace(&id, "trg_…");
    assert_snapshot!(story, @r#"
    {"at":"2026-03-02T10:00:00Z","triggerId":"trg_…"}
      BAD_USER_INPUT at: expected an instant in the future, after 2026-03-02T10:00:00Z
    {"at":"2026-03-02T10:59:59+01:00","triggerId":"trg_…"}
      BAD_USER_INPUT at: expected an instant in the future, after 2026-03-02T10:00:00Z
    {"in":"P3651D","triggerId":"trg_…"}
      BAD_USER_INPUT in: expected a duration from 0 to 10 years
    {"in":"PT1S","at":"2027-01-01T00:00:00Z","triggerId":"trg_…"}
      BAD_USER_INPUT in: expected either at or in, not both
    {"in":"soon","triggerId":"trg_…"}
      !! -: Failed to parse "Duration": expected an ISO 8601 duration such as PT1H20M or P1D: a duration starts with `P`, not "soon" (occurred while parsing "TriggerFireInput")
    {"at":7,"triggerId":"trg_…"}
      !! -: Expected input type "DateTime", found 7. (occurred while parsing "TriggerFireInput")
    "#);
}

#[tokio::test]
async fn stale_versions_and_used_keys() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", every("PT60S")).await;
    let fire = json!({ "triggerId": id, "idempotencyKey": "k" });
    done(&app, "triggerFire", "firing { id }", fire).await;
    let mut story = Vec::new();
    for (name, input) in [
        ("triggerUpdate", json!({ "id": id, "expectedVersion": 2, "name": "u" })),
        ("triggerDelete", json!({ "id": id, "expectedVersion": 0 })),
        ("scheduleUpdate", json!({ "id": plan, "expectedVersion": -1, "spec": every("PT1S") })),
        ("scheduleDelete", json!({ "id": plan, "expectedVersion": 7 })),
        ("triggerFire", json!({ "triggerId": id, "payload": 1, "idempotencyKey": "k" })),
        ("triggerCreate", json!({ "name": "n", "idempotencyKey": "k" })),
        (
            "timerStart",
            json!({ "length": { "duration": "PT1S" },
            "target": { "triggerId": id }, "idempotencyKey": "k" }),
        ),
    ] {
        story.push(format!("{name}: {}", problems(&app, name, input).await));
    }
    assert_snapshot!(lines(&story), @r"
    triggerUpdate: CONFLICT expectedVersion: expected version 2, but it is at version 1
    triggerDelete: CONFLICT expectedVersion: expected version 0, but it is at version 1
    scheduleUpdate: CONFLICT expectedVersion: expected version -1, but it is at version 1
    scheduleDelete: CONFLICT expectedVersion: expected version 7, but it is at version 1
    triggerFire: CONFLICT idempotencyKey: this key was used within 24 h for another input
    triggerCreate: CONFLICT idempotencyKey: this key was used within 24 h for another input
    timerStart: CONFLICT idempotencyKey: this key was used within 24 h for another input
    ");
}

#[tokio::test]
async fn timers_that_cannot_be() {
    let app = TestApp::start().await;
    let url = "https://example.com/";
    let mut inputs = Vec::new();
    for length in [
        json!({ "parts": { "hours": -1, "minutes": 0, "seconds": -5 } }),
        json!({ "parts": { "hours": 9_007_199_254_740_993_i64 } }),
        json!({ "parts": { "hours": 87_601 } }),
        json!({ "duration": "P3651D" }),
        json!({ "duration": "-PT1S" }),
        json!({}),
    ] {
        inputs.push(json!({ "length": length, "target": { "url": url } }));
    }
    for target in [
        json!({ "url": "" }),
        json!({ "url": "example.com" }),
        json!({ "url": "ftp://example.com" }),
        json!({ "url": "http://169.254.169.254/" }),
        json!({ "url": format!("https://example.com/{}", "x".repeat(3_000)) }),
        json!({ "triggerId": "trg_0000000000000000000000000z" }),
        json!({ "actionId": "act_0000000000000000000000000z" }),
        json!({}),
    ] {
        inputs.push(json!({ "length": { "duration": "PT1S" }, "target": target }));
    }
    let story = judge(&app, "timerStart", inputs).await.replace(&"x".repeat(3_000), "xxx…");
    assert_snapshot!(story, @r#"
    {"length":{"parts":{"hours":-1,"minutes":0,"seconds":-5}},"target":{"url":"https://example.com/"}}
      BAD_USER_INPUT length.parts.hours: expected 0 to 70389527
      BAD_USER_INPUT length.parts.seconds: expected 0 to 253402300799
    {"length":{"parts":{"hours":9007199254740993}},"target":{"url":"https://example.com/"}}
      !! -: Failed to parse "Int": Only integers from -2147483648 to 2147483647 are accepted. (occurred while parsing "TimerPartsInput") (occurred while parsing "TimerLengthInput") (occurred while parsing "TimerStartInput")
    {"length":{"parts":{"hours":87601}},"target":{"url":"https://example.com/"}}
      BAD_USER_INPUT length.parts.hours: expected a duration from 0 to 10 years
    {"length":{"duration":"P3651D"},"target":{"url":"https://example.com/"}}
      BAD_USER_INPUT length.duration: expected a duration from 0 to 10 years
    {"length":{"duration":"-PT1S"},"target":{"url":"https://example.com/"}}
      !! -: Failed to parse "Duration": expected an ISO 8601 duration such as PT1H20M or P1D: a duration is written without a sign, not "-PT1S" (occurred while parsing "TimerLengthInput") (occurred while parsing "TimerStartInput")
    {"length":{},"target":{"url":"https://example.com/"}}
      !! -: Invalid value for argument "input.length", Oneof input objects requires have exactly one field
    {"length":{"duration":"PT1S"},"target":{"url":""}}
      BAD_USER_INPUT target.url: expected an absolute URL such as https://example.com/hook: only http and https
    {"length":{"duration":"PT1S"},"target":{"url":"example.com"}}
      BAD_USER_INPUT target.url: expected an absolute URL such as https://example.com/hook: only http and https
    {"length":{"duration":"PT1S"},"target":{"url":"ftp://example.com"}}
      BAD_USER_INPUT target.url: expected an absolute URL such as https://example.com/hook: only http and https
    {"length":{"duration":"PT1S"},"target":{"url":"http://169.254.169.254/"}}
      BAD_USER_INPUT target.url: 169.254.169.254 is not a public address (link-local); BELFRY_ALLOW_TARGETS may allow it
    {"length":{"duration":"PT1S"},"target":{"url":"https://example.com/xxx…"}}
      BAD_USER_INPUT target.url: expected at most 2048 characters
    {"length":{"duration":"PT1S"},"target":{"triggerId":"trg_0000000000000000000000000z"}}
      NOT_FOUND target.triggerId: no trigger has the id trg_0000000000000000000000000z
    {"length":{"duration":"PT1S"},"target":{"actionId":"act_0000000000000000000000000z"}}
      NOT_FOUND target.actionId: no action has the id act_0000000000000000000000000z
    {"length":{"duration":"PT1S"},"target":{}}
      !! -: Invalid value for argument "input.target", Oneof input objects requires have exactly one field
    "#);
}

#[tokio::test]
async fn all_problems_are_listed_at_once() {
    let app = TestApp::start().await;
    let input = json!({
        "name": " ",
        "description": "x".repeat(1_001),
        "payloadSchema": { "type": "foo" },
        "action": { "inline": { "stages": [] } },
        "schedules": [
            { "name": "", "spec": cron("61 * * * *") },
            { "spec": { "at": "2020-01-01T00:00:00Z" } },
            { "spec": { "cron": { "expression": "x", "timeZone": "y" } } },
        ],
    });
    assert_snapshot!(problems(&app, "triggerCreate", input).await, @r#"
    BAD_USER_INPUT name: expected a text that is not blank
    BAD_USER_INPUT description: expected at most 1000 characters, not 1001
    BAD_USER_INPUT payloadSchema: expected a JSON Schema: "foo" is not valid under any of the schemas listed in the 'anyOf' keyword (at /type)
    BAD_USER_INPUT action.inline.stages: expected exactly one stage; actions with several are not supported yet
    BAD_USER_INPUT schedules.0.name: expected a text that is not blank
    BAD_USER_INPUT schedules.0.spec.cron.expression: at character 1: expected a minute from 0 to 59, not `61`
    BAD_USER_INPUT schedules.1.spec.at: expected an instant in the future, after 2026-03-02T10:00:00Z
    BAD_USER_INPUT schedules.2.spec.cron.expression: at character 2: expected 5 fields (minute, hour, day of the month, month, day of the week) or 6 with leading seconds, not 1
    BAD_USER_INPUT schedules.2.spec.cron.timeZone: expected an IANA time zone such as Europe/Berlin, not `y`
    "#);
    // Nor is anything left for later.
    app.advance(DAY).await;
    let events = "{ events { nodes { type } } }";
    let found = app.graphql(events, json!({})).await.to_string();
    assert!(!found.contains("trigger."), "{found}");
}
