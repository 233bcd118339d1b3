//! Forecasts: how many firings are to come, and how many executors they will need.
//!
//! What waits is counted where it is due: timers and delayed firings, what the planner has planned,
//! retries. What is not planned yet is counted from the schedules. The two never overlap, because a
//! schedule's cursor says up to where its instants are rows. What cannot be known is not there:
//! firings that clients have yet to ask for, retries of attempts that have yet to fail.

use std::collections::HashMap;

use entity::firing::{Cause, Status};
use entity::{Instant, ScheduleId, TriggerId};

use super::{Caller, Scope};
use crate::app::App;
use crate::domain::comparator::Comparator;
use crate::domain::forecast::{NotCounted, Period, Spread, executors};
use crate::domain::plan::Spec;
use crate::domain::timetable::Timetable;
use crate::error::{Error, Result};
use crate::limits::{FORECAST_GROUPS_MAX, FORECAST_SCHEDULES_MAX, FORECAST_TRIGGERS_MAX};
use crate::store::forecast::{self as store, Filter, Measured, Ongoing, Waiting, Whose};
use crate::store::timetable;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The first instant; now when not said.
    pub from: Option<Instant>,
    /// The first instant after the period.
    pub until: Instant,
    /// Length of a bucket.
    pub step_ms: i64,
    /// Which triggers.
    pub trigger: Option<Comparator<TriggerId>>,
    /// Test triggers only, or none; either when not set.
    pub is_test: Option<bool>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The period and its buckets.
    pub period: Period,
    /// What is expected in each.
    pub buckets: Vec<Bucket>,
    /// What waits although it was due before the period.
    pub overdue: u64,
    /// Whether there was more than one forecast may look at.
    pub is_truncated: bool,
    /// How long a firing was executed, on average; none when nothing was measured.
    pub mean_ms: Option<f64>,
    /// Firings that an executor runs at a time, as this process is set.
    pub concurrency: usize,
}

/// What is expected in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Timers, and other firings that were accepted for later.
    pub accepted: u64,
    /// Instants of schedules that are firings already.
    pub planned: u64,
    /// Further attempts of firings that failed.
    pub retries: u64,
    /// Instants of schedules that are not firings yet.
    pub enumerated: u64,
    /// How many executors all of it keeps busy; none when nothing was measured.
    pub executors: Option<f64>,
}

/// What is expected of all projects within a window, for an autoscaler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// The window: `5m`, `15m` or `1h`.
    pub window: &'static str,
    /// How many firings, overdue ones included.
    pub firings: u64,
    /// How many executors they keep busy through the window.
    pub executors: Option<f64>,
}

const WINDOWS: [(&str, i64); 3] = [("5m", 300_000), ("15m", 900_000), ("1h", 3_600_000)];

impl Bucket {
    /// Everything.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.accepted + self.planned + self.retries + self.enumerated
    }
}

/// The forecast of the caller's project.
///
/// # Errors
/// Every problem of the period.
pub async fn forecast(app: &App, caller: &Caller, question: Question) -> Result<Forecast> {
    caller.require(Scope::Read)?;
    let now = app.clock().now();
    let from = question.from.unwrap_or(now);
    let period = Period::new(now, from, question.until, question.step_ms);
    let period = period.map_err(Error::Refused)?;
    let filter = Filter {
        project: Some(caller.project),
        trigger: question.trigger,
        is_test: question.is_test,
    };
    let mut waiting = store::waiting(app.store(), &filter, &period).await?;
    let rows_max = FORECAST_SCHEDULES_MAX + 1;
    let mut ongoing = store::ongoing(app.store(), &filter, period.until, rows_max).await?;
    let is_truncated =
        FORECAST_GROUPS_MAX < waiting.len() || FORECAST_SCHEDULES_MAX < ongoing.len();
    waiting.truncate(FORECAST_GROUPS_MAX);
    ongoing.truncate(FORECAST_SCHEDULES_MAX);
    let counted = counted(app, period, ongoing).await?;
    let mut sums = Sums::new(&period);
    sums.add_waiting(&waiting);
    sums.add_counted(&counted);
    let means = Means::measure(app, caller, &sums.by_trigger()).await?;
    let concurrency = app.settings().concurrency;
    Ok(Forecast {
        period,
        buckets: sums.buckets(&period, &means, concurrency),
        overdue: sums.overdue,
        is_truncated: is_truncated || counted.is_truncated,
        mean_ms: means.of_all,
        concurrency,
    })
}

/// What is expected of all projects.
///
/// # Errors
/// The database's own.
pub async fn ahead(app: &App) -> Result<Vec<Ahead>> {
    let now = app.clock().now();
    let longest_ms = WINDOWS.map(|(_, length_ms)| length_ms).into_iter().max().unwrap_or(0);
    let filter = Filter { is_test: Some(false), ..Filter::default() };
    let until = now.plus_ms(longest_ms);
    let ongoing = store::ongoing(app.store(), &filter, until, FORECAST_SCHEDULES_MAX).await?;
    let period = Period::new(now, now, until, WINDOWS[0].1).map_err(Error::Refused)?;
    let counted = counted(app, period, ongoing).await?;
    let measured = store::measured_by_all(app.store()).await?;
    let mut windows = Vec::with_capacity(WINDOWS.len());
    for (window, length_ms) in WINDOWS {
        let waiting = store::count_waiting(app.store(), now.plus_ms(length_ms)).await?;
        let buckets = usize::try_from(length_ms / period.step_ms).unwrap_or(0);
        let enumerated = |counts: &Vec<u64>| counts.iter().take(buckets).sum::<u64>();
        let firings = waiting + counted.by_trigger.values().map(enumerated).sum::<u64>();
        let busy =
            |mean_ms| executors(firings as f64 * mean_ms, length_ms, app.settings().concurrency);
        windows.push(Ahead { window, firings, executors: mean(measured).map(busy) });
    }
    Ok(windows)
}

struct Counted {
    by_trigger: HashMap<TriggerId, Vec<u64>>,
    is_truncated: bool,
}

/// Counts the instants of schedules, away from the threads that serve: it may take a second.
async fn counted(app: &App, period: Period, ongoing: Vec<Ongoing>) -> Result<Counted> {
    let tables = tables(app, &ongoing).await?;
    let work = tokio::task::spawn_blocking(move || {
        let mut spread = Spread::new(period, tables.len());
        let mut all = Counted { by_trigger: HashMap::new(), is_truncated: false };
        for row in ongoing {
            let counts = match tables.get(&row.id) {
                Some(table) => {
                    let max = table.policy().max_firings;
                    let left = max.map(|max| (max - row.firings).max(0).unsigned_abs());
                    spread.count_table(table, row.planned_until, left)
                }
                None => match serde_json::from_str::<Spec>(&row.spec) {
                    Ok(spec) => spread.count(&spec, row.planned_until),
                    Err(_) => continue,
                },
            };
            let counts = match counts {
                Ok(counts) => counts,
                Err(NotCounted::TooMany) => {
                    all.is_truncated = true;
                    continue;
                }
                // The planner says so at each of its passes.
                Err(NotCounted::Broken(_)) => continue,
            };
            let sums =
                all.by_trigger.entry(row.trigger_id).or_insert_with(|| vec![0; counts.len()]);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        all
    });
    work.await.map_err(|error| Error::Internal(format!("a forecast was not counted: {error}")))
}

/// The timetables of those schedules that have a policy; plans alone are counted faster.
async fn tables(app: &App, ongoing: &[Ongoing]) -> Result<HashMap<ScheduleId, Timetable>> {
    let with_policy = ongoing.iter().filter(|row| row.policy != "{}");
    let texts: Vec<timetable::Text<'_>> = with_policy
        .map(|row| timetable::Text { schedule: row.id, spec: &row.spec, policy: &row.policy })
        .collect();
    let tables = timetable::find_many(app.store(), &texts).await?;
    Ok(texts.iter().map(|text| text.schedule).zip(tables).collect())
}

/// What is expected, by bucket and trigger.
struct Sums {
    buckets: Vec<Bucket>,
    by_trigger: HashMap<Option<TriggerId>, HashMap<usize, u64>>,
    overdue: u64,
}

impl Sums {
    fn new(period: &Period) -> Self {
        let buckets = vec![Bucket::default(); period.buckets()];
        Self { buckets, by_trigger: HashMap::new(), overdue: 0 }
    }

    fn add_waiting(&mut self, groups: &[Waiting]) {
        for group in groups {
            let count = u64::try_from(group.count).unwrap_or(0);
            let Ok(index) = usize::try_from(group.bucket) else {
                self.overdue += count;
                continue;
            };
            let Some(bucket) = self.buckets.get_mut(index) else { continue };
            match (group.status, group.cause) {
                (Status::Retrying, _) => bucket.retries += count,
                (_, Cause::Schedule) => bucket.planned += count,
                _ => bucket.accepted += count,
            }
            *self.by_trigger.entry(group.trigger_id).or_default().entry(index).or_default() +=
                count;
        }
    }

    fn add_counted(&mut self, counted: &Counted) {
        for (trigger, counts) in &counted.by_trigger {
            let of_trigger = self.by_trigger.entry(Some(*trigger)).or_default();
            for (index, count) in counts.iter().enumerate().filter(|(_, count)| 0 < **count) {
                self.buckets[index].enumerated += count;
                *of_trigger.entry(index).or_default() += count;
            }
        }
    }

    /// How much each trigger has, the busiest first.
    fn by_trigger(&self) -> Vec<TriggerId> {
        let total = |counts: &HashMap<usize, u64>| counts.values().sum::<u64>();
        let mut triggers: Vec<(u64, TriggerId)> = self
            .by_trigger
            .iter()
            .filter_map(|(trigger, counts)| Some((total(counts), (*trigger)?)))
            .collect();
        triggers.sort_unstable_by(|a, b| b.cmp(a));
        triggers.into_iter().map(|(_, trigger)| trigger).collect()
    }

    fn buckets(&self, period: &Period, means: &Means, concurrency: usize) -> Vec<Bucket> {
        let mut work_ms = vec![0.0; self.buckets.len()];
        for (trigger, counts) in &self.by_trigger {
            let mean_ms = means.of(*trigger).unwrap_or(0.0);
            for (index, count) in counts {
                work_ms[*index] += *count as f64 * mean_ms;
            }
        }
        let is_measured = means.of_all.is_some();
        let with_executors = |(index, bucket): (usize, &Bucket)| {
            let (from, until) = period.bucket(index);
            let busy = executors(work_ms[index], until.ms_since(from), concurrency);
            Bucket { executors: is_measured.then_some(busy), ..*bucket }
        };
        self.buckets.iter().enumerate().map(with_executors).collect()
    }
}

/// How long firings are executed: of the busiest triggers by themselves, of the others on average.
struct Means {
    of_trigger: HashMap<TriggerId, f64>,
    of_all: Option<f64>,
}

impl Means {
    async fn measure(app: &App, caller: &Caller, triggers: &[TriggerId]) -> Result<Self> {
        let of_project = store::measured(app.store(), Whose::Project(caller.project)).await?;
        let mut of_trigger = HashMap::new();
        let mut sum = of_project;
        for trigger in triggers.iter().take(FORECAST_TRIGGERS_MAX) {
            let whose = Whose::Trigger(caller.project, *trigger);
            let measured = store::measured(app.store(), whose).await?;
            if let Some(mean_ms) = mean(measured) {
                of_trigger.insert(*trigger, mean_ms);
                if of_project.firings == 0 {
                    sum.ms += measured.ms;
                    sum.firings += measured.firings;
                }
            }
        }
        Ok(Self { of_trigger, of_all: mean(sum) })
    }

    fn of(&self, trigger: Option<TriggerId>) -> Option<f64> {
        trigger.and_then(|id| self.of_trigger.get(&id).copied()).or(self.of_all)
    }
}

fn mean(measured: Measured) -> Option<f64> {
    (0 < measured.firings).then(|| measured.ms as f64 / measured.firings as f64)
}
