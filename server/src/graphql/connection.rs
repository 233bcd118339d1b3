//! Relay connections: one shape for every list. Source: the GraphQL Cursor Connections
//! Specification.

use std::sync::Arc;

use async_graphql::SimpleObject;
use futures_util::future::BoxFuture;

use super::error::Result;
use crate::domain::page::PageArgs;
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};

/// Counts all rows of a list; asked only when `totalCount` is selected.
pub type Count = Arc<dyn Fn() -> BoxFuture<'static, crate::error::Result<u64>> + Send + Sync>;

/// Where a page lies in its list.
#[derive(SimpleObject, Clone, Debug)]
pub struct PageInfo {
    /// Rows follow this page.
    pub has_next_page: bool,
    /// Rows precede this page.
    pub has_previous_page: bool,
    /// Cursor of the first row of this page.
    pub start_cursor: Option<String>,
    /// Cursor of the last row of this page.
    pub end_cursor: Option<String>,
}

/// What one page may cost: its children times its rows, saturating.
pub fn cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let rows = first.or(last).and_then(|rows| usize::try_from(rows).ok());
    rows.unwrap_or(PAGE_ROWS_DEFAULT).min(PAGE_ROWS_MAX).saturating_mul(child).saturating_add(1)
}

/// The same of a list that is no connection, whose size is always known.
pub fn list_cost(first: i32, rows_max: usize, child: usize) -> usize {
    let rows = usize::try_from(first).unwrap_or(0).min(rows_max);
    rows.saturating_mul(child).saturating_add(1)
}

/// The arguments of a connection, in one value.
pub fn args(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageArgs {
    PageArgs { first, after, last, before }
}

/// The total, as GraphQL's `Int` can hold it.
pub async fn total(count: &Count) -> Result<i32> {
    Ok(i32::try_from(count().await?).unwrap_or(i32::MAX))
}

/// A connection type and its edge type for one noun.
macro_rules! connection {
    ($(#[$doc:meta])* $connection:ident, $edge:ident, $node:ident, $row:ty) => {
        $(#[$doc])*
        pub struct $connection {
            slice: $crate::domain::page::Slice<$row>,
            count: $crate::graphql::connection::Count,
        }

        /// One row of a page, with its place.
        #[derive(async_graphql::SimpleObject)]
        pub struct $edge {
            /// The place of the row; `after` and `before` take it.
            cursor: String,
            /// The row.
            node: $node,
        }

        /// A page of a list: rows with their places, and where the page lies.
        #[async_graphql::Object]
        impl $connection {
            /// The rows with their places.
            async fn edges(&self) -> Vec<$edge> {
                let edge = |(cursor, row): &($crate::domain::page::Cursor, $row)| $edge {
                    cursor: cursor.to_string(),
                    node: $node(row.clone()),
                };
                self.slice.rows.iter().map(edge).collect()
            }

            /// The rows alone.
            async fn nodes(&self) -> Vec<$node> {
                self.slice.rows.iter().map(|(_, row)| $node(row.clone())).collect()
            }

            /// Where this page lies in the list.
            async fn page_info(&self) -> $crate::graphql::connection::PageInfo {
                let cursor = |row: Option<&($crate::domain::page::Cursor, $row)>| {
                    row.map(|(cursor, _)| cursor.to_string())
                };
                $crate::graphql::connection::PageInfo {
                    has_next_page: self.slice.has_next,
                    has_previous_page: self.slice.has_previous,
                    start_cursor: cursor(self.slice.rows.first()),
                    end_cursor: cursor(self.slice.rows.last()),
                }
            }

            /// Rows of the whole list; counted only when selected.
            async fn total_count(&self) -> $crate::graphql::error::Result<i32> {
                $crate::graphql::connection::total(&self.count).await
            }
        }
    };
}

pub(super) use connection;
