//! Explanations: why a schedule did, did not, or will fire at an instant.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::policy::under;
use super::{HOUR, MINUTE};
use crate::TestApp;
use crate::operation::{ask, cron, done, fire, lines, scheduled, text};

/// One line for each instant, with the next one after it.
async fn explained(app: &TestApp, plan: &str, instants: &[&str]) -> String {
    let query = "query($id: ID!, $at: DateTime!) { schedule(id: $id) {
        explain(at: $at) { verdict message local nextAt firing { status cause } } } }";
    let mut shown = Vec::new();
    for at in instants {
        let answer = ask(app, "schedule", query, json!({ "id": plan, "at": at })).await;
        let found = &answer["explain"];
        let firing = match &found["firing"] {
            Value::Null => "-".to_owned(),
            firing => format!("{} {}", text(&firing["cause"]), text(&firing["status"])),
        };
        let [local, verdict, message, next] =
            ["local", "verdict", "message", "nextAt"].map(|field| text(&found[field]));
        shown.push(format!("{local} {verdict} ({firing}): {message}; next {next}"));
    }
    lines(&shown)
}

fn new_york(expression: &str, gap: &str) -> Value {
    let mut spec = json!({ "expression": expression, "timeZone": "America/New_York" });
    if !gap.is_empty() {
        spec["gap"] = json!(gap);
    }
    json!({ "cron": spec })
}

#[tokio::test]
async fn a_change_of_clocks_that_is_the_reason_is_named() {
    let app = TestApp::start().await;
    let (_, twice) = scheduled(&app, "twice", new_york("30 1 * * *", "")).await;
    let passes = ["2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"];
    assert_snapshot!(explained(&app, &twice, &passes).await, @"
    2026-11-01T01:30:00-04:00 WILL_FIRE (-): it will fire, and be due at 2026-11-01T05:30:00Z; next 2026-11-02T06:30:00Z
    2026-11-01T01:30:00-05:00 OTHER_PASS (-): 01:30 comes twice on 2026-11-01, because clocks go back from 02:00 to 01:00: this is the second pass, and only the first one fires; next 2026-11-02T06:30:00Z
    ");
    // Half past two, read with the offset before and after the gap; the end of the gap; and later.
    let gap = [
        "2026-03-08T02:30:00-05:00",
        "2026-03-08T02:30:00-04:00",
        "2026-03-08T03:00:00-04:00",
        "2026-03-08T03:31:00-04:00",
    ];
    let (_, skip) = scheduled(&app, "skip", new_york("30 2 * * *", "SKIP")).await;
    assert_snapshot!(explained(&app, &skip, &gap).await, @"
    2026-03-08T03:30:00-04:00 DOES_NOT_EXIST (-): the schedule skips 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00; next 2026-03-09T06:30:00Z
    2026-03-08T01:30:00-05:00 DOES_NOT_EXIST (-): the schedule skips 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00; next 2026-03-09T06:30:00Z
    2026-03-08T03:00:00-04:00 DOES_NOT_EXIST (-): the schedule skips 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00; next 2026-03-09T06:30:00Z
    2026-03-08T03:31:00-04:00 NOT_PLANNED (-): the time plan has no such instant; next 2026-03-09T06:30:00Z
    ");
    let (_, shift) = scheduled(&app, "shift", new_york("30 2 * * *", "SHIFT")).await;
    assert_snapshot!(explained(&app, &shift, &gap).await, @"
    2026-03-08T03:30:00-04:00 MOVED (-): the schedule fires at 2026-03-08T03:00:00-04:00 for 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00; next 2026-03-09T06:30:00Z
    2026-03-08T01:30:00-05:00 MOVED (-): the schedule fires at 2026-03-08T03:00:00-04:00 for 02:30, which does not exist on 2026-03-08: clocks go forward from 02:00 to 03:00; next 2026-03-08T07:00:00Z
    2026-03-08T03:00:00-04:00 WILL_FIRE (-): it will fire, and be due at 2026-03-08T07:00:00Z; next 2026-03-09T06:30:00Z
    2026-03-08T03:31:00-04:00 NOT_PLANNED (-): the time plan has no such instant; next 2026-03-09T06:30:00Z
    ");
}

#[tokio::test]
async fn what_lies_in_a_range_of_an_earlier_plan_was_no_instant_for_that() {
    let app = TestApp::start().await;
    let (_, plan) = scheduled(&app, "t", cron("0 * * * *")).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.advance(HOUR * 5).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    let edit = json!({ "id": plan, "spec": cron("30 * * * *") });
    done(&app, "scheduleUpdate", "schedule { id }", edit).await;
    let at = ["2026-03-02T11:00:00Z", "2026-03-02T12:17:00Z", "2026-03-02T15:17:00Z"];
    assert_snapshot!(explained(&app, &plan, &at).await, @"
    2026-03-02T11:00:00+00:00 SKIPPED (SCHEDULE SKIPPED): it was skipped with 4 others: the schedule or its trigger was paused; next 2026-03-02T11:30:00Z
    2026-03-02T12:17:00+00:00 NOT_PLANNED (SCHEDULE SKIPPED): the time plan has no such instant; an earlier plan skipped 5 from 2026-03-02T11:00:00Z to 2026-03-02T15:00:00Z: the schedule or its trigger was paused; next 2026-03-02T12:30:00Z
    2026-03-02T15:17:00+00:00 NOT_PLANNED (-): the time plan has no such instant; next 2026-03-02T15:30:00Z
    ");
}

#[tokio::test]
async fn what_a_backfill_fired_later_counts() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("0 * * * *")).await;
    done(&app, "schedulePause", "schedule { id }", json!({ "id": plan })).await;
    app.advance(HOUR * 5).await;
    done(&app, "scheduleResume", "schedule { id }", json!({ "id": plan })).await;
    let input = json!({ "triggerId": id,
        "from": "2026-03-02T09:00:00Z", "until": "2026-03-02T13:00:00Z" });
    done(&app, "triggerBackfill", "total", input).await;
    app.work().await;
    let at = ["2026-03-02T09:00:00Z", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z"];
    assert_snapshot!(explained(&app, &plan, &at).await, @"
    2026-03-02T09:00:00+00:00 FIRED (BACKFILL COMPLETED): a backfill fired it, and was successful; next 2026-03-02T10:00:00Z
    2026-03-02T12:00:00+00:00 FIRED (BACKFILL COMPLETED): a backfill fired it, and was successful; at its time it was skipped: the schedule or its trigger was paused; next 2026-03-02T13:00:00Z
    2026-03-02T13:00:00+00:00 SKIPPED (SCHEDULE SKIPPED): it was skipped with 4 others: the schedule or its trigger was paused; next 2026-03-02T14:00:00Z
    ");
}

#[tokio::test]
async fn nothing_follows_what_the_limit_allows() {
    let app = TestApp::start().await;
    let (_, plan) = under(&app, cron("0 * * * *"), json!({ "maxFirings": 2 })).await;
    app.advance(MINUTE).await;
    let at = ["2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z"];
    assert_snapshot!(explained(&app, &plan, &at).await, @"
    2026-03-02T11:00:00+00:00 WILL_FIRE (-): it will fire, and be due at 2026-03-02T11:00:00Z; next 2026-03-02T12:00:00Z
    2026-03-02T12:00:00+00:00 WILL_FIRE (-): it will fire, and be due at 2026-03-02T12:00:00Z; next -
    2026-03-02T13:00:00+00:00 LIMIT_REACHED (-): the schedule fires 2 times at most; next -
    ");
}

#[tokio::test]
async fn a_limit_that_is_too_far_to_count_is_said_so() {
    let app = TestApp::start().await;
    let (_, yearly) = under(&app, cron("0 0 1 1 *"), json!({ "maxFirings": 5_000 })).await;
    let at = ["2126-01-01T00:00:00Z", "9999-01-01T00:00:00Z"];
    assert_snapshot!(explained(&app, &yearly, &at).await, @"
    2126-01-01T00:00:00+00:00 WILL_FIRE (-): it will fire, and be due at 2126-01-01T00:00:00Z; next 2127-01-01T00:00:00Z
    9999-01-01T00:00:00+00:00 WILL_FIRE (-): it will fire, and be due at 9999-01-01T00:00:00Z, unless the 5000 firings are used up before, which is too far to count; next -
    ");
}

#[tokio::test]
async fn what_an_edit_replaced_is_said_in_words() {
    let app = TestApp::start().await;
    let (id, plan) = scheduled(&app, "t", cron("* * * * *")).await;
    app.work().await;
    app.pass(MINUTE);
    let edit = json!({ "id": plan, "spec": cron("*/10 * * * *") });
    done(&app, "scheduleUpdate", "schedule { id }", edit).await;
    fire(&app, &id).await;
    app.advance(MINUTE * 9).await;
    let at = ["2026-03-02T10:01:00Z", "2026-03-02T10:10:00Z", "2026-03-02T10:20:00Z"];
    assert_snapshot!(explained(&app, &plan, &at).await, @"
    2026-03-02T10:01:00+00:00 SKIPPED (SCHEDULE SKIPPED): it was skipped: an edit replaced the time plan before it began; next 2026-03-02T10:10:00Z
    2026-03-02T10:10:00+00:00 FIRED (SCHEDULE COMPLETED): it fired, and was successful; next 2026-03-02T10:20:00Z
    2026-03-02T10:20:00+00:00 WILL_FIRE (-): it will fire, and be due at 2026-03-02T10:20:00Z; next 2026-03-02T10:30:00Z
    ");
}
