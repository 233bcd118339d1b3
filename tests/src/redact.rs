//! Makes snapshots stable: ids become their prefix, so that a story reads the same each time.

use serde_json::Value;

/// The same value with every id as `trg_…`.
#[must_use]
pub fn redact(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact_text(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(redact).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, redact(value))).collect())
        }
        other => other,
    }
}

fn redact_text(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = entity::id::split(bare).is_some();
        let prefix = bare.split('_').next().unwrap_or_default();
        words.push(if is_id {
            word.replace(bare, &format!("{prefix}_…"))
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}
