//! What clients say about triggers, part by part.

use entity::ActionId;
use serde_json::Value;

use super::Runs;
use crate::app::App;
use crate::domain::schema::Schema;
use crate::domain::text::Check;
use crate::limits::{PAUSE_AFTER_FAILURES_MAX, SCHEMA_BYTES_MAX, TRIGGER_CONCURRENCY_MAX};
use crate::service::action::check_body;

/// What a trigger runs, checked: a named action, stages of its own as JSON text, or nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckedRuns {
    pub action: Option<ActionId>,
    pub inline: Option<String>,
}

pub(super) fn check_runs(app: &App, check: &mut Check, runs: Option<&Runs>) -> CheckedRuns {
    match runs {
        None => CheckedRuns::default(),
        Some(Runs::Action(id)) => CheckedRuns { action: Some(*id), inline: None },
        Some(Runs::Inline(body)) => {
            let action = check_body(app, check, "action.inline", body);
            CheckedRuns { action: None, inline: action.map(|action| action.to_text()) }
        }
    }
}

pub(super) fn check_concurrency(check: &mut Check, concurrency: Option<i32>) {
    if concurrency.is_some_and(|most| !(1..=TRIGGER_CONCURRENCY_MAX).contains(&most)) {
        let expected = format!("expected a number from 1 to {TRIGGER_CONCURRENCY_MAX}");
        check.problem("concurrency", expected);
    }
}

pub(super) fn check_failures(check: &mut Check, failures: Option<i32>) {
    if failures.is_some_and(|most| !(1..=PAUSE_AFTER_FAILURES_MAX).contains(&most)) {
        let expected = format!("expected a number from 1 to {PAUSE_AFTER_FAILURES_MAX}");
        check.problem("pauseAfterFailures", expected);
    }
}

pub(super) fn check_schema(check: &mut Check, schema: Option<&Value>) -> Option<(Schema, String)> {
    let schema = schema?;
    let text = check.json("payloadSchema", schema, SCHEMA_BYTES_MAX);
    if SCHEMA_BYTES_MAX < text.len() {
        return None;
    }
    match Schema::compile(schema) {
        Ok(compiled) => Some((compiled, text)),
        Err(problem) => {
            check.under("payloadSchema", vec![problem]);
            None
        }
    }
}
