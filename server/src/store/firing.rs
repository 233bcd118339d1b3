//! Firings as clients see and change them. The engine's own statements are in `claim.rs`,
//! `record.rs`, `plan.rs` and `sweep.rs`.

use entity::firing::{Cause, Column, Entity, Model, Status};
use entity::{FiringId, Instant, OperationId, ProjectId, ScheduleId, TriggerId, TypedId, trigger};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::page::{self, Sort, compare, compare_text};
use super::{Change, Store, bulk};
use crate::domain::comparator::Comparator;
use crate::domain::page::{Page, Slice};
use crate::error::Result;
use crate::limits::TRIGGER_END_ROWS_MAX;

/// Which firings a list shows; every set condition must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By trigger.
    pub trigger: Option<Comparator<TriggerId>>,
    /// By schedule.
    pub schedule: Option<Comparator<ScheduleId>>,
    /// By the operation that made it.
    pub operation: Option<Comparator<OperationId>>,
    /// By status.
    pub status: Option<Comparator<Status>>,
    /// By cause.
    pub cause: Option<Comparator<Cause>>,
    /// By creation.
    pub created_at: Option<Comparator<Instant>>,
    /// By when it is or was due.
    pub due_at: Option<Comparator<Instant>>,
    /// By the instant that it stands for.
    pub nominal_at: Option<Comparator<Instant>>,
    /// By the client's word.
    pub correlation_id: Option<Comparator<String>>,
    /// Of test triggers only, or none; either when not set.
    pub is_test: Option<bool>,
    /// All of these.
    pub and: Vec<Filter>,
    /// One of these, when there are any.
    pub or: Vec<Filter>,
    /// Not this.
    pub not: Option<Box<Filter>>,
}

/// What a list of firings is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// By creation.
    CreatedAt,
    /// By when it is or was due.
    DueAt,
    /// By the instant that it stands for.
    NominalAt,
}

/// The order of a list.
#[must_use]
pub fn sort(key: SortKey, is_descending: bool) -> Sort<Column> {
    let (code, key) = match key {
        SortKey::CreatedAt => (0, None),
        SortKey::DueAt => (2, Some(Column::DueAt)),
        SortKey::NominalAt => (4, Some(Column::NominalAt)),
    };
    let code = code + u8::from(is_descending);
    Sort { code, key, id: Column::Id, is_descending, is_key_unique: false }
}

/// One firing.
pub async fn find(store: &Store, project: ProjectId, id: FiringId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).one(store.readers()).await?)
}

/// Several firings, in any order.
pub async fn find_many(store: &Store, project: ProjectId, ids: &[FiringId]) -> Result<Vec<Model>> {
    let select = of(project).filter(Column::Id.is_in(page::uuids(ids)));
    Ok(select.all(store.readers()).await?)
}

/// One firing, as a change sees it.
pub async fn get(change: &Change, project: ProjectId, id: FiringId) -> Result<Option<Model>> {
    Ok(of(project).filter(Column::Id.eq(id)).lock_exclusive().one(change.tx()).await?)
}

/// The firings of a trigger that are not over: what its deletion cancels.
pub async fn get_open_of_trigger(
    change: &Change,
    project: ProjectId,
    trigger: TriggerId,
) -> Result<Vec<Model>> {
    let select = open_of_trigger(project, trigger).order_by_asc(Column::Id).lock_exclusive();
    Ok(select.all(change.tx()).await?)
}

/// Those of a trigger that are being executed.
pub async fn get_executing_of_trigger(
    change: &Change,
    project: ProjectId,
    trigger: TriggerId,
) -> Result<Vec<Model>> {
    let select = of(project)
        .filter(Column::TriggerId.eq(trigger))
        .filter(Column::Status.eq(Status::Executing));
    Ok(select.order_by_asc(Column::Id).lock_exclusive().all(change.tx()).await?)
}

/// A batch of what the deletion of `trigger` left to cancel, after the firing `after`; what somebody
/// else has in hand is left out.
pub async fn get_ending_of_trigger(
    change: &Change,
    trigger: &trigger::Model,
    after: Option<FiringId>,
) -> Result<Vec<Model>> {
    let select = ending_of_trigger(trigger)
        .filter(Condition::all().add_option(after.map(|after| Column::Id.gt(after))))
        .order_by_asc(Column::Id)
        .limit(TRIGGER_END_ROWS_MAX as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(select.all(change.tx()).await?)
}

/// Whether the deletion of `trigger` left anything to cancel.
pub async fn is_any_ending(change: &Change, trigger: &trigger::Model) -> Result<bool> {
    let select = ending_of_trigger(trigger).select_only().column(Column::Id).limit(1);
    Ok(select.into_tuple::<FiringId>().one(change.tx()).await?.is_some())
}

/// How many firings of a trigger are not over; counted up to `most`.
pub async fn count_open_of_trigger(
    change: &Change,
    project: ProjectId,
    trigger: TriggerId,
    most: u64,
) -> Result<u64> {
    let select = open_of_trigger(project, trigger).select_only().column(Column::Id).limit(most);
    Ok(select.into_tuple::<FiringId>().all(change.tx()).await?.len() as u64)
}

/// The firing of a schedule that stands for an instant, or the range that it was skipped in.
pub async fn find_of_instant(
    store: &Store,
    project: ProjectId,
    schedule: ScheduleId,
    at: Instant,
) -> Result<Option<Model>> {
    let of_schedule = || {
        Entity::find()
            .filter(Column::ScheduleId.eq(schedule))
            .filter(Column::ProjectId.eq(project))
            // In the words of the index `firing_instant`.
            .filter(Expr::cust("firing.cause = 'SCHEDULE'"))
    };
    let own = of_schedule().filter(Column::NominalAt.eq(at)).one(store.readers()).await?;
    if own.is_some() {
        return Ok(own);
    }
    let range = of_schedule()
        .filter(Column::NominalAt.lt(at))
        .filter(Column::RangeUntil.gte(at))
        .order_by_desc(Column::NominalAt)
        .limit(1);
    Ok(range.one(store.readers()).await?)
}

/// The newest firing of a backfill that stands for an instant of a schedule.
pub async fn find_backfilled(
    store: &Store,
    project: ProjectId,
    schedule: ScheduleId,
    at: Instant,
) -> Result<Option<Model>> {
    let select = Entity::find()
        .filter(Column::ScheduleId.eq(schedule))
        .filter(Column::NominalAt.eq(at))
        .filter(Column::ProjectId.eq(project))
        // In the words of the index `firing_backfilled`.
        .filter(Expr::cust("firing.cause = 'BACKFILL'"))
        .order_by_desc(Column::Id)
        .limit(1);
    Ok(select.one(store.readers()).await?)
}

/// A page of firings.
pub async fn list(
    store: &Store,
    project: ProjectId,
    filter: &Filter,
    sort: Sort<Column>,
    page: &Page,
) -> Result<Slice<Model>> {
    let select = of(project).filter(condition(filter, store.backend()));
    page::read(store.readers(), select, sort, page, |row| {
        let key = match sort.key {
            Some(Column::DueAt) => row.due_at.millis(),
            Some(_) => row.nominal_at.millis(),
            None => 0,
        };
        (key, row.id.uuid())
    })
    .await
}

/// How many match.
pub async fn count(store: &Store, project: ProjectId, filter: &Filter) -> Result<u64> {
    Ok(of(project).filter(condition(filter, store.backend())).count(store.readers()).await?)
}

/// How many wait; counted up to `most`, so that it costs no more than a quota is worth.
pub async fn count_waiting(store: &Store, project: ProjectId, most: u64) -> Result<u64> {
    // Of a column of the index `firing_waiting`, so that no row has to be read.
    let waiting = of(project)
        .select_only()
        .column(Column::DueAt)
        .filter(super::health::waits())
        .limit(most)
        .into_query();
    let mut count = Query::select();
    count.expr(Expr::col(Asterisk).count()).from_subquery(waiting, "waiting");
    let row = store.readers().query_one(&count).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Adds firings, many in one statement.
pub async fn insert(change: &Change, rows: Vec<Model>) -> Result<()> {
    bulk::insert::<Entity, _>(change.tx(), rows.into_iter().map(IntoActiveModel::into_active_model))
        .await
}

/// Replaces the row, when it still has the status and the epoch of `before`.
pub async fn set(change: &Change, before: &Model, after: &Model) -> Result<bool> {
    let done = Entity::update_many()
        .set(after.clone().into_active_model().reset_all())
        .filter(Column::Id.eq(before.id))
        .filter(Column::ProjectId.eq(before.project_id))
        .filter(Column::Status.eq(before.status))
        .filter(Column::Epoch.eq(before.epoch))
        .exec(change.tx())
        .await?;
    Ok(done.rows_affected == 1)
}

/// Every firing of a project, oldest first, in steps of `limit`: for tests and exports.
pub async fn scan(
    db: &impl ConnectionTrait,
    project: ProjectId,
    after: Option<FiringId>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut select = of(project).limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(after));
    }
    Ok(sea_orm::QueryOrder::order_by_asc(select, Column::Id).all(db).await?)
}

fn open_of_trigger(project: ProjectId, trigger: TriggerId) -> Select<Entity> {
    let open = [Status::Waiting, Status::Scheduled, Status::Executing, Status::Retrying];
    of(project).filter(Column::TriggerId.eq(trigger)).filter(Column::Status.is_in(open))
}

/// What is open of a deleted trigger, but for replays that were asked for later.
fn ending_of_trigger(trigger: &trigger::Model) -> Select<Entity> {
    let is_part = Condition::any()
        .add(Column::Cause.ne(Cause::Replay))
        .add(Column::CreatedAt.lte(trigger.deleted_at));
    open_of_trigger(trigger.project_id, trigger.id).filter(is_part)
}

fn of(project: ProjectId) -> Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project))
}

fn condition(filter: &Filter, backend: DbBackend) -> Condition {
    let mut all = Condition::all();
    macro_rules! add {
        ($($field:ident => $column:ident with $compare:ident;)*) => {$(
            if let Some(comparator) = &filter.$field {
                all = all.add($compare(Column::$column, comparator));
            }
        )*};
    }
    let compare_correlation = |column, comparator: &_| compare_text(column, comparator, backend);
    add! {
        trigger => TriggerId with compare;
        schedule => ScheduleId with compare;
        operation => OperationId with compare;
        status => Status with compare;
        cause => Cause with compare;
        created_at => CreatedAt with compare;
        due_at => DueAt with compare;
        nominal_at => NominalAt with compare;
        correlation_id => CorrelationId with compare_correlation;
    }
    if let Some(is_test) = filter.is_test {
        all = all.add(Column::IsTest.eq(is_test));
    }
    for part in &filter.and {
        all = all.add(condition(part, backend));
    }
    if !filter.or.is_empty() {
        all = all.add(
            filter.or.iter().fold(Condition::any(), |any, part| any.add(condition(part, backend))),
        );
    }
    if let Some(part) = &filter.not {
        all = all.add(condition(part, backend).not());
    }
    all
}
