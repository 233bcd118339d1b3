//! How many firings are to come: a period cut into buckets, and the instants of schedules counted
//! into them. Pure; `service/forecast.rs` asks it and adds what is stored already.
//!
//! Counting is exact and does not walk over instants ([`Plan::count`]), so that the work depends on
//! how many buckets and different plans there are, not on how often they fire. Schedules with the
//! same expression are counted once and then added.

use std::collections::HashMap;

use entity::Instant;

use super::plan::{Plan, Spec};
use super::timetable::{Timetable, Work};
use crate::error::Problem;
use crate::limits::{
    FORECAST_BUCKETS_MAX, FORECAST_CELLS_MAX, FORECAST_PERIOD_MS_MAX, FORECAST_STEP_MS_MIN,
    FORECAST_WORK_MAX,
};

/// A period in buckets of one length; the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub from: Instant,
    /// The first instant after it.
    pub until: Instant,
    /// Length of a bucket.
    pub step_ms: i64,
}

/// Counts the instants of many schedules into the buckets of one period.
#[derive(Debug)]
pub struct Spread {
    period: Period,
    known: HashMap<Spec, (Plan, Vec<u64>)>,
    cells_left: usize,
    work: Work,
}

/// Why a schedule was not counted.
#[derive(Debug)]
pub enum NotCounted {
    /// More different plans and buckets than one forecast may have.
    TooMany,
    /// What is stored makes no plan.
    Broken(Problem),
}

impl Period {
    /// Checks the bounds.
    ///
    /// # Errors
    /// Every problem of `until` and `step`.
    pub fn new(from: Instant, until: Instant, step_ms: i64) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let length_ms = until.ms_since(from);
        if length_ms <= 0 {
            problems.push(Problem::new("until", "expected an instant after `from`"));
        } else if FORECAST_PERIOD_MS_MAX < length_ms {
            let days = FORECAST_PERIOD_MS_MAX / 86_400_000;
            problems.push(Problem::new("until", format!("expected at most {days} days")));
        }
        if step_ms < FORECAST_STEP_MS_MIN {
            problems.push(Problem::new("step", "expected at least 1 second"));
        } else if problems.is_empty() && FORECAST_BUCKETS_MAX < buckets(length_ms, step_ms) {
            let message = format!(
                "expected at most {FORECAST_BUCKETS_MAX} buckets, not {}",
                buckets(length_ms, step_ms)
            );
            problems.push(Problem::new("step", message));
        }
        if problems.is_empty() { Ok(Self { from, until, step_ms }) } else { Err(problems) }
    }

    /// How many buckets there are.
    #[must_use]
    pub fn buckets(&self) -> usize {
        buckets(self.until.ms_since(self.from), self.step_ms)
    }

    /// A bucket: its first instant, and the first one after it.
    #[must_use]
    pub fn bucket(&self, index: usize) -> (Instant, Instant) {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let from = self.from.plus_ms(index.saturating_mul(self.step_ms));
        (from, from.plus_ms(self.step_ms).min(self.until))
    }

    /// The bucket that `instant` lies in.
    #[must_use]
    pub fn index_of(&self, instant: Instant) -> Option<usize> {
        if instant < self.from || self.until <= instant {
            return None;
        }
        usize::try_from(instant.ms_since(self.from) / self.step_ms).ok()
    }
}

impl Spread {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(period: Period) -> Self {
        Self {
            period,
            known: HashMap::new(),
            cells_left: FORECAST_CELLS_MAX,
            work: Work::new(FORECAST_WORK_MAX),
        }
    }

    /// How many instants of `spec` after `planned_until` lie in each bucket.
    ///
    /// # Errors
    /// Why it was not counted.
    pub fn count(&mut self, spec: &Spec, planned_until: Instant) -> Result<Vec<u64>, NotCounted> {
        let open_from = planned_until.plus_ms(1);
        let Spec::Cron { .. } = spec else {
            let plan = spec.compile().map_err(NotCounted::Broken)?;
            return Ok(self.fill(&plan, open_from));
        };
        if !self.known.contains_key(spec) {
            let cells = self.period.buckets();
            if self.cells_left < cells {
                return Err(NotCounted::TooMany);
            }
            self.cells_left -= cells;
            let plan = spec.compile().map_err(NotCounted::Broken)?;
            let counts = self.fill(&plan, Instant::MIN);
            self.known.insert(spec.clone(), (plan, counts));
        }
        let (plan, counts) = &self.known[spec];
        let mut counts = counts.clone();
        self.leave_out(plan, open_from, &mut counts);
        Ok(counts)
    }

    /// The same for a schedule with a policy, of whose instants no more than `left` become firings.
    ///
    /// # Errors
    /// When too much had to be walked already.
    pub fn count_table(
        &mut self,
        table: &Timetable,
        planned_until: Instant,
        left: Option<u64>,
    ) -> Result<Vec<u64>, NotCounted> {
        let open_from = planned_until.plus_ms(1);
        let mut left = left.unwrap_or(u64::MAX);
        let mut walked = |from: Instant, until: Instant| {
            let count = table.count(from, until, &mut self.work);
            (!self.work.is_spent()).then_some(count)
        };
        let before = walked(open_from, self.period.from).ok_or(NotCounted::TooMany)?;
        left = left.saturating_sub(before);
        let mut counts = Vec::with_capacity(self.period.buckets());
        for index in 0..self.period.buckets() {
            let (from, until) = self.period.bucket(index);
            let count = walked(from.max(open_from), until).ok_or(NotCounted::TooMany)?.min(left);
            left -= count;
            counts.push(count);
        }
        Ok(counts)
    }

    fn fill(&self, plan: &Plan, open_from: Instant) -> Vec<u64> {
        let count = |index| {
            let (from, until) = self.period.bucket(index);
            plan.count(from.max(open_from), until)
        };
        (0..self.period.buckets()).map(count).collect()
    }

    /// Takes what lies before `open_from` out again.
    fn leave_out(&self, plan: &Plan, open_from: Instant, counts: &mut [u64]) {
        for (index, count) in counts.iter_mut().enumerate() {
            let (from, until) = self.period.bucket(index);
            if open_from <= from {
                return;
            }
            *count = plan.count(open_from, until);
        }
    }
}

/// How many executors a number of firings keeps busy through a bucket: time of execution over the
/// time that there is.
#[must_use]
pub fn executors(work_ms: f64, length_ms: i64, concurrency: usize) -> f64 {
    work_ms / (length_ms.max(1) as f64 * concurrency.max(1) as f64)
}

fn buckets(length_ms: i64, step_ms: i64) -> usize {
    usize::try_from((length_ms.max(0) + step_ms - 1) / step_ms).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use entity::Instant;

    use super::{NotCounted, Period, Spread, executors};
    use crate::domain::plan::Spec;
    use crate::limits::{FORECAST_BUCKETS_MAX, FORECAST_CELLS_MAX, FORECAST_PERIOD_MS_MAX};

    const HOUR_MS: i64 = 3_600_000;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn period(hours: i64, step_ms: i64) -> Period {
        let from = at("2026-03-02T10:00:00Z");
        Period::new(from, from.plus_ms(hours * HOUR_MS), step_ms).expect("a period")
    }

    fn cron(expression: &str) -> Spec {
        Spec::cron(expression, "UTC")
    }

    #[test]
    fn a_period_has_its_bounds() {
        let from = at("2026-03-02T10:00:00Z");
        let fields = |until, step_ms| match Period::new(from, until, step_ms) {
            Ok(_) => vec![],
            Err(problems) => problems.into_iter().map(|problem| problem.field).collect(),
        };
        let most = FORECAST_BUCKETS_MAX as i64;
        assert!(fields(from.plus_ms(most * 1000), 1000).is_empty());
        assert_eq!(fields(from.plus_ms(most * 1000 + 1), 1000), ["step"]);
        assert_eq!(fields(from.plus_ms(5000), 999), ["step"]);
        assert!(fields(from.plus_ms(FORECAST_PERIOD_MS_MAX), FORECAST_PERIOD_MS_MAX).is_empty());
        let past = FORECAST_PERIOD_MS_MAX + 1;
        assert_eq!(fields(from.plus_ms(past), past), ["until"]);
        assert_eq!(fields(from, 0), ["until", "step"]);
    }

    #[test]
    fn the_last_bucket_may_be_shorter() {
        let from = at("2026-03-02T10:00:00Z");
        let period = Period::new(from, from.plus_ms(2500), 1000).expect("a period");
        assert_eq!(period.buckets(), 3);
        assert_eq!(period.bucket(2), (from.plus_ms(2000), from.plus_ms(2500)));
        assert_eq!(period.index_of(from.plus_ms(2499)), Some(2));
        assert_eq!(period.index_of(from.plus_ms(2500)), None);
        assert_eq!(period.index_of(from.plus_ms(-1)), None);
    }

    #[test]
    fn what_is_planned_already_is_not_counted_again() {
        let period = period(3, HOUR_MS);
        let planned_until = at("2026-03-02T11:20:00Z");
        let mut spread = Spread::new(period);
        let counts = |spread: &mut Spread, spec: &Spec, until| {
            spread.count(spec, until).expect("it is counted")
        };
        let quarter = cron("*/15 * * * *");
        assert_eq!(counts(&mut spread, &quarter, period.from.plus_ms(-1)), [4, 4, 4]);
        assert_eq!(counts(&mut spread, &quarter, planned_until), [0, 2, 4]);
        assert_eq!(counts(&mut spread, &quarter, period.until), [0, 0, 0]);
        let every = Spec::every(600_000, period.from.plus_ms(-600_000));
        assert_eq!(counts(&mut spread, &every, planned_until), [0, 3, 6]);
        let once = Spec::At { at: at("2026-03-02T12:59:59.999Z") };
        assert_eq!(counts(&mut spread, &once, planned_until), [0, 0, 1]);
    }

    #[test]
    fn different_expressions_and_buckets_have_a_bound() {
        let buckets = 1000;
        let mut spread = Spread::new(period(1000, HOUR_MS));
        let plans = FORECAST_CELLS_MAX / buckets;
        let expression =
            |index: usize| format!("{} {} {} * *", index % 60, index / 60 % 24, 1 + index / 1440);
        for index in 0..plans {
            assert!(spread.count(&cron(&expression(index)), Instant::MIN).is_ok(), "{index}");
        }
        let past = spread.count(&cron(&expression(plans)), Instant::MIN);
        assert!(matches!(past, Err(NotCounted::TooMany)));
        assert!(spread.count(&cron(&expression(0)), Instant::MIN).is_ok(), "it is known");
    }

    #[test]
    fn executors_are_time_over_time() {
        // 1,200 firings of 3 s in a minute, on executors with 10 places.
        assert!((executors(1_200.0 * 3_000.0, 60_000, 10) - 6.0).abs() < 1e-9);
    }
}
