//! What is known of schedules before a step of theirs is decided: their triggers, their timetables,
//! what waits as rows, and what has a record already. A few statements for any number of schedules.

use std::collections::HashMap;

use entity::firing::{self, Column};
use entity::schedule::{Model, State};
use entity::{Instant, ScheduleId, TriggerId, TypedId, trigger};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use super::{UNCLAIMED, is_free};
use crate::domain::planning::{Cursor, Planned, Recorded};
use crate::domain::timetable::Timetable;
use crate::error::Result;
use crate::store::{Change, bulk, page, timetable};

/// See the module.
pub(super) struct Known {
    triggers: HashMap<TriggerId, trigger::Model>,
    /// In the order of the schedules; an error for one whose plan cannot be read.
    pub tables: Vec<Result<Timetable>>,
    waiting: HashMap<ScheduleId, Vec<Planned>>,
    ahead: HashMap<ScheduleId, usize>,
    recorded: HashMap<ScheduleId, Vec<(Instant, Instant)>>,
}

impl Known {
    /// What is known of `rows`. What is planned and due is locked, so that nobody claims what is
    /// folded; one that is being claimed counts as claimed.
    pub async fn of(change: &Change, rows: &[Model], now: Instant) -> Result<Self> {
        let texts: Vec<timetable::Text<'_>> = rows.iter().map(Into::into).collect();
        let tables = timetable::get_each(change, &texts).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id.uuid()).collect();
        let mut known = Self {
            triggers: triggers(change, rows).await?,
            tables,
            waiting: HashMap::new(),
            ahead: HashMap::new(),
            recorded: HashMap::new(),
        };
        for run in bulk::runs(&ids) {
            known.read_waiting(change, run, now).await?;
            known.read_ahead(change, run, now).await?;
        }
        // Only an edit puts a cursor back, and an edit raises `plan_version`.
        let edited = rows.iter().filter(|row| 1 < row.plan_version);
        let edited: Vec<Uuid> = edited.map(|row| row.id.uuid()).collect();
        for run in bulk::runs(&edited) {
            known.read_recorded(change, run).await?;
        }
        Ok(known)
    }

    /// The trigger of a schedule.
    pub fn trigger(&self, row: &Model) -> Option<&trigger::Model> {
        self.triggers.get(&row.trigger_id)
    }

    /// Where a schedule stands.
    pub fn cursor(&self, row: &Model, trigger: &trigger::Model, table: &Timetable) -> Cursor {
        let left = table.policy().max_firings.map(|max| Ord::max(max - row.firings, 0));
        let recorded = self.recorded.get(&row.id).cloned().unwrap_or_default();
        Cursor {
            planned_until: row.planned_until,
            waiting: self.waiting.get(&row.id).cloned().unwrap_or_default(),
            ahead: self.ahead.get(&row.id).copied().unwrap_or(0),
            recorded: Recorded::new(recorded),
            left: left.map(|left| usize::try_from(left).unwrap_or(usize::MAX)),
            is_paused: row.state == State::Paused || trigger.state == trigger::State::Paused,
        }
    }

    async fn read_waiting(&mut self, change: &Change, run: &[Uuid], now: Instant) -> Result<()> {
        #[derive(FromQueryResult)]
        struct Row {
            schedule_id: ScheduleId,
            nominal_at: Instant,
            due_at: Instant,
        }
        let waiting = planned_of(run)
            .columns([Column::ScheduleId, Column::NominalAt, Column::DueAt])
            .filter(Column::NominalAt.lte(now))
            .order_by_asc(Column::NominalAt)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        for row in waiting.into_model::<Row>().all(change.tx()).await? {
            let Row { schedule_id, nominal_at, due_at } = row;
            self.waiting.entry(schedule_id).or_default().push(Planned { nominal_at, due_at });
        }
        Ok(())
    }

    async fn read_ahead(&mut self, change: &Change, run: &[Uuid], now: Instant) -> Result<()> {
        let ahead = planned_of(run)
            .column(Column::ScheduleId)
            .column_as(Column::NominalAt.count(), "count")
            .filter(Column::NominalAt.gt(now))
            .group_by(Column::ScheduleId)
            .into_tuple::<(ScheduleId, i64)>();
        for (id, count) in ahead.all(change.tx()).await? {
            self.ahead.insert(id, usize::try_from(count).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    async fn read_recorded(&mut self, change: &Change, run: &[Uuid]) -> Result<()> {
        #[derive(FromQueryResult)]
        struct Row {
            schedule_id: ScheduleId,
            first: Instant,
            last: Instant,
        }
        let statement = if change.backend() == DbBackend::Postgres {
            change.statement(include_str!("recorded_postgres.sql"), [run.to_vec().into()])
        } else {
            let places = vec!["?"; run.len()].join(", ");
            let sql = include_str!("recorded.sql").replace("{ids}", &places);
            change.statement(&sql, run.iter().copied().map(Into::into))
        };
        for row in change.tx().query_all_raw(statement).await? {
            let Row { schedule_id, first, last } = Row::from_query_result(&row, "")?;
            self.recorded.entry(schedule_id).or_default().push((first, last));
        }
        Ok(())
    }
}

async fn triggers(change: &Change, rows: &[Model]) -> Result<HashMap<TriggerId, trigger::Model>> {
    let mut ids: Vec<TriggerId> = rows.iter().map(|row| row.trigger_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let triggers = trigger::Entity::find()
        .filter(trigger::Column::Id.is_in(page::uuids(&ids)))
        .all(change.tx())
        .await?;
    Ok(triggers.into_iter().map(|row| (row.id, row)).collect())
}

/// What some schedules have planned and nobody claimed.
fn planned_of(run: &[Uuid]) -> Select<firing::Entity> {
    firing::Entity::find()
        .select_only()
        .filter(Column::ScheduleId.is_in(run.iter().copied()))
        .filter(Expr::cust(UNCLAIMED))
        .filter(is_free())
}
