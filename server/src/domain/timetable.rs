//! Timetables: a plan under its policy, the one thing that says when a schedule fires.
//!
//! The planner, previews, forecasts, backfills, the simulation and `explain` all ask a
//! [`Timetable`]; none of them looks at a plan or an exclusion by itself.
//!
//! ```text
//!   plan      │  │  │  │  │  │  │  │  │       every instant
//!   policy       [startsAt ▒▒▒▒     endsAt]    ▒ excluded, or in no allowed calendar
//!   timetable       │        │  │  │
//! ```
//! The same promises as a plan's: [`Timetable::next_after`] is strictly later than what was asked,
//! nothing lies between the two, and asking is pure.

use std::collections::HashMap;

use entity::{CalendarId, Instant};

use crate::domain::calendar::DateSet;
use crate::domain::jitter;
use crate::domain::plan::{Plan, Spec};
use crate::domain::policy::Policy;
use crate::error::Problem;
use crate::limits::JITTER_INSTANTS_MAX;

/// Comparisons with what is left out that one question may cost, some 20 ns each: a schedule of
/// every second that leaves out all but eight hours of a day, by the second, takes 630,000 for a
/// night.
pub const WORK_MAX: u64 = 1_000_000;
/// What it takes to walk to the next instant of a plan, in comparisons: some 200 ns.
const WALK: u64 = 10;
/// What it takes to count the instants of a year without walking: some 40 µs.
const COUNT_A_YEAR: u64 = 2_000;
const YEAR_MS: i64 = 366 * 86_400_000;

/// What a search may still cost, in comparisons with what is left out.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    whole: u64,
    left: u64,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The first instant.
    At(Instant),
    /// There is none.
    Never,
    /// There is none up to here, and the work is used up.
    NotUpTo(Instant),
}

/// A calendar that a policy refers to, understood.
#[derive(Clone, Debug)]
pub struct NamedDates {
    /// What people call it.
    pub name: String,
    /// Its entries.
    pub dates: DateSet,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Timetable {
    plan: Plan,
    policy: Policy,
    own: DateSet,
    excluded: Vec<NamedDates>,
    allowed: Vec<NamedDates>,
    seed: u128,
}

/// Whether an instant belongs to a timetable, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does.
    Instant,
    /// The plan has no such instant.
    NotPlanned,
    /// It lies before `startsAt`.
    BeforeStart(Instant),
    /// It lies after `endsAt`.
    AfterEnd(Instant),
    /// It is left out by the schedule's own exclusions.
    Excluded,
    /// It is left out by the calendar of this name.
    ExcludedBy(String),
    /// No calendar that the schedule keeps to allows it.
    NotAllowed,
}

impl Work {
    /// So many comparisons.
    #[must_use]
    pub fn new(comparisons: u64) -> Self {
        Self { whole: comparisons, left: comparisons }
    }

    /// How much of it was done.
    #[must_use]
    pub fn done(self) -> u64 {
        self.whole - self.left
    }

    /// Whether there is none left: what was asked with it may have no whole answer.
    #[must_use]
    pub fn is_spent(self) -> bool {
        self.left == 0
    }

    /// How many are left.
    #[must_use]
    pub fn left(self) -> u64 {
        self.left
    }

    /// Takes the cost of one instant; whether there was so much.
    fn spend(&mut self, cost: u64) -> bool {
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl Timetable {
    /// Joins a plan with its policy. `calendars` holds those that the policy refers to; one that is
    /// not there has no entries. `seed` is what jitter depends on: the schedule's id.
    ///
    /// # Errors
    /// The first thing that is wrong with the spec or the policy.
    pub fn new(
        spec: &Spec,
        policy: Policy,
        calendars: &HashMap<CalendarId, NamedDates>,
        seed: u128,
    ) -> Result<Self, Problem> {
        let first = |mut problems: Vec<Problem>| problems.remove(0).under("exclude");
        let own = DateSet::compile(&policy.excluded, None).map_err(first)?;
        let find = |ids: &[CalendarId]| -> Vec<NamedDates> {
            ids.iter().filter_map(|id| calendars.get(id).cloned()).collect()
        };
        let (excluded, allowed) =
            (find(&policy.excluded_calendars), find(&policy.allowed_calendars));
        Ok(Self { plan: spec.compile()?, policy, own, excluded, allowed, seed })
    }

    /// A plan without any policy.
    #[must_use]
    pub fn bare(plan: Plan) -> Self {
        let own = DateSet::default();
        let policy = Policy::default();
        Self { plan, policy, own, excluded: Vec::new(), allowed: Vec::new(), seed: 0 }
    }

    /// The plan alone.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The policy alone.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The first instant strictly after `after`; none when the schedule is over, or when
    /// [`WORK_MAX`] does not suffice to find it.
    #[must_use]
    pub fn next_after(&self, after: Instant) -> Option<Instant> {
        self.walk(after, &mut Work::new(WORK_MAX)).next()
    }

    /// The instants after `after`, in order, as far as `work` goes.
    pub fn walk(&self, after: Instant, work: &mut Work) -> impl Iterator<Item = Instant> {
        let mut last = after;
        std::iter::from_fn(move || match self.search(last, work) {
            Found::At(next) => {
                last = next;
                Some(next)
            }
            Found::Never | Found::NotUpTo(_) => None,
        })
    }

    /// The first instant strictly after `after`, as far as `work` goes. Whoever goes on where it
    /// ended, with new work, finds it in the end.
    #[must_use]
    pub fn search(&self, after: Instant, work: &mut Work) -> Found {
        let mut last = self.policy.starts_at.map_or(after, |start| start.plus_ms(-1).max(after));
        let cost = self.cost();
        loop {
            let Some(next) = self.plan.next_after(last) else { return Found::Never };
            if self.policy.ends_at.is_some_and(|end| end < next) {
                return Found::Never;
            }
            if !work.spend(cost) {
                return Found::NotUpTo(next.plus_ms(-1));
            }
            match self.left_out_until(next) {
                None => return Found::At(next),
                Some(None) => return Found::Never,
                Some(Some(end)) => last = end.plus_ms(-1).max(next),
            }
        }
    }

    /// The last instant before `end`, given one: halves the stretch between until nothing lies in
    /// its later half, so that nothing is walked.
    #[must_use]
    pub fn last_before(&self, known: Instant, end: Instant, work: &mut Work) -> Instant {
        let (mut found, mut bound) = (known, end);
        while 1 < bound.ms_since(found) {
            let middle = found.plus_ms(bound.ms_since(found) / 2);
            match self.walk(middle.plus_ms(-1), work).next().filter(|next| *next < end) {
                Some(next) => found = next,
                None => bound = middle,
            }
        }
        found
    }

    /// How many instants lie from `from` on and before `until`: exactly, unless the work is used up.
    #[must_use]
    pub fn count(&self, from: Instant, until: Instant, work: &mut Work) -> u64 {
        let from = self.policy.starts_at.map_or(from, |start| start.max(from));
        let until = self.policy.ends_at.map_or(until, |end| end.plus_ms(1).min(until));
        if !self.leaves_out() {
            return self.plan.count(from, until);
        }
        self.walk(from.plus_ms(-1), work).take_while(|next| *next < until).count() as u64
    }

    /// The same, counted up to `most`; `None` when the work is used up before that is known.
    #[must_use]
    pub fn count_up_to(
        &self,
        most: u64,
        (from, until): (Instant, Instant),
        work: &mut Work,
    ) -> Option<u64> {
        if self.leaves_out() {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let instants = self.walk(from.plus_ms(-1), work).take_while(|next| *next < until);
            let count = instants.take(most).count() as u64;
            return (!work.is_spent()).then_some(count);
        }
        let (mut from, mut count) = (from, 0);
        while from < until && count < most {
            let end = from.plus_ms(YEAR_MS).min(until);
            let share = end.ms_since(from).unsigned_abs() * COUNT_A_YEAR / YEAR_MS.unsigned_abs();
            if !work.spend(share.max(1)) {
                return None;
            }
            count += self.count(from, end, work);
            from = end;
        }
        Some(count.min(most))
    }

    /// Whether more than [`JITTER_INSTANTS_MAX`] instants lie within the jitter, from the first
    /// after `after` on: so many firings would wait at a time.
    #[must_use]
    pub fn is_jitter_crowded(&self, after: Instant) -> bool {
        let mut work = Work::new(WORK_MAX);
        let mut instants = self.walk(after, &mut work);
        let ends = instants.next().zip(instants.nth(JITTER_INSTANTS_MAX - 1));
        ends.is_some_and(|(first, beyond)| beyond.ms_since(first) <= self.policy.jitter_ms)
    }

    /// Whether anything between its start and its end may be left out.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        !self.own.is_empty() || !self.excluded.is_empty() || self.keeps_to_calendars()
    }

    /// When the firing that stands for `instant` is due: up to the jitter later.
    #[must_use]
    pub fn due_at(&self, instant: Instant) -> Instant {
        let max = self.policy.jitter_ms.unsigned_abs();
        let later = jitter::share(self.seed, instant.millis().unsigned_abs(), max);
        instant.plus_ms(i64::try_from(later).unwrap_or(0)).min(Instant::MAX)
    }

    /// Whether `at` is an instant of the timetable, and if not, why.
    #[must_use]
    pub fn membership(&self, at: Instant) -> Membership {
        if self.plan.next_after(at.plus_ms(-1)) != Some(at) {
            return Membership::NotPlanned;
        }
        if let Some(start) = self.policy.starts_at.filter(|start| at < *start) {
            return Membership::BeforeStart(start);
        }
        if let Some(end) = self.policy.ends_at.filter(|end| *end < at) {
            return Membership::AfterEnd(end);
        }
        let zone = self.plan.zone();
        if self.own.covered_until(zone, at).is_some() {
            return Membership::Excluded;
        }
        let by = self.excluded.iter().find(|named| named.dates.covered_until(zone, at).is_some());
        if let Some(named) = by {
            return Membership::ExcludedBy(named.name.clone());
        }
        if self.left_out_until(at).is_some() { Membership::NotAllowed } else { Membership::Instant }
    }

    /// In words.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut words = vec![self.plan.summary()];
        words.extend(self.policy.words());
        words.join(", ")
    }

    /// Comparisons that it takes to come to an instant and to see whether it is left out.
    fn cost(&self) -> u64 {
        // Where an allowed stretch begins is searched for, which takes longer than to compare.
        const SEARCH: u64 = 20;
        let work = |lists: &[NamedDates]| lists.iter().map(|named| named.dates.work()).sum::<u64>();
        WALK + self.own.work() + work(&self.excluded) + SEARCH * work(&self.allowed)
    }

    fn keeps_to_calendars(&self) -> bool {
        !self.policy.allowed_calendars.is_empty()
    }

    /// `None` when `at` is not left out; else the first instant at which to look again, if any.
    fn left_out_until(&self, at: Instant) -> Option<Option<Instant>> {
        let zone = self.plan.zone();
        let sets = std::iter::once(&self.own).chain(self.excluded.iter().map(|named| &named.dates));
        if let Some(end) = sets.filter_map(|set| set.covered_until(zone, at)).max() {
            return Some(Some(end));
        }
        let is_allowed = |named: &NamedDates| named.dates.covered_until(zone, at).is_some();
        if !self.keeps_to_calendars() || self.allowed.iter().any(is_allowed) {
            return None;
        }
        let starts = self.allowed.iter().filter_map(|named| named.dates.next_start(zone, at));
        Some(starts.min())
    }
}

#[cfg(test)]
mod tests;
