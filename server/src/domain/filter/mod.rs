//! The filter language of the event log: one AST, two written forms, two evaluators.
//!
//! ```text
//!  (email eq 'a@b.c') AND (message ct 'buyer')             EventFilter (typed, GraphQL)
//!                      │ parse                                 │ compare, all, any, negate
//!                      └───────────────► Filter ◄──────────────┘
//!              ┌───────────────────────────┼──────────────────────────┐
//!    to_string (canonical text)    matches (in memory)    store::event_filter (SQL)
//! ```
//!
//! **Text form.** `field operator value`, combined by `AND`, `OR`, `NOT` (upper case; `NOT` binds
//! tightest, then `AND`, then `OR`) in any bracketing; a bracketed group stays a group. Texts stand
//! in single quotes, where `''` is one quote, or in double quotes, where `""` is one; `true` and
//! `false` stand bare; `in` and `nin` take a list such as `('a', 'b')`. An instant is a date such
//! as `'2018-1-1'` (midnight UTC) or RFC 3339.
//!
//! **Meaning**, the same in memory and in SQL, for every input:
//! - Logic is two-valued. A comparison on a missing field is false whatever its operator, also
//!   `neq` and `nin`; only `isNull` sees that a field is missing. `NOT` is the exact complement, so
//!   `NOT (email eq 'x')` holds for an event without e-mail and `email neq 'x'` does not.
//! - `ct` looks for a part of a text and folds the 26 ASCII letters, no others; every other
//!   operator on texts, `sw` too, takes bytes as they are, and order is the order of UTF-8 bytes.
//!   Nothing is a wildcard.
//! - Severities order as DEBUG, INFO, WARN, ERROR.
//! - `isArchived` is a matter of age: `createdAt <= now - archive_after`. Both are parameters, so
//!   that all pages of one query agree.
//!
//! What cannot be meant is refused where it is written, with its offset: an operator that the field
//! does not take, a severity that does not exist, an instant that is none.

mod ast;
mod evaluate;
mod field;
mod lex;
mod parse;
mod text;
mod value;

use std::fmt;

pub use ast::Filter;
pub use evaluate::{EventView, archived_until_ms, boolean_passes};
pub use field::{Field, Kind, Op};
pub use value::{Severity, Value};

/// Longest text of a filter, and of one value in it: about a page, more than a person would write
/// and little enough to travel in a URL.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Deepest nesting, where a comparison is 1 and each group, `NOT` or pair of brackets adds 1: all
/// that walks a filter recurses, and so does the parser of the database.
pub const DEPTH_MAX: usize = 32;
/// Comparisons of one filter: each is a test on every row that is read.
pub const COMPARISONS_MAX: usize = 100;
/// Values of one `in` or `nin`: with [`COMPARISONS_MAX`] it keeps a statement at 10,000 bound
/// parameters, below SQLite's 32,766.
pub const LIST_ITEMS_MAX: usize = 100;

/// How much of a wrong text an error repeats, in characters: enough to recognise it.
const QUOTED_CHARS_MAX: usize = 40;

/// Why something is not a filter: where, what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Position in the text, in characters from 0; 0 for a filter that was not written as text.
    pub offset: usize,
    /// What is wrong, such as `unknown field 'mail'`.
    pub message: String,
    /// What was expected instead, such as `true or false`.
    pub expected: String,
}

impl FilterError {
    pub(crate) fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { offset: 0, message: message.into(), expected: expected.into() }
    }

    /// The same error, found at `offset`.
    #[must_use]
    pub fn at(self, offset: usize) -> Self {
        Self { offset, ..self }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: expected {}", self.message, self.offset, self.expected)
    }
}

impl std::error::Error for FilterError {}

/// `text` in quotes for a message, cut to what a reader needs and free of control characters.
fn quoted(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(QUOTED_CHARS_MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    let cut = if text.chars().nth(QUOTED_CHARS_MAX).is_some() { "…" } else { "" };
    format!("'{shown}{cut}'")
}
