//! Documents made from the schema: operations with arguments, aliases, fragments, directives and
//! variables, and at times with a letter too many or too few.

use serde_json::{Map, Value};

use super::schema::{Field, Reference, Type};
use super::value::{Values, literal};
use crate::Random;

/// Depth of selections; the rest of the way is `__typename`.
const DEPTH_MAX: usize = 5;
/// Fields at one place.
const FIELDS_MAX: usize = 4;

/// What is sent.
pub struct Document {
    /// The text.
    pub query: String,
    /// Its variables.
    pub variables: Map<String, Value>,
}

/// A random document over `values`.
pub fn document(values: &Values<'_>, random: &mut Random) -> Document {
    let mut writer = Writer { values, random, declared: Vec::new(), fragments: Vec::new() };
    let (keyword, root) = *writer.random.pick(&[
        ("query", "Query"),
        ("query", "Query"),
        ("mutation", "Mutation"),
        ("mutation", "Mutation"),
        ("subscription", "Subscription"),
    ]);
    let body = writer.selection(values.schema.get(root), 0);
    let declared: Vec<_> =
        writer.declared.iter().map(|(name, of, _)| format!("${name}: {of}")).collect();
    let head = if declared.is_empty() {
        keyword.to_owned()
    } else {
        format!("{keyword} Some({})", declared.join(", "))
    };
    let query = format!("{head} {body} {}", writer.fragments.join(" "));
    let variables = writer.declared.into_iter().map(|(name, _, value)| (name, value)).collect();
    let query = if random.chance(6) { mistyped(&query, random) } else { query };
    Document { query, variables }
}

struct Writer<'a, 'r> {
    values: &'a Values<'a>,
    random: &'r mut Random,
    declared: Vec<(String, Reference, Value)>,
    fragments: Vec<String>,
}

impl Writer<'_, '_> {
    fn selection(&mut self, of: &Type, depth: usize) -> String {
        if of.fields.is_empty() || DEPTH_MAX <= depth {
            return "{ __typename }".to_owned();
        }
        let count = 1 + self.random.below(FIELDS_MAX);
        let mut parts: Vec<String> = (0..count)
            .map(|_| {
                let at = self.random.below(of.fields.len());
                self.field(&of.fields[at], depth)
            })
            .collect();
        if !of.possible.is_empty() && self.random.chance(60) {
            let name = self.random.pick(&of.possible).clone();
            let inner = self.selection(self.values.schema.get(&name), depth + 1);
            parts.push(format!("... on {name} {inner}"));
        }
        if self.random.chance(5) {
            let name = format!("F{}", self.fragments.len());
            let spread = if self.random.chance(10) { format!(" ...{name}") } else { String::new() };
            self.fragments.push(format!("fragment {name} on {} {{ __typename{spread} }}", of.name));
            parts.push(format!("...{name}"));
        }
        format!("{{ {} }}", parts.join(" "))
    }

    fn field(&mut self, field: &Field, depth: usize) -> String {
        let mut args = Vec::new();
        for arg in &field.args {
            let is_needed = matches!(arg.of, Reference::NonNull(_));
            let share = if is_needed { 98 } else { 40 };
            if self.random.chance(share) {
                let value = self.values.any(&arg.of, &arg.name, 0, self.random);
                args.push(format!("{}: {}", arg.name, self.argument(&arg.of, value)));
            }
        }
        let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
        let of = self.values.schema.get(field.of.name());
        let is_leaf = matches!(of.kind.as_str(), "SCALAR" | "ENUM");
        let inner = if is_leaf { String::new() } else { self.selection(of, depth + 1) };
        // The same field with other arguments is another field only under another name.
        let alias = if self.random.chance(85) {
            format!("a{}: ", self.random.below(1_000_000))
        } else {
            String::new()
        };
        let directive = match self.random.below(40) {
            0 => " @include(if: true)",
            1 => " @skip(if: false)",
            2 => " @nope",
            _ => "",
        };
        format!("{alias}{}{args}{directive} {inner}", field.name)
    }

    fn argument(&mut self, of: &Reference, value: Value) -> String {
        if self.random.chance(50) {
            return literal(self.values.schema, of, &value);
        }
        let name = format!("v{}", self.declared.len());
        self.declared.push((name.clone(), of.clone(), value));
        format!("${name}")
    }
}

/// One to three places of `text` deleted, doubled or replaced.
pub fn mistyped(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(3) {
        if chars.is_empty() {
            break;
        }
        let at = random.below(chars.len());
        match random.below(3) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, chars[at]),
            _ => chars[at] = *random.pick(&['{', '}', '"', '\\', '$', '\u{0}', '#', '𝄞', '[']),
        }
    }
    chars.into_iter().collect()
}
