//! The order of a response: that of the selections, which async-graphql gives up for speed; and the
//! nulls of fields that failed, which it leaves out.
//!
//! Source: the GraphQL specification (October 2021), section 7.2.2: the serialised map should keep
//! the order in which fields were requested, so that people and diffs can read it.

use std::collections::HashMap;

use async_graphql::parser::types::{FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, PathSegment, Positioned, ServerError, Value};

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Response keys in order, each with the order of what lies below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order(Vec<(Name, Order)>);

impl Order {
    /// The order of a selection set. The guard has bounded how far fragments expand.
    #[must_use]
    pub fn of(selections: &SelectionSet, fragments: &Fragments) -> Self {
        let mut order = Self::default();
        order.add(selections, fragments);
        order
    }

    /// Puts the keys of `value`, and of everything in it, into this order.
    pub fn apply(&self, value: &mut Value) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(fields) if !self.0.is_empty() => {
                fields.sort_by(|a, _, b, _| self.place(a).cmp(&self.place(b)));
                for (key, field) in fields.iter_mut() {
                    if let Some((_, below)) = self.0.get(self.place(key)) {
                        below.apply(field);
                    }
                }
            }
            _ => {}
        }
    }

    fn place(&self, key: &Name) -> usize {
        self.0.iter().position(|(known, _)| known == key).unwrap_or(self.0.len())
    }

    fn add(&mut self, selections: &SelectionSet, fragments: &Fragments) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    let place = self.place(key);
                    if place == self.0.len() {
                        self.0.push((key.clone(), Self::default()));
                    }
                    self.0[place].1.add(&field.node.selection_set.node, fragments);
                }
                Selection::InlineFragment(fragment) => {
                    self.add(&fragment.node.selection_set.node, fragments);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.add(&fragment.node.selection_set.node, fragments);
                    }
                }
            }
        }
    }
}

/// Puts a null where a field failed that may be null (section 6.4.4 of the specification): each error
/// says where.
pub fn fill(value: &mut Value, errors: &[ServerError]) {
    errors.iter().for_each(|error| fill_at(value, &error.path));
}

fn fill_at(value: &mut Value, path: &[PathSegment]) {
    let Some((first, rest)) = path.split_first() else { return };
    match (value, first) {
        (Value::Object(fields), PathSegment::Field(name)) => match fields.get_mut(name.as_str()) {
            Some(field) => fill_at(field, rest),
            None => drop(fields.insert(Name::new(name), Value::Null)),
        },
        (Value::List(items), PathSegment::Index(index)) => {
            if let Some(item) = items.get_mut(*index) {
                fill_at(item, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use async_graphql::parser::types::DocumentOperations;
    use async_graphql::value;

    fn order(query: &str) -> Order {
        let document = parse_query(query).expect("a document");
        let DocumentOperations::Single(operation) = &document.operations else {
            panic!("one operation without a name");
        };
        Order::of(&operation.node.selection_set.node, &document.fragments)
    }

    #[test]
    fn a_field_that_failed_is_null() {
        let path = |path: &[&str]| {
            let mut error = ServerError::new("it failed", None);
            let segment = |part: &&str| match part.parse() {
                Ok(index) => PathSegment::Index(index),
                Err(_) => PathSegment::Field((*part).to_owned()),
            };
            error.path = path.iter().map(segment).collect();
            error
        };
        let mut answer = value!({ "a": [{ "b": 1 }, null], "c": null });
        let errors =
            [path(&["d"]), path(&["a", "0", "e"]), path(&["a", "1", "e"]), path(&["c", "e"])];
        fill(&mut answer, &errors);
        assert_eq!(answer.to_string(), "{a: [{b: 1, e: null}, null], c: null, d: null}");
    }

    #[test]
    fn keys_come_as_they_were_selected() {
        let order = order("{ z: a { d c } ...F b } fragment F on Query { a { x } y z: a { e } }");
        let mut answer = value!({
            "b": 1, "y": 2, "a": { "x": 3 }, "z": [{ "e": 4, "c": 5, "d": 6 }, null],
        });
        order.apply(&mut answer);
        let expected = r#"{z: [{d: 6, c: 5, e: 4}, null], a: {x: 3}, y: 2, b: 1}"#;
        assert_eq!(answer.to_string(), expected);
    }
}
