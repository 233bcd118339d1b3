//! The second pass of the guard: what the parsed document costs once its fragments are expanded.
//!
//! Each fragment is costed once and remembered, so the pass is linear in the document although the
//! numbers that it finds may be astronomic (they saturate). Fragments that no operation reaches are
//! costed too: validation walks them as well.

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Pos, Positioned};

use super::GuardError;
use crate::limits::{
    QUERY_ALIASES_MAX, QUERY_DEPTH_MAX, QUERY_DIRECTIVES_MAX, QUERY_ROOT_FIELDS_MAX,
    QUERY_SELECTIONS_MAX,
};

/// Nested selection sets, fragments included: async-graphql's own bound on its recursion.
const LEVELS_MAX: usize = 32;

/// Whether the document's operations stay within the limits.
///
/// # Errors
/// [`GuardError::TooComplex`] for the first limit that is exceeded, and for a fragment that
/// contains itself.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), GuardError> {
    let mut walk = Walk { document, fragments: HashMap::new() };
    let mut sum = Cost::default();
    for (_, operation) in document.operations.iter() {
        let cost = walk.operation(&operation.node)?;
        at_most(cost.fields, QUERY_ROOT_FIELDS_MAX, "root fields")?;
        sum = sum.and(cost);
    }
    at_most(sum.selections, QUERY_SELECTIONS_MAX, "selections with its fragments expanded")?;
    at_most(sum.aliases, QUERY_ALIASES_MAX, "aliases")?;
    at_most(sum.directives, QUERY_DIRECTIVES_MAX, "directives")?;
    at_most(sum.depth, QUERY_DEPTH_MAX, "levels of fields")?;
    at_most(sum.levels, LEVELS_MAX, "levels of selections")?;
    for (name, fragment) in &document.fragments {
        let cost = walk.fragment(name, fragment)?;
        at_most(cost.selections, QUERY_SELECTIONS_MAX, "selections in one fragment")?;
    }
    Ok(())
}

fn at_most(found: usize, max: usize, noun: &str) -> Result<(), GuardError> {
    if found <= max {
        return Ok(());
    }
    Err(GuardError::TooComplex(format!("The query has more than {max} {noun}.")))
}

/// What a selection set costs with everything in it. Counts saturate.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    selections: usize,
    /// Fields of the set itself, those of its fragments included.
    fields: usize,
    aliases: usize,
    directives: usize,
    /// Levels of fields; a leaf is one.
    depth: usize,
    /// Levels of non-empty selection sets, those of fragments included; the outermost is none.
    levels: usize,
}

impl Cost {
    /// Of two things that stand beside one another.
    fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
        }
    }

    /// Of a selection whose inside costs `self`; what remains is what its parent sees.
    fn wrapped(self, directives: usize) -> Self {
        let levels = if self.selections == 0 { 0 } else { self.levels + 1 };
        let own = Self { selections: 1, directives, ..Self::default() };
        Self { levels, ..self.and(own) }
    }
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    /// `None` while the fragment is being costed: meeting it again then is a cycle.
    fragments: HashMap<&'a str, Option<Cost>>,
}

impl<'a> Walk<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) -> Result<Cost, GuardError> {
        let mut cost = self.set(&operation.selection_set.node)?;
        let variables = operation.variable_definitions.iter();
        let of_variables: usize = variables.map(|variable| variable.node.directives.len()).sum();
        let own = operation.directives.len() + of_variables;
        cost.directives = cost.directives.saturating_add(own);
        Ok(cost)
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Cost, GuardError> {
        let mut cost = Cost::default();
        for selection in &set.items {
            cost = cost.and(self.selection(&selection.node)?);
        }
        Ok(cost)
    }

    fn selection(&mut self, selection: &'a Selection) -> Result<Cost, GuardError> {
        let directives = selection.directives().len();
        match selection {
            Selection::Field(field) => {
                let inside = self.set(&field.node.selection_set.node)?;
                let mut cost = inside.wrapped(directives);
                cost.fields = 1;
                cost.depth = inside.depth + 1;
                let alias = usize::from(field.node.alias.is_some());
                cost.aliases = cost.aliases.saturating_add(alias);
                Ok(cost)
            }
            Selection::InlineFragment(inline) => {
                Ok(self.set(&inline.node.selection_set.node)?.wrapped(directives))
            }
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                // An unknown fragment costs nothing more; validation names it.
                let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
                    return Ok(Cost::default().wrapped(directives));
                };
                Ok(self.fragment(name, fragment)?.wrapped(directives))
            }
        }
    }

    fn fragment(
        &mut self,
        name: &'a str,
        fragment: &'a Positioned<FragmentDefinition>,
    ) -> Result<Cost, GuardError> {
        match self.fragments.get(name) {
            Some(Some(cost)) => return Ok(*cost),
            Some(None) => return Err(cycle(name, fragment.pos)),
            None => {}
        }
        self.fragments.insert(name, None);
        let mut cost = self.set(&fragment.node.selection_set.node)?;
        cost.directives = cost.directives.saturating_add(fragment.node.directives.len());
        self.fragments.insert(name, Some(cost));
        Ok(cost)
    }
}

fn cycle(name: &str, at: Pos) -> GuardError {
    GuardError::TooComplex(format!("The fragment {name} (line {}) contains itself.", at.line))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::limits::{
        QUERY_ALIASES_MAX, QUERY_DEPTH_MAX, QUERY_DIRECTIVES_MAX, QUERY_ROOT_FIELDS_MAX,
        QUERY_SELECTIONS_MAX,
    };

    fn refusal(query: &str) -> Option<String> {
        let document = async_graphql::parser::parse_query(query).expect("the query parses");
        check(&document).err().map(|error| error.to_string())
    }

    /// `query(limit)` passes and `query(limit + 1)` is refused for `noun`.
    fn holds(limit: usize, noun: &str, query: impl Fn(usize) -> String) {
        assert_eq!(refusal(&query(limit)), None, "at the limit");
        let expected = format!("The query has more than {limit} {noun}.");
        assert_eq!(refusal(&query(limit + 1)), Some(expected), "one past it");
    }

    #[test]
    fn selections_count_once_for_each_spread() {
        // 1 root field, 19 spreads of a fragment of n, and a remainder.
        holds(QUERY_SELECTIONS_MAX, "selections with its fragments expanded", |total| {
            let rest = " b".repeat((total - 1) % 20);
            let fields = " b".repeat((total - 1) / 20 - 1);
            let spreads = " ...F".repeat(20);
            format!("{{ a {{{spreads}{rest} }} }} fragment F on T {{{fields} }}")
        });
    }

    #[test]
    fn selections_of_all_operations_are_summed() {
        let operation = |n: usize| format!("query Q{n} {{ a {{{} }} }}", " b".repeat(999));
        assert_eq!(refusal(&[operation(1), operation(2)].concat()), None);
        assert!(refusal(&[operation(1), operation(2), "query Q3 { a }".into()].concat()).is_some());
    }

    #[test]
    fn a_fragment_that_nothing_reaches_counts_for_itself() {
        let query = |n: usize| format!("{{ a }} fragment F on T {{{} }}", " b".repeat(n));
        assert_eq!(refusal(&query(QUERY_SELECTIONS_MAX)), None);
        assert!(refusal(&query(QUERY_SELECTIONS_MAX + 1)).is_some());
    }

    #[test]
    fn root_fields_count_through_fragments() {
        holds(QUERY_ROOT_FIELDS_MAX, "root fields", |n| {
            format!("{{ a ... {{ b }} ...F }} fragment F on Q {{{} }}", " c".repeat(n - 2))
        });
    }

    #[test]
    fn aliases_count_at_every_level() {
        holds(QUERY_ALIASES_MAX, "aliases", |n| {
            let half = " ...F ...F x: d".to_owned() + &" y: e".repeat(n % 2);
            format!("{{ a {{{half} }} }} fragment F on T {{{} }}", " z: c".repeat((n - 1) / 2))
        });
    }

    #[test]
    fn directives_count_wherever_they_stand() {
        holds(QUERY_DIRECTIVES_MAX, "directives", |n| {
            let many = "@d ".repeat(n - 5);
            format!(
                "query Q($v: Int @d) @d {{ a {many} {{ b }} ... @d {{ b }} ...F @d }} \
                 fragment F on Q @d {{ b }}"
            )
        });
    }

    #[test]
    fn depth_counts_fields_and_not_fragments() {
        holds(QUERY_DEPTH_MAX, "levels of fields", |n| {
            let (open, close) = ("{ a ".repeat(n - 1), "}".repeat(n - 1));
            format!("{open} {{ ... {{ ...F }} }} {close} fragment F on T {{ b }}")
        });
    }

    #[test]
    fn levels_count_fragments_too() {
        holds(super::LEVELS_MAX, "levels of selections", |n| {
            format!("{{ {} a {} }}", "... { ".repeat(n), "}".repeat(n))
        });
    }

    #[test]
    fn a_cycle_is_refused_wherever_it_is() {
        for query in [
            "{ ...F } fragment F on Q { ...F }",
            "{ ...F } fragment F on Q { a { ...G } } fragment G on T { ... { ...F } }",
            "{ a } fragment F on Q { ...G } fragment G on Q { ...F }",
        ] {
            let message = refusal(query).expect("it has a cycle");
            assert!(message.ends_with("contains itself."), "{message}");
        }
    }
}
