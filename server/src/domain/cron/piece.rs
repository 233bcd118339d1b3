//! Pieces of an expression, each with its place, so that a refusal can say where.

use std::fmt;

/// An error quotes no more of the input than this.
const QUOTE_CHARS_MAX: usize = 20;

/// Why an expression was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// Where in the expression, in bytes from 0; all text before it is ASCII.
    pub offset: usize,
    /// What should have stood there.
    pub expected: String,
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: expected {}", self.offset + 1, self.expected)
    }
}

impl std::error::Error for CronError {}

/// A part of the expression and where it starts.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

impl Piece<'_> {
    /// The refusal of this piece, which is quoted.
    pub(super) fn refuse(&self, expected: impl fmt::Display) -> CronError {
        let quote: String = self.text.chars().take(QUOTE_CHARS_MAX).collect();
        let found = if quote.is_empty() { "nothing" } else { &format!("`{quote}`") };
        CronError { offset: self.offset, expected: format!("{expected}, not {found}") }
    }

    /// Whether the piece leaves its field open: it begins with `*`, or is `?`.
    pub(super) fn begins_with_star(&self) -> bool {
        self.text.starts_with(['*', '?'])
    }
}

/// Cuts `text` at separators, keeping count of where each piece starts.
pub(super) fn pieces(
    text: &str,
    mut offset: usize,
    separator: impl Fn(char) -> bool,
) -> Vec<Piece<'_>> {
    text.split(separator)
        .map(|text| {
            let piece = Piece { offset, text };
            offset += text.len() + 1;
            piece
        })
        .collect()
}
