//! The tables of a project, and a row of any of them as JSON and back.
//!
//! Written over the description of the columns, so that a new column is carried without another
//! word. A new table is one entry of [`all`]; a test finds the one that was forgotten.

use async_trait::async_trait;
use entity::{
    ProjectId, action, action_version, api_key, attempt, calendar, event, firing, idempotency,
    operation, project, schedule, schedule_calendar, trigger, trigger_version,
};
use futures_util::TryStreamExt as _;
use sea_orm::sea_query::{ColumnType, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IdenStatic as _,
    IntoActiveModel, Iterable as _, ModelTrait, PaginatorTrait as _, PrimaryKeyToColumn as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select, TryIntoModel,
    Value as Cell,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::export::Sink;
use super::to_hex;
use crate::error::Result;
use crate::store::{Change, bulk};

/// A row as a line has it.
pub(super) type Row = Map<String, Value>;

/// One table, whatever its rows are.
#[async_trait]
pub(super) trait Table: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The rows of a project.
    async fn count(&self, db: &DatabaseTransaction, project: ProjectId) -> Result<u64>;
    /// Writes them, always in the same order.
    async fn write(
        &self,
        db: &DatabaseTransaction,
        project: ProjectId,
        sink: &mut Sink<'_>,
    ) -> Result<()>;
    /// Adds one row that [`Table::write`] wrote to those that the next [`Table::flush`] inserts.
    /// An error says what is wrong with the row.
    fn push(&mut self, row: &Row) -> Result<(), String>;
    /// How many were pushed and not inserted.
    fn pushed(&self) -> usize;
    /// Inserts what was pushed.
    async fn flush(&mut self, change: &Change) -> Result<()>;
}

/// Every table in which a project has rows, each after those that it refers to. The log is last: on
/// PostgreSQL whoever adds to it holds up everybody else who does.
pub(super) fn all() -> Vec<Box<dyn Table>> {
    vec![
        Of::boxed(project::Entity::find_by_id),
        Of::boxed(|id| of::<api_key::Entity>(id, api_key::Column::ProjectId)),
        Of::boxed(|id| of::<action::Entity>(id, action::Column::ProjectId)),
        Of::boxed(versions_of_actions),
        Of::boxed(|id| of::<trigger::Entity>(id, trigger::Column::ProjectId)),
        Of::boxed(versions_of_triggers),
        Of::boxed(|id| of::<calendar::Entity>(id, calendar::Column::ProjectId)),
        Of::boxed(|id| of::<schedule::Entity>(id, schedule::Column::ProjectId)),
        Of::boxed(calendars_of_schedules),
        Of::boxed(|id| of::<operation::Entity>(id, operation::Column::ProjectId)),
        Of::boxed(|id| of::<firing::Entity>(id, firing::Column::ProjectId)),
        Of::boxed(|id| of::<attempt::Entity>(id, attempt::Column::ProjectId)),
        Of::boxed(keys_of_clients),
        Box::new(Log(Of::new(log))),
    ]
}

/// The rows of a project in the order of their ids.
fn of<E: EntityTrait>(project: ProjectId, column: E::Column) -> Select<E> {
    let ordered =
        E::PrimaryKey::iter().fold(E::find(), |select, key| select.order_by_asc(key.into_column()));
    ordered.filter(column.eq(project))
}

fn calendars_of_schedules(project: ProjectId) -> Select<schedule_calendar::Entity> {
    use schedule_calendar::{Column, Entity};
    let schedules = of::<schedule::Entity>(project, schedule::Column::ProjectId);
    Entity::find()
        .filter(Column::ScheduleId.in_subquery(ids(schedules, schedule::Column::Id)))
        .order_by_asc(Column::CalendarId)
        .order_by_asc(Column::ScheduleId)
}

fn versions_of_actions(project: ProjectId) -> Select<action_version::Entity> {
    use action_version::{Column, Entity};
    let actions = of::<action::Entity>(project, action::Column::ProjectId);
    Entity::find()
        .filter(Column::ActionId.in_subquery(ids(actions, action::Column::Id)))
        .order_by_asc(Column::ActionId)
        .order_by_asc(Column::Number)
}

fn versions_of_triggers(project: ProjectId) -> Select<trigger_version::Entity> {
    use trigger_version::{Column, Entity};
    let triggers = of::<trigger::Entity>(project, trigger::Column::ProjectId);
    Entity::find()
        .filter(Column::TriggerId.in_subquery(ids(triggers, trigger::Column::Id)))
        .order_by_asc(Column::TriggerId)
        .order_by_asc(Column::Number)
}

/// By time and bytes first: the order of texts is another on each engine.
fn keys_of_clients(project: ProjectId) -> Select<idempotency::Entity> {
    use idempotency::{Column, Entity};
    Entity::find()
        .filter(Column::ProjectId.eq(project))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::InputHash)
        .order_by_asc(Column::Key)
}

fn log(project: ProjectId) -> Select<event::Entity> {
    use event::{Column, Entity};
    Entity::find().filter(Column::ProjectId.eq(project)).order_by_asc(Column::Seq)
}

fn ids<E: EntityTrait>(select: Select<E>, id: E::Column) -> SelectStatement {
    select.select_only().column(id).into_query()
}

struct Of<E: EntityTrait> {
    select: fn(ProjectId) -> Select<E>,
    rows: Vec<E::ActiveModel>,
}

impl<E: EntityTrait> Of<E> {
    fn new(select: fn(ProjectId) -> Select<E>) -> Self {
        Self { select, rows: Vec::new() }
    }
}

impl<E> Of<E>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
    E::ActiveModel: Send + Sync,
{
    fn boxed(select: fn(ProjectId) -> Select<E>) -> Box<dyn Table> {
        Box::new(Self::new(select))
    }
}

#[async_trait]
impl<E> Table for Of<E>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
    E::ActiveModel: Send + Sync,
{
    fn name(&self) -> &'static str {
        E::default().table_name()
    }

    async fn count(&self, db: &DatabaseTransaction, project: ProjectId) -> Result<u64> {
        Ok((self.select)(project).count(db).await?)
    }

    async fn write(
        &self,
        db: &DatabaseTransaction,
        project: ProjectId,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let mut rows = (self.select)(project).stream(db).await?;
        while let Some(model) = rows.try_next().await? {
            let cells = carried::<E>()
                .map(|column| (column.as_str().to_owned(), to_json(model.get(column))));
            sink.row(self.name(), cells.collect())?;
        }
        Ok(())
    }

    fn push(&mut self, row: &Row) -> Result<(), String> {
        let mut active = <E::ActiveModel as ActiveModelTrait>::default();
        for column in carried::<E>() {
            let name = column.as_str();
            let value = row.get(name).ok_or_else(|| format!("{name} is missing"))?;
            let cell = from_json(column.def().get_column_type(), value);
            let cell = cell.ok_or_else(|| format!("{name} is not what the column holds"))?;
            let set = active.try_set(column, cell);
            set.map_err(|_| format!("{name} is not what the column holds"))?;
        }
        let is_known = |name: &&String| carried::<E>().any(|column| column.as_str() == *name);
        if let Some(name) = row.keys().find(|name| !is_known(name)) {
            return Err(format!("there is no column {name:?}"));
        }
        self.rows.push(active);
        Ok(())
    }

    fn pushed(&self) -> usize {
        self.rows.len()
    }

    async fn flush(&mut self, change: &Change) -> Result<()> {
        bulk::insert::<E, _>(change.tx(), std::mem::take(&mut self.rows).into_iter()).await
    }
}

/// The log, whose entries get their places when they are written.
struct Log(Of<event::Entity>);

#[async_trait]
impl Table for Log {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn count(&self, db: &DatabaseTransaction, project: ProjectId) -> Result<u64> {
        self.0.count(db, project).await
    }

    async fn write(
        &self,
        db: &DatabaseTransaction,
        project: ProjectId,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        self.0.write(db, project, sink).await
    }

    fn push(&mut self, row: &Row) -> Result<(), String> {
        self.0.push(row)
    }

    fn pushed(&self) -> usize {
        self.0.pushed()
    }

    async fn flush(&mut self, change: &Change) -> Result<()> {
        let mut entries = Vec::with_capacity(self.0.rows.len());
        for mut row in std::mem::take(&mut self.0.rows) {
            row.seq = sea_orm::ActiveValue::Set(0);
            entries.push(row.try_into_model()?);
        }
        Ok(crate::store::event::write(change.tx(), entries).await?)
    }
}

/// The columns that a line has: all but the place in the log.
fn carried<E: EntityTrait>() -> impl Iterator<Item = E::Column> {
    E::Column::iter().filter(|column| column.as_str() != event::Column::Seq.as_str())
}

fn to_json(cell: Cell) -> Value {
    match cell {
        Cell::Bool(cell) => cell.into(),
        Cell::SmallInt(cell) => cell.into(),
        Cell::Int(cell) => cell.into(),
        Cell::BigInt(cell) => cell.into(),
        Cell::String(cell) => cell.into(),
        Cell::Uuid(cell) => cell.map(|uuid| uuid.to_string()).into(),
        Cell::Bytes(cell) => cell.map(|bytes| to_hex(&bytes)).into(),
        _ => Value::Null,
    }
}

/// The cell of a column of this type; `None` when the value is none of that type.
fn from_json(column: &ColumnType, value: &Value) -> Option<Cell> {
    let is_null = value.is_null();
    let text = || value.as_str().map(str::to_owned);
    let cell = match column {
        ColumnType::Boolean => Cell::Bool(value.as_bool()),
        ColumnType::SmallInteger => {
            Cell::SmallInt(value.as_i64().and_then(|number| number.try_into().ok()))
        }
        ColumnType::Integer => Cell::Int(value.as_i64().and_then(|number| number.try_into().ok())),
        ColumnType::BigInteger => Cell::BigInt(value.as_i64()),
        ColumnType::Uuid => Cell::Uuid(value.as_str().and_then(|text| Uuid::parse_str(text).ok())),
        ColumnType::Blob | ColumnType::VarBinary(_) | ColumnType::Binary(_) => {
            Cell::Bytes(value.as_str().and_then(from_hex))
        }
        _ => Cell::String(text()),
    };
    (is_null == (cell == cell.as_null())).then_some(cell)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_even = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    if is_even { (0..text.len()).step_by(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_the_same_after_its_way_through_json() {
        let uuid = Uuid::from_u128(7);
        for (column, cell) in [
            (ColumnType::Boolean, Cell::Bool(Some(true))),
            (ColumnType::SmallInteger, Cell::SmallInt(Some(-3))),
            (ColumnType::Integer, Cell::Int(Some(i32::MAX))),
            (ColumnType::BigInteger, Cell::BigInt(Some(i64::MAX))),
            (ColumnType::Text, Cell::String(Some("\u{1F514}\n\"".to_owned()))),
            (ColumnType::Uuid, Cell::Uuid(Some(uuid))),
            (ColumnType::Blob, Cell::Bytes(Some(vec![0, 15, 255]))),
            (ColumnType::Uuid, Cell::Uuid(None)),
        ] {
            assert_eq!(from_json(&column, &to_json(cell.clone())), Some(cell));
        }
    }

    #[test]
    fn a_value_of_another_type_is_none() {
        for (column, value) in [
            (ColumnType::Boolean, json!(1)),
            (ColumnType::Integer, json!(2_147_483_648_i64)),
            (ColumnType::BigInteger, json!(0.5)),
            (ColumnType::Text, json!(7)),
            (ColumnType::Uuid, json!("no")),
            (ColumnType::Blob, json!("0")),
            (ColumnType::Blob, json!("é0")),
        ] {
            assert_eq!(from_json(&column, &value), None, "{value}");
        }
    }

    #[test]
    fn every_table_of_a_project_is_carried() {
        let names: Vec<&str> = all().iter().map(|table| table.name()).collect();
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../entity/src");
        for entry in std::fs::read_dir(sources).expect("the entities") {
            let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a text");
            let Some((_, rest)) = text.split_once("table_name = \"") else { continue };
            let name = rest.split('"').next().unwrap_or_default();
            // How far the log was deleted, and which database it is, are facts of a database.
            let is_own = ["log_floor", "installation"].contains(&name);
            assert!(names.contains(&name) || is_own, "{name} is not carried");
        }
    }
}
