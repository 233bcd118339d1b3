//! Every operation that the schema has, with the least arguments that it takes: made from
//! introspection, so that one that is added tomorrow is held to the same promises.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::TestApp;
use crate::story::text;

const INTROSPECTION: &str = "{ __schema { types { name kind
    fields { name args { name defaultValue type { ...T } } type { ...T } }
    inputFields { name defaultValue type { ...T } } enumValues { name } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// One field of a root type, ready to be sent.
pub struct Operation {
    /// The name of the field.
    pub name: String,
    /// The whole operation.
    pub document: String,
}

/// Every field of `root`, which is `Query` or `Mutation`.
pub async fn operations(app: &TestApp, root: &str) -> Vec<Operation> {
    let answer = app.graphql(INTROSPECTION, json!({})).await;
    let types = answer["data"]["__schema"]["types"].as_array().expect("types");
    let types: BTreeMap<String, Value> =
        types.iter().map(|one| (text(&one["name"]), one.clone())).collect();
    let fields = types[root]["fields"].as_array().expect("fields");
    let keyword = root.to_lowercase();
    let operation = |field: &Value| {
        let name = text(&field["name"]);
        let document = format!("{keyword} {{ {} }}", call(&types, &name, field));
        Operation { name, document }
    };
    fields.iter().map(operation).collect()
}

fn call(types: &BTreeMap<String, Value>, name: &str, field: &Value) -> String {
    let arguments = required(types, name, &field["args"]);
    let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
    let is_leaf = matches!(named(&field["type"])["kind"].as_str(), Some("SCALAR" | "ENUM"));
    let selection = if is_leaf { "" } else { " { __typename }" };
    format!("{name}{arguments}{selection}")
}

fn required(types: &BTreeMap<String, Value>, root: &str, inputs: &Value) -> String {
    let inputs = inputs.as_array().expect("inputs");
    let is_needed =
        |input: &&Value| input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null();
    let value = |input: &Value| {
        let name = text(&input["name"]);
        format!("{name}: {}", value(types, root, &name, &input["type"]))
    };
    inputs.iter().filter(is_needed).map(value).collect::<Vec<_>>().join(", ")
}

fn value(types: &BTreeMap<String, Value>, root: &str, name: &str, kind: &Value) -> String {
    match kind["kind"].as_str().expect("a kind") {
        "NON_NULL" => value(types, root, name, &kind["ofType"]),
        "LIST" => format!("[{}]", value(types, root, name, &kind["ofType"])),
        "SCALAR" => scalar(root, name, &text(&kind["name"])),
        "ENUM" => text(&types[&text(&kind["name"])]["enumValues"][0]["name"]),
        _ => {
            let inputs = &types[&text(&kind["name"])]["inputFields"];
            let fields = required(types, root, inputs);
            // Nothing is needed of a choice but that one is made.
            let first = &inputs[0];
            let only = text(&first["name"]);
            if fields.is_empty() {
                format!("{{ {only}: {} }}", value(types, root, &only, &first["type"]))
            } else {
                format!("{{ {fields} }}")
            }
        }
    }
}

fn scalar(root: &str, name: &str, kind: &str) -> String {
    match kind {
        "Int" => "1".to_owned(),
        "Boolean" => "true".to_owned(),
        "JSON" => "{}".to_owned(),
        "Duration" => r#""PT1S""#.to_owned(),
        "DateTime" => r#""2027-01-01T00:00:00Z""#.to_owned(),
        "ID" => {
            let noun = if name.ends_with("Id") { name } else { root };
            let prefixes = [
                ("action", "act"),
                ("apiKey", "key"),
                ("event", "evt"),
                ("firing", "frg"),
                ("calendar", "cal"),
                ("operation", "opr"),
                ("project", "prj"),
                ("schedule", "sch"),
                ("timer", "tmr"),
            ];
            let prefix = prefixes.into_iter().find(|(start, _)| noun.starts_with(start));
            let prefix = prefix.map_or("trg", |(_, prefix)| prefix);
            format!(r#""{prefix}_01h2xcejqtf2nbrexx3vqjhp41""#)
        }
        _ => r#""x""#.to_owned(),
    }
}

fn named(kind: &Value) -> &Value {
    if kind["ofType"].is_null() { kind } else { named(&kind["ofType"]) }
}
