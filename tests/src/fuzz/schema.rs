//! The schema as introspection tells it, in the form that documents are made from.

use std::collections::BTreeMap;

use serde_json::Value;

/// The question.
pub const INTROSPECTION: &str = "{ __schema { types { name kind
    fields(includeDeprecated: true) { name args { name type { ...T } } type { ...T } }
    inputFields { name type { ...T } } enumValues { name } possibleTypes { name } isOneOf } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// All types by name.
pub struct Schema(BTreeMap<String, Type>);

/// One type.
pub struct Type {
    /// Its name.
    pub name: String,
    /// OBJECT, ENUM and so on.
    pub kind: String,
    /// Of an object or interface.
    pub fields: Vec<Field>,
    /// Of an input.
    pub inputs: Vec<Input>,
    /// Of an enum.
    pub values: Vec<String>,
    /// Of an interface or union.
    pub possible: Vec<String>,
    /// Whether exactly one of the inputs is to be given.
    pub is_one_of: bool,
}

/// One field.
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub args: Vec<Input>,
    /// What it gives.
    pub of: Reference,
}

/// One argument or input field.
pub struct Input {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub of: Reference,
}

/// A type as it is used.
#[derive(Clone)]
pub enum Reference {
    /// A type by its name.
    Named(String),
    /// Never null.
    NonNull(Box<Reference>),
    /// Any number of them.
    List(Box<Reference>),
}

impl Schema {
    /// Reads the answer to [`INTROSPECTION`].
    pub fn read(answer: &Value) -> Self {
        let types = answer["data"]["__schema"]["types"].as_array().expect("types");
        Self(types.iter().map(read_type).map(|one| (one.name.clone(), one)).collect())
    }

    /// A type that there is.
    pub fn get(&self, name: &str) -> &Type {
        &self.0[name]
    }
}

impl Reference {
    /// The name of the type within lists.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::NonNull(of) | Self::List(of) => of.name(),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::NonNull(of) => write!(f, "{of}!"),
            Self::List(of) => write!(f, "[{of}]"),
        }
    }
}

fn read_type(one: &Value) -> Type {
    let names = |field: &str| list(&one[field]).map(|one| word(&one["name"])).collect();
    Type {
        name: word(&one["name"]),
        kind: word(&one["kind"]),
        fields: list(&one["fields"])
            .map(|field| Field {
                name: word(&field["name"]),
                args: list(&field["args"]).map(read_input).collect(),
                of: read_reference(&field["type"]),
            })
            .collect(),
        inputs: list(&one["inputFields"]).map(read_input).collect(),
        values: names("enumValues"),
        possible: names("possibleTypes"),
        is_one_of: one["isOneOf"] == true,
    }
}

fn read_input(one: &Value) -> Input {
    Input { name: word(&one["name"]), of: read_reference(&one["type"]) }
}

fn read_reference(one: &Value) -> Reference {
    match one["kind"].as_str() {
        Some("NON_NULL") => Reference::NonNull(Box::new(read_reference(&one["ofType"]))),
        Some("LIST") => Reference::List(Box::new(read_reference(&one["ofType"]))),
        _ => Reference::Named(word(&one["name"])),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
