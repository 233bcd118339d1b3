//! Pages of a list by keyset: opaque cursors that stay right while rows are inserted.
//!
//! A cursor is (order, key, id): the list's order, the value that it sorts by, and the id that
//! breaks ties. Source: the GraphQL Cursor Connections Specification (Relay).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::error::Problem;
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};

/// What a client asks of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageArgs {
    /// Rows after `after`, from the start of the list.
    pub first: Option<i32>,
    /// Cursor to begin after.
    pub after: Option<String>,
    /// Rows before `before`, from the end of the list.
    pub last: Option<i32>,
    /// Cursor to end before.
    pub before: Option<String>,
}

/// A page to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows wanted.
    pub rows: usize,
    /// Read from the end of the list.
    pub is_backward: bool,
    /// Rows follow this place.
    pub after: Option<Cursor>,
    /// Rows precede this place.
    pub before: Option<Cursor>,
}

/// A place in an ordered list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which order the list had, so that a cursor is never used in another.
    pub order: u8,
    /// The value that the list is sorted by.
    pub key: i64,
    /// What breaks ties.
    pub id: Uuid,
}

/// One page that was read, in the order of the list.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    /// The rows with their places.
    pub rows: Vec<(Cursor, T)>,
    /// Rows precede these.
    pub has_previous: bool,
    /// Rows follow these.
    pub has_next: bool,
}

impl PageArgs {
    /// The page that was asked for, in the order `order`.
    ///
    /// # Errors
    /// Every argument that is out of bounds or not a cursor of this order.
    pub fn check(&self, order: u8) -> Result<Page, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.first.is_some() && self.last.is_some() {
            problems.push(Problem::new("last", "expected either first or last, not both"));
        }
        let mut rows = |field: &str, number: Option<i32>| {
            let rows = usize::try_from(number?).ok().filter(|rows| *rows <= PAGE_ROWS_MAX);
            if rows.is_none() {
                let message = format!("expected a number from 0 to {PAGE_ROWS_MAX}");
                problems.push(Problem::new(field, message));
            }
            rows
        };
        let first = rows("first", self.first);
        let last = rows("last", self.last);
        let mut cursor = |field: &str, text: &Option<String>| {
            let cursor = Cursor::parse(text.as_deref()?).filter(|cursor| cursor.order == order);
            if cursor.is_none() {
                problems.push(Problem::new(field, "expected a cursor of this list and order"));
            }
            cursor
        };
        let after = cursor("after", &self.after);
        let before = cursor("before", &self.before);
        if !problems.is_empty() {
            return Err(problems);
        }
        let is_backward = self.last.is_some();
        Ok(Page { rows: first.or(last).unwrap_or(PAGE_ROWS_DEFAULT), is_backward, after, before })
    }
}

impl Cursor {
    /// Reads what [`Cursor`]'s `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 25] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let key = i64::from_be_bytes(bytes[1..9].try_into().ok()?);
        let id = Uuid::from_slice(&bytes[9..]).ok()?;
        Some(Self { order: bytes[0], key, id })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0; 25];
        bytes[0] = self.order;
        bytes[1..9].copy_from_slice(&self.key.to_be_bytes());
        bytes[9..].copy_from_slice(self.id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(first: i32) -> PageArgs {
        PageArgs { first: Some(first), ..PageArgs::default() }
    }

    #[test]
    fn a_page_may_be_as_long_as_its_limit_and_no_longer() {
        assert_eq!(args(100).check(0).map(|page| page.rows), Ok(100));
        assert_eq!(PageArgs::default().check(0).map(|page| page.rows), Ok(50));
        let problems = args(101).check(0).expect_err("too long");
        assert_eq!(problems[0].message, "expected a number from 0 to 100");
        assert!(args(-1).check(0).is_err());
    }

    #[test]
    fn a_cursor_is_of_one_order() {
        let cursor = Cursor { order: 2, key: -5, id: Uuid::from_u128(7) };
        let mut args = args(1);
        args.after = Some(cursor.to_string());
        assert_eq!(args.check(2).map(|page| page.after), Ok(Some(cursor)));
        assert_eq!(args.check(1).expect_err("another order")[0].field, "after");
        args.after = Some("nonsense".to_owned());
        assert!(args.check(2).is_err());
    }
}
