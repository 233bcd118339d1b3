//! Many rows in one statement, in a few fixed sizes: each size is one prepared statement, and the
//! number of bound values stays below what the engines take (SQLite 32,766, PostgreSQL 65,535).

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use crate::error::Result;

/// Rows of one statement, greatest first.
pub(super) const SIZES: [usize; 4] = [128, 32, 8, 1];

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
    for run in runs(&rows) {
        E::insert_many(run.iter().cloned()).exec_without_returning(db).await?;
    }
    Ok(())
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
