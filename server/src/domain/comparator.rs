//! Conditions on one field, as the filters of lists are made of them.

/// Every set condition must hold; an empty comparator accepts everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparator<T> {
    /// Equal.
    pub eq: Option<T>,
    /// Not equal; false when the field is missing.
    pub neq: Option<T>,
    /// One of these.
    pub is_in: Option<Vec<T>>,
    /// None of these; false when the field is missing.
    pub nin: Option<Vec<T>>,
    /// Greater.
    pub gt: Option<T>,
    /// Greater or equal.
    pub gte: Option<T>,
    /// Less.
    pub lt: Option<T>,
    /// Less or equal.
    pub lte: Option<T>,
    /// Contains, folding ASCII.
    pub contains: Option<T>,
    /// Begins with.
    pub starts_with: Option<T>,
    /// Missing (`true`) or there (`false`).
    pub is_null: Option<bool>,
}

impl<T> Default for Comparator<T> {
    fn default() -> Self {
        Self {
            eq: None,
            neq: None,
            is_in: None,
            nin: None,
            gt: None,
            gte: None,
            lt: None,
            lte: None,
            contains: None,
            starts_with: None,
            is_null: None,
        }
    }
}
