//! The record: the results of many firings in one transaction.
//!
//! A result counts only when its firing is still EXECUTING under the epoch of its claim; a stale
//! one (cancelled, or claimed anew after its lease ended) updates nothing, and then its attempt and
//! its events are not written either.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::firing::Status;
use entity::{FiringId, Instant, ProjectId, TriggerId, TypedId, attempt, event};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::{Change, bulk, overlap, trigger};
use crate::domain::firing::{is_terminal, status_word};
use crate::domain::outbox::{Due, Notice};
use crate::error::Result;

/// What became of one claim.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which firing.
    pub firing: FiringId,
    /// Whose.
    pub project: ProjectId,
    /// The claim.
    pub epoch: i32,
    /// Where the firing stands now.
    pub status: Status,
    /// Why, for machines.
    pub reason: Option<String>,
    /// When it is due again (RETRYING), else when it was due.
    pub due_at: Instant,
    /// When it ended, if it did.
    pub finished_at: Option<Instant>,
    /// Output of the last stage.
    pub result: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// The stage that was tried.
    pub stage: Option<String>,
    /// Its trigger, and how many of that one's firings a process may execute at a time.
    pub trigger: Option<(TriggerId, Option<u32>)>,
    /// The trigger whose slot it held.
    pub slot: Option<TriggerId>,
    /// The trigger whose failures in a row are counted.
    pub counted: Option<TriggerId>,
    /// The test trigger that goes with a terminal status.
    pub test_trigger: Option<TriggerId>,
    /// The try, if a stage was tried.
    pub attempt: Option<attempt::Model>,
    /// What the log says about it, effects of the stage included.
    pub events: Vec<event::Model>,
}

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// How many firings were still this claim's.
    pub firings: usize,
    /// Triggers that have failed as often in a row as they may.
    pub failing: Vec<(ProjectId, TriggerId)>,
}

/// Records `outcomes`.
pub async fn record(change: &Change, outcomes: &[Outcome], now: Instant) -> Result<Recorded> {
    let mut outcomes: Vec<&Outcome> = outcomes.iter().collect();
    // Whoever locks several firings does it in this order.
    outcomes.sort_unstable_by_key(|outcome| outcome.firing);
    let mut accepted = HashSet::with_capacity(outcomes.len());
    for statement in statements(change, &outcomes) {
        for row in change.tx().query_all_raw(statement).await? {
            accepted.insert((row.try_get::<FiringId>("", "id")?, row.try_get::<i32>("", "epoch")?));
        }
    }
    // By claim, not by firing: a stale result may come together with the one that counts.
    outcomes.retain(|outcome| accepted.contains(&(outcome.firing, outcome.epoch)));
    let slots: BTreeSet<TriggerId> = outcomes.iter().filter_map(|outcome| outcome.slot).collect();
    overlap::release(change, &Vec::from_iter(slots), now).await?;
    let failing = count_failures(change, &outcomes).await?;
    let mut attempts = Vec::with_capacity(outcomes.len());
    let mut events = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        tell(change, outcome);
        if let Some(id) = outcome.test_trigger.filter(|_| is_terminal(outcome.status)) {
            trigger::delete_test(change, outcome.project, id, now).await?;
        }
        attempts.extend(outcome.attempt.clone());
        events.extend(outcome.events.iter().cloned());
    }
    super::attempt::insert(change, attempts).await?;
    super::event::insert(change, events).await?;
    Ok(Recorded { firings: accepted.len(), failing })
}

/// Counts the failures in a row of triggers that are paused after some; which have come to that.
async fn count_failures(
    change: &Change,
    outcomes: &[&Outcome],
) -> Result<Vec<(ProjectId, TriggerId)>> {
    let mut ended: BTreeMap<(TriggerId, ProjectId), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(trigger) = outcome.counted
            && matches!(outcome.status, Status::Completed | Status::Failed)
        {
            ended.entry((trigger, outcome.project)).or_default().push(outcome);
        }
    }
    let mut failing = Vec::new();
    for ((id, project), mut outcomes) in ended {
        outcomes.sort_by_key(|outcome| (outcome.finished_at, outcome.firing));
        let failed: Vec<bool> =
            outcomes.iter().map(|outcome| outcome.status == Status::Failed).collect();
        if trigger::count_failures(change, project, id, &failed).await? {
            failing.push((project, id));
        }
    }
    Ok(failing)
}

fn tell(change: &Change, outcome: &Outcome) {
    let Outcome { firing, project, due_at, .. } = *outcome;
    change.notify(Notice::Changed(project, firing));
    if outcome.status == Status::Retrying {
        let (trigger, trigger_limit) = outcome.trigger.unzip();
        let trigger_limit = trigger_limit.flatten();
        change.due(Due { due_at, firing, project, trigger, trigger_limit });
    }
}

fn statements(change: &Change, outcomes: &[&Outcome]) -> Vec<Statement> {
    if change.backend() == DbBackend::Postgres {
        let rows: Vec<serde_json::Value> = outcomes.iter().copied().map(json).collect();
        let rows = serde_json::Value::Array(rows).to_string();
        return vec![change.statement(include_str!("record_postgres.sql"), [rows.into()])];
    }
    bulk::runs(outcomes).map(|run| statement(change, run)).collect()
}

fn json(outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "id": outcome.firing.uuid().to_string(),
        "epoch": outcome.epoch,
        "status": status_word(outcome.status),
        "reason": outcome.reason,
        "due_at": outcome.due_at.millis(),
        "finished_at": outcome.finished_at.map(Instant::millis),
        "result": outcome.result,
        "error": outcome.error,
        "stage": outcome.stage,
    })
}

fn statement(change: &Change, run: &[&Outcome]) -> Statement {
    const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let rows = vec![ROW; run.len()].join(", ");
    let sql = format!(include_str!("record.sql"), rows = rows);
    let values = run.iter().flat_map(|outcome| -> [Value; 9] {
        [
            outcome.firing.uuid().into(),
            outcome.epoch.into(),
            status_word(outcome.status).into(),
            outcome.reason.clone().into(),
            outcome.due_at.millis().into(),
            outcome.finished_at.map(Instant::millis).into(),
            outcome.result.clone().into(),
            outcome.error.clone().into(),
            outcome.stage.clone().into(),
        ]
    });
    change.statement(&sql, values)
}
