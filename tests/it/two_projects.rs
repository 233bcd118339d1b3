//! Two projects with a full set of objects each: B tries every operation that the schema has with
//! what belongs to A, in every place where it could stand. What is not B's must look, byte for
//! byte, like what is not there, and A's data must be what it was.

use std::collections::BTreeSet;

use belfry::service::Caller;
use belfry::store::{project, transfer};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tests::{Answer, Receiver};
use tokio::task::JoinHandle;

use crate::TestApp;
use crate::operation::{done, list, text};
use crate::project::tenant;
use crate::story::{fire, log, posting, timer};
use crate::wire::http;

mod place;

use place::{Own, Path, Schema};

/// How often something happens to A's before it must have been told.
const ROUNDS_MAX: usize = 100;
/// What stands for an id that was never given out.
const NOTHING: &str = "01h2xcejqtf2nbrexx3vqjhp41";

/// Both projects, and what each of them has.
struct Two {
    app: TestApp,
    schema: Schema,
    a: Caller,
    b: Caller,
    of_a: Own,
    of_b: Own,
    key_of_b: String,
    _receiver: Receiver,
}

impl Two {
    async fn new() -> Self {
        let mut app = TestApp::start().await;
        app.listen().await;
        let receiver = Receiver::start().await;
        receiver.answer(Answer::status(410));
        let schema = Schema::read(&app).await;
        let (b, _) = tenant(&app, "b", json!({})).await;
        let (_, key_of_b) = app.key_of(b.project, &[belfry::service::Scope::Admin]).await;
        let of_a = everything(&app, &receiver, "canary-a").await;
        let a = std::mem::replace(&mut app.caller, b.clone());
        let of_b = everything(&app, &receiver, "b").await;
        app.caller = a.clone();
        Self { app, schema, a, b, of_a, of_b, key_of_b, _receiver: receiver }
    }

    async fn ask(&self, caller: &Caller, document: &str) -> String {
        let answer = self.app.graphql_as(caller, document, json!({})).await.to_string();
        for fault in ["INTERNAL_SERVER_ERROR", "too complex", "too deep", "Unknown", "parse"] {
            assert!(!answer.contains(fault), "{document}: {answer}");
        }
        answer
    }

    /// Everything that A has, as a file would carry it.
    async fn export_of_a(&self) -> String {
        let store = self.app.app.store();
        let row = project::find(store, self.a.project).await.expect("a row").expect("A");
        let mut file = Vec::new();
        transfer::export(store, row, &mut file).await.expect("an export");
        String::from_utf8(file).expect("UTF-8")
    }

    /// Nothing of A's stands in `answer`.
    fn assert_clean(&self, document: &str, answer: &str) {
        assert!(!answer.contains("canary-a"), "{document}: {answer}");
        for id in self.of_a.values() {
            assert!(!answer.contains(&**id), "{document}: {answer}");
        }
    }
}

/// One of everything, named after `mark`; ids by their prefix.
async fn everything(app: &TestApp, receiver: &Receiver, mark: &str) -> Own {
    let url = receiver.url(&format!("/{mark}"));
    let config = json!({ "http": { "url": url } });
    let stages = json!([{ "name": "post", "config": config }]);
    let input = json!({ "name": mark, "stages": stages, "description": mark });
    let action = done(app, "actionCreate", "action { id }", input).await;
    let trigger = posting(app, mark, &url).await;
    let input = json!({ "name": mark, "entries": [{ "date": "2027-01-01" }] });
    let calendar = done(app, "calendarSet", "calendar { id }", input).await;
    let calendar = text(&calendar["calendar"]["id"]);
    let spec = json!({ "every": { "interval": "PT1H" } });
    let policy = json!({ "excludeCalendarIds": [calendar] });
    let input = json!({ "triggerId": trigger, "name": mark, "spec": spec, "policy": policy });
    let schedule = done(app, "scheduleCreate", "schedule { id }", input).await;
    let failed = fire(app, &trigger).await;
    app.work().await;
    let timer = timer(app, 3_600, &url).await;
    let range = json!({ "triggerId": trigger, "from": "2026-01-01T00:00:00Z",
        "until": "2026-01-01T00:00:01Z" });
    let operation = done(app, "triggerBackfill", "operation { id }", range).await;
    let event = log(app, &[mark]).await.remove(0);
    let input = json!({ "name": mark, "scopes": ["READ"] });
    let key = done(app, "apiKeyCreate", "apiKey { id }", input).await;
    let ids = [
        text(&action["action"]["id"]),
        calendar,
        trigger,
        text(&schedule["schedule"]["id"]),
        failed,
        timer,
        event,
        text(&key["apiKey"]["id"]),
        text(&operation["operation"]["id"]),
        app.caller.project.to_string(),
    ];
    ids.into_iter().map(|id| (id[..3].to_owned(), id)).collect()
}

/// An answer with every id as its prefix, so that two can be compared.
fn without_ids(answer: &str) -> String {
    let mut shown = String::new();
    let mut rest = answer;
    while let Some(place) = rest.find('_') {
        let (before, after) = rest.split_at(place + 1);
        shown.push_str(before);
        let is_id = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        let length = after.find(|c| !is_id(c)).unwrap_or(after.len());
        shown.push_str(if length == 26 { "…" } else { &after[..length] });
        rest = &after[length..];
    }
    shown + rest
}

/// The operation with something of `prefix` in one place: what B is told of nothing and of A's.
async fn compare(
    two: &Two,
    (root, field): (&str, &Value),
    path: &Path,
    prefix: &str,
    more: &[(Path, String)],
) -> String {
    let document = |id: &str| {
        let set = [&[(path.clone(), format!("{id:?}"))], more].concat();
        two.schema.document(root, field, &two.of_b, &set)
    };
    let nothing = document(&format!("{prefix}_{NOTHING}"));
    let foreign = document(&two.of_a[prefix]);
    let of_nothing = two.ask(&two.b, &nothing).await;
    let of_foreign = two.ask(&two.b, &foreign).await;
    assert_eq!(without_ids(&of_nothing), without_ids(&of_foreign), "{foreign}");
    assert!(!of_foreign.contains("canary-a"), "{foreign}: {of_foreign}");
    of_nothing
}

#[tokio::test]
async fn an_id_of_another_project_is_as_if_it_were_not_there() {
    let two = Two::new().await;
    let before = two.export_of_a().await;
    let (mut operations, mut places, mut compared) = (BTreeSet::new(), 0, 0);
    for root in ["Query", "Mutation"] {
        for field in two.schema.fields(root) {
            let name = text(&field["name"]);
            let versions = two.schema.places(&field, "Int");
            let version =
                versions.into_iter().find(|path| path.ends_with(&["expectedVersion".into()]));
            for path in two.schema.places(&field, "ID") {
                let mut answers = Vec::new();
                for prefix in two.of_a.keys() {
                    let plain = compare(&two, (root, &field), &path, prefix, &[]).await;
                    answers.push(plain);
                    for number in version.iter().flat_map(|_| ["1", "99"]) {
                        let more: Vec<(Path, String)> =
                            version.iter().map(|path| (path.clone(), number.to_owned())).collect();
                        compare(&two, (root, &field), &path, prefix, &more).await;
                        compared += 1;
                    }
                    compared += 1;
                }
                let is_reached = |answer: &String| match root {
                    "Query" if !answer.contains("\"errors\"") => true,
                    _ => answer.contains("NOT_FOUND"),
                };
                let place = format!("{name}: {}", path.join("."));
                assert!(answers.iter().any(is_reached), "{place} is not reached: {answers:#?}");
                operations.insert(name.clone());
                places += 1;
            }
        }
    }
    for field in ["id", "triggerId", "firingId"] {
        for (prefix, id) in &two.of_a {
            let ask = async |id: &str| {
                let query = format!(
                    "{{ events(q: \"{field} eq '{id}'\") {{ totalCount nodes {{ id }} }} }}"
                );
                without_ids(&two.app.graphql_as(&two.b, &query, json!({})).await.to_string())
            };
            assert_eq!(ask(id).await, ask(&format!("{prefix}_{NOTHING}")).await);
            compared += 1;
        }
        places += 1;
    }
    println!("{} operations, {places} id places, {compared} comparisons", operations.len());
    assert!(25 <= operations.len() && 40 <= places, "{operations:?}, {places} places");
    assert_eq!(two.export_of_a().await, before, "nothing of A's was changed");
}

#[tokio::test]
async fn lists_and_cursors_hold_nothing_of_another_project() {
    let two = Two::new().await;
    let before = two.export_of_a().await;
    let (mut lists, mut cursors) = (0, 0);
    for field in two.schema.fields("Query") {
        let name = text(&field["name"]);
        let plain = two.schema.document("Query", &field, &two.of_b, &[]);
        let of_b = two.ask(&two.b, &plain).await;
        two.assert_clean(&plain, &of_b);
        let is_list = list(&field["args"]).iter().any(|argument| argument["name"] == "after");
        if !is_list {
            continue;
        }
        lists += 1;
        let pages = format!("{{ {name} {{ edges {{ cursor }} totalCount }} }}");
        let of_a = two.app.graphql_as(&two.a, &pages, json!({})).await["data"][&name].clone();
        let total = two.app.graphql_as(&two.b, &pages, json!({})).await["data"][&name].clone();
        assert_ne!(of_a["edges"], json!([]), "{name}");
        for edge in list(&of_a["edges"]) {
            let cursor = text(&edge["cursor"]);
            for arguments in [
                format!("after: {cursor:?}"),
                format!("before: {cursor:?}"),
                format!("last: 5, before: {cursor:?}"),
            ] {
                let path = |name: &str| vec![name.to_owned()];
                let set: Vec<(Path, String)> = arguments
                    .split(", ")
                    .filter_map(|part| part.split_once(": "))
                    .map(|(name, value)| (path(name), value.to_owned()))
                    .collect();
                let query = two.schema.document("Query", &field, &two.of_b, &set);
                let seen = two.ask(&two.b, &query).await;
                two.assert_clean(&query, &seen);
                let seen: Value = serde_json::from_str(&seen).expect("JSON");
                assert_eq!(seen["data"][&name]["totalCount"], total["totalCount"], "{query}");
                cursors += 1;
            }
        }
    }
    println!("{lists} lists, {cursors} pages at cursors of the other project");
    assert!(8 <= lists && 24 <= cursors, "{lists} lists, {cursors} cursors");
    assert_eq!(two.export_of_a().await, before, "nothing of A's was changed");
}

#[tokio::test]
async fn an_idempotency_key_of_another_project_stands_for_nothing() {
    let two = Two::new().await;
    let mut operations = Vec::new();
    for field in two.schema.fields("Mutation") {
        let name = text(&field["name"]);
        let keys = two.schema.places(&field, "String").into_iter();
        let mut keys = keys.filter(|path| path.ends_with(&["idempotencyKey".to_owned()]));
        let Some(path) = keys.next() else { continue };
        let set = [(path, format!("{:?}", format!("key of {name}")))];
        let of_a = two.schema.document("Mutation", &field, &two.of_a, &set);
        let answer = two.ask(&two.a, &of_a).await;
        assert!(answer.contains("\"userErrors\":[]"), "{of_a}: {answer}");
        let of_b = two.schema.document("Mutation", &field, &two.of_b, &set);
        let before = two.export_of_a().await;
        let answer = two.ask(&two.b, &of_b).await;
        two.assert_clean(&of_b, &answer);
        let is_done = answer.contains("\"userErrors\":[]") || name == "projectCreate";
        assert!(is_done, "{of_b}: {answer}");
        assert_eq!(two.export_of_a().await, before, "{name}");
        operations.push(name);
    }
    println!("{} operations with an idempotency key", operations.len());
    assert!(10 <= operations.len(), "{operations:?}");
}

#[tokio::test]
async fn a_subscription_is_told_nothing_of_another_project() {
    let two = Two::new().await;
    let app = &two.app;
    let places = "{ events { headCursor edges { cursor } } }";
    let places = app.graphql_as(&two.a, places, json!({})).await["data"]["events"].clone();
    let mut cursors: Vec<String> =
        list(&places["edges"]).iter().map(|edge| text(&edge["cursor"])).collect();
    cursors.push(text(&places["headCursor"]));
    let selection = "{ events { id message actor trigger { id name } firing { id } } }";
    let first = |caller: &Caller, query: &str| {
        let mut stream = app.stream_as(caller, query);
        tokio::spawn(async move { stream.next().await.expect("news").to_string() })
    };
    let mut tails = Vec::new();
    for cursor in &cursors {
        let query = format!("subscription {{ events(after: {cursor:?}) {selection} }}");
        tails.push((first(&two.b, &query), query));
    }
    let head = &cursors[cursors.len() - 1];
    let (mut silent, mut told) = (Vec::new(), Vec::new());
    for (prefix, argument) in [("frg", "id"), ("trg", "triggerId")] {
        for id in [two.of_a[prefix].clone(), format!("{prefix}_{NOTHING}")] {
            let firings =
                format!("subscription {{ firingUpdated({argument}: {id:?}) {{ id status }} }}");
            let field = if prefix == "trg" { "triggerId" } else { "firingId" };
            let events = format!(
                "subscription {{ events(after: {head:?}, q: \"{field} eq '{id}'\") {{ cursor }} }}"
            );
            for query in [firings, events] {
                silent.push((first(&two.b, &query), query.clone()));
                if !id.ends_with(NOTHING) {
                    told.push(first(&two.a, &query));
                }
            }
        }
    }
    for (tail, query) in tails {
        log(app, &["canary-a"]).await;
        let own = "mutation { eventLog(input: { event: { email: \"b@example.com\",
            environment: \"e\", component: \"c\", message: \"of b\", data: 1 } }) {
            userErrors { message } } }";
        app.graphql_as(&two.b, own, json!({})).await;
        let seen = tail.await.expect("a batch");
        assert!(!seen.contains("\"events\":[]"), "{seen}");
        two.assert_clean(&query, &seen);
    }
    let count = cursors.len() + silent.len();
    done(app, "firingSkip", "firing { id }", json!({ "id": two.of_a["frg"] })).await;
    for _ in 0..ROUNDS_MAX {
        fire(app, &two.of_a["trg"]).await;
        app.work().await;
        if told.iter().all(JoinHandle::is_finished) {
            break;
        }
    }
    assert!(told.iter().all(JoinHandle::is_finished), "A is told of what is its own");
    for (news, query) in silent {
        assert!(!news.is_finished(), "{query}");
        news.abort();
    }
    println!("{count} subscriptions");
    assert!(10 <= count, "{count}");
}

#[tokio::test]
async fn rest_knows_nothing_of_another_project() {
    let two = Two::new().await;
    let before = two.export_of_a().await;
    let headers = [("x-api-key", &*two.key_of_b), ("content-type", "application/json")];
    let ask = async |line: String| {
        let answer = http(&two.app, &line, &headers, "{}").await;
        // What was asked for may be repeated.
        let said = two.of_a.values().filter(|id| line.contains(&***id));
        let body = said.fold(answer.body.clone(), |body, id| body.replace(&**id, ""));
        two.assert_clean(&line, &body);
        format!("{} {}", answer.status, without_ids(&answer.body))
    };
    let mut paths = 0;
    for (line, prefix) in [("GET /timer", "tmr"), ("POST /fire", "trg")] {
        for other in two.of_a.keys() {
            let foreign = ask(format!("{line}/{}", two.of_a[other])).await;
            assert_eq!(foreign, ask(format!("{line}/{other}_{NOTHING}")).await);
            assert!(other != prefix || foreign.starts_with("404"), "{foreign}");
            paths += 1;
        }
    }
    let places = "{ events { headCursor edges { cursor } } }";
    let places = two.app.graphql_as(&two.a, places, json!({})).await["data"]["events"].clone();
    for edge in list(&places["edges"]) {
        let cursor = text(&edge["cursor"]);
        ask(format!("GET /event?q=id%20neq%20''&after={cursor}")).await;
        paths += 1;
    }
    for field in ["triggerId", "firingId", "id"] {
        for (prefix, id) in &two.of_a {
            let line = |id: &str| format!("GET /event?q={field}%20eq%20'{id}'");
            let nothing = ask(line(&format!("{prefix}_{NOTHING}"))).await;
            assert_eq!(ask(line(id)).await, nothing);
            paths += 1;
        }
    }
    println!("{paths} REST paths");
    assert!(40 <= paths, "{paths}");
    assert_eq!(two.export_of_a().await, before, "nothing of A's was changed");
}
