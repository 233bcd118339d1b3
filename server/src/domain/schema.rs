//! The JSON Schema that the payloads of a trigger must satisfy.
//!
//! Drafts 4 to 2020-12 by the `jsonschema` crate. A schema comes from a user, so that nothing is
//! ever fetched (`$ref` to another document is refused) and patterns run in linear time.

use std::fmt;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use crate::error::Problem;

/// Violations that one refusal lists; a payload of thousands of bad items is not worth more.
pub const VIOLATIONS_MAX: usize = 100;

/// A schema that was compiled.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    /// Compiles `schema`. `true` and `{}` accept everything.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place as a JSON Pointer.
    pub fn compile(schema: &Value) -> Result<Self, Problem> {
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(Problem::new("", "expected a JSON Schema: an object or a boolean"));
        }
        jsonschema::options()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .with_retriever(Nothing)
            .build(schema)
            .map(Self)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the root".to_owned() } else { place };
                Problem::new("", format!("expected a JSON Schema: {error} (at {place})"))
            })
    }

    /// Every violation of `payload`, up to [`VIOLATIONS_MAX`], with fields as dotted paths below
    /// `payload`.
    #[must_use]
    pub fn violations(&self, payload: &Value) -> Vec<Problem> {
        self.0
            .iter_errors(payload)
            .take(VIOLATIONS_MAX)
            .map(|error| {
                let path = error.instance_path().to_string();
                Problem::new(dotted(&path), error.to_string())
            })
            .collect()
    }
}

fn dotted(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1);
    let parts: Vec<_> = parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    parts.join(".")
}

/// Refuses to fetch anything.
struct Nothing;

impl Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{uri} is outside of the schema, and nothing is fetched").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(schema: &Value) -> String {
        Schema::compile(schema).expect_err("it is not a schema").message
    }

    #[test]
    fn every_violation_is_listed_with_its_path() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "required": ["id"],
            "properties": { "items": { "items": { "type": "integer" } } },
        }))
        .expect("a schema");
        let found = schema.violations(&json!({ "items": [1, "two", "three"] }));
        let mut fields: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["", "items.1", "items.2"]);
    }

    #[test]
    fn what_is_not_a_schema_is_refused() {
        assert!(refusal(&json!(7)).starts_with("expected a JSON Schema: an object or a boolean"));
        assert!(refusal(&json!({ "type": "foo" })).contains("/type"));
        assert!(Schema::compile(&json!(true)).is_ok());
        assert!(Schema::compile(&json!({})).is_ok());
    }

    #[test]
    fn nothing_is_fetched() {
        for reference in ["http://127.0.0.1:1/s.json", "file:///etc/passwd", "other.json"] {
            assert!(Schema::compile(&json!({ "$ref": reference })).is_err(), "{reference}");
        }
    }

    #[test]
    fn patterns_run_in_linear_time() {
        let schema = Schema::compile(&json!({ "pattern": "^(a+)+$" })).expect("a schema");
        assert_eq!(schema.violations(&json!(format!("{}!", "a".repeat(50_000)))).len(), 1);
        assert!(Schema::compile(&json!({ "pattern": "(?=a)b" })).is_err());
    }
}
