//! The filter language in SQL: turns a [`Filter`] into a condition on the table `event`.
//!
//! Called by the event store for pages and tails. It says exactly what `domain/filter/evaluate.rs`
//! says in memory, on both engines and for every input; `tests/it/filter.rs` holds the two
//! together. Every value is a bound parameter, the text of the statement is made of constants.
//!
//! How the engines are brought to agree:
//! - **Missing fields.** A comparison with NULL is NULL, and so would be its `NOT`. Each comparison
//!   of a column that may be NULL is `column IS NOT NULL AND …`, which is true or false, so that
//!   `NOT` is the complement; a planner still sees the comparison and its index.
//! - **`ct`** is `instr` or `strpos` over `lower`, which leave `%` and `_` alone. `lower` folds
//!   ASCII only on SQLite (as built without ICU) and on PostgreSQL under the collation "C".
//! - **Order of bytes**: BINARY is SQLite's default; PostgreSQL is asked for "C". Equality needs no
//!   collation, so that any index serves it. An index for order or for `sw` on PostgreSQL is one on
//!   `column COLLATE "C"`.
//! - **`sw`** is a range, `start <= column < the first text behind all that start so`, which an
//!   index serves on both engines (SQLite's `LIKE` folds case, PostgreSQL's does not).

use entity::{Instant, TypedId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{Condition, DbBackend, Value as Bound};

use super::page;
use crate::domain::filter::{Field, Filter, Kind, Op, Value, archived_until_ms, boolean_passes};

/// The retention class of what Belfry writes itself.
const OWN: &str = "SYSTEM";
/// The table whose columns the condition names.
const TABLE: &str = "event";

/// The condition that holds for the rows of `event` that pass `filter` at `now`, when events are
/// archived `archive_after_ms` after they were recorded.
#[must_use]
pub fn condition(
    filter: &Filter,
    backend: DbBackend,
    now: Instant,
    archive_after_ms: i64,
) -> Condition {
    let dialect = Dialect { backend, archived_until_ms: archived_until_ms(now, archive_after_ms) };
    dialect.condition(filter)
}

struct Dialect {
    backend: DbBackend,
    archived_until_ms: i64,
}

impl Dialect {
    fn condition(&self, filter: &Filter) -> Condition {
        match filter {
            // An empty condition would disappear from the statement instead of deciding.
            Filter::And(parts) if parts.is_empty() => constant(Truth::Always).into(),
            Filter::Or(parts) if parts.is_empty() => constant(Truth::Never).into(),
            Filter::And(parts) => {
                parts.iter().fold(Condition::all(), |all, part| all.add(self.condition(part)))
            }
            Filter::Or(parts) => {
                parts.iter().fold(Condition::any(), |any, part| any.add(self.condition(part)))
            }
            Filter::Not(part) => Condition::all().add(self.condition(part)).not(),
            Filter::Compare { field, op, value } => self.comparison(*field, *op, value).into(),
        }
    }

    fn comparison(&self, field: Field, op: Op, value: &Value) -> Expr {
        if field == Field::IsArchived {
            return self.archived(op, value);
        }
        let column = Expr::col((TABLE, column(field)));
        if op == Op::IsNull {
            return match value {
                Value::Boolean(true) => column.is_null(),
                Value::Boolean(false) => column.is_not_null(),
                _ => constant(Truth::Never),
            };
        }
        match self.test(&column, field, op, value) {
            None => constant(Truth::Never),
            Some(test) if field.is_optional() => column.is_not_null().and(test),
            Some(test) => test,
        }
    }

    /// The comparison of a column that is not NULL; nothing when the value is of another kind.
    fn test(&self, column: &Expr, field: Field, op: Op, value: &Value) -> Option<Expr> {
        let (column, kind) = (column.clone(), field.kind());
        Some(match (op, value) {
            (Op::In, Value::List(items)) => {
                column.is_in(items.iter().filter_map(|item| bound(kind, item)))
            }
            (Op::Nin, Value::List(items)) => {
                let items: Option<Vec<_>> = items.iter().map(|item| bound(kind, item)).collect();
                column.is_not_in(items?)
            }
            (Op::Contains, Value::Text(part)) if is_text(kind) => {
                page::contains(column, part, self.backend)
            }
            (Op::StartsWith, Value::Text(start)) if is_text(kind) => {
                self.starts_with(column, start)
            }
            (Op::In | Op::Nin | Op::Contains | Op::StartsWith | Op::IsNull, _) => return None,
            (Op::Eq, _) => column.eq(bound(kind, value)?),
            (Op::Neq, _) => column.ne(bound(kind, value)?),
            (Op::Gt, _) => self.ordered(column, kind).gt(bound(kind, value)?),
            (Op::Gte, _) => self.ordered(column, kind).gte(bound(kind, value)?),
            (Op::Lt, _) => self.ordered(column, kind).lt(bound(kind, value)?),
            (Op::Lte, _) => self.ordered(column, kind).lte(bound(kind, value)?),
        })
    }

    /// Age decides, for Belfry's own events: whatever is asked of the boolean becomes a question
    /// about `class` and `created_at`.
    fn archived(&self, op: Op, value: &Value) -> Expr {
        let created_at = Expr::col((TABLE, "created_at"));
        let class = Expr::col((TABLE, "class"));
        match (boolean_passes(true, op, value), boolean_passes(false, op, value)) {
            (true, true) => constant(Truth::Always),
            (true, false) => class.eq(OWN).and(created_at.lte(self.archived_until_ms)),
            (false, true) => class.ne(OWN).or(created_at.gt(self.archived_until_ms)),
            (false, false) => constant(Truth::Never),
        }
    }

    fn starts_with(&self, column: Expr, start: &str) -> Expr {
        let column = self.ordered(column, Kind::Text);
        let from = column.clone().gte(start);
        match behind(start) {
            Some(behind) => from.and(column.lt(behind)),
            None => from,
        }
    }

    /// The column as one whose texts order by bytes.
    fn ordered(&self, column: Expr, kind: Kind) -> Expr {
        match self.backend {
            DbBackend::Postgres if is_text(kind) => {
                Expr::cust_with_exprs(r#"$1 COLLATE "C""#, [column])
            }
            _ => column,
        }
    }
}

enum Truth {
    Always,
    Never,
}

/// A condition without a column; literals `TRUE` and `FALSE` would be bound parameters.
fn constant(truth: Truth) -> Expr {
    match truth {
        Truth::Always => Expr::cust("1 = 1"),
        Truth::Never => Expr::cust("1 = 0"),
    }
}

/// The parameter that stands for `value` beside a column of `kind`; nothing when it is of another.
fn bound(kind: Kind, value: &Value) -> Option<Bound> {
    match (kind, value) {
        (_, Value::Text(text)) if is_text(kind) => Some(text.as_str().into()),
        (Kind::Severity, Value::Severity(severity)) => Some(severity.level().into()),
        (Kind::EventId, Value::EventId(id)) => Some(id.uuid().into()),
        (Kind::TriggerId, Value::TriggerId(id)) => Some(id.uuid().into()),
        (Kind::FiringId, Value::FiringId(id)) => Some(id.uuid().into()),
        (Kind::Instant, Value::Instant(instant)) => Some(instant.millis().into()),
        (Kind::Boolean, Value::Boolean(boolean)) => Some((*boolean).into()),
        _ => None,
    }
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::UpperCase | Kind::Choice(_))
}

/// The least text, in the order of bytes, that lies behind every text which begins with `start`:
/// its last character raised by one, which UTF-8 orders as its code point does. None when no
/// character can be raised.
fn behind(start: &str) -> Option<String> {
    let mut kept = start.trim_end_matches(char::MAX).to_owned();
    let last = kept.pop()?;
    let next = match last {
        // The code points between are surrogates, which are no characters.
        '\u{d7ff}' => '\u{e000}',
        _ => char::from_u32(u32::from(last) + 1)?,
    };
    kept.push(next);
    Some(kept)
}

fn column(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Type => "type",
        Field::Severity => "severity",
        Field::Component => "component",
        Field::Environment => "environment",
        Field::Email => "email",
        Field::Message => "message",
        Field::CreatedAt | Field::IsArchived => "created_at",
        Field::TriggerId => "trigger_id",
        Field::TriggerName => "trigger_name",
        Field::FiringId => "firing_id",
        Field::Cause => "cause",
        Field::ScheduleKind => "schedule_kind",
        Field::Outcome => "outcome",
        Field::CorrelationId => "correlation_id",
        Field::IsTest => "is_test",
    }
}

#[cfg(test)]
mod tests {
    use super::{behind, condition};
    use crate::domain::filter::Filter;
    use entity::Instant;
    use sea_orm::DbBackend;
    use sea_orm::sea_query::{PostgresQueryBuilder, Query, SqliteQueryBuilder};

    fn sql(text: &str, backend: DbBackend) -> String {
        let filter = Filter::parse(text).expect("it parses");
        let condition = condition(&filter, backend, Instant::from_millis(9_000), 2_000);
        let query = Query::select().column("id").from("event").cond_where(condition).take();
        let (sql, _) = match backend {
            DbBackend::Postgres => query.build(PostgresQueryBuilder),
            _ => query.build(SqliteQueryBuilder),
        };
        sql.split_once(" WHERE ").expect("a condition").1.replace("\"event\".", "")
    }

    #[test]
    fn values_are_parameters_and_missing_fields_are_guarded() {
        assert_eq!(
            sql("email eq 'x'' OR 1=1 --' AND type neq '$1 ?'", DbBackend::Sqlite),
            r#""email" IS NOT NULL AND "email" = ? AND "type" <> ?"#
        );
        assert_eq!(
            sql("NOT (cause in ('API', 'TIMER') OR email isNull)", DbBackend::Postgres),
            r#"NOT (("cause" IS NOT NULL AND "cause" IN ($1, $2)) OR "email" IS NULL)"#
        );
    }

    #[test]
    fn postgres_is_asked_for_bytes_and_sqlite_has_them() {
        let text = "type ct 'A%' AND type sw 'a.' AND type lte 'b'";
        assert_eq!(
            sql(text, DbBackend::Postgres),
            "(strpos(lower(\"type\" COLLATE \"C\"), $1) > 0) \
             AND ((\"type\" COLLATE \"C\") >= $2 AND (\"type\" COLLATE \"C\") < $3) \
             AND (\"type\" COLLATE \"C\") <= $4"
        );
        assert_eq!(
            sql(text, DbBackend::Sqlite),
            r#"(instr(lower("type"), ?) > 0) AND ("type" >= ? AND "type" < ?) AND "type" <= ?"#
        );
    }

    #[test]
    fn archived_asks_for_the_age() {
        let archived = |text| sql(text, DbBackend::Sqlite);
        assert_eq!(archived("isArchived eq true"), r#""class" = ? AND "created_at" <= ?"#);
        assert_eq!(archived("isArchived neq true"), r#""class" <> ? OR "created_at" > ?"#);
        assert_eq!(archived("isArchived in (true, false)"), "1 = 1");
        assert_eq!(archived("isArchived isNull"), "1 = 0");
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_text_that_does_not_start_so() {
        assert_eq!(behind("app.").as_deref(), Some("app/"));
        assert_eq!(behind("a\u{7f}").as_deref(), Some("a\u{80}"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!((behind("\u{10ffff}"), behind("")), (None, None));
    }
}
