//! Values for arguments and variables: mostly what the type wants, at times what it does not.

use serde_json::{Map, Number, Value, json};

use super::schema::{Input, Reference, Schema};
use crate::Random;

/// How deep inputs nest before what need not be there is left out.
const DEPTH_MAX: usize = 5;
/// Percent of values that are of another type.
const WRONG: usize = 2;

const DURATIONS: [&str; 10] = [
    "PT1S",
    "PT0S",
    "P1D",
    "PT1H20M",
    "-PT1S",
    "P99999999Y",
    "PT0.001S",
    "1 hour 20 minutes",
    "P1M",
    "",
];
const INSTANTS: [&str; 8] = [
    "2026-03-02T10:00:01Z",
    "2026-03-29T01:30:00+01:00",
    "2026-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "+262143-12-31T23:59:59Z",
    "2026-3-2",
    "now",
];
const CRONS: [&str; 10] = [
    "* * * * *",
    "*/5 * * * *",
    "0 0 30 2 *",
    "0 0 29 2 *",
    "@daily",
    "0 0 L * *",
    "0 0 * * 1#5",
    "0 0 15W * *",
    "60 * * * *",
    "a b c d e",
];
const ZONES: [&str; 5] = ["Europe/Berlin", "UTC", "America/New_York", "Mars/Base", ""];
const FILTERS: [&str; 6] = [
    "type eq 'firing.completed'",
    "((email eq 'a@b.c') AND (createdAt gte '2018-1-1'))",
    "NOT (message ct '%')",
    "data.n gt 1",
    "type sw",
    "(((((((",
];
const URLS: [&str; 6] = [
    "http://127.0.0.1:9/hook",
    "https://example.com/hook?token=1",
    "http://169.254.169.254/latest",
    "http://[::ffff:7f00:1]/",
    "file:///etc/passwd",
    "http://",
];

/// What values are made of.
pub struct Values<'a> {
    /// The types.
    pub schema: &'a Schema,
    /// Ids and cursors that answers have shown.
    pub seen: &'a [String],
}

impl Values<'_> {
    /// A value for `of`, as JSON; an enum's is a text.
    pub fn any(&self, of: &Reference, name: &str, depth: usize, random: &mut Random) -> Value {
        if random.chance(WRONG) {
            return wrong(random);
        }
        match of {
            Reference::NonNull(of) => self.some(of, name, depth, random),
            _ if random.chance(15) => Value::Null,
            _ => self.some(of, name, depth, random),
        }
    }

    fn some(&self, of: &Reference, name: &str, depth: usize, random: &mut Random) -> Value {
        match of {
            Reference::NonNull(of) => self.some(of, name, depth, random),
            Reference::List(of) => {
                let count = if depth < DEPTH_MAX { random.below(4) } else { 0 };
                (0..count).map(|_| self.any(of, name, depth + 1, random)).collect()
            }
            Reference::Named(kind) => self.named(kind, name, depth, random),
        }
    }

    fn named(&self, kind: &str, name: &str, depth: usize, random: &mut Random) -> Value {
        let of = self.schema.get(kind);
        match of.kind.as_str() {
            "ENUM" => random.pick(&of.values).as_str().into(),
            "INPUT_OBJECT" if of.is_one_of && !random.chance(WRONG) => {
                let one = random.pick(&of.inputs);
                json!({ &one.name: self.some(&one.of, &one.name, depth + 1, random) })
            }
            "INPUT_OBJECT" => Value::Object(self.object(&of.inputs, depth, random)),
            _ => self.scalar(kind, name, random),
        }
    }

    fn object(&self, inputs: &[Input], depth: usize, random: &mut Random) -> Map<String, Value> {
        let mut object = Map::new();
        for input in inputs {
            let is_needed = matches!(input.of, Reference::NonNull(_));
            let share = if depth < DEPTH_MAX { 45 } else { 0 };
            let is_given = if is_needed { !random.chance(WRONG) } else { random.chance(share) };
            if is_given {
                let value = self.any(&input.of, &input.name, depth + 1, random);
                object.insert(input.name.clone(), value);
            }
        }
        if random.chance(WRONG) {
            object.insert(random.text(), wrong(random));
        }
        object
    }

    fn scalar(&self, kind: &str, name: &str, random: &mut Random) -> Value {
        let text = |random: &mut Random, from: &[&str]| Value::from(*random.pick(from));
        match kind {
            "Int" => (*random.pick(&[0, 1, 2, 50, 100, 101, -1, i64::from(i32::MAX)])).into(),
            "Float" => json!(*random.pick(&[0.5, -1.0, 1e300])),
            "Boolean" => random.chance(50).into(),
            "ID" => self.id(random),
            "Duration" => text(random, &DURATIONS),
            "DateTime" => text(random, &INSTANTS),
            "String" => match name {
                "after" | "before" => self.id(random),
                "expression" | "cron" => text(random, &CRONS),
                "zone" | "timeZone" => text(random, &ZONES),
                "q" => text(random, &FILTERS),
                "url" => text(random, &URLS),
                "email" => text(random, &["ada@example.com", "no address", ""]),
                _ => random.text().into(),
            },
            "BigInt" => text(random, &["0", "18446744073709551616", "-1", "x"]),
            _ => json_of(random, 0),
        }
    }

    fn id(&self, random: &mut Random) -> Value {
        if self.seen.is_empty() || random.chance(20) {
            return text_id(random).into();
        }
        random.pick(self.seen).as_str().into()
    }
}

/// `value` as it stands in a document.
pub fn literal(schema: &Schema, of: &Reference, value: &Value) -> String {
    match (of, value) {
        (Reference::NonNull(of), value) => literal(schema, of, value),
        (Reference::List(of), Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| literal(schema, of, item)).collect();
            format!("[{}]", items.join(", "))
        }
        (Reference::Named(kind), Value::String(word)) if schema.get(kind).kind == "ENUM" => {
            word.clone()
        }
        (of, Value::Object(object)) => {
            let inputs = &schema.get(of.name()).inputs;
            let field = |(name, value): (&String, &Value)| {
                let known = inputs.iter().find(|input| input.name == *name);
                let any = Reference::Named("JSON".to_owned());
                let value = literal(schema, known.map_or(&any, |input| &input.of), value);
                // A name that is none would end the document here.
                let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let name = if is_name && !name.is_empty() { name } else { "x" };
                format!("{name}: {value}")
            };
            format!("{{ {} }}", object.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        (of, Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| literal(schema, of, item)).collect();
            format!("[{}]", items.join(", "))
        }
        (_, value) => value.to_string(),
    }
}

fn wrong(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::Null,
        1 => random.chance(50).into(),
        2 => Value::Number(Number::from(u64::MAX)),
        3 => random.text().into(),
        4 => json!([[], {}]),
        5 => json!(-1.5e-7),
        _ => json_of(random, 0),
    }
}

/// Any JSON: a payload, a schema of payloads, a stage's config.
fn json_of(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth < 3 { 9 } else { 5 }) {
        0 => Value::Null,
        1 => (*random.pick(&[0, 1, -1, i64::MAX, i64::MIN])).into(),
        2 => random.text().into(),
        3 => random.chance(50).into(),
        4 => json!(0.1),
        5 => (0..random.below(3)).map(|_| json_of(random, depth + 1)).collect(),
        6 => json!({ "type": *random.pick(&["object", "string", "nothing"]),
            "properties": { random.text(): json_of(random, depth + 1) } }),
        7 => json!({ "$ref": *random.pick(&["#", "http://127.0.0.1/", "file:///etc/passwd"]) }),
        _ => json!({ random.text(): json_of(random, depth + 1) }),
    }
}

fn text_id(random: &mut Random) -> String {
    let prefix = random.pick(&["trg", "frg", "tmr", "sch", "act", "evt", "key", "prj", "xyz", ""]);
    let body = random.pick(&["01h2xcejqtf2nbrexx3vqjhp41", "81h2xcejqtf2nbrexx3vqjhp41", "0", "ü"]);
    format!("{prefix}_{body}")
}
