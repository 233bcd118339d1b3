//! Comparators: conditions on one field, as filters are made of them.

use async_graphql::{Enum, ID, InputObject};
use entity::{Instant, TypedId};

use super::error::parse_id;
use super::scalar::DateTime;
use crate::domain::comparator::Comparator;
use crate::error::Result;

/// Conditions on an id; all that are set must hold.
#[derive(InputObject, Clone, Debug, Default)]
pub struct IdComparator {
    /// Equal to this.
    pub eq: Option<ID>,
    /// There, and not equal to this.
    pub neq: Option<ID>,
    /// One of these.
    #[graphql(name = "in")]
    pub is_in: Option<Vec<ID>>,
    /// There, and none of these.
    pub nin: Option<Vec<ID>>,
    /// Missing (true) or there (false).
    pub is_null: Option<bool>,
}

/// Conditions on a text; all that are set must hold. Order is that of bytes.
#[derive(InputObject, Clone, Debug, Default)]
pub struct StringComparator {
    /// Equal to this.
    pub eq: Option<String>,
    /// There, and not equal to this.
    pub neq: Option<String>,
    /// One of these.
    #[graphql(name = "in")]
    pub is_in: Option<Vec<String>>,
    /// There, and none of these.
    pub nin: Option<Vec<String>>,
    /// Contains this; `A` to `Z` count as `a` to `z`, other letters as they are.
    pub contains: Option<String>,
    /// Begins with this.
    pub starts_with: Option<String>,
    /// Greater than this.
    pub gt: Option<String>,
    /// Greater than this, or equal.
    pub gte: Option<String>,
    /// Less than this.
    pub lt: Option<String>,
    /// Less than this, or equal.
    pub lte: Option<String>,
    /// Missing (true) or there (false).
    pub is_null: Option<bool>,
}

/// Conditions on an instant; all that are set must hold.
#[derive(InputObject, Clone, Copy, Debug, Default)]
pub struct DateTimeComparator {
    /// At this instant.
    pub eq: Option<DateTime>,
    /// Not at this instant.
    pub neq: Option<DateTime>,
    /// After this.
    pub gt: Option<DateTime>,
    /// At this or after it.
    pub gte: Option<DateTime>,
    /// Before this.
    pub lt: Option<DateTime>,
    /// At this or before it.
    pub lte: Option<DateTime>,
}

/// Which rows a list shows, as far as a flag goes.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Those that have the flag.
    Only,
    /// Those that do not.
    Exclude,
    /// Both.
    Include,
}

impl Flag {
    /// The value that rows must have; `None` when either will do.
    pub fn wanted(self) -> Option<bool> {
        match self {
            Self::Only => Some(true),
            Self::Exclude => Some(false),
            Self::Include => None,
        }
    }
}

impl IdComparator {
    /// The comparator over ids of one noun.
    ///
    /// # Errors
    /// The first id that is not one.
    pub fn check<T: TypedId>(self, field: &str) -> Result<Comparator<T>> {
        let one = |id: Option<ID>| id.map(|id| parse_id(field, &id)).transpose();
        let many = |ids: Option<Vec<ID>>| -> Result<Option<Vec<T>>> {
            ids.map(|ids| ids.iter().map(|id| parse_id(field, id)).collect()).transpose()
        };
        Ok(Comparator {
            eq: one(self.eq)?,
            neq: one(self.neq)?,
            is_in: many(self.is_in)?,
            nin: many(self.nin)?,
            is_null: self.is_null,
            ..Comparator::default()
        })
    }
}

impl From<StringComparator> for Comparator<String> {
    fn from(from: StringComparator) -> Self {
        Self {
            eq: from.eq,
            neq: from.neq,
            is_in: from.is_in,
            nin: from.nin,
            gt: from.gt,
            gte: from.gte,
            lt: from.lt,
            lte: from.lte,
            contains: from.contains,
            starts_with: from.starts_with,
            is_null: from.is_null,
        }
    }
}

impl From<DateTimeComparator> for Comparator<Instant> {
    fn from(from: DateTimeComparator) -> Self {
        let instant = |at: Option<DateTime>| at.map(|at| at.0);
        Self {
            eq: instant(from.eq),
            neq: instant(from.neq),
            gt: instant(from.gt),
            gte: instant(from.gte),
            lt: instant(from.lt),
            lte: instant(from.lte),
            ..Self::default()
        }
    }
}

/// A comparator over the values of an enum.
macro_rules! enum_comparator {
    ($(#[$doc:meta])* $name:ident over $wire:ty as $stored:ty) => {
        $(#[$doc])*
        #[derive(async_graphql::InputObject, Clone, Debug, Default)]
        pub struct $name {
            /// Equal to this.
            pub eq: Option<$wire>,
            /// There, and not equal to this.
            pub neq: Option<$wire>,
            /// One of these.
            #[graphql(name = "in")]
            pub is_in: Option<Vec<$wire>>,
            /// There, and none of these.
            pub nin: Option<Vec<$wire>>,
        }

        impl From<$name> for $crate::domain::comparator::Comparator<$stored> {
            fn from(from: $name) -> Self {
                let many = |list: Option<Vec<$wire>>| {
                    list.map(|list| list.into_iter().map(Into::into).collect())
                };
                Self {
                    eq: from.eq.map(Into::into),
                    neq: from.neq.map(Into::into),
                    is_in: many(from.is_in),
                    nin: many(from.nin),
                    ..Self::default()
                }
            }
        }
    };
}

pub(super) use enum_comparator;
