//! What an action is, as stored, and its check on save.
//!
//! Stored as JSON text beside each version. [`Action::check`] reads what a user wrote and lists
//! everything that is wrong; [`Action::parse`] reads what was stored. The kinds of stages are known
//! above this floor, so their check comes as a function.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::object::{Object, has_nul};
use super::retry::Retry;
use crate::error::Problem;

/// How long one attempt may take, in milliseconds. Five minutes hold a slot of the executor long
/// enough; longer work answers at once and reports back by a signal.
pub const TIMEOUT_MS: RangeInclusive<u64> = 1..=300_000;

/// The time of one attempt when nothing is said.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// The stored text of an action: it is copied into memory with every claim.
pub const ACTION_BYTES_MAX: usize = 64 * 1_024;

/// The name of a stage: it becomes part of `webhook-id`.
pub const STAGE_NAME_CHARS_MAX: usize = 64;

/// Checks the config of a stage by its kind: `None` when there is no such kind, else every problem,
/// with fields relative to the config.
pub type CheckConfig<'a> = &'a dyn Fn(&str, &Value) -> Option<Vec<Problem>>;

/// What a firing runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// The stages; the first one is the root.
    pub stages: Vec<StageSpec>,
}

/// One step of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageSpec {
    /// Unique in the action: `a-z`, `0-9`, `_` and `-`, up to [`STAGE_NAME_CHARS_MAX`].
    pub name: String,
    /// What it does, such as `http`.
    pub kind: String,
    /// How, in the terms of its kind.
    pub config: Value,
    /// What it is given; the payload of the firing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The time of one attempt, within [`TIMEOUT_MS`].
    #[serde(default = "timeout_ms_default")]
    pub timeout_ms: u64,
    /// How often it is tried.
    #[serde(default)]
    pub retry: Retry,
}

impl Action {
    /// The action of a bare timer: one stage that posts the payload to `url`.
    #[must_use]
    pub fn post(url: &str) -> Self {
        let stage = StageSpec {
            name: "post".to_owned(),
            kind: "http".to_owned(),
            config: json!({ "url": url }),
            input: None,
            timeout_ms: TIMEOUT_MS_DEFAULT,
            retry: Retry::default(),
        };
        Self { stages: vec![stage] }
    }

    /// Reads an action as a user wrote it.
    ///
    /// # Errors
    /// Every problem, with dotted paths such as `stages.0.config.url`.
    pub fn check(value: &Value, check_config: CheckConfig<'_>) -> Result<Self, Vec<Problem>> {
        let mut object = Object::new(value);
        if has_nul(value) {
            object.problem("", "the character U+0000 is not allowed in any text");
        }
        let stages = check_stages(&mut object, check_config);
        let problems = object.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        let action = Self { stages };
        if ACTION_BYTES_MAX < action.to_text().len() {
            let message = format!("expected at most {ACTION_BYTES_MAX} bytes of JSON");
            return Err(vec![Problem::new("", message)]);
        }
        Ok(action)
    }

    /// Reads an action as it was stored.
    ///
    /// # Errors
    /// Serde's sentence; a stored action that cannot be read is a fault of Belfry.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("a stored action: {error}"))
    }

    /// The text to store. [`Action::parse`] reads it back as the same action.
    #[must_use]
    pub fn to_text(&self) -> String {
        json!(self).to_string()
    }
}

impl StageSpec {
    /// The JSON text that the stage is given: its own input, else the payload, byte by byte.
    #[must_use]
    pub fn input_text(&self, payload: &Arc<str>) -> Arc<str> {
        match &self.input {
            Some(input) => input.to_string().into(),
            None => Arc::clone(payload),
        }
    }
}

fn timeout_ms_default() -> u64 {
    TIMEOUT_MS_DEFAULT
}

fn check_stages(object: &mut Object<'_>, check_config: CheckConfig<'_>) -> Vec<StageSpec> {
    let Some(items) = object.list("stages") else {
        if object.is_absent("stages") {
            object.problem("stages", "a list with one stage is required");
        }
        return Vec::new();
    };
    if items.len() != 1 {
        let message = "expected exactly one stage; actions with several are not supported yet";
        object.problem("stages", message);
    }
    let mut names = HashSet::new();
    let mut stages = Vec::with_capacity(items.len().min(STAGES_READ_MAX));
    for (index, item) in items.iter().enumerate().take(STAGES_READ_MAX) {
        let path = format!("stages.{index}");
        match check_stage(item, check_config) {
            Ok(stage) if names.insert(stage.name.clone()) => stages.push(stage),
            Ok(stage) => {
                let message = format!("another stage is already named {}", stage.name);
                object.problem(format!("{path}.name"), message);
            }
            Err(problems) => object.problems_under(&path, problems),
        }
    }
    stages
}

/// Stages whose problems are listed; the list as a whole is refused long before.
const STAGES_READ_MAX: usize = 100;

fn check_stage(value: &Value, check_config: CheckConfig<'_>) -> Result<StageSpec, Vec<Problem>> {
    let mut object = Object::new(value);
    let name = object.required_text("name").unwrap_or_default().to_owned();
    if !name.is_empty() && !is_stage_name(&name) {
        object.problem("name", "expected 1 to 64 of a-z, 0-9, _ and -");
    }
    let kind = object.required_text("kind").unwrap_or_default().to_owned();
    let config = object.value("config").cloned().unwrap_or_else(|| json!({}));
    if !kind.is_empty() {
        match check_config(&kind, &config) {
            Some(problems) => object.problems_under("config", problems),
            None => object.problem("kind", format!("there is no stage of the kind {kind}")),
        }
    }
    let input = object.value("input").cloned();
    let range = 1..=300_000;
    let timeout_ms = object.integer("timeoutMs", range).and_then(|ms| u64::try_from(ms).ok());
    let retry = object.value("retry").map_or_else(|| Ok(Retry::default()), Retry::check);
    let retry = retry.unwrap_or_else(|problems| {
        object.problems_under("retry", problems);
        Retry::default()
    });
    let problems = object.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT);
    Ok(StageSpec { name, kind, config, input, timeout_ms, retry })
}

fn is_stage_name(name: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    name.len() <= STAGE_NAME_CHARS_MAX && name.bytes().all(is_allowed)
}
