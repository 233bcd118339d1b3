//! Raw statements for both engines, written once with `?` for a parameter.

use entity::TypedId;
use sea_orm::{DbBackend, Statement, Value};

/// `sql` with its parameters; PostgreSQL is given numbers for the `?`. No text in `sql` may contain
/// one, which is easy: every value is a parameter.
pub(super) fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    if backend != DbBackend::Postgres {
        return Statement::from_sql_and_values(backend, sql, values);
    }
    let mut numbered = String::with_capacity(sql.len() + 64);
    for (index, part) in sql.split('?').enumerate() {
        if 0 < index {
            numbered.push('$');
            numbered.push_str(&index.to_string());
        }
        numbered.push_str(part);
    }
    Statement::from_sql_and_values(backend, numbered, values)
}

/// The ids as one array, for PostgreSQL's `= ANY(?)`.
pub(super) fn array<T: TypedId>(ids: &[T]) -> Value {
    ids.iter().map(|id| id.uuid()).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::statement;
    use sea_orm::{DbBackend, Value};

    #[test]
    fn postgres_is_given_numbers() {
        let sql = |backend| statement(backend, "a = ? AND b = ?", [1, 2].map(Value::from)).sql;
        assert_eq!(sql(DbBackend::Postgres), "a = $1 AND b = $2");
        assert_eq!(sql(DbBackend::Sqlite), "a = ? AND b = ?");
    }
}
