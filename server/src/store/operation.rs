//! Operations: long work over many rows, a step at a time.

use entity::firing;
use entity::operation::{Column, Entity, Kind, Model, Status};
use entity::{Instant, OperationId, ProjectId, ScheduleId, TypedId};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, FromQueryResult, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};

use super::page::{self, Sort, compare};
use super::{Change, Store, ensure_affected, sql};
use crate::domain::comparator::Comparator;
use crate::domain::page::{Page, Slice};
use crate::error::Result;

/// Lists are by creation, newest first.
pub const SORT: Sort<Column> =
    Sort { code: 0, key: None, id: Column::Id, is_descending: true, is_key_unique: false };

/// What a firing came to that was never executed to its end, and will not be.
pub(super) const GONE: [firing::Status; 3] =
    [firing::Status::Skipped, firing::Status::Cancelled, firing::Status::Abandoned];

/// Which operations a list shows; every set condition must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By what they do.
    pub kind: Option<Comparator<Kind>>,
    /// By where they stand.
    pub status: Option<Comparator<Status>>,
    /// By the trigger that they are about.
    pub trigger: Option<Comparator<entity::TriggerId>>,
}

/// One operation.
pub async fn find(store: &Store, project: ProjectId, id: OperationId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// Where the engine stands in its turn through the operations of all projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The last project whose first operation was taken.
    after: ProjectId,
    /// How often the turn came round.
    round: i64,
}

impl Default for Turn {
    fn default() -> Self {
        Self { after: ProjectId(uuid::Uuid::nil()), round: 0 }
    }
}

/// Those that go on, `rows_max` at most, and the turn after them. Projects come in turn, and the
/// operations of one in turn too, so that neither a project with many of them nor one that does not
/// get on delays another.
pub async fn running(
    store: &Store,
    turn: Turn,
    rows_max: u64,
) -> Result<(Vec<(ProjectId, OperationId)>, Turn)> {
    #[derive(FromQueryResult)]
    struct Row {
        project_id: ProjectId,
        id: OperationId,
        turn: i64,
    }
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let values: [Value; 3] = [turn.round.into(), turn.after.uuid().into(), rows_max.into()];
    let sql = include_str!("operation_running.sql");
    let statement = sql::statement(store.backend(), sql, values);
    let rows = Row::find_by_statement(statement).all(store.readers()).await?;
    let led = rows.iter().take_while(|row| row.turn == 0);
    let is_round =
        led.clone().count() < rows.len() || led.clone().any(|row| row.project_id <= turn.after);
    let next = Turn {
        after: led.last().map_or(turn.after, |row| row.project_id),
        round: turn.round + i64::from(is_round),
    };
    Ok((rows.into_iter().map(|row| (row.project_id, row.id)).collect(), next))
}

/// One operation, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: OperationId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).lock_exclusive().one(change.tx()).await?)
}

/// One operation that goes on and that nobody else works on now.
pub async fn get_idle(
    change: &Change,
    project: ProjectId,
    id: OperationId,
) -> Result<Option<Model>> {
    let select = of(project).filter(Column::Id.eq(id)).filter(is_running());
    let select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(select.one(change.tx()).await?)
}

/// How many of a project go on.
pub async fn count_running(change: &Change, project: ProjectId) -> Result<u64> {
    Ok(of(project).filter(is_running()).count(change.tx()).await?)
}

/// How many firings of an operation are not over.
pub async fn count_open(change: &Change, project: ProjectId, id: OperationId) -> Result<u64> {
    Ok(open_firings(project, id).count(change.tx()).await?)
}

/// The firings of an operation that nobody has begun.
pub async fn get_waiting(
    change: &Change,
    project: ProjectId,
    id: OperationId,
) -> Result<Vec<firing::Model>> {
    let select = open_firings(project, id)
        .filter(firing::Column::Status.eq(firing::Status::Scheduled))
        .filter(firing::Column::Epoch.eq(0))
        .order_by_asc(firing::Column::Id)
        .lock_exclusive();
    Ok(select.all(change.tx()).await?)
}

/// The instants of a schedule from `from` on and up to `until` that fired, or that still will.
pub async fn get_present(
    change: &Change,
    project: ProjectId,
    schedule: ScheduleId,
    (from, until): (Instant, Instant),
) -> Result<Vec<Instant>> {
    use firing::Column as C;
    let mut present = Vec::new();
    // Written out, each in the words of an index of its own.
    for cause in ["firing.cause = 'SCHEDULE'", "firing.cause = 'BACKFILL'"] {
        let instants = firing::Entity::find()
            .select_only()
            .column(C::NominalAt)
            .filter(Expr::cust(cause))
            .filter(C::ProjectId.eq(project))
            .filter(C::ScheduleId.eq(schedule))
            .filter(C::NominalAt.gte(from))
            .filter(C::NominalAt.lte(until))
            .filter(C::Status.is_not_in(GONE))
            .into_tuple::<Instant>()
            .all(change.tx())
            .await?;
        present.extend(instants);
    }
    Ok(present)
}

/// A page of operations.
pub async fn list(
    store: &Store,
    project: ProjectId,
    filter: &Filter,
    page: &Page,
) -> Result<Slice<Model>> {
    let select = of(project).filter(condition(filter));
    page::read(store.readers(), select, SORT, page, |row| (0, row.id.uuid())).await
}

/// How many match.
pub async fn count(store: &Store, project: ProjectId, filter: &Filter) -> Result<u64> {
    Ok(of(project).filter(condition(filter)).count(store.readers()).await?)
}

/// Adds an operation.
pub async fn insert(change: &Change, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(change.tx()).await?;
    Ok(())
}

/// Replaces the row.
pub async fn set(change: &Change, row: &Model) -> Result<()> {
    let done = Entity::update_many()
        .set(row.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(row.id))
        .filter(Column::ProjectId.eq(row.project_id))
        .exec(change.tx())
        .await?;
    ensure_affected(done.rows_affected, "operation")
}

fn open_firings(project: ProjectId, id: OperationId) -> sea_orm::Select<firing::Entity> {
    firing::Entity::find()
        .filter(firing::Column::ProjectId.eq(project))
        .filter(firing::Column::OperationId.eq(id))
        // In the words of the index `firing_operation`.
        .filter(Expr::cust("firing.status IN ('SCHEDULED', 'EXECUTING', 'RETRYING')"))
}

/// In the words of the index `operation_running`.
fn is_running() -> sea_orm::sea_query::SimpleExpr {
    Expr::cust("operation.status = 'RUNNING'")
}

fn of(project: ProjectId) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project))
}

fn condition(filter: &Filter) -> Condition {
    let mut all = Condition::all();
    if let Some(kind) = &filter.kind {
        all = all.add(compare(Column::Kind, kind));
    }
    if let Some(status) = &filter.status {
        all = all.add(compare(Column::Status, status));
    }
    if let Some(trigger) = &filter.trigger {
        all = all.add(compare(Column::TriggerId, trigger));
    }
    all
}
