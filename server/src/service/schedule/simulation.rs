//! What would become of each instant of a schedule, saved or not, in a period.

use std::sync::{Arc, LazyLock};

use entity::Instant;
use entity::firing::Status;
use entity::trigger::Overlap;
use tokio::sync::Semaphore;

use super::spec::{SpecInput, check_spec, unsaved};
use crate::app::App;
use crate::domain::plan::Plan;
use crate::domain::planning::Reason;
use crate::domain::policy::Policy;
use crate::domain::simulation::{self, Fate, Setting};
use crate::domain::text::Check;
use crate::domain::timetable::Timetable;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{
    DELAY_MS_MAX, PREVIEW_ROWS_MAX, SIMULATED_DURATIONS_MAX, SIMULATED_INSTANTS_MAX,
    SIMULATED_OUTAGES_MAX, SIMULATED_WORK_MAX, SIMULATIONS_MAX,
};
use crate::service::{Caller, Scope};

/// Simulations of this process that run at a time: each takes a processor for about a second.
static RUNNING: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(SIMULATIONS_MAX)));

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// When it fires.
    pub spec: SpecInput,
    /// What it does beyond that.
    pub policy: Policy,
    /// What becomes of an instant whose trigger still runs an earlier one.
    pub overlap: Overlap,
    /// When the schedule is made.
    pub from: Instant,
    /// The first moment that is not looked at.
    pub until: Instant,
    /// From when to when nothing works.
    pub outages: Vec<(Instant, Instant)>,
    /// How long the runs take, one after the other and over again.
    pub durations_ms: Vec<i64>,
    /// Only instants after this are shown.
    pub after: Option<Instant>,
    /// How many instants are shown.
    pub first: i32,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The plan that was played.
    pub plan: Plan,
    /// In words.
    pub summary: String,
    /// The instants that are shown.
    pub fates: Vec<Fate>,
    /// How many instants came to what.
    pub counts: Vec<Count>,
    /// Whether there were more instants, or there was more work, than one simulation goes through.
    pub is_cut: bool,
}

/// How many instants came to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Where their firings stand at the end.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// How many.
    pub instants: usize,
}

/// Plays a schedule through what is asked for.
///
/// # Errors
/// Every problem of the question.
pub async fn simulate(app: &App, caller: &Caller, question: Question) -> Result<Simulated> {
    caller.require(Scope::Read)?;
    let mut check = Check::new();
    let spec = check_spec(&mut check, "spec", &question.spec, question.from);
    check.under("policy", question.policy.check());
    let first = usize::try_from(question.first).ok().filter(|rows| *rows <= PREVIEW_ROWS_MAX);
    if first.is_none() {
        check.problem("first", format!("expected a number from 0 to {PREVIEW_ROWS_MAX}"));
    }
    let setting = setting(&mut check, &question);
    refuse_if_any(check.problems)?;
    let spec = spec.ok_or_else(super::nothing_checked)?;
    let table = unsaved(app, caller, (&spec, question.policy), question.from).await?;
    let shown = Shown { after: question.after, rows: first.unwrap_or(0) };
    // The semaphore is never closed.
    let turn = RUNNING.clone().acquire_owned().await.ok();
    let play = tokio::task::spawn_blocking(move || {
        // Held until it is played, also when nobody waits for it any more.
        let _turn = turn;
        let played = simulation::simulate(&table, &setting);
        answer(&table, played, shown)
    });
    play.await.map_err(|error| Error::Internal(format!("a simulation was not played: {error}")))
}

/// Which instants are listed.
#[derive(Clone, Copy, Debug)]
struct Shown {
    after: Option<Instant>,
    rows: usize,
}

fn answer(table: &Timetable, played: simulation::Simulation, shown: Shown) -> Simulated {
    let mut counts: Vec<Count> = Vec::new();
    for fate in &played.fates {
        let same = |count: &&mut Count| (count.status, count.reason) == (fate.status, fate.reason);
        match counts.iter_mut().find(same) {
            Some(count) => count.instants += 1,
            None => {
                counts.push(Count { status: fate.status, reason: fate.reason, instants: 1 });
            }
        }
    }
    let mut fates = played.fates;
    if let Some(after) = shown.after {
        fates.drain(..fates.partition_point(|fate| fate.nominal_at <= after));
    }
    fates.truncate(shown.rows);
    let plan = table.plan().clone();
    Simulated { plan, summary: table.summary(), fates, counts, is_cut: played.is_cut }
}

fn setting(check: &mut Check, question: &Question) -> Setting {
    if question.until <= question.from {
        let message = format!("expected an instant after `from`, {}", question.from);
        check.problem("until", message);
    }
    if SIMULATED_OUTAGES_MAX < question.outages.len() {
        check.problem("outages", format!("expected at most {SIMULATED_OUTAGES_MAX}"));
    }
    let mut last = Instant::MIN;
    for (index, (from, until)) in question.outages.iter().enumerate() {
        if *from < last || until <= from {
            let field = format!("outages.{index}");
            check.problem(
                &field,
                "expected outages in order, apart, each with an end after its start",
            );
        }
        last = *until;
    }
    if SIMULATED_DURATIONS_MAX < question.durations_ms.len() {
        check.problem("durations", format!("expected at most {SIMULATED_DURATIONS_MAX}"));
    }
    for (index, duration) in question.durations_ms.iter().enumerate() {
        if !(0..=DELAY_MS_MAX).contains(duration) {
            check.problem(&format!("durations.{index}"), "expected at most 10 years");
        }
    }
    Setting {
        from: question.from,
        until: question.until,
        overlap: question.overlap,
        outages: question.outages.clone(),
        durations_ms: question.durations_ms.clone(),
        instants_max: SIMULATED_INSTANTS_MAX,
        work_max: SIMULATED_WORK_MAX,
    }
}
