//! The event log: append-only to clients, read by page or by tail.
//!
//! **Complete and ordered.** Once a reader holds a place in the log, no entry before it ever becomes
//! visible. SQLite has one writer, which numbers entries as it commits them. On PostgreSQL every
//! transaction raises the one row of `log_head` as its last step and numbers its entries from
//! there: the row's lock lets commits follow the numbers, and the row itself, read like any other,
//! is the head of what is visible. A transaction that stays open delays the log and loses nothing.

use entity::event::{Class, Column, Entity, Model};
use entity::{EventId, ProjectId, TypedId, log_floor};
use sea_orm::{
    ActiveValue, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    FromQueryResult, IdenStatic as _, IntoActiveModel, Iterable as _, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value,
};

use super::page::{self, Sort};
use super::{Change, Store, bulk, sql};
use crate::clock::stamped_at;
use crate::domain::outbox::Notice;
use crate::domain::page::{Page, Slice};
use crate::error::{Error, Result};

/// The order of the log. Its cursors are those of the live log, too.
#[must_use]
pub fn sort(is_descending: bool) -> Sort<Column> {
    let key = Some(Column::Seq);
    Sort { code: LOG_ORDER, key, id: Column::Id, is_descending, is_key_unique: true }
}

/// Names log order in cursors, whichever way it is read.
pub const LOG_ORDER: u8 = 10;

/// One entry.
pub async fn find(store: &Store, project: ProjectId, id: EventId) -> Result<Option<Model>> {
    Ok(of(project).filter(at_places(&[id])).one(store.readers()).await?)
}

/// Several entries, in any order.
pub async fn find_many(store: &Store, project: ProjectId, ids: &[EventId]) -> Result<Vec<Model>> {
    Ok(of(project).filter(at_places(ids)).all(store.readers()).await?)
}

/// A page of the log.
pub async fn list(
    store: &Store,
    project: ProjectId,
    filter: Condition,
    is_descending: bool,
    page: &Page,
) -> Result<Slice<Model>> {
    let select = of(project).filter(filter);
    let place = |row: &Model| (row.seq, row.id.uuid());
    page::read(store.readers(), select, sort(is_descending), page, place).await
}

/// How many match.
pub async fn count(store: &Store, project: ProjectId, filter: Condition) -> Result<u64> {
    Ok(of(project).filter(filter).count(store.readers()).await?)
}

/// Entries after `seq` and up to `until`, in log order.
pub async fn tail(
    store: &Store,
    project: ProjectId,
    filter: Condition,
    (after, until): (i64, i64),
    rows_max: u64,
) -> Result<Vec<Model>> {
    let select = of(project)
        .filter(Column::Seq.gt(after))
        .filter(Column::Seq.lte(until))
        .filter(filter)
        .order_by_asc(Column::Seq)
        .limit(rows_max);
    Ok(select.all(store.readers()).await?)
}

/// The greatest `seq` that was ever committed; 0 for an empty log.
pub async fn head(store: &Store) -> Result<i64> {
    #[derive(FromQueryResult)]
    struct Head {
        seq: i64,
    }
    let db = store.readers();
    // From the counter, so that a log that was deleted to the end keeps its place.
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT seq FROM log_head",
        _ => "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS seq",
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let head = Head::find_by_statement(statement).one(db).await?;
    Ok(head.map_or(0, |head| head.seq))
}

/// How far each class was deleted.
pub async fn floors(store: &Store) -> Result<Vec<(Class, i64)>> {
    let rows = log_floor::Entity::find().all(store.readers()).await?;
    Ok(rows.into_iter().map(|row| (row.class, row.seq)).collect())
}

/// Adds entries, in their order, and tells the bus. They are written when everything else of the
/// transaction is done.
pub async fn insert(change: &Change, rows: Vec<Model>) -> Result<()> {
    for row in newest_of_projects(&rows) {
        change.notify(Notice::Logged(row.project_id, row.id));
    }
    change.count(|tally| tally.log(&rows));
    change.log(rows);
    Ok(())
}

/// Writes what the changes of a transaction added, as its last step.
pub(super) async fn write(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let count = rows.len() as i64;
    let rows = rows.into_iter().map(|row| {
        let mut row = row.into_active_model();
        row.seq = ActiveValue::NotSet;
        row
    });
    let written = match db.get_database_backend() {
        DbBackend::Postgres => {
            let rows: Vec<_> = rows.collect();
            match bulk::json(&rows) {
                Ok(rows) => return db.execute_raw(numbered(count, rows)).await.map(drop),
                Err(error) => Err(error),
            }
        }
        _ => bulk::insert::<Entity, _>(db, rows).await,
    };
    written.map_err(|error| match error {
        Error::Database(error) => error,
        other => DbErr::Custom(other.to_string()),
    })
}

fn numbered(count: i64, rows: Value) -> Statement {
    let value = |column: Column| match column {
        Column::Seq => "head.base + entry.ordinality".to_owned(),
        other => format!("entry.\"{}\"", other.as_str()),
    };
    let values: Vec<String> = Column::iter().map(value).collect();
    let columns = bulk::columns::<Entity>();
    let text =
        format!(include_str!("event_insert.sql"), columns = columns, values = values.join(", "));
    sql::statement(DbBackend::Postgres, &text, [count.into(), count.into(), rows])
}

/// The rows of `ids`. An id says when it was made, which leads to the partition of its row.
fn at_places(ids: &[EventId]) -> Condition {
    let instants: Vec<i64> = ids.iter().map(|id| stamped_at(id.uuid()).millis()).collect();
    Condition::all()
        .add(Column::Id.is_in(page::uuids(ids)))
        .add(Column::CreatedAt.is_in(instants))
        .add(Column::Class.is_in([Class::App, Class::System]))
}

fn newest_of_projects(rows: &[Model]) -> impl Iterator<Item = &Model> {
    let is_newest = |index: usize, row: &Model| {
        rows[index + 1..].iter().all(|later| later.project_id != row.project_id)
    };
    rows.iter().enumerate().filter(move |(index, row)| is_newest(*index, row)).map(|(_, row)| row)
}

fn of(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project))
}
