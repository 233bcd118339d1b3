//! `Filter`: the tree that both written forms become and both evaluators walk.
//!
//! Built by [`Filter::parse`] from text, or by [`Filter::compare`], [`Filter::all`],
//! [`Filter::any`] and [`Filter::negate`] from the typed form; all of them go through the same
//! checks and keep the limits of the module, so that whatever walks a filter may recurse.
//!
//! The variants are public for reading, and for code that adds conditions of its own around a
//! filter, which must not use up the limits of whoever wrote it. Both evaluators agree on any tree,
//! also on one that no constructor would build: a value of another kind than the field's compares
//! as false, an empty `And` is true, an empty `Or` is false.

use super::field::{Field, Op};
use super::value::{self, Value};
use super::{COMPARISONS_MAX, DEPTH_MAX, FilterError, LIST_ITEMS_MAX};

/// A condition on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All hold; two or more.
    And(Vec<Self>),
    /// One holds at least; two or more.
    Or(Vec<Self>),
    /// It does not hold: the exact complement.
    Not(Box<Self>),
    /// One field against one value.
    Compare {
        /// What is compared; false when the event is without it.
        field: Field,
        /// How.
        op: Op,
        /// With what.
        value: Value,
    },
}

impl Filter {
    /// One comparison. A [`Value::Text`] is read as the kind of `field` wants it, so that `"WARN"`
    /// becomes a severity and `"2018-1-1"` an instant; `in` and `nin` take a list, `isNull` a
    /// boolean.
    ///
    /// # Errors
    /// The field does not take the operator, or a value does not fit; offset 0.
    pub fn compare(field: Field, op: Op, value: impl Into<Value>) -> Result<Self, FilterError> {
        value::check_operator(field, op)?;
        let value = match value.into() {
            Value::List(items) if op.takes_list() => list(field, op, items)?,
            _ if op.takes_list() => {
                return Err(FilterError::new(format!("{op} got a single value"), "a list"));
            }
            single => value::coerce(field, op, single)?,
        };
        Ok(Self::Compare { field, op, value })
    }

    /// All of `parts`; one part alone stands for itself.
    ///
    /// # Errors
    /// No part, or a limit of the module is passed; offset 0.
    pub fn all(parts: Vec<Self>) -> Result<Self, FilterError> {
        group(parts, Self::And)
    }

    /// At least one of `parts`; one part alone stands for itself.
    ///
    /// # Errors
    /// No part, or a limit of the module is passed; offset 0.
    pub fn any(parts: Vec<Self>) -> Result<Self, FilterError> {
        group(parts, Self::Or)
    }

    /// The complement of `part`.
    ///
    /// # Errors
    /// The depth of the module is passed; offset 0.
    pub fn negate(part: Self) -> Result<Self, FilterError> {
        Self::Not(Box::new(part)).within_limits()
    }

    /// Whether any comparison is about `field`: then the filter decides, and no default applies
    /// (the log hides test and archived events from a filter that does not mention them).
    #[must_use]
    pub fn field_mentions(&self, field: Field) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|p| p.field_mentions(field)),
            Self::Not(part) => part.field_mentions(field),
            Self::Compare { field: compared, .. } => *compared == field,
        }
    }

    fn within_limits(self) -> Result<Self, FilterError> {
        if DEPTH_MAX < self.depth() {
            return Err(too_deep());
        }
        if COMPARISONS_MAX < self.comparisons() {
            return Err(too_many_comparisons());
        }
        Ok(self)
    }

    fn depth(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Not(part) => 1 + part.depth(),
            Self::Compare { .. } => 1,
        }
    }

    fn comparisons(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::comparisons).sum(),
            Self::Not(part) => part.comparisons(),
            Self::Compare { .. } => 1,
        }
    }
}

pub(super) fn too_deep() -> FilterError {
    FilterError::new("the filter is nested too deep", format!("at most {DEPTH_MAX} levels"))
}

pub(super) fn too_many_comparisons() -> FilterError {
    let expected = format!("at most {COMPARISONS_MAX} comparisons");
    FilterError::new("the filter has too many comparisons", expected)
}

pub(super) fn too_many_items() -> FilterError {
    FilterError::new("the list is too long", format!("at most {LIST_ITEMS_MAX} values"))
}

fn list(field: Field, op: Op, items: Vec<Value>) -> Result<Value, FilterError> {
    if items.is_empty() {
        return Err(FilterError::new("the list is empty", value::expectation(field, op)));
    }
    if LIST_ITEMS_MAX < items.len() {
        return Err(too_many_items());
    }
    let items: Result<_, _> = items.into_iter().map(|v| value::coerce(field, op, v)).collect();
    Ok(Value::List(items?))
}

fn group(
    mut parts: Vec<Filter>,
    variant: fn(Vec<Filter>) -> Filter,
) -> Result<Filter, FilterError> {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Err(FilterError::new("the group is empty", "at least one condition")),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            parts.push(last);
            variant(parts).within_limits()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::domain::filter::{
        COMPARISONS_MAX, DEPTH_MAX, Field, FilterError, LIST_ITEMS_MAX, Op, Severity, Value,
    };

    fn email() -> Filter {
        Filter::compare(Field::Email, Op::Eq, "a@b.c").expect("a comparison")
    }

    fn nested(depth: usize) -> Result<Filter, FilterError> {
        (1..depth).try_fold(email(), |inner, _| Filter::negate(inner))
    }

    #[test]
    fn the_typed_form_reads_texts_as_the_field_wants_them() {
        let filter = Filter::compare(Field::Severity, Op::In, vec!["WARN", "ERROR"]);
        let value = Value::List(vec![Severity::Warn.into(), Severity::Error.into()]);
        assert_eq!(filter, Ok(Filter::Compare { field: Field::Severity, op: Op::In, value }));
    }

    #[test]
    fn an_operator_that_the_field_does_not_take_is_refused() {
        let error = Filter::compare(Field::Severity, Op::Contains, "WARN").expect_err("no text");
        assert_eq!(error.message, "severity does not take ct");
        assert_eq!(error.expected, "one of eq, neq, in, nin, gt, gte, lt, lte, isNull");
    }

    #[test]
    fn lists_and_single_values_are_not_mixed_up() {
        let refused = |op, value: Value| Filter::compare(Field::Email, op, value).is_err();
        assert!(refused(Op::In, "a".into()));
        assert!(refused(Op::Eq, vec!["a"].into()));
        assert!(refused(Op::In, vec![vec!["a"]].into()));
        assert!(refused(Op::In, Value::List(Vec::new())));
    }

    #[test]
    fn one_part_stands_for_itself_and_none_is_refused() {
        assert_eq!(Filter::all(vec![email()]), Ok(email()));
        assert_eq!(Filter::any(vec![email()]), Ok(email()));
        assert!(Filter::all(Vec::new()).is_err() && Filter::any(Vec::new()).is_err());
    }

    #[test]
    fn every_limit_ends_where_it_says() {
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 1), Err(super::too_deep()));
        assert!(Filter::any(vec![email(); COMPARISONS_MAX]).is_ok());
        let past = Filter::any(vec![email(); COMPARISONS_MAX + 1]);
        assert_eq!(past, Err(super::too_many_comparisons()));
        let list = |items| Filter::compare(Field::Email, Op::Nin, vec!["a"; items]);
        assert!(list(LIST_ITEMS_MAX).is_ok());
        assert_eq!(list(LIST_ITEMS_MAX + 1), Err(super::too_many_items()));
    }

    #[test]
    fn a_field_is_mentioned_wherever_it_stands() {
        let archived = Filter::compare(Field::IsArchived, Op::Eq, true).expect("a comparison");
        let filter = Filter::negate(Filter::And(vec![email(), archived])).expect("small");
        assert!(filter.field_mentions(Field::IsArchived) && filter.field_mentions(Field::Email));
        assert!(!filter.field_mentions(Field::IsTest));
    }
}
