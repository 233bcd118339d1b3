//! The sweeper's statements: SQL alone can rebuild the due queue, and no firing stays with a
//! process that died.

use entity::attempt;
use entity::firing::{Column, Entity, Model};
use entity::{
    AttemptId, FiringId, Instant, ProjectId, TriggerId, TypedId, event, project, trigger,
};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Value,
};

use super::{Change, Store, due_of};
use crate::clock::{Ids, stamped_at};
use crate::domain::action::Action;
use crate::domain::event::{Stamp, of_firing};
use crate::domain::filter::Severity;
use crate::domain::outbox::{Due, Notice};
use crate::error::Result;

/// A place in the order of everything that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When it is due.
    pub due_at: Instant,
    /// What breaks ties.
    pub firing: FiringId,
}

impl Mark {
    /// After everything that is due at `instant`.
    #[must_use]
    pub fn end_of(instant: Instant) -> Self {
        Self { due_at: instant, firing: FiringId(uuid::Uuid::max()) }
    }

    /// Before everything.
    #[must_use]
    pub fn start() -> Self {
        Self { due_at: Instant::MIN, firing: FiringId(uuid::Uuid::nil()) }
    }
}

/// What waits after `after` and up to `until`, in order: of one project, or of all.
pub async fn waiting(
    store: &Store,
    project: Option<ProjectId>,
    after: Mark,
    until: Instant,
    rows_max: u64,
) -> Result<Vec<Due>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: FiringId,
        project_id: ProjectId,
        trigger_id: Option<TriggerId>,
        due_at: Instant,
        trigger_limit: Option<i32>,
    }
    let limit = Query::select()
        .column((trigger::Entity, trigger::Column::Concurrency))
        .from(trigger::Entity)
        .and_where(
            Expr::col((trigger::Entity, trigger::Column::Id)).equals((Entity, Column::TriggerId)),
        )
        .to_owned();
    let is_after = Condition::any()
        .add(Column::DueAt.gt(after.due_at))
        .add(Condition::all().add(Column::DueAt.eq(after.due_at)).add(Column::Id.gt(after.firing)));
    let of_project = project.map(|id| Column::ProjectId.eq(id));
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::ProjectId, Column::TriggerId, Column::DueAt])
        .expr_as(SimpleExpr::SubQuery(None, Box::new(limit.into())), "trigger_limit")
        // Written out: a list of parameters would not lead to the partial index.
        .filter(super::health::waits())
        .filter(Column::DueAt.gte(after.due_at))
        .filter(Column::DueAt.lte(until))
        .filter(is_after)
        .filter(Condition::all().add_option(of_project))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(rows_max)
        .into_model::<Row>()
        .all(store.readers())
        .await?;
    let due = |row: Row| Due {
        due_at: row.due_at,
        firing: row.id,
        project: row.project_id,
        trigger: row.trigger_id,
        trigger_limit: row.trigger_limit.map(i32::unsigned_abs),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// The projects for which something waits that was due by `until`: one probe of an index each.
pub async fn overdue_projects(store: &Store, until: Instant) -> Result<Vec<ProjectId>> {
    let waits = Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(
            Expr::col((Entity, Column::ProjectId)).equals((project::Entity, project::Column::Id)),
        )
        .cond_where(super::health::waits())
        .and_where(Column::DueAt.lte(until))
        .to_owned();
    Ok(project::Entity::find()
        .select_only()
        .column(project::Column::Id)
        .filter(Expr::exists(waits))
        .order_by_asc(project::Column::Id)
        .into_tuple()
        .all(store.readers())
        .await?)
}

/// Which leases count as ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Those that were not renewed in time.
    NotRenewed,
    /// All: this process has the database alone and has just started.
    All,
}

/// Frees firings whose process died: each gets an attempt LEASE_EXPIRED, an event, and is due now.
pub async fn expire_leases(
    change: &Change,
    ids: &Ids,
    now: Instant,
    which: Ended,
    rows_max: u64,
) -> Result<usize> {
    let bound = match which {
        Ended::NotRenewed => now,
        Ended::All => Instant::MAX,
    };
    let sql = "UPDATE firing SET status = 'SCHEDULED', deaths = deaths + 1, \
               attempts = attempts - 1, due_at = ?, lease_until = NULL, lease_owner = NULL \
               WHERE id IN (SELECT id FROM firing WHERE status = 'EXECUTING' \
               AND lease_until < ? LIMIT ?{skip}) RETURNING *, \
               (SELECT name FROM trigger WHERE trigger.id = firing.trigger_id) AS trigger_name, \
               (SELECT concurrency FROM trigger WHERE trigger.id = firing.trigger_id) \
                 AS trigger_limit, \
               COALESCE(inline_action, \
                 (SELECT body FROM action_version \
                  WHERE action_version.action_id = firing.action_id \
                    AND action_version.number = firing.action_version), \
                 (SELECT trigger_version.inline_action FROM trigger_version \
                  WHERE trigger_version.trigger_id = firing.trigger_id \
                    AND trigger_version.number = firing.trigger_version)) AS action_text";
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let values: [Value; 3] = [now.millis().into(), bound.millis().into(), rows_max.into()];
    // Several processes sweep at once; each takes what no other has in hand.
    let skip = match change.backend() {
        DbBackend::Postgres => " FOR UPDATE SKIP LOCKED",
        _ => "",
    };
    let statement = change.statement(&sql.replace("{skip}", skip), values);
    let rows = change.tx().query_all_raw(statement).await?;
    let mut attempts = Vec::with_capacity(rows.len());
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let trigger: Option<String> = row.try_get("", "trigger_name")?;
        let action: Option<String> = row.try_get("", "action_text")?;
        let limit: Option<i32> = row.try_get("", "trigger_limit")?;
        let firing = Model::from_query_result(row, "")?;
        events.push(lost_event(ids, &firing, trigger.as_deref()));
        attempts.push(lost_attempt(ids, &firing, action.as_deref(), now));
        change.due(due_of(&firing, limit));
        change.notify(Notice::Changed(firing.project_id, firing.id));
    }
    super::attempt::insert(change, attempts).await?;
    super::event::insert(change, events).await?;
    Ok(rows.len())
}

const LOST: &str = "the process that executed it died; whether the stage did its work is unknown";

fn lost_attempt(ids: &Ids, firing: &Model, action: Option<&str>, now: Instant) -> attempt::Model {
    let (stage, kind) = lost_stage(firing, action);
    attempt::Model {
        id: ids.make::<AttemptId>(),
        project_id: firing.project_id,
        firing_id: firing.id,
        stage,
        kind,
        number: firing.attempts + 1,
        epoch: firing.epoch,
        status: attempt::Status::LeaseExpired,
        started_at: firing.started_at.unwrap_or(now),
        finished_at: now,
        error_code: Some("LEASE_EXPIRED".to_owned()),
        error: Some(LOST.to_owned()),
        retry_at: Some(now),
        request: None,
        response: None,
    }
}

/// Name and kind of the stage that ran: the one that was tried before, else the root. Both are
/// empty for a firing that runs nothing.
fn lost_stage(firing: &Model, action: Option<&str>) -> (String, String) {
    let stages = action.and_then(|text| Action::parse(text).ok()).map_or(vec![], |it| it.stages);
    let tried = stages.iter().find(|spec| Some(&spec.name) == firing.stage.as_ref());
    let spec = tried.or(stages.first());
    spec.map_or_else(Default::default, |spec| (spec.name.clone(), spec.kind.clone()))
}

fn lost_event(ids: &Ids, firing: &Model, trigger: Option<&str>) -> event::Model {
    let id: entity::EventId = ids.make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project: firing.project_id };
    event::Model {
        severity: Severity::Warn.level(),
        message: Some(LOST.to_owned()),
        ..of_firing(stamp, "attempt.lost", firing, trigger)
    }
}
