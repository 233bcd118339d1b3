//! Documents are executed as they are over HTTP, behind the guard, and their answers judged.

use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use belfry::http::State;
use belfry::http::execute::{once, outcome, prepare};
use belfry::http::live::Places;
use belfry::http::params::Params;
use belfry::http::status::{Outcome, Refusal};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::document::{Document, document};
use super::schema::{INTROSPECTION, Schema};
use super::value::Values;
use crate::{Random, TestApp};

/// Ids and cursors that are remembered.
const SEEN_MAX: usize = 400;

/// What is shown of a fault.
const FAULT_CHARS_MAX: usize = 4_000;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Documents that were sent.
    pub documents: usize,
    /// How they ended, by code; `OK` without errors.
    pub ends: BTreeMap<String, usize>,
    /// Those that panicked or ended as internal errors, with what was answered.
    pub faults: Vec<String>,
}

/// Executes `count` random documents from `seed`.
pub async fn documents(app: &TestApp, seed: u64, count: usize) -> Tally {
    let mut random = Random(seed);
    let schema = Schema::read(&app.graphql(INTROSPECTION, json!({})).await);
    let state = State::new(&app.app, Places::default());
    let (mut tally, mut seen) = (Tally::default(), Vec::new());
    for number in 0..count {
        let document = document(&Values { schema: &schema, seen: &seen }, &mut random);
        let answer = send(&state, app, &document).await;
        judge(&mut tally, &document, &answer);
        remember(&answer, &mut seen, &mut random);
        // What was made must be able to run, too.
        if number % 500 == 499 {
            app.advance(Duration::from_secs(5)).await;
        }
    }
    tally
}

async fn send(state: &State, app: &TestApp, document: &Document) -> Value {
    let body = json!({ "query": document.query, "variables": document.variables });
    let params = match Params::from_json(body) {
        Ok(params) => params,
        Err(why) => return refused("BAD_REQUEST", &why),
    };
    let prepared = match prepare(state, params, app.caller.clone()) {
        Ok(prepared) => prepared,
        Err(error) => return json!({ "errors": [error.into_error()] }),
    };
    if prepared.kind == OperationType::Subscription {
        let mut answers = state.schema.execute_stream(prepared.request);
        // One that has something to say at once says it; the others are left.
        let first = futures_util::future::poll_immediate(answers.next()).await.flatten();
        return first.map_or(json!({}), |first| told(outcome(first, &prepared.order)));
    }
    match once(state, prepared).await {
        Ok(outcome) => told(outcome),
        Err(Refusal::Internal) => refused("INTERNAL_SERVER_ERROR", "a panic"),
        Err(other) => json!({ "errors": [other.to_server_error()] }),
    }
}

fn told(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Result(response) => json!(response),
        Outcome::RequestError(errors) => json!({ "errors": errors }),
    }
}

fn refused(code: &str, message: &str) -> Value {
    json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })
}

fn judge(tally: &mut Tally, document: &Document, answer: &Value) {
    tally.documents += 1;
    let errors = answer["errors"].as_array();
    let codes: Vec<&str> = errors
        .into_iter()
        .flatten()
        .map(|error| error["extensions"]["code"].as_str().unwrap_or("NO_CODE"))
        .collect();
    let end = codes.first().copied().unwrap_or("OK");
    *tally.ends.entry(end.to_owned()).or_default() += 1;
    if codes.iter().any(|code| matches!(*code, "INTERNAL_SERVER_ERROR" | "NO_CODE")) {
        let variables = Value::Object(document.variables.clone());
        let fault = format!("{}\n{variables}\n{}", answer["errors"], document.query);
        tally.faults.push(fault.chars().take(FAULT_CHARS_MAX).collect());
    }
}

/// Keeps what looks like an id or a cursor, for later documents.
fn remember(answer: &Value, seen: &mut Vec<String>, random: &mut Random) {
    match answer {
        Value::String(text) if is_id(text) => {
            if seen.len() < SEEN_MAX {
                seen.push(text.clone());
            } else {
                let at = random.below(SEEN_MAX);
                seen[at].clone_from(text);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| remember(item, seen, random)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name.contains("ursor") => seen.push(text.clone()),
                    other => remember(other, seen, random),
                }
            }
            seen.truncate(SEEN_MAX);
        }
        _ => {}
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 30 && text.as_bytes()[3] == b'_'
}
