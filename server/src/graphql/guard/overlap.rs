//! The third pass of the guard: fields that would share a key of the answer but differ.
//!
//! Validation (5.3.2) refuses them too, but async-graphql then reports every pair and every
//! argument, again for each enclosing inline fragment: 5 KB of query make millions of errors and
//! gigabytes. This pass applies the same comparison and ends at the first pair.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

use super::GuardError;

/// Whether all fields that share a key are the same field with the same arguments. Needs a
/// document without fragment cycles and within the limit of expanded selections.
///
/// # Errors
/// [`GuardError::Invalid`] with the places of the first pair.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), GuardError> {
    for (_, operation) in document.operations.iter() {
        check_sets(document, &operation.node.selection_set.node)?;
    }
    for fragment in document.fragments.values() {
        check_sets(document, &fragment.node.selection_set.node)?;
    }
    Ok(())
}

/// Checks `set` and every set that is written inside it.
fn check_sets(document: &ExecutableDocument, set: &SelectionSet) -> Result<(), GuardError> {
    let mut keys = Keys { document, seen: HashMap::new(), spread: HashSet::new() };
    keys.add(None, set)?;
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => check_sets(document, &field.node.selection_set.node)?,
            Selection::InlineFragment(inline) => {
                check_sets(document, &inline.node.selection_set.node)?;
            }
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

/// The keys of one answer object so far, by the type that the enclosing fragment is for.
struct Keys<'a> {
    document: &'a ExecutableDocument,
    seen: HashMap<(Option<&'a str>, &'a str), &'a Positioned<Field>>,
    spread: HashSet<&'a str>,
}

impl<'a> Keys<'a> {
    fn add(&mut self, on: Option<&'a str>, set: &'a SelectionSet) -> Result<(), GuardError> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let key = (on, field.node.response_key().node.as_str());
                    let first = *self.seen.entry(key).or_insert(field);
                    if !same(&first.node, &field.node) {
                        return Err(conflict(first, field));
                    }
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.add(on, &inline.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    if self.spread.insert(name) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.add(Some(on), &fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn same(first: &Field, second: &Field) -> bool {
    first.name.node == second.name.node
        && first.arguments.len() == second.arguments.len()
        && first.arguments.iter().all(|(name, value)| {
            second.get_argument(&name.node).is_some_and(|other| other.node == value.node)
        })
}

fn conflict(first: &Positioned<Field>, second: &Positioned<Field>) -> GuardError {
    let key = &first.node.response_key().node;
    let message = format!(
        "Fields \"{key}\" conflict: they are different fields or have different arguments. \
         Use different aliases to fetch both."
    );
    GuardError::Invalid(message, vec![first.pos, second.pos])
}

#[cfg(test)]
mod tests {
    use super::check;

    fn passes(query: &str) -> bool {
        check(&async_graphql::parser::parse_query(query).expect("the query parses")).is_ok()
    }

    #[test]
    fn equal_fields_may_meet() {
        assert!(passes("{ a a b: a b: a }"));
        assert!(passes("{ a(x: 1, y: [$v]) a(y: [$v], x: 1) }"));
        assert!(passes("{ k: a ... on T { k: b } ... on U { k: c(x: 1) } }"));
        assert!(passes("{ ...F ...F a } fragment F on Q { a b: c }"));
    }

    #[test]
    fn different_fields_of_one_key_conflict_at_any_level() {
        for query in [
            "{ k: a k: b }",
            "{ a a(x: 1) }",
            "{ a(x: 1) a(x: 2) }",
            "{ a(x: 1) a(y: 1) }",
            "{ o { ... { k: a } ... { k: b } } }",
            "{ ...F ...G } fragment F on Q { k: a } fragment G on Q { k: b }",
            "{ a } fragment F on Q { o { k: a k: b } }",
            "{ ... on Q { ... { k: a } k: b } o { ... on T { k: c ... on T { k: d } } } }",
        ] {
            assert!(!passes(query), "{query}");
        }
    }
}
