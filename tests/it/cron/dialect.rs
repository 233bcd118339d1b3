//! What `docs/time.md` says is so (and the README): its examples and their words, its table of policies. And what the
//! API takes and gives back of them.

use belfry::domain::cron::Cron;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use entity::Instant;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{ask, list, refused, scheduled, text, trigger};

const TIME: &str = include_str!("../../../docs/time.md");
const README: &str = include_str!("../../../README.md");

/// The rows of the table whose first heading is `heading`, cell by cell.
fn table(document: &'static str, heading: &str) -> Vec<Vec<&'static str>> {
    let start = format!("| {heading} |");
    let lines = document.lines().skip_while(|line| !line.starts_with(&start)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(str::trim).collect();
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table of {heading}");
    rows
}

/// One field of each of the next instants of a schedule.
async fn upcoming(app: &TestApp, id: &str, first: i32, field: &str) -> Vec<String> {
    let query = format!(
        "query($id: ID!) {{ schedule(id: $id) {{ nextFireTimes(first: {first}) {{ {field} }} }} }}"
    );
    let found = ask(app, "schedule", &query, json!({ "id": id })).await;
    list(&found["nextFireTimes"]).iter().map(|time| text(&time[field])).collect()
}

#[test]
fn the_examples_read_as_documented() {
    for row in [TIME, README].into_iter().flat_map(|document| table(document, "expression")) {
        let cron = Cron::parse(row[0].trim_matches('`')).expect(row[0]);
        assert_eq!(cron.words(), row[1], "{}", row[0]);
    }
}

#[tokio::test]
async fn the_intervals_read_as_documented() {
    let app = TestApp::start().await;
    for row in table(TIME, "every") {
        let query = format!(
            "{{ schedulePreview(spec: {{ every: {} }}) {{ summary }} }}",
            row[0].trim_matches('`')
        );
        let preview = ask(&app, "schedulePreview", &query, Value::Null).await;
        assert_eq!(preview["summary"], row[1], "{}", row[0]);
    }
}

#[test]
fn both_changes_of_a_year_are_as_documented_under_each_policy() {
    let zone = Zone::parse("America/New_York").expect("a zone");
    let on = |expression: &str, day: &str, policy| {
        let cron = Cron::parse(expression).expect(expression);
        let from = Instant::parse(&format!("{day}T00:00:00-05:00")).expect(day).plus_ms(-3_600_000);
        let next = |after: &Instant| cron.next_after(zone, policy, *after);
        let found = std::iter::successors(next(&from), next).map(|instant| zone.format(instant));
        let that_day = found.skip_while(|local| local.as_str() < day);
        let that_day = that_day.take_while(|local| local.starts_with(day));
        let times: Vec<_> = that_day.map(|local| local[11..].replacen(":00", "", 1)).collect();
        times.join(" and ")
    };
    let rows = table(TIME, "policy");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let has = |name: &str| row[0].contains(name);
        let gap = [("SHIFT", Gap::Shift), ("SKIP", Gap::Skip)];
        let overlap = [("FIRST", Overlap::First), ("LAST", Overlap::Last), ("BOTH", Overlap::Both)];
        let policy = DstPolicy {
            gap: gap.into_iter().find(|(name, _)| has(name)).map(|(_, gap)| gap),
            overlap: overlap.into_iter().find(|(name, _)| has(name)).map(|(_, overlap)| overlap),
        };
        let short = |cell: &str| cell.replace("none", "");
        let minutes = |times: String| times.replace(":00-", "-");
        assert_eq!(
            minutes(on("30 2 * * *", "2026-03-08", policy)),
            minutes(short(row[1])),
            "{row:?}"
        );
        assert_eq!(
            minutes(on("30 1 * * *", "2026-11-01", policy)),
            minutes(short(row[2])),
            "{row:?}"
        );
    }
}

#[tokio::test]
async fn a_policy_is_stored_given_back_and_obeyed() {
    let app = TestApp::start().await;
    let mut story = Vec::new();
    for (name, gap, overlap) in
        [("auto", None, None), ("skip", Some("SKIP"), None), ("last", Some("SHIFT"), Some("LAST"))]
    {
        let mut cron = json!({ "expression": "30 2 * * *", "timeZone": "Europe/Berlin" });
        if let Some(gap) = gap {
            cron["gap"] = json!(gap);
        }
        if let Some(overlap) = overlap {
            cron["overlap"] = json!(overlap);
        }
        let (_, plan) = scheduled(&app, name, json!({ "cron": cron })).await;
        let query = "query($id: ID!) { schedule(id: $id) { summary gap overlap } }";
        story.push(ask(&app, "schedule", query, json!({ "id": plan })).await.to_string());
        let times = upcoming(&app, &plan, 300, "local").await;
        let is_odd = |local: &String| local.contains("-03-29T") || local.contains("-10-25T");
        let odd = times.into_iter().filter(is_odd);
        story.extend(odd.map(|local| format!("  {local}")));
    }
    assert_snapshot!(story.join("\n"), @r#"
    {"gap":null,"overlap":null,"summary":"every day at 02:30, Europe/Berlin"}
      2026-03-29T03:00:00+02:00
      2026-10-25T02:30:00+02:00
    {"gap":"SKIP","overlap":null,"summary":"every day at 02:30, Europe/Berlin, times in a gap skipped"}
      2026-10-25T02:30:00+02:00
    {"gap":"SHIFT","overlap":"LAST","summary":"every day at 02:30, Europe/Berlin, times in a gap moved to its end, repeated times at the second pass"}
      2026-03-29T03:00:00+02:00
      2026-10-25T02:30:00+01:00
    "#);
}

#[tokio::test]
async fn an_interval_is_said_in_exactly_one_form() {
    let app = TestApp::start().await;
    let id = trigger(&app, json!({ "name": "t" })).await;
    let mut story = Vec::new();
    for every in [
        json!({}),
        json!({ "anchor": "2026-03-02T10:00:00Z" }),
        json!({ "interval": "PT1H", "minutes": 20 }),
        json!({ "hours": -1, "seconds": 10 }),
        json!({ "seconds": 0 }),
        json!({ "interval": "PT1M", "phase": "PT1M" }),
    ] {
        let input = json!({ "triggerId": id, "spec": { "every": every } });
        story.push(every.to_string());
        let problems = refused(&app, "scheduleCreate", input).await;
        story.extend(problems.into_iter().map(|problem| format!("  {problem}")));
    }
    assert_snapshot!(story.join("\n"), @r#"
    {}
      BAD_USER_INPUT spec.every.interval: expected either `interval` or at least one of days, hours, minutes and seconds
    {"anchor":"2026-03-02T10:00:00Z"}
      BAD_USER_INPUT spec.every.interval: expected either `interval` or at least one of days, hours, minutes and seconds
    {"interval":"PT1H","minutes":20}
      BAD_USER_INPUT spec.every.interval: expected either `interval` or at least one of days, hours, minutes and seconds
    {"hours":-1,"seconds":10}
      BAD_USER_INPUT spec.every.hours: expected 0 to 70389527
    {"seconds":0}
      BAD_USER_INPUT spec.every.interval: expected whole seconds, at least 1
    {"interval":"PT1M","phase":"PT1M"}
      BAD_USER_INPUT spec.every.phase: expected a duration shorter than the interval
    "#);
}

#[tokio::test]
async fn a_phase_alone_is_aligned_to_the_hour_whenever_it_is_said() {
    let app = TestApp::start().await;
    app.pass(std::time::Duration::from_millis(754_321));
    let every = json!({ "every": { "hours": 1, "phase": "PT5M" } });
    let (_, plan) = scheduled(&app, "aligned", every).await;
    let times = upcoming(&app, &plan, 3, "at").await;
    assert_eq!(times, ["2026-03-02T11:05:00Z", "2026-03-02T12:05:00Z", "2026-03-02T13:05:00Z"]);
}
