//! Many rows in one statement.
//!
//! SQLite takes them as parameters, in a few fixed sizes: each size is one prepared statement, and
//! the number of bound values stays below its 32,766. PostgreSQL takes any number of them as one
//! parameter, a JSON array that it reads as rows of the table: one prepared statement, one value to
//! bind instead of thousands, and the types are the table's own.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, Value,
};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::sql;
use crate::error::{Error, Result};

/// Rows of one statement on SQLite, greatest first.
pub(super) const SIZES: [usize; 4] = [128, 32, 8, 1];
/// Rows of one statement on PostgreSQL: a few MiB at most, with payloads of the usual size.
const ROWS_MAX: usize = 1_000;

/// Splits `rows` into runs of the fixed sizes.
pub(super) fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (run, rest) = rows.split_at(size);
        rows = rest;
        Some(run)
    })
}

/// Inserts `rows`.
pub(super) async fn insert<E, A>(
    db: &impl ConnectionTrait,
    rows: impl Iterator<Item = A>,
) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let rows: Vec<A> = rows.collect();
    if db.get_database_backend() == DbBackend::Postgres {
        for run in rows.chunks(ROWS_MAX) {
            let columns = columns::<E>();
            let table = E::default().table_name().to_owned();
            // The row type by a row that is not there: `NULL::trigger` would be a type of
            // PostgreSQL's own.
            let statement = format!(
                "INSERT INTO \"{table}\" ({columns}) SELECT {columns} FROM json_populate_recordset(\
                 (SELECT source FROM \"{table}\" AS source LIMIT 0), ?::json)"
            );
            let statement = sql::statement(db.get_database_backend(), &statement, [json(run)?]);
            db.execute_raw(statement).await?;
        }
        return Ok(());
    }
    for run in runs(&rows) {
        E::insert_many(run.iter().cloned()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// The columns of a table, quoted and separated.
pub(super) fn columns<E: EntityTrait>() -> String {
    let quoted = E::Column::iter().map(|column| format!("\"{}\"", column.as_str()));
    quoted.collect::<Vec<_>>().join(", ")
}

/// Rows as the JSON array that PostgreSQL reads; what is NULL or not set is left out.
pub(super) fn json<A: ActiveModelTrait>(rows: &[A]) -> Result<Value> {
    let rows: Vec<Row<'_, A>> = rows.iter().map(Row).collect();
    let text = serde_json::to_string(&rows).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text.into())
}

/// Written as it is read from the model: at thousands of rows a second a tree in between shows.
struct Row<'a, A>(&'a A);

impl<A: ActiveModelTrait> Serialize for Row<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for column in <A::Entity as EntityTrait>::Column::iter() {
            if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = self.0.get(column) {
                entry(&mut object, column.as_str(), value)?;
            }
        }
        object.end()
    }
}

fn entry<M: SerializeMap>(
    object: &mut M,
    name: &'static str,
    value: Value,
) -> std::result::Result<(), M::Error> {
    match value {
        Value::Bool(Some(value)) => object.serialize_entry(name, &value),
        Value::SmallInt(Some(value)) => object.serialize_entry(name, &value),
        Value::Int(Some(value)) => object.serialize_entry(name, &value),
        Value::BigInt(Some(value)) => object.serialize_entry(name, &value),
        Value::String(Some(value)) => object.serialize_entry(name, &value),
        Value::Uuid(Some(value)) => object.serialize_entry(name, &format_args!("{value}")),
        Value::Bytes(Some(value)) => {
            let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            object.serialize_entry(name, &format_args!("\\x{digits}"))
        }
        Value::Bool(None)
        | Value::SmallInt(None)
        | Value::Int(None)
        | Value::BigInt(None)
        | Value::String(None)
        | Value::Uuid(None)
        | Value::Bytes(None) => Ok(()),
        other => Err(M::Error::custom(format!("no column holds {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_number_of_rows_is_cut_into_the_fixed_sizes() {
        let rows = vec![(); 128 + 32 + 32 + 8 + 1 + 1];
        let sizes: Vec<usize> = super::runs(&rows).map(<[()]>::len).collect();
        assert_eq!(sizes, [128, 32, 32, 8, 1, 1]);
    }
}
