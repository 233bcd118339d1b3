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

use super::object::{Object, has_nul, is_within};
use super::retry::Retry;
use crate::error::Problem;

/// How long one attempt may take, in milliseconds. Five minutes hold a slot of the executor long
/// enough; longer work answers at once and reports back by a signal.
pub const TIMEOUT_MS: RangeInclusive<i64> = 1..=300_000;

/// The time of one attempt when nothing is said.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// The stored text of an action: it is copied into memory with every claim.
pub const ACTION_BYTES_MAX: usize = 64 * 1_024;

/// Nesting of an action: whoever reads the stored text, or a text around it, has 128 levels.
pub const ACTION_NESTING_MAX: usize = 64;

/// The name of a stage: it becomes part of `webhook-id`.
pub const STAGE_NAME_CHARS_MAX: usize = 64;

/// Stages whose problems are listed; a longer list is refused as a whole.
const STAGES_READ_MAX: usize = 100;

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
        if !is_within(value, ACTION_NESTING_MAX) {
            let message = format!("expected at most {ACTION_NESTING_MAX} levels of nesting");
            return Err(vec![Problem::new("", message)]);
        }
        let mut object = Object::new(value);
        if has_nul(value) {
            object.problem("", "expected no character U+0000 in any text");
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
        let name = item.get("name").and_then(Value::as_str);
        if name.is_some_and(|name| !names.insert(name)) {
            object.problem(format!("{path}.name"), "expected a name that no other stage has");
        }
        match check_stage(item, check_config) {
            Ok(stage) => stages.push(stage),
            Err(problems) => object.problems_under(&path, problems),
        }
    }
    stages
}

fn check_stage(value: &Value, check_config: CheckConfig<'_>) -> Result<StageSpec, Vec<Problem>> {
    let mut object = Object::new(value);
    let name = object.required_text("name");
    if name.is_some_and(|name| !is_stage_name(name)) {
        let message = format!("expected 1 to {STAGE_NAME_CHARS_MAX} of a-z, 0-9, _ and -");
        object.problem("name", message);
    }
    let kind = object.required_text("kind");
    let config = object.value("config").cloned().unwrap_or_else(|| json!({}));
    match kind.map(|kind| check_config(kind, &config)) {
        Some(Some(problems)) => object.problems_under("config", problems),
        Some(None) => object.problem("kind", "there is no stage of this kind"),
        None => {}
    }
    let input = object.value("input").cloned();
    let timeout_ms = object.integer("timeoutMs", TIMEOUT_MS).and_then(|ms| u64::try_from(ms).ok());
    let retry = object.value("retry").map_or_else(|| Ok(Retry::default()), Retry::check);
    let retry = retry.unwrap_or_else(|problems| {
        object.problems_under("retry", problems);
        Retry::default()
    });
    let problems = object.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(StageSpec {
        name: name.unwrap_or_default().to_owned(),
        kind: kind.unwrap_or_default().to_owned(),
        config,
        input,
        timeout_ms: timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT),
        retry,
    })
}

fn is_stage_name(name: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=STAGE_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &Value) -> Result<Action, Vec<String>> {
        let check_config = |kind: &str, config: &Value| {
            (kind == "http").then(|| {
                let mut object = Object::new(config);
                object.required_text("url");
                object.value("body");
                object.finish()
            })
        };
        let problems = |problems: Vec<Problem>| {
            problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect()
        };
        Action::check(value, &check_config).map_err(problems)
    }

    fn with(field: &str, value: Value) -> Value {
        let mut stage = json!({ "name": "a", "kind": "http", "config": { "url": "u" } });
        stage[field] = value;
        json!({ "stages": [stage] })
    }

    #[test]
    fn what_is_not_said_has_its_default_and_the_text_is_read_back() {
        let stages = json!([{ "name": "a", "kind": "http", "config": { "url": "u" } }]);
        let action = check(&json!({ "stages": stages })).expect("an action");
        let stage = &action.stages[0];
        assert_eq!((stage.timeout_ms, &stage.retry), (TIMEOUT_MS_DEFAULT, &Retry::default()));
        assert_eq!(Action::parse(&action.to_text()), Ok(action.clone()));
        let read: Value = serde_json::from_str(&action.to_text()).expect("it is JSON");
        assert_eq!(check(&read), Ok(action));
    }

    #[test]
    fn an_older_text_without_optional_fields_is_read() {
        let text = r#"{"stages":[{"name":"a","kind":"log","config":{}}]}"#;
        let action = Action::parse(text).expect("an action");
        assert_eq!(action.stages[0].retry, Retry::default());
        assert_eq!(action.stages[0].timeout_ms, TIMEOUT_MS_DEFAULT);
    }

    #[test]
    fn every_problem_is_listed_with_its_path() {
        let problems = check(&json!({
            "stages": [
                { "name": "A b", "kind": "http", "config": { "body": 1, "x": 2 }, "timeoutMs": 0,
                  "retry": { "maxAttempts": 21, "delaysMs": [-1] }, "then": [] },
                { "name": "A b", "kind": "smtp" },
                7,
            ],
            "root": "a",
        }));
        assert_eq!(
            problems.expect_err("it is refused"),
            [
                "stages: expected exactly one stage; actions with several are not supported yet",
                "stages.0.name: expected 1 to 64 of a-z, 0-9, _ and -",
                "stages.0.config.url: a text is required",
                "stages.0.config.x: unknown field; the fields are url, body",
                "stages.0.timeoutMs: expected a whole number from 1 to 300000",
                "stages.0.retry.maxAttempts: expected a whole number from 1 to 20",
                "stages.0.retry.delaysMs.0: expected a whole number of milliseconds from 0 to \
                 86400000",
                "stages.0.then: unknown field; the fields are name, kind, config, input, \
                 timeoutMs, retry",
                "stages.1.name: expected a name that no other stage has",
                "stages.1.name: expected 1 to 64 of a-z, 0-9, _ and -",
                "stages.1.kind: there is no stage of this kind",
                "stages.2: expected an object, not a number",
                "root: unknown field; the fields are stages",
            ]
        );
    }

    #[test]
    fn an_action_has_one_stage() {
        let none = "stages: expected exactly one stage; actions with several are not supported yet";
        assert_eq!(check(&json!({ "stages": [] })), Err(vec![none.to_owned()]));
        let missing = "stages: a list with one stage is required";
        assert_eq!(check(&json!({})), Err(vec![missing.to_owned()]));
        let no_object = ": expected an object, not null";
        assert_eq!(check(&Value::Null), Err(vec![no_object.to_owned()]));
    }

    #[test]
    fn bounds_hold_at_their_ends_and_not_past_them() {
        for (field, good, bad) in [
            ("timeoutMs", json!(1), json!(0)),
            ("timeoutMs", json!(300_000), json!(300_001)),
            ("name", json!("a-z_0".repeat(12) + "abcd"), json!("a-z_0".repeat(13))),
            ("name", json!("a"), json!("")),
            ("name", json!("a"), json!("ä")),
            ("name", json!("a"), json!("a.b")),
        ] {
            assert!(check(&with(field, good.clone())).is_ok(), "{field} {good}");
            assert!(check(&with(field, bad.clone())).is_err(), "{field} {bad}");
        }
    }

    #[test]
    fn the_text_ends_at_its_limit() {
        let frame = check(&with("input", json!(""))).expect("an action").to_text().len();
        let room = ACTION_BYTES_MAX - frame;
        assert!(check(&with("input", json!("x".repeat(room)))).is_ok());
        let problems = check(&with("input", json!("x".repeat(room + 1))));
        assert_eq!(problems, Err(vec![": expected at most 65536 bytes of JSON".to_owned()]));
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        // The action, its list and its stage are three levels.
        let deepest = check(&with("input", nested(ACTION_NESTING_MAX - 3))).expect("an action");
        assert!(Action::parse(&deepest.to_text()).is_ok());
        assert!(check(&with("input", nested(ACTION_NESTING_MAX - 2))).is_err());
    }

    #[test]
    fn nul_is_refused() {
        let problems = check(&with("input", json!({ "a": "\0" })));
        let expected = ": expected no character U+0000 in any text";
        assert_eq!(problems, Err(vec![expected.to_owned()]));
    }

    #[test]
    fn a_stage_is_given_its_own_input_or_the_payload_byte_by_byte() {
        let payload: Arc<str> = "{ \"z\": 1.0 }".into();
        let own = check(&with("input", json!({ "z": 1, "a": 2 }))).expect("an action");
        assert_eq!(&*own.stages[0].input_text(&payload), r#"{"z":1,"a":2}"#);
        let none = check(&with("input", Value::Null)).expect("an action");
        assert_eq!(none.stages[0].input_text(&payload), payload);
    }

    #[test]
    fn the_action_of_a_timer_passes_its_own_check() {
        let action = Action::post("https://example.com/hook");
        let value: Value = serde_json::from_str(&action.to_text()).expect("it is JSON");
        assert_eq!(check(&value), Ok(action));
    }
}
