//! The operations that the stories of definitions are told with: mutations by name, and what
//! became of a trigger as lines that a person can judge.

use serde_json::{Value, json};

use crate::TestApp;

const USER_ERRORS: &str = "userErrors { code field message }";

/// The text of a mutation with one input, `triggerCreate` and so on.
pub fn mutation(name: &str, selection: &str) -> String {
    let (first, rest) = name.split_at(1);
    let input = format!("{}{rest}Input", first.to_uppercase());
    format!(
        "mutation($input: {input}!) {{ {name}(input: $input) {{ {selection} {USER_ERRORS} }} }}"
    )
}

/// `data.<field>` of an operation that must have no errors, the keys of objects sorted: fields are
/// answered in the order in which they are found.
pub async fn ask(app: &TestApp, field: &str, query: &str, variables: Value) -> Value {
    let mut found = app.ask(field, query, variables).await;
    found.sort_all_objects();
    found
}

/// A mutation that must be done: its payload.
pub async fn done(app: &TestApp, name: &str, selection: &str, input: Value) -> Value {
    let mut payload = app.done(name, &mutation(name, selection), input).await;
    payload.sort_all_objects();
    payload
}

/// A mutation that must be refused: its user errors, each as `CODE field: message`.
pub async fn refused(app: &TestApp, name: &str, input: Value) -> Vec<String> {
    app.refused(name, &mutation(name, ""), input).await
}

/// Makes a trigger; returns its id.
pub async fn trigger(app: &TestApp, input: Value) -> String {
    let made = done(app, "triggerCreate", "trigger { id }", input).await;
    text(&made["trigger"]["id"])
}

/// Makes a trigger with one schedule, each instant of which stands alone; returns the ids of both.
pub async fn scheduled(app: &TestApp, name: &str, spec: Value) -> (String, String) {
    let input = json!({ "name": name, "overlap": "ALLOW", "schedules": [{ "spec": spec }] });
    let selection = "trigger { id schedules { id } }";
    let made = done(app, "triggerCreate", selection, input).await;
    (text(&made["trigger"]["id"]), text(&made["trigger"]["schedules"][0]["id"]))
}

/// Fires a trigger at once; returns the id of the firing.
pub async fn fire(app: &TestApp, trigger: &str) -> String {
    let input = json!({ "triggerId": trigger });
    let fired = done(app, "triggerFire", "firing { id }", input).await;
    text(&fired["firing"]["id"])
}

/// A `cron` spec in UTC.
pub fn cron(expression: &str) -> Value {
    json!({ "cron": { "expression": expression } })
}

/// An `every` spec that counts from now.
pub fn every(interval: &str) -> Value {
    json!({ "every": { "interval": interval } })
}

/// The firings of a trigger that are over or that run, in the order of their instants: `instant
/// STATUS`, with the start when it is another instant, or `from - until STATUS reason x count`.
pub async fn past(app: &TestApp, trigger: &str) -> Vec<String> {
    let rows = rows(app, trigger, json!({ "neq": "SCHEDULED" })).await;
    rows.iter().map(line).collect()
}

/// The instants of the firings of a trigger that still wait.
pub async fn planned(app: &TestApp, trigger: &str) -> Vec<String> {
    let rows = rows(app, trigger, json!({ "eq": "SCHEDULED" })).await;
    rows.iter().map(|row| instant(&row["nominalAt"])).collect()
}

/// One field of a schedule.
pub async fn schedule(app: &TestApp, id: &str, field: &str) -> Value {
    let query = format!("query($id: ID!) {{ schedule(id: $id) {{ {field} }} }}");
    let found = app.ask("schedule", &query, json!({ "id": id })).await;
    found[field.split_whitespace().next().expect("a field")].clone()
}

/// What the log says of definitions and firings, oldest first: `type: message`.
pub async fn log(app: &TestApp, types: &str) -> Vec<String> {
    let query = "query($filter: EventFilter) { events(first: 100, filter: $filter) {
        nodes { type message triggerName isTest actor } } }";
    let filter = json!({ "type": { "startsWith": types }, "isTest": "INCLUDE" });
    let found = app.ask("events", query, json!({ "filter": filter })).await;
    let mut lines: Vec<String> = list(&found["nodes"])
        .iter()
        .map(|event| {
            let test = if event["isTest"] == json!(true) { " (test)" } else { "" };
            let by = match event["actor"].as_str() {
                None => "",
                Some("belfry") => " by belfry",
                Some(_) => " by a key",
            };
            format!("{}: {}{by}{test}", text(&event["type"]), text(&event["message"]))
        })
        .collect();
    lines.reverse();
    lines
}

/// A text out of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

/// A list out of an answer.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Lines, for a snapshot.
pub fn lines(list: &[String]) -> String {
    list.join("\n")
}

async fn rows(app: &TestApp, trigger: &str, status: Value) -> Vec<Value> {
    let query = "query($filter: FiringFilter, $after: String) {
        firings(first: 100, after: $after, filter: $filter,
            orderBy: { field: NOMINAL_AT, direction: ASC }) {
            nodes { nominalAt startedAt status reason skippedRange { from until count } }
            pageInfo { hasNextPage endCursor } } }";
    let filter = json!({ "triggerId": { "eq": trigger }, "status": status, "isTest": "INCLUDE" });
    let (mut rows, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "filter": filter, "after": after });
        let page = app.ask("firings", query, variables).await;
        rows.extend_from_slice(list(&page["nodes"]));
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return rows;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn line(row: &Value) -> String {
    let status = text(&row["status"]);
    let reason = row["reason"].as_str().map_or(String::new(), |reason| format!(" {reason}"));
    let range = &row["skippedRange"];
    if !range.is_null() {
        let (from, until) = (instant(&range["from"]), instant(&range["until"]));
        return format!("{from} - {until} {status}{reason} x {}", range["count"]);
    }
    let (nominal, start) = (instant(&row["nominalAt"]), instant(&row["startedAt"]));
    let started = match start == nominal || start == "-" {
        true => String::new(),
        false => format!(", begun {start}"),
    };
    format!("{nominal} {status}{reason}{started}")
}

/// `03-02 10:00:00`: stories take place within a year.
fn instant(value: &Value) -> String {
    let Some(text) = value.as_str() else { return "-".to_owned() };
    text.trim_start_matches("2026-").trim_end_matches('Z').replace('T', " ")
}
