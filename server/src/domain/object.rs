//! `Object`: reads a JSON object field by field and lists everything that is wrong with it.
//!
//! Called by whoever checks stored JSON on save: actions, retry policies, the configs of stages.
//! Serde stops at the first error and names no path; a person who edits an action wants all of
//! them at once. A field that is `null` counts as absent, a field that nobody asked for is refused.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::Problem;

/// One JSON object being read; ask for each field once, then call [`Object::finish`].
#[derive(Debug)]
pub struct Object<'a> {
    fields: Option<&'a Map<String, Value>>,
    asked: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Object<'a> {
    /// Starts to read `value`. Anything but an object is a problem of the whole, and then no field
    /// counts as missing.
    #[must_use]
    pub fn new(value: &'a Value) -> Self {
        let fields = value.as_object();
        let problems = match fields {
            Some(_) => Vec::new(),
            None => vec![Problem::new("", format!("expected an object, not {}", noun(value)))],
        };
        Self { fields, asked: Vec::new(), problems }
    }

    /// The field as it is.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.fields?.get(key).filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.typed(key, "a text", Value::as_str)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &'static str) -> Option<&'a str> {
        let is_absent = self.is_absent(key);
        if is_absent {
            self.problem(key, "a text is required");
        }
        self.text(key)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A list.
    pub fn list(&mut self, key: &'static str) -> Option<&'a [Value]> {
        self.typed(key, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.typed(key, &wanted, |value| value.as_i64().filter(|number| range.contains(number)))
    }

    /// Notes a broken rule of `field`, which may be a dotted path.
    pub fn problem(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(field, message));
    }

    /// Notes problems that were found below `field`.
    pub fn problems_under(&mut self, field: &str, problems: Vec<Problem>) {
        self.problems.extend(problems.into_iter().map(|problem| problem.under(field)));
    }

    /// Everything that was wrong, fields that nobody asked for included.
    #[must_use]
    pub fn finish(mut self) -> Vec<Problem> {
        let asked = std::mem::take(&mut self.asked);
        for key in self.fields.into_iter().flat_map(Map::keys) {
            if !asked.contains(&key.as_str()) {
                let message = format!("unknown field; the fields are {}", asked.join(", "));
                self.problem(key.as_str(), message);
            }
        }
        self.problems
    }

    /// Whether the field is missing or `null`; never of something that is no object.
    #[must_use]
    pub fn is_absent(&self, key: &str) -> bool {
        self.fields.is_some_and(|fields| fields.get(key).is_none_or(Value::is_null))
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let found = read(value);
        if found.is_none() {
            self.problem(key, format!("expected {wanted}"));
        }
        found
    }
}

/// Whether a text or a key anywhere in `value` has U+0000, which PostgreSQL cannot hold.
#[must_use]
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether `value` nests lists and objects no deeper than `levels`.
#[must_use]
pub fn is_within(value: &Value, levels: usize) -> bool {
    let Some(levels_below) = levels.checked_sub(1) else {
        return !value.is_array() && !value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().all(|item| is_within(item, levels_below)),
        Value::Object(fields) => fields.values().all(|item| is_within(item, levels_below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Object, has_nul, is_within};

    #[test]
    fn every_problem_is_listed_and_unknown_fields_are_refused() {
        let value = json!({ "size": 11, "name": 3, "sise": 1, "flag": null });
        let mut object = Object::new(&value);
        assert_eq!(object.integer("size", 1..=10), None);
        assert_eq!(object.text("name"), None);
        assert_eq!(object.required_text("url"), None);
        assert_eq!(object.flag("flag"), None);
        let problems: Vec<String> =
            object.finish().into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
        assert_eq!(
            problems,
            [
                "size: expected a whole number from 1 to 10",
                "name: expected a text",
                "url: a text is required",
                "sise: unknown field; the fields are size, name, url, flag",
            ]
        );
    }

    #[test]
    fn a_range_includes_its_ends() {
        for (number, expected) in [(0, None), (1, Some(1)), (10, Some(10)), (11, None)] {
            let value = json!({ "n": number });
            assert_eq!(Object::new(&value).integer("n", 1..=10), expected, "{number}");
        }
        let value = json!({ "n": 1.5 });
        assert_eq!(Object::new(&value).integer("n", 1..=10), None);
    }

    #[test]
    fn anything_but_an_object_is_one_problem() {
        let value = json!([1]);
        let mut object = Object::new(&value);
        assert_eq!(object.required_text("url"), None);
        let problems = object.finish();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "expected an object, not a list");
    }

    #[test]
    fn nul_is_found_at_any_depth() {
        assert!(has_nul(&json!({ "a": [{ "b": "x\0" }] })));
        assert!(has_nul(&json!({ "a\0": 1 })));
        assert!(!has_nul(&json!({ "a": ["b", 1, null, true] })));
    }

    #[test]
    fn nesting_counts_lists_and_objects() {
        assert!(is_within(&json!(1), 0));
        assert!(is_within(&json!([]), 1) && !is_within(&json!([]), 0));
        assert!(is_within(&json!({ "a": [1] }), 2) && !is_within(&json!({ "a": [1] }), 1));
    }
}
