//! A project on its way from one database to another, and the files that are refused.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use belfry::error::Error;
use belfry::store::{Store, project, transfer};
use serde_json::{Value, json};
use tests::Receiver;
use tests::services::shared;

use crate::process::installed;
use crate::{TestApp, story};

/// A project with something in every table: its own, keys, an action and a trigger in two versions,
/// schedules, firings in several states, attempts, an operation, an idempotency key, and a log.
async fn lived_in(receiver: &Receiver) -> TestApp {
    let app = TestApp::start().await;
    let stage = json!({ "name": "post", "config": { "http": { "url": receiver.url("/action") } } });
    let create = "mutation($input: ActionCreateInput!) { actionCreate(input: $input) {
        action { id } userErrors { message } } }";
    let made = app.done("actionCreate", create, json!({ "name": "a", "stages": [stage] })).await;
    let action = story::text(&made["action"]["id"]);
    let set = "mutation($input: CalendarSetInput!) { calendarSet(input: $input) {
        calendar { id } userErrors { message } } }";
    let entries = json!([{ "cron": "* * * * SUN" }, { "date": "2027-01-01" }]);
    let made = app.done("calendarSet", set, json!({ "name": "c", "entries": entries })).await;
    let schedule = json!({
        "spec": { "every": { "interval": "PT1M" } },
        "policy": { "excludeCalendarIds": [made["calendar"]["id"]] },
        "payload": { "\u{1F514}": "\"\n" },
    });
    let trigger = json!({ "name": "t", "action": { "id": action }, "schedules": [schedule] });
    let trigger = story::trigger(&app, trigger).await;
    story::fire(&app, &trigger).await;
    app.advance(Duration::from_secs(90)).await;
    story::timer(&app, 3_600, &receiver.url("/later")).await;
    let key = json!({ "triggerId": trigger, "idempotencyKey": "once" });
    story::fire_with(&app, key).await;
    let backfill = "mutation($input: TriggerBackfillInput!) { triggerBackfill(input: $input) {
        total userErrors { message } } }";
    let range = json!({ "triggerId": trigger, "from": app.now().plus_ms(-60_000).to_string(),
        "until": app.now().to_string() });
    app.done("triggerBackfill", backfill, range).await;
    story::log(&app, &["first", "second"]).await;
    app
}

async fn empty(folder: &Path) -> Store {
    opened(&format!("sqlite://{}/belfry.db", folder.display())).await
}

async fn opened(url: &str) -> Store {
    Store::open(url, Arc::new(|_| {})).await.expect("the store opens")
}

async fn exported(store: &Store) -> String {
    let project = project::all(store).await.expect("projects").pop().expect("one project");
    let mut file = Vec::new();
    transfer::export(store, project, &mut file).await.expect("the export");
    String::from_utf8(file).expect("a text")
}

async fn import(store: &Store, file: &str) -> Result<transfer::Report, Error> {
    transfer::import(store, Box::new(Cursor::new(file.to_owned()))).await
}

#[tokio::test]
async fn a_lived_in_project_is_the_same_wherever_it_is_carried() {
    let receiver = Receiver::start().await;
    let app = lived_in(&receiver).await;
    let file = exported(app.app.store()).await;
    let counts: Value = serde_json::from_str(file.lines().next().expect("a header")).expect("JSON");
    for (table, count) in counts["rows"].as_object().expect("counts") {
        assert!(0 < count.as_u64().expect("a number"), "the story has no {table}");
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let other = empty(folder.path()).await;
    let report = import(&other, &file).await.expect("the import");
    assert_eq!(report.rows as usize, file.lines().count() - 2);
    assert_eq!(report.name, "default");
    assert_eq!(exported(&other).await, file);
    let head = belfry::store::event::head(&other).await.expect("the head");
    assert_eq!(head, counts["rows"]["event"].as_i64().expect("events"));
}

#[tokio::test]
async fn a_project_is_carried_to_postgresql_and_back_unchanged() {
    if installed("psql").is_none() {
        return;
    }
    let receiver = Receiver::start().await;
    let file = exported(lived_in(&receiver).await.app.store()).await;
    let database = shared::database(None).await;
    let there = opened(&database.url).await;
    import(&there, &file).await.expect("the way there");
    let from_there = exported(&there).await;
    assert_eq!(from_there, file);
    let refusal = import(&there, &file).await.expect_err("it is there").to_string();
    assert!(refusal.ends_with("is there already"), "{refusal}");
    let entries = file.lines().filter(|line| line.starts_with("{\"event\"")).count();
    let head = belfry::store::event::head(&there).await.expect("the head");
    assert_eq!(usize::try_from(head), Ok(entries));
    there.close().await;

    let folder = tempfile::TempDir::new().expect("a folder");
    let back = empty(folder.path()).await;
    import(&back, &from_there).await.expect("the way back");
    assert_eq!(exported(&back).await, file);
}

#[tokio::test]
async fn what_ran_and_what_waited_goes_on_where_it_arrives() {
    let receiver = Receiver::start().await;
    receiver.answer(tests::Answer::status(204).held());
    let app = TestApp::start().await;
    let running = story::timer(&app, 1, &receiver.url("/running")).await;
    let file = {
        app.pass(Duration::from_secs(2));
        app.engine.sweeper.run_once().await.expect("a sweep");
        app.engine.executor.run_once().await.expect("a claim");
        receiver.wait_for(1).await;
        exported(app.app.store()).await
    };
    assert!(file.contains("\"status\":\"EXECUTING\""));
    receiver.release();

    let folder = tempfile::TempDir::new().expect("a folder");
    let other = empty(folder.path()).await;
    import(&other, &file).await.expect("the import");
    let again = exported(&other).await;
    let row = again.lines().find(|line| line.starts_with("{\"firing\"")).expect("the firing");
    let row: Value = serde_json::from_str(row).expect("JSON");
    let row = &row["firing"];
    assert_eq!(row["status"], "SCHEDULED");
    assert_eq!((&row["attempts"], &row["lease_owner"]), (&json!(0), &Value::Null));
    let id = story::firing_of(&running).parse::<entity::FiringId>().expect("an id");
    assert_eq!(row["id"], json!(entity::TypedId::uuid(id).to_string()));
}

#[tokio::test]
async fn a_project_that_is_there_is_not_imported() {
    let app = TestApp::start().await;
    let file = exported(app.app.store()).await;
    let id = app.caller.project;
    let refusal = import(app.app.store(), &file).await.expect_err("it is there").to_string();
    assert_eq!(refusal, format!("project: {id} is there already"));
    let other = TestApp::start().await;
    let own = other.caller.project;
    let refusal = import(other.app.store(), &file).await.expect_err("the name").to_string();
    assert_eq!(refusal, format!("project: another project is already named \"default\": {own}"));
}

#[tokio::test]
async fn a_file_that_is_not_whole_or_not_ours_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    story::timer(&app, 60, "http://127.0.0.1:9/").await;
    let file = exported(app.app.store()).await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let other = empty(folder.path()).await;
    let lines: Vec<&str> = file.lines().collect();
    let last = lines.len();
    let without = |index: usize| {
        let mut kept = lines.clone();
        kept.remove(index);
        kept.join("\n") + "\n"
    };
    let twice = file.replacen(lines[1], &format!("{0}\n{0}", lines[1]), 1);
    let cases = [
        (String::new(), "line 1: this is no file of belfry export".to_owned()),
        ("hello\n".to_owned(), "line 1: this is no file of belfry export".to_owned()),
        (
            file.replacen("\"format\":1", "\"format\":2", 1),
            "line 1: format 2 of belfry 0.1.0 is not known here".to_owned(),
        ),
        (
            file.replacen("m0001", "m9999", 1),
            "line 1: it was written by a newer version of belfry: 0.1.0".to_owned(),
        ),
        (without(last - 1), format!("line {last}: the file was cut off: its last line is missing")),
        (file[..file.len() - 10].to_owned(), format!("line {last}: the file was cut off here")),
        (without(2), format!("line {}: rows are missing, or there are too many", last - 1)),
        (
            file.replacen("\"READ\"", "\"ADMIN\"", 1).replacen(
                "\"name\":\"story\"",
                "\"name\":\"other\"",
                1,
            ),
            format!("line {last}: the file was changed: its SHA-256 is another"),
        ),
        (
            file.clone() + "\n",
            format!("line {}: nothing was expected after the last line", last + 1),
        ),
        (
            file.replacen("{\"api_key\":", "{\"apikey\":", 1),
            "line 3: no row of \"apikey\" was expected here".to_owned(),
        ),
        (
            file.replacen("\"hash\":\"", "\"hash\":\"z", 1),
            "line 3: hash is not what the column holds".to_owned(),
        ),
        (file.replacen("\"scopes\":", "\"scope\":", 1), "line 3: scopes is missing".to_owned()),
        (
            file.replacen("\"scopes\":", "\"more\":1,\"scopes\":", 1),
            "line 3: there is no column \"more\"".to_owned(),
        ),
        (
            file.replacen("\"status\":\"SCHEDULED\"", "\"status\":\"DREAMING\"", 1),
            "status is not what the column holds".to_owned(),
        ),
        (twice, "line 4: the rows up to here do not fit: ".to_owned()),
    ];
    for (file, refusal) in cases {
        let said = import(&other, &file).await.expect_err(&refusal).to_string();
        assert!(said.contains(&refusal), "{said}\n{refusal}");
        assert!(project::all(&other).await.expect("projects").is_empty(), "{refusal}");
    }
    import(&other, &file).await.expect("the whole file");
}
