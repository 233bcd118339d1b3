//! What would become of each instant of a schedule, on the wire.

use async_graphql::{InputObject, SimpleObject};

use super::input::ScheduleSpecInput;
use super::policy::{SchedulePolicyInput, policy_of};
use crate::error::Result;
use crate::graphql::calendar::PeriodInput;
use crate::graphql::firing::FiringStatus;
use crate::graphql::scalar::{DateTime, Duration};
use crate::graphql::trigger::OverlapPolicy;
use crate::service::schedule::simulation::{Question, Simulated};

/// What a schedule is played through.
#[derive(InputObject)]
pub struct ScheduleSimulateInput {
    /// When it fires.
    spec: ScheduleSpecInput,
    /// What it does beyond that.
    policy: Option<SchedulePolicyInput>,
    /// What becomes of an instant whose trigger still runs an earlier one.
    #[graphql(default_with = "OverlapPolicy::Skip")]
    overlap: OverlapPolicy,
    /// When the schedule is made; its instants come later.
    from: DateTime,
    /// The first moment that is not looked at.
    until: DateTime,
    /// From when to when Belfry is down: at most 100, in order and apart.
    outages: Option<Vec<PeriodInput>>,
    /// How long the runs take, one after the other and over again: at most 1,000; no time at all
    /// when not said.
    durations: Option<Vec<Duration>>,
    /// Only instants after this are listed: the last of the list before, to go on.
    after: Option<DateTime>,
    /// How many instants are listed: at most 1,000. All are counted.
    #[graphql(default = 100)]
    first: i32,
}

/// What became of a schedule that was played through a period.
#[derive(SimpleObject)]
pub struct ScheduleSimulation {
    /// The schedule in words.
    summary: String,
    /// The first instants, or those after `after`, each with its fate.
    instants: Vec<SimulatedInstant>,
    /// How many of all instants came to what.
    counts: Vec<SimulatedCount>,
    /// How many instants there were.
    total_count: i32,
    /// Whether it ended early, because there were more instants than one simulation looks at, or too
    /// much is left out between them.
    is_cut: bool,
}

/// One instant and its fate.
#[derive(SimpleObject)]
pub struct SimulatedInstant {
    /// When.
    at: DateTime,
    /// The same on the wall of the schedule's time zone.
    local: String,
    /// Where a clock change moved or repeated it; null elsewhere.
    note: Option<String>,
    /// Where its firing stands at the end.
    status: FiringStatus,
    /// Why it was skipped or cancelled.
    reason: Option<String>,
    /// When it began to run.
    started_at: Option<DateTime>,
    /// When it ended.
    finished_at: Option<DateTime>,
}

/// How many instants came to the same.
#[derive(SimpleObject)]
pub struct SimulatedCount {
    /// Where their firings stand at the end.
    status: FiringStatus,
    /// Why they were skipped or cancelled.
    reason: Option<String>,
    /// How many.
    count: i32,
}

impl ScheduleSimulateInput {
    /// As the service takes it.
    pub fn question(self) -> Result<Question> {
        let period = |period: PeriodInput| (period.from.0, period.until.0);
        Ok(Question {
            spec: self.spec.into(),
            policy: policy_of(self.policy, "policy")?,
            overlap: self.overlap.into(),
            from: self.from.0,
            until: self.until.0,
            outages: self.outages.unwrap_or_default().into_iter().map(period).collect(),
            durations_ms: self.durations.unwrap_or_default().into_iter().map(|it| it.0).collect(),
            after: self.after.map(|after| after.0),
            first: self.first,
        })
    }
}

impl From<Simulated> for ScheduleSimulation {
    fn from(simulated: Simulated) -> Self {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let plan = &simulated.plan;
        let instants = simulated.fates.iter().map(|fate| SimulatedInstant {
            at: fate.nominal_at.into(),
            local: plan.local(fate.nominal_at),
            note: plan.note_at(fate.nominal_at),
            status: fate.status.into(),
            reason: fate.reason.map(|reason| reason.as_str().to_owned()),
            started_at: fate.started_at.map(Into::into),
            finished_at: fate.finished_at.map(Into::into),
        });
        let counts = simulated.counts.iter().map(|count| SimulatedCount {
            status: count.status.into(),
            reason: count.reason.map(|reason| reason.as_str().to_owned()),
            count: number(count.instants),
        });
        Self {
            instants: instants.collect(),
            total_count: number(simulated.counts.iter().map(|count| count.instants).sum()),
            counts: counts.collect(),
            is_cut: simulated.is_cut,
            summary: simulated.summary,
        }
    }
}
