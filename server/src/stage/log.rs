//! The stage `log`: writes an entry into the event log, with the stage's input as its data.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{AppEvent, Call, Effect, Failure, FailureCode, Outcome, Stage};
use crate::domain::filter::Severity;
use crate::domain::object::Object;
use crate::error::{Error, Problem};
use crate::limits::{LABEL_CHARS_MAX, MESSAGE_CHARS_MAX};

/// The component when neither the config nor a trigger names one.
const COMPONENT_DEFAULT: &str = "belfry";

/// A config that can be run.
struct Config {
    message: String,
    severity: Severity,
    component: Option<String>,
}

/// The stage `log`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Config {
    fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut object = Object::new(value);
        let message = object.required_text("message");
        if let Some(message) = message {
            check_text(&mut object, "message", message, MESSAGE_CHARS_MAX);
        }
        let severity = object.text("severity").map_or(Some(Severity::Info), Severity::named);
        if severity.is_none() {
            let names = Severity::ALL.map(Severity::name).join(", ");
            object.problem("severity", format!("expected one of {names}"));
        }
        let component = object.text("component").map(str::to_owned);
        if let Some(component) = component.as_deref() {
            check_text(&mut object, "component", component, LABEL_CHARS_MAX);
        }
        match (message, severity, object.finish()) {
            (Some(message), Some(severity), problems) if problems.is_empty() => {
                Ok(Self { message: message.to_owned(), severity, component })
            }
            (_, _, problems) => Err(problems),
        }
    }

    /// The component of an entry: what the config says, else the name of the trigger.
    fn component(&self, trigger: Option<&str>) -> String {
        let name = self.component.as_deref().or(trigger).unwrap_or(COMPONENT_DEFAULT);
        name.chars().take(LABEL_CHARS_MAX).collect()
    }
}

#[async_trait]
impl Stage for Log {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        Config::read(config).err().unwrap_or_default()
    }

    async fn run(&self, call: Call) -> Outcome {
        if call.cancel.is_cancelled() {
            let message = "the firing was cancelled".to_owned();
            return Outcome::failed(Failure::never(FailureCode::Cancelled, message));
        }
        let config = match Config::read(&call.config) {
            Ok(config) => config,
            Err(problems) => {
                let message = format!("the config: {}", Error::Refused(problems));
                return Outcome::failed(Failure::never(FailureCode::Config, message));
            }
        };
        let event = AppEvent {
            severity: config.severity.name().to_owned(),
            component: config.component(call.trigger.as_deref()),
            message: config.message,
            data: Some(call.input.to_string()),
        };
        let output = json!({
            "severity": event.severity,
            "component": event.component,
            "message": event.message,
        });
        Outcome {
            result: Ok(output.to_string()),
            request: None,
            response: None,
            effects: vec![Effect::Event(event)],
        }
    }
}

fn check_text(object: &mut Object<'_>, field: &str, text: &str, chars_max: usize) {
    if text.trim().is_empty() || chars_max < text.chars().count() {
        object.problem(field, format!("expected 1 to {chars_max} characters, not only blanks"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::tests::call;

    fn problems(config: Value) -> Vec<String> {
        Log.check(&config).into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect()
    }

    #[tokio::test]
    async fn the_entry_has_the_input_as_its_data() {
        let config = json!({ "message": "Imported", "severity": "WARN", "component": "importer" });
        let outcome = Log.run(call(config, r#"{"rows": 3}"#)).await;
        let output = r#"{"severity":"WARN","component":"importer","message":"Imported"}"#;
        assert_eq!(outcome.result, Ok(output.to_owned()));
        let event = AppEvent {
            severity: "WARN".to_owned(),
            component: "importer".to_owned(),
            message: "Imported".to_owned(),
            data: Some(r#"{"rows": 3}"#.to_owned()),
        };
        assert_eq!(outcome.effects, [Effect::Event(event)]);
    }

    #[tokio::test]
    async fn the_component_defaults_to_the_trigger() {
        let long = "t".repeat(LABEL_CHARS_MAX + 1);
        for (trigger, expected) in
            [(None, "belfry"), (Some("nightly"), "nightly"), (Some(&*long), &long[1..])]
        {
            let call = Call {
                trigger: trigger.map(str::to_owned),
                ..call(json!({ "message": "m" }), "{}")
            };
            let outcome = Log.run(call).await;
            let [Effect::Event(event)] = &outcome.effects[..] else { panic!("one event") };
            assert_eq!((event.component.as_str(), event.severity.as_str()), (expected, "INFO"));
        }
    }

    #[tokio::test]
    async fn a_cancelled_firing_writes_nothing() {
        let call = call(json!({ "message": "m" }), "{}");
        call.cancel.cancel();
        let outcome = Log.run(call).await;
        assert_eq!(outcome.result.expect_err("cancelled").code, FailureCode::Cancelled);
        assert!(outcome.effects.is_empty());
    }

    #[test]
    fn every_problem_is_listed() {
        assert_eq!(
            problems(json!({ "severity": "warn", "component": " ", "level": 1 })),
            [
                "message: a text is required",
                "severity: expected one of DEBUG, INFO, WARN, ERROR",
                "component: expected 1 to 100 characters, not only blanks",
                "level: unknown field; the fields are message, severity, component",
            ]
        );
        assert_eq!(problems(json!({ "message": "" })).len(), 1);
        assert_eq!(problems(json!({ "message": 1 })), ["message: expected a text"]);
    }

    #[test]
    fn texts_end_at_their_limits() {
        let with = |message: usize, component: usize| {
            problems(json!({ "message": "ä".repeat(message), "component": "ä".repeat(component) }))
        };
        assert!(with(MESSAGE_CHARS_MAX, LABEL_CHARS_MAX).is_empty());
        assert_eq!(with(MESSAGE_CHARS_MAX + 1, LABEL_CHARS_MAX + 1).len(), 2);
    }
}
