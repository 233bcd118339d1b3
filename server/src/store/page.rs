//! Reads one page of any table by keyset, and turns filters into conditions.

use entity::TypedId;
use sea_orm::sea_query::{Expr, IntoCondition, SimpleExpr, Value};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
};
use sea_orm::{Order, QuerySelect, Select};
use uuid::Uuid;

use crate::domain::comparator::Comparator;
use crate::domain::page::{Cursor, Page, Slice};
use crate::error::Result;

/// The order of a list.
#[derive(Clone, Copy, Debug)]
pub struct Sort<C> {
    /// Names the order in cursors.
    pub code: u8,
    /// What is sorted by; `None` sorts by `id` alone.
    pub key: Option<C>,
    /// What breaks ties.
    pub id: C,
    /// Greatest first.
    pub is_descending: bool,
    /// No two rows have the same key, so that the id need not break ties.
    pub is_key_unique: bool,
}

/// Reads `page` of `select`; `place` tells the key and the id of a row.
pub(super) async fn read<E, F>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    sort: Sort<E::Column>,
    page: &Page,
    place: F,
) -> Result<Slice<E::Model>>
where
    E: EntityTrait,
    F: Fn(&E::Model) -> (i64, Uuid),
{
    let is_rising = sort.is_descending == page.is_backward;
    let mut select = select;
    if let Some(cursor) = page.after {
        select = select.filter(beyond(sort, cursor, !sort.is_descending));
    }
    if let Some(cursor) = page.before {
        select = select.filter(beyond(sort, cursor, sort.is_descending));
    }
    let order = if is_rising { Order::Asc } else { Order::Desc };
    if let Some(key) = sort.key {
        select = select.order_by(key, order.clone());
    }
    let limit = page.rows as u64 + 1;
    let mut rows = select.order_by(sort.id, order).limit(limit).all(db).await?;
    let has_more = page.rows < rows.len();
    rows.truncate(page.rows);
    if page.is_backward {
        rows.reverse();
    }
    let rows = rows.into_iter().map(|row| {
        let (key, id) = place(&row);
        (Cursor { order: sort.code, key, id }, row)
    });
    Ok(Slice {
        rows: rows.collect(),
        has_previous: if page.is_backward { has_more } else { page.after.is_some() },
        has_next: if page.is_backward { page.before.is_some() } else { has_more },
    })
}

/// Rows whose place lies after (`is_greater`) or before the cursor.
fn beyond<C: ColumnTrait>(sort: Sort<C>, cursor: Cursor, is_greater: bool) -> Condition {
    let compare = |column: C, value: Value| -> SimpleExpr {
        if is_greater { column.gt(value) } else { column.lt(value) }
    };
    let Some(key) = sort.key else {
        return compare(sort.id, cursor.id.into()).into_condition();
    };
    if sort.is_key_unique {
        return compare(key, cursor.key.into()).into_condition();
    }
    Condition::any()
        .add(compare(key, cursor.key.into()))
        .add(Condition::all().add(key.eq(cursor.key)).add(compare(sort.id, cursor.id.into())))
}

/// The condition that `comparator` puts on `column`: true or false, also where the column is NULL,
/// so that a `NOT` around it is its complement.
pub(super) fn compare<C, T>(column: C, comparator: &Comparator<T>) -> Condition
where
    C: ColumnTrait,
    T: Clone + Into<Value>,
{
    let mut parts = Vec::new();
    let mut add = |value: &Option<T>, with: fn(&C, Value) -> SimpleExpr| {
        if let Some(value) = value {
            parts.push(with(&column, value.clone().into()));
        }
    };
    add(&comparator.eq, |column, value| column.eq(value));
    add(&comparator.neq, |column, value| column.ne(value));
    add(&comparator.gt, |column, value| column.gt(value));
    add(&comparator.gte, |column, value| column.gte(value));
    add(&comparator.lt, |column, value| column.lt(value));
    add(&comparator.lte, |column, value| column.lte(value));
    let mut all = parts.into_iter().fold(Condition::all(), Condition::add);
    let is_compared = !all.is_empty() || comparator.is_in.is_some() || comparator.nin.is_some();
    if is_compared {
        all = all.add(column.is_not_null());
    }
    let values = |list: &[T]| list.iter().cloned().map(Into::into).collect::<Vec<Value>>();
    if let Some(list) = &comparator.is_in {
        all = all.add(column.is_in(values(list)));
    }
    if let Some(list) = &comparator.nin {
        all = all.add(column.is_not_in(values(list)));
    }
    match comparator.is_null {
        Some(true) => all.add(column.is_null()),
        Some(false) => all.add(column.is_not_null()),
        None => all,
    }
}

/// [`compare`] for text, with `contains` (folding ASCII) and `startsWith`.
pub(super) fn compare_text<C: ColumnTrait>(
    column: C,
    comparator: &Comparator<String>,
    backend: DbBackend,
) -> Condition {
    let mut all = compare(column, comparator);
    if comparator.contains.is_some() || comparator.starts_with.is_some() {
        all = all.add(column.is_not_null());
    }
    let whole = || Expr::col(column.as_column_ref());
    if let Some(text) = &comparator.contains {
        all = all.add(contains(whole(), text, backend));
    }
    if let Some(text) = &comparator.starts_with {
        let starts = match backend {
            DbBackend::Postgres => "strpos($1, $2) = 1",
            _ => "instr(?, ?) = 1",
        };
        all = all.add(Expr::cust_with_exprs(starts, [whole(), Expr::val(text.clone())]));
    }
    all
}

/// Whether `part` stands in a text, whichever case its ASCII letters have. No wildcard has to be
/// escaped, and under the collation "C" PostgreSQL's `lower` folds ASCII only, as SQLite's does.
pub(super) fn contains(column: Expr, part: &str, backend: DbBackend) -> Expr {
    let part = Expr::val(part.to_ascii_lowercase());
    let found = match backend {
        DbBackend::Postgres => r#"strpos(lower($1 COLLATE "C"), $2) > 0"#,
        _ => "instr(lower(?), ?) > 0",
    };
    Expr::cust_with_exprs(found, [column, part])
}

/// The ids of a list as values to bind.
pub(super) fn uuids<T: TypedId>(ids: &[T]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}
