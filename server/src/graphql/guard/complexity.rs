//! What an admitted operation costs its key: about one for each field of the answer.
//!
//! The numbers are those that async-graphql's complexity limit counts with, found without the
//! schema: a field is one and what is inside it; a field that is asked for a page (`first`, `last`)
//! is that many times its inside, and so is one that selects `nodes` or `edges` of a page whose
//! size is not said. Each element of a list in an argument or a variable is one, so that bulk
//! mutations cost what they carry. Fragments are costed once, as in `expansion.rs`, whose check
//! has refused cycles before this runs.

use std::collections::HashMap;
use std::convert::Infallible;

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Value, Variables};

use crate::limits::{PAGE_ROWS_DEFAULT, PREVIEW_ROWS_MAX};

/// The arguments that say how many rows a page has.
const PAGE_ARGUMENTS: [&str; 2] = ["first", "last"];
/// The fields that hold a page's rows.
const ROW_FIELDS: [&str; 2] = ["edges", "nodes"];

/// The cost of `operation`; counts saturate.
pub(super) fn complexity(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> usize {
    let mut walk = Walk { document, variables, fragments: HashMap::new() };
    let carried: usize = variables.values().map(elements).fold(0, usize::saturating_add);
    walk.set(&operation.selection_set.node).saturating_add(carried)
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    fragments: HashMap<&'a str, usize>,
}

impl<'a> Walk<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> usize {
        set.items.iter().fold(0, |sum, item| sum.saturating_add(self.selection(&item.node)))
    }

    fn selection(&mut self, selection: &'a Selection) -> usize {
        match selection {
            Selection::Field(field) => self.field(&field.node),
            Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                if let Some(cost) = self.fragments.get(name) {
                    return *cost;
                }
                let Some(fragment) = self.document.fragments.get(name) else { return 0 };
                let cost = self.set(&fragment.node.selection_set.node);
                self.fragments.insert(name, cost);
                cost
            }
        }
    }

    fn field(&mut self, field: &'a Field) -> usize {
        let inside = self.set(&field.selection_set.node);
        let (mut carried, mut rows) = (1_usize, None);
        for (name, written) in &field.arguments {
            // Numbers alone: what else a variable carries is counted once, where it is.
            let number = |name| match self.variables.get(&name) {
                Some(Value::Number(number)) => Ok::<_, Infallible>(Value::Number(number.clone())),
                _ => Ok(Value::Null),
            };
            let Ok(value) = written.node.clone().into_const_with(number);
            carried = carried.saturating_add(elements(&value));
            if PAGE_ARGUMENTS.contains(&name.node.as_str()) {
                rows = rows.max(size(&value));
            }
        }
        let rows = match rows {
            Some(rows) => rows.min(PREVIEW_ROWS_MAX),
            None if self.holds_rows(&field.selection_set.node) => PAGE_ROWS_DEFAULT,
            None => 1,
        };
        carried.saturating_add(inside.saturating_mul(rows))
    }

    /// Whether the set selects the rows of a page, itself or by fragments.
    fn holds_rows(&self, set: &SelectionSet) -> bool {
        set.items.iter().any(|item| match &item.node {
            Selection::Field(field) => ROW_FIELDS.contains(&field.node.name.node.as_str()),
            Selection::InlineFragment(inline) => self.holds_rows(&inline.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                fragment.is_some_and(|one| self.holds_rows(&one.node.selection_set.node))
            }
        })
    }
}

/// The size of a page that is asked for; `None` when it is no size.
fn size(value: &Value) -> Option<usize> {
    let Value::Number(number) = value else { return None };
    number.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// Elements of all lists in a value.
fn elements(value: &Value) -> usize {
    match value {
        Value::List(list) => list.iter().map(elements).fold(list.len(), usize::saturating_add),
        Value::Object(fields) => fields.values().map(elements).fold(0, usize::saturating_add),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Variables;
    use serde_json::json;

    fn cost(query: &str, variables: serde_json::Value) -> usize {
        let admitted = crate::graphql::guard::check(query, None).expect("the query is small");
        admitted.complexity(None, &Variables::from_json(variables))
    }

    #[test]
    fn a_page_is_its_rows() {
        assert_eq!(cost("{ a { b c } }", json!({})), 3);
        assert_eq!(cost("{ a(first: 10) { nodes { b } } }", json!({})), 1 + 10 * 2);
        assert_eq!(cost("{ a { edges { node { b } } } }", json!({})), 1 + 50 * 3);
        let in_fragments = "{ a { ...F } } fragment F on A { ... on A { nodes { b } } }";
        assert_eq!(cost(in_fragments, json!({})), 1 + 50 * 2);
        let query = "query($n: Int) { a(last: $n) { nodes { b(first: 5) { c } } } }";
        assert_eq!(cost(query, json!({"n": 10})), 1 + 10 * (1 + 1 + 5));
        assert_eq!(cost("{ a(first: 1000000) { b } }", json!({})), 1 + 1_000, "no page is larger");
    }

    #[test]
    fn fragments_count_where_they_are_spread() {
        let query = "{ a(first: 10) { ...F } b { ...F } } fragment F on T { c d }";
        assert_eq!(cost(query, json!({})), 1 + 10 * 2 + 1 + 2);
    }

    #[test]
    fn lists_cost_what_they_carry() {
        assert_eq!(cost("mutation { a(x: {y: [1, 2, 3]}) { b } }", json!({})), 2 + 3);
        let query = "mutation($x: X) { a(x: $x) { b } }";
        assert_eq!(cost(query, json!({"x": {"y": [[1], [2, 3]]}})), 2 + 5);
    }

    #[test]
    fn numbers_saturate() {
        let (open, close) = ("a(first: 1000) { ".repeat(14), "}".repeat(14));
        assert_eq!(cost(&format!("{{ {open} b {close} }}"), json!({})), usize::MAX);
    }
}
