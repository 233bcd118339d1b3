//! The schema by introspection: every operation, every place in its arguments where an id may
//! stand, and documents that put something there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::TestApp;
use crate::operation::{list, text};

const INTROSPECTION: &str = "{ __schema { types { name kind
    fields { name args { name defaultValue type { ...T } } type { ...T } }
    inputFields { name defaultValue type { ...T } } enumValues { name } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// The types of the schema.
pub struct Schema {
    types: BTreeMap<String, Value>,
}

/// A path into the arguments of an operation: `input.action.id`.
pub type Path = Vec<String>;

/// What documents say where nothing else is put: own ids by their prefix.
pub type Own = BTreeMap<String, String>;

impl Schema {
    /// That of the app.
    pub async fn read(app: &TestApp) -> Self {
        let answer = app.graphql(INTROSPECTION, json!({})).await;
        let types = list(&answer["data"]["__schema"]["types"]).iter();
        Self { types: types.map(|one| (text(&one["name"]), one.clone())).collect() }
    }

    /// The fields of `Query` or `Mutation`.
    pub fn fields(&self, root: &str) -> Vec<Value> {
        list(&self.types[root]["fields"]).to_vec()
    }

    /// The places of a field whose type is `kind`, such as `ID`.
    pub fn places(&self, field: &Value, kind: &str) -> Vec<Path> {
        let mut found = Vec::new();
        self.walk(&field["args"], kind, &mut Vec::new(), &mut Vec::new(), &mut found);
        found
    }

    fn walk(
        &self,
        inputs: &Value,
        kind: &str,
        path: &mut Path,
        above: &mut Vec<String>,
        found: &mut Vec<Path>,
    ) {
        for input in list(inputs) {
            let name = text(&named(&input["type"])["name"]);
            path.push(text(&input["name"]));
            let within = &self.types[&name]["inputFields"];
            if name == kind {
                found.push(path.clone());
            } else if !within.is_null() && !above.contains(&name) {
                above.push(name);
                self.walk(within, kind, path, above, found);
                above.pop();
            }
            path.pop();
        }
    }

    /// The operation with its required arguments, and with `set` where its paths lead.
    pub fn document(&self, root: &str, field: &Value, own: &Own, set: &[(Path, String)]) -> String {
        let name = text(&field["name"]);
        let writer = Writer { schema: self, root: &name, own, set };
        let arguments = writer.fields(&field["args"], &Vec::new()).join(", ");
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        let selection = self.selection(&text(&named(&field["type"])["name"]), 3);
        format!("{} {{ {name}{arguments}{selection} }}", root.to_lowercase())
    }

    /// Everything of a type that needs no argument, so deep.
    fn selection(&self, name: &str, depth: usize) -> String {
        let fields = &self.types[name]["fields"];
        let mut parts = Vec::new();
        if matches!(self.types[name]["kind"].as_str(), Some("SCALAR" | "ENUM")) {
            return String::new();
        }
        for field in list(fields) {
            let kind = text(&named(&field["type"])["name"]);
            let is_leaf = matches!(self.types[&kind]["kind"].as_str(), Some("SCALAR" | "ENUM"));
            let arguments = list(&field["args"]);
            if arguments.iter().any(is_needed) {
                continue;
            }
            let is_page = arguments.iter().any(|argument| argument["name"] == "first");
            let arguments = if is_page { "(first: 3)" } else { "" };
            let name = text(&field["name"]);
            if is_leaf {
                parts.push(name);
            } else if 1 < depth {
                parts.push(format!("{name}{arguments}{}", self.selection(&kind, depth - 1)));
            }
        }
        if parts.is_empty() {
            parts.push("__typename".to_owned());
        }
        format!(" {{ {} }}", parts.join(" "))
    }
}

struct Writer<'a> {
    schema: &'a Schema,
    root: &'a str,
    own: &'a Own,
    set: &'a [(Path, String)],
}

impl Writer<'_> {
    fn fields(&self, inputs: &Value, above: &Path) -> Vec<String> {
        let mut fields = Vec::new();
        for input in list(inputs) {
            let path = [above.as_slice(), &[text(&input["name"])]].concat();
            if is_needed(input) || self.set.iter().any(|(set, _)| set.starts_with(&path)) {
                fields.push(self.field(&path, &input["type"]));
            }
        }
        fields
    }

    fn field(&self, path: &Path, kind: &Value) -> String {
        format!("{}: {}", path[path.len() - 1], self.value(path, kind))
    }

    fn value(&self, path: &Path, kind: &Value) -> String {
        let name = text(&kind["name"]);
        match kind["kind"].as_str().expect("a kind") {
            "NON_NULL" => self.value(path, &kind["ofType"]),
            "LIST" => format!("[{}]", self.value(path, &kind["ofType"])),
            "SCALAR" => {
                let set = self.set.iter().find(|(set, _)| set == path);
                set.map_or_else(|| self.scalar(path, &name), |(_, value)| value.clone())
            }
            "ENUM" => text(&self.schema.types[&name]["enumValues"][0]["name"]),
            _ => {
                let inputs = &self.schema.types[&name]["inputFields"];
                let mut fields = self.fields(inputs, path);
                if fields.is_empty() {
                    // Nothing is needed of a choice but that one is made.
                    let first = [path.as_slice(), &[text(&inputs[0]["name"])]].concat();
                    fields.push(self.field(&first, &inputs[0]["type"]));
                }
                format!("{{ {} }}", fields.join(", "))
            }
        }
    }

    fn scalar(&self, path: &Path, kind: &str) -> String {
        let name = &*path[path.len() - 1];
        match (kind, name) {
            ("Int", _) => "1".to_owned(),
            ("Boolean", _) => "true".to_owned(),
            ("JSON", _) => "{}".to_owned(),
            ("Duration", "step") => r#""P1D""#.to_owned(),
            ("Duration", _) => r#""PT1H""#.to_owned(),
            ("DateTime", "from") if self.root == "triggerBackfill" => {
                r#""2026-01-01T00:00:00Z""#.to_owned()
            }
            ("DateTime", "until") if self.root == "triggerBackfill" => {
                r#""2026-01-02T00:00:00Z""#.to_owned()
            }
            ("DateTime", "from") => r#""2026-12-01T00:00:00Z""#.to_owned(),
            ("DateTime", _) => r#""2027-01-01T00:00:00Z""#.to_owned(),
            ("ID", _) => format!("{:?}", self.own[prefix_of(self.root, name)]),
            (_, "email") => r#""ada@example.com""#.to_owned(),
            (_, "url") => r#""https://example.com/""#.to_owned(),
            ("Date", _) => r#""2027-01-01""#.to_owned(),
            (_, "expression" | "cron") => r#""@daily""#.to_owned(),
            (_, "timeZone") => r#""Europe/Berlin""#.to_owned(),
            _ => format!("{:?}", format!("{}-{name}", self.root).to_lowercase()),
        }
    }
}

fn prefix_of(root: &str, name: &str) -> &'static str {
    let noun = if name.ends_with("Id") { name } else { root };
    if name.ends_with("CalendarIds") {
        return "cal";
    }
    let prefixes = [
        ("action", "act"),
        ("apiKey", "key"),
        ("calendar", "cal"),
        ("event", "evt"),
        ("firing", "frg"),
        ("operation", "opr"),
        ("project", "prj"),
        ("schedule", "sch"),
        ("timer", "tmr"),
    ];
    let found = prefixes.into_iter().find(|(start, _)| noun.starts_with(start));
    found.map_or("trg", |(_, prefix)| prefix)
}

fn is_needed(input: &Value) -> bool {
    input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null()
}

fn named(kind: &Value) -> &Value {
    if kind["ofType"].is_null() { kind } else { named(&kind["ofType"]) }
}
