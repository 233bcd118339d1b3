//! The simulation: what becomes of each instant of a schedule in a period, without a database.
//!
//! It decides nothing by itself. The planner's step is [`planning::step`], the slot of the trigger
//! is [`overlap::decide`]'s, and the order is the engine's: at each moment at which something can
//! happen, what has ended is recorded, then the planner runs, then what is due is claimed, until
//! nothing moves. A test compares it with the engine, instant by instant.
//!
//! ```text
//!  made at `from`     outage: nothing is planned, claimed or recorded      `until`
//!      ├──●────●────●──▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒──●────●────●────●────●────────┤
//! ```
//! What runs goes on through an outage and is recorded after it, as it is when another machine
//! than the receiver is down. Every run is successful and takes the durations in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use entity::Instant;
use entity::firing::Status;
use entity::trigger::Overlap;

use super::overlap::{Verdict, decide};
use super::planning::{self, Cursor, Planned, Reason, Recorded, Step, missed_before};
use super::timetable::Timetable;

/// What a schedule goes through.
#[derive(Clone, Debug)]
pub struct Setting {
    /// When the schedule is made; its instants come later.
    pub from: Instant,
    /// The first moment that is not looked at.
    pub until: Instant,
    /// What becomes of an instant whose trigger still runs an earlier one.
    pub overlap: Overlap,
    /// From when to when nothing is planned, claimed or recorded; in order and apart.
    pub outages: Vec<(Instant, Instant)>,
    /// How long the runs take, in milliseconds, one after the other and over again; no time at all
    /// when there are none.
    pub durations_ms: Vec<i64>,
    /// Instants before `until` that are looked at before it ends early.
    pub instants_max: usize,
    /// Comparisons that its steps may make together before it ends early.
    pub work_max: u64,
}

/// What became of each instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Oldest first.
    pub fates: Vec<Fate>,
    /// Whether there were more instants than were to be looked at, or more work than may be.
    pub is_cut: bool,
    /// Comparisons that its steps made.
    pub work: u64,
}

/// What became of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The instant.
    pub nominal_at: Instant,
    /// Where its firing stands at the end.
    pub status: Status,
    /// Why it was skipped or cancelled.
    pub reason: Option<Reason>,
    /// When it began to run.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub finished_at: Option<Instant>,
}

/// Plays a schedule through its setting.
#[must_use]
pub fn simulate(table: &Timetable, setting: &Setting) -> Simulation {
    let mut play = Play::new(table, setting);
    let mut now = setting.from;
    while now < setting.until && !play.is_cut() {
        while !play.is_cut() && play.work(now) {}
        now = play.next_moment(now);
    }
    let (is_cut, work) = (play.is_cut(), play.work);
    let within = |fate: &Fate| fate.nominal_at < setting.until;
    let mut fates: Vec<Fate> = play.fates.into_values().filter(within).collect();
    fates.truncate(setting.instants_max);
    Simulation { fates, is_cut, work }
}

/// A run that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    ends_at: Instant,
    nominal_at: Instant,
}

struct Play<'a> {
    table: &'a Timetable,
    setting: &'a Setting,
    fates: BTreeMap<Instant, Fate>,
    planned_until: Instant,
    plan_at: Option<Instant>,
    firings: usize,
    /// What may be claimed, by when it is due.
    waiting: BTreeSet<(Instant, Instant)>,
    buffered: VecDeque<Instant>,
    running: BTreeSet<Run>,
    started: usize,
    /// How many of `fates` lie before `until`: the planner looks further ahead.
    instants: usize,
    /// Comparisons that were made.
    work: u64,
}

impl<'a> Play<'a> {
    fn new(table: &'a Timetable, setting: &'a Setting) -> Self {
        Self {
            table,
            setting,
            fates: BTreeMap::new(),
            planned_until: setting.from,
            plan_at: Some(setting.from),
            firings: 0,
            waiting: BTreeSet::new(),
            buffered: VecDeque::new(),
            running: BTreeSet::new(),
            started: 0,
            instants: 0,
            work: 0,
        }
    }

    fn is_cut(&self) -> bool {
        self.setting.instants_max < self.instants || self.setting.work_max < self.work
    }

    /// All duties of the engine, once. Whether any did anything.
    fn work(&mut self, now: Instant) -> bool {
        let has_moved = self.record(now) | self.plan(now);
        self.sweep(now);
        self.claim(now) || has_moved
    }

    /// The first moment after `now` at which something can happen.
    fn next_moment(&self, now: Instant) -> Instant {
        let due = self.waiting.first().map(|(due_at, _)| *due_at);
        let ends = self.running.first().map(|run| run.ends_at);
        let next = [due, ends, self.plan_at].into_iter().flatten().min();
        let next = next.unwrap_or(Instant::MAX).max(now.plus_ms(1));
        // An outage may begin where the one before it ends.
        let after = |at, (from, until): &(Instant, Instant)| {
            if *from <= at && at < *until { *until } else { at }
        };
        self.setting.outages.iter().fold(next, after)
    }

    /// Ends what has run its time, and gives the slot on. Whether anything ended.
    fn record(&mut self, now: Instant) -> bool {
        let mut has_ended = false;
        while let Some(run) = self.running.first().copied().filter(|run| run.ends_at <= now) {
            self.running.remove(&run);
            self.end(run.nominal_at, Status::Completed, None, now);
            has_ended = true;
        }
        if has_ended
            && self.running.is_empty()
            && let Some(next) = self.buffered.pop_front()
        {
            self.waiting.insert((now, next));
        }
        has_ended
    }

    /// One step of the planner, when it would look. Whether it did.
    fn plan(&mut self, now: Instant) -> bool {
        let is_missed = |(due_at, _): &(Instant, Instant)| *due_at < missed_before(now);
        let looks = self.plan_at.is_some_and(|at| at <= now);
        if !looks && !self.waiting.first().is_some_and(is_missed) {
            return false;
        }
        let (over, ahead) = self.waiting_rows(now);
        self.work += self.waiting.len() as u64;
        let max = self.table.policy().max_firings;
        let max = max.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        let cursor = Cursor {
            planned_until: self.planned_until,
            waiting: over,
            ahead,
            recorded: Recorded::default(),
            left: max.map(|max| max.saturating_sub(self.firings)),
            is_paused: false,
        };
        let step = planning::step(self.table, &cursor, now);
        self.apply(step, now);
        true
    }

    /// Gives a slot on that fell free unseen: what it had been given to was missed.
    fn sweep(&mut self, now: Instant) {
        let is_due = |(due_at, _): &(Instant, Instant)| *due_at <= now;
        if self.running.is_empty()
            && !self.waiting.first().is_some_and(is_due)
            && let Some(next) = self.buffered.pop_front()
        {
            self.waiting.insert((now, next));
        }
    }

    /// What waits and whose instant has come, oldest first; and how much else waits.
    fn waiting_rows(&self, now: Instant) -> (Vec<Planned>, usize) {
        let planned = |(due_at, nominal_at): &(Instant, Instant)| Planned {
            nominal_at: *nominal_at,
            due_at: *due_at,
        };
        let all = self.waiting.iter().map(planned);
        let mut over: Vec<Planned> = all.filter(|planned| planned.nominal_at <= now).collect();
        over.sort_unstable_by_key(|planned| planned.nominal_at);
        let ahead = self.waiting.len() - over.len();
        (over, ahead)
    }

    fn apply(&mut self, step: Step, now: Instant) {
        let changed: BTreeSet<Instant> = step.folded.iter().chain(&step.revived).copied().collect();
        if !changed.is_empty() {
            self.waiting.retain(|(_, nominal_at)| !changed.contains(nominal_at));
        }
        self.waiting.extend(step.revived.iter().map(|nominal_at| (now, *nominal_at)));
        self.firings = self.firings + step.plan.len() - step.folded.len();
        for Planned { nominal_at, due_at } in &step.plan {
            self.waiting.insert((*due_at, *nominal_at));
            self.begin(*nominal_at, Status::Scheduled);
        }
        for nominal_at in &step.skipped {
            self.begin(*nominal_at, Status::Scheduled);
            self.end(*nominal_at, Status::Skipped, Some(step.reason), now);
        }
        self.work += step.work;
        self.planned_until = step.planned_until;
        self.plan_at = step.plan_at;
    }

    /// Claims what is due. Whether anything was.
    fn claim(&mut self, now: Instant) -> bool {
        let due = self.waiting.range(..=(now, Instant::MAX)).copied();
        let is_claimed = |(due_at, _): &(Instant, Instant)| missed_before(now) <= *due_at;
        let mut due: Vec<(Instant, Instant)> = due.filter(is_claimed).collect();
        due.sort_unstable_by_key(|(_, nominal_at)| *nominal_at);
        // All of a batch are decided about before any of them runs.
        let mut runs = Vec::new();
        for waits in &due {
            self.waiting.remove(waits);
            self.decide(waits.1, &mut runs, now);
        }
        for nominal_at in runs {
            self.run(nominal_at, now);
        }
        !due.is_empty()
    }

    fn decide(&mut self, nominal_at: Instant, runs: &mut Vec<Instant>, now: Instant) {
        let running = self.running.first().map(|run| run.nominal_at);
        let holder = running.or(runs.last().copied());
        match decide(self.setting.overlap, holder, self.buffered.len()) {
            Verdict::Run => runs.push(nominal_at),
            Verdict::Skip(reason) => self.end(nominal_at, Status::Skipped, Some(reason), now),
            Verdict::Buffer => {
                let place = self.buffered.partition_point(|buffered| *buffered < nominal_at);
                self.buffered.insert(place, nominal_at);
            }
            Verdict::CancelOther => {
                let held = std::mem::take(&mut self.running).into_iter().map(|run| run.nominal_at);
                for other in held.chain(runs.drain(..)) {
                    self.end(other, Status::Cancelled, Some(Reason::Overlap), now);
                }
                runs.push(nominal_at);
            }
        }
    }

    fn run(&mut self, nominal_at: Instant, now: Instant) {
        let durations = &self.setting.durations_ms;
        let lasts_ms = durations.get(self.started % durations.len().max(1)).copied().unwrap_or(0);
        self.started += 1;
        self.running.insert(Run { ends_at: now.plus_ms(lasts_ms), nominal_at });
        if let Some(fate) = self.fates.get_mut(&nominal_at) {
            fate.status = Status::Executing;
            fate.started_at = Some(now);
        }
    }

    fn begin(&mut self, nominal_at: Instant, status: Status) {
        let fate = Fate { nominal_at, status, reason: None, started_at: None, finished_at: None };
        let is_new = self.fates.insert(nominal_at, fate).is_none();
        self.instants += usize::from(is_new && nominal_at < self.setting.until);
    }

    fn end(&mut self, nominal_at: Instant, status: Status, reason: Option<Reason>, now: Instant) {
        if let Some(fate) = self.fates.get_mut(&nominal_at) {
            fate.status = status;
            fate.reason = reason;
            fate.finished_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;
