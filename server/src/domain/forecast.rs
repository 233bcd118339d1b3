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
    FORECAST_AHEAD_MS_MAX, FORECAST_BUCKETS_MAX, FORECAST_CELLS_MAX, FORECAST_PERIOD_MS_MAX,
    FORECAST_STEP_MS_MIN, FORECAST_WORK_MAX,
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
    /// Comparisons that the timetables to come share.
    work_left: u64,
    tables_left: u64,
}

/// Why a schedule was not counted.
#[derive(Debug)]
pub enum NotCounted {
    /// More different plans and buckets than one forecast may have, or more to compare in this one
    /// schedule than its share.
    TooMany,
    /// What is stored makes no plan.
    Broken(Problem),
}

impl Period {
    /// Checks the bounds, as of `now`.
    ///
    /// # Errors
    /// Every problem of `until` and `step`.
    pub fn new(
        now: Instant,
        from: Instant,
        until: Instant,
        step_ms: i64,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let length_ms = until.ms_since(from);
        if length_ms <= 0 {
            problems.push(Problem::new("until", "expected an instant after `from`"));
        } else if FORECAST_PERIOD_MS_MAX < length_ms {
            let days = FORECAST_PERIOD_MS_MAX / 86_400_000;
            problems.push(Problem::new("until", format!("expected at most {days} days")));
        } else if FORECAST_AHEAD_MS_MAX < until.ms_since(now) {
            let latest = now.plus_ms(FORECAST_AHEAD_MS_MAX);
            let days = FORECAST_AHEAD_MS_MAX / 86_400_000;
            let message = format!("expected at most {days} days from now, {latest} or earlier");
            problems.push(Problem::new("until", message));
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
    /// Nothing counted yet, and so many timetables to come.
    #[must_use]
    pub fn new(period: Period, tables: usize) -> Self {
        Self {
            period,
            known: HashMap::new(),
            cells_left: FORECAST_CELLS_MAX,
            work_left: FORECAST_WORK_MAX,
            tables_left: tables as u64,
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
            self.take_cells()?;
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
    /// Each has an equal share of what may be compared, and what it leaves is the others'.
    ///
    /// # Errors
    /// When it used its share up.
    pub fn count_table(
        &mut self,
        table: &Timetable,
        planned_until: Instant,
        left: Option<u64>,
    ) -> Result<Vec<u64>, NotCounted> {
        let share = self.work_left / self.tables_left.max(1);
        self.tables_left = self.tables_left.saturating_sub(1);
        self.take_cells()?;
        let mut work = Work::new(share);
        let counts = self.counts(table, planned_until.plus_ms(1), left, &mut work);
        self.work_left -= share - work.left();
        if work.is_spent() { Err(NotCounted::TooMany) } else { Ok(counts) }
    }

    /// Right unless the work is spent.
    fn counts(
        &self,
        table: &Timetable,
        open_from: Instant,
        left: Option<u64>,
        work: &mut Work,
    ) -> Vec<u64> {
        // What comes before the period matters only to those that fire so many times.
        let mut count =
            |most, from, until| table.count_up_to(most, (from, until), work).unwrap_or(0);
        let before = left.map(|left| count(left, open_from, self.period.from));
        let mut left = left.map_or(u64::MAX, |left| left - before.unwrap_or(0));
        let count = |index| {
            let (from, until) = self.period.bucket(index);
            let count = count(left, from.max(open_from), until);
            left -= count;
            count
        };
        (0..self.period.buckets()).map(count).collect()
    }

    /// Takes the buckets of one more plan.
    fn take_cells(&mut self) -> Result<(), NotCounted> {
        let cells_left = self.cells_left.checked_sub(self.period.buckets());
        self.cells_left = cells_left.ok_or(NotCounted::TooMany)?;
        Ok(())
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
    use std::collections::HashMap;

    use entity::Instant;

    use super::{NotCounted, Period, Spread, executors};
    use crate::domain::calendar::Entry;
    use crate::domain::plan::Spec;
    use crate::domain::policy::Policy;
    use crate::domain::timetable::Timetable;
    use crate::limits::{
        FORECAST_AHEAD_MS_MAX, FORECAST_BUCKETS_MAX, FORECAST_CELLS_MAX, FORECAST_PERIOD_MS_MAX,
    };

    const HOUR_MS: i64 = 3_600_000;
    /// What it costs to find an instant and to compare it with one rule.
    const COST: u64 = 11;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    fn period(hours: i64, step_ms: i64) -> Period {
        let from = at("2026-03-02T10:00:00Z");
        Period::new(from, from, from.plus_ms(hours * HOUR_MS), step_ms).expect("a period")
    }

    fn cron(expression: &str) -> Spec {
        Spec::cron(expression, "UTC")
    }

    #[test]
    fn a_period_has_its_bounds() {
        let from = at("2026-03-02T10:00:00Z");
        let fields = |until, step_ms| match Period::new(from, from, until, step_ms) {
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
        let period = Period::new(from, from, from.plus_ms(2500), 1000).expect("a period");
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
        let mut spread = Spread::new(period, 0);
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
        let mut spread = Spread::new(period(1000, HOUR_MS), 0);
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

    /// Every second, but for each Saturday and Sunday: [`COST`] for each instant.
    fn on_workdays(max_firings: Option<i64>) -> Timetable {
        let excluded = vec![Entry::Cron { expression: "* * * * SAT,SUN".to_owned() }];
        let policy = Policy { excluded, max_firings, ..Policy::default() };
        Timetable::new(&cron("* * * * * *"), policy, &HashMap::new(), 1).expect("a timetable")
    }

    #[test]
    fn a_period_lies_no_further_ahead_than_a_year() {
        let now = at("2026-03-02T10:00:00Z");
        let latest = now.plus_ms(FORECAST_AHEAD_MS_MAX);
        let until = |until: Instant| {
            let found = Period::new(now, until.plus_ms(-HOUR_MS), until, HOUR_MS);
            found.map_err(|problems| format!("{}: {}", problems[0].field, problems[0].message))
        };
        assert!(until(latest).is_ok());
        let expected = "until: expected at most 366 days from now, 2027-03-03T10:00:00Z or earlier";
        assert_eq!(until(latest.plus_ms(1)), Err(expected.to_owned()));
    }

    #[test]
    fn what_lies_before_the_period_is_looked_at_only_for_those_that_end_by_number() {
        // Monday, 28 days after what is planned.
        let from = at("2026-03-30T10:00:00Z");
        let period = Period::new(from, from, from.plus_ms(2 * HOUR_MS), HOUR_MS).expect("a period");
        let planned_until = at("2026-03-02T10:00:00Z");
        let count = |max_firings: Option<i64>, work| {
            let mut spread = Spread { work_left: work, ..Spread::new(period, 1) };
            let left = max_firings.map(i64::unsigned_abs);
            spread.count_table(&on_workdays(max_firings), planned_until, left).ok()
        };
        // An instant after the end is looked at in each bucket.
        assert_eq!(count(None, 2 * 3_601 * COST + 1), Some(vec![3_600, 3_600]));
        assert_eq!(count(None, 2 * 3_601 * COST), None);
        // Those that end before it are not walked to the end of the stretch before it.
        assert_eq!(count(Some(100), 100 * COST + 1), Some(vec![0, 0]));
        assert_eq!(count(Some(100), 100 * COST), None);
    }

    #[test]
    fn a_schedule_that_uses_up_its_share_leaves_the_others_theirs() {
        let period = period(2, HOUR_MS);
        let mut spread = Spread { work_left: 20_000 * COST, ..Spread::new(period, 3) };
        let seldom = |minutes: &str| {
            let excluded = vec![Entry::Cron { expression: "* 0 * * *".to_owned() }];
            let policy = Policy { excluded, ..Policy::default() };
            Timetable::new(&cron(minutes), policy, &HashMap::new(), 1).expect("a timetable")
        };
        let mut count =
            |table: &Timetable| spread.count_table(table, period.from.plus_ms(-1), None).ok();
        // Its share are 6,666 instants of 7,202.
        assert_eq!(count(&on_workdays(None)), None);
        assert_eq!(count(&seldom("*/15 * * * *")), Some(vec![4, 4]));
        // The last has what the second left.
        assert_eq!(count(&on_workdays(None)), Some(vec![3_600, 3_600]));
    }

    #[test]
    fn timetables_and_buckets_have_a_bound() {
        let tables = FORECAST_CELLS_MAX / 1000;
        let mut spread = Spread::new(period(1000, HOUR_MS), tables + 1);
        let spec = cron("0 0 1 1 *");
        let policy = Policy { max_firings: Some(1), ..Policy::default() };
        let table = Timetable::new(&spec, policy, &HashMap::new(), 1).expect("a timetable");
        let planned_until = at("2026-03-02T10:00:00Z");
        let mut count = || spread.count_table(&table, planned_until, Some(1));
        assert!((0..tables).all(|_| count().is_ok()));
        assert!(matches!(count(), Err(NotCounted::TooMany)));
    }

    #[test]
    fn executors_are_time_over_time() {
        // 1,200 firings of 3 s in a minute, on executors with 10 places.
        assert!((executors(1_200.0 * 3_000.0, 60_000, 10) - 6.0).abs() < 1e-9);
    }
}
