//! What says whether the database is well and whether what should fire will: one indexed statement
//! each, of all projects, for `/readyz` and `/metrics`. No answer names anybody.

use entity::{Instant, firing, schedule};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbBackend, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::Store;
use crate::error::Result;

/// How the schema stands to this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It is the binary's own.
    Current,
    /// Steps are missing, as in a backup that was put back under a running process.
    Older,
    /// A newer binary has been there; this one still works, and should go.
    Newer,
}

/// The connections of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What it is for.
    pub name: &'static str,
    /// Connections that wait for work.
    pub idle: u32,
    /// Connections that work.
    pub busy: u32,
}

/// What waits for its instant, in the words of the partial indexes: a bound list would not be
/// recognised. What waits for another firing is not among them: no instant brings it on.
pub(super) fn waits() -> Condition {
    Condition::all()
        .add(Expr::cust("firing.status IN ('SCHEDULED', 'RETRYING')"))
        .add(Expr::cust("firing.blocked_by IS NULL"))
}

/// How the schema stands to this binary. Only reads: the migrator itself would make its table.
pub async fn schema(store: &Store) -> Result<Schema> {
    let applied = super::applied(store.readers()).await?;
    let steps = Migrator::migrations();
    if applied.iter().any(|name| steps.iter().all(|step| step.name() != name)) {
        return Ok(Schema::Newer);
    }
    Ok(if applied.len() < steps.len() { Schema::Older } else { Schema::Current })
}

/// The pools as they are now.
#[must_use]
pub fn pools(store: &Store) -> Vec<Pool> {
    vec![pool("read", &store.readers), pool("write", &store.writers)]
}

/// When the firing that waits longest was due; one that is due later when none is overdue.
pub async fn oldest_waiting(store: &Store) -> Result<Option<Instant>> {
    use firing::{Column, Entity};
    let first = Entity::find()
        .select_only()
        .column(Column::DueAt)
        .filter(waits())
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(1)
        .into_tuple::<Instant>()
        .one(store.readers());
    Ok(first.await?)
}

/// How many schedules should fire but will not: the planner should have looked at them before
/// `behind` and has not, or it will never look again although nothing that they planned waits. A
/// last instant that a person cancelled is a reason; those that were planned before `forgotten` are
/// not asked, because retention takes the reasons away.
pub async fn unarmed(store: &Store, behind: Instant, forgotten: Instant) -> Result<u64> {
    use schedule::{Column, Entity};
    let late = Entity::find()
        .filter(Column::PlanAt.lt(behind))
        .filter(Column::DeletedAt.is_null())
        .count(store.readers())
        .await?;
    let of_firing = |column| Expr::col((firing::Entity, column));
    let planned = Query::select()
        .expr(Expr::val(1))
        .from(firing::Entity)
        .and_where(of_firing(firing::Column::ScheduleId).equals((Entity, Column::Id)))
        .and_where(of_firing(firing::Column::PlanVersion).equals((Entity, Column::PlanVersion)))
        .and_where(Expr::cust("firing.status IN ('SCHEDULED', 'CANCELLED')"))
        .and_where(Expr::cust("firing.cause = 'SCHEDULE'"))
        .to_owned();
    let is_lost =
        Condition::any().add(Column::NextAt.is_not_null()).add(Expr::exists(planned).not());
    let lost = Entity::find()
        // In the words of the index `schedule_last`.
        .filter(Expr::cust("schedule.plan_at IS NULL AND schedule.state = 'SCHEDULED'"))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::PlannedUntil.gte(forgotten))
        .filter(is_lost)
        .count(store.readers())
        .await?;
    Ok(late + lost)
}

fn pool(name: &'static str, db: &DatabaseConnection) -> Pool {
    let (open, idle) = match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        }
        _ => {
            let pool = db.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        }
    };
    let idle = Ord::min(u32::try_from(idle).unwrap_or(u32::MAX), open);
    Pool { name, idle, busy: open - idle }
}
