//! The due queue in the memory of one process.
//!
//! Per project an ordered set of (due, firing) with a lane per trigger, and turns over both (see
//! `lane.rs`). When there are too many entries, the project that holds most loses its latest, and
//! the cover is lowered to just before it, so that the sweeper brings it back when there is room.
//! What is overdue is put out without that: the sweeper looks at everything overdue anyway.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use entity::{FiringId, Instant, ProjectId, TriggerId};
use tokio::sync::Notify;

use super::lane::Turns;
use super::{Health, Pulled, Queue, Room};
use crate::clock::Clock;
use crate::domain::outbox::Due;
use crate::limits::{OVERDUE_MS, QUEUE_LEASE_MS, SWEEP_MS};

/// See the module.
pub struct MemoryQueue {
    state: Mutex<State>,
    changed: Notify,
    lost: Notify,
    entries_max: usize,
    clock: Arc<dyn Clock>,
}

struct State {
    projects: HashMap<ProjectId, Project>,
    turns: Turns<ProjectId>,
    /// How much each project holds, to find who holds most.
    sizes: BTreeSet<(usize, ProjectId)>,
    len: usize,
    /// What was handed out, by firing and instant: a retry is another instant.
    leased: HashMap<(FiringId, Instant), (Instant, Due)>,
    /// The same by the end of the lease.
    leases: BTreeSet<(Instant, FiringId, Instant)>,
    cover: Instant,
}

struct Project {
    id: ProjectId,
    entries: BTreeMap<(Instant, FiringId), Option<TriggerId>>,
    lanes: HashMap<Option<TriggerId>, Lane>,
    turns: Turns<Option<TriggerId>>,
}

#[derive(Default)]
struct Lane {
    entries: BTreeSet<(Instant, FiringId)>,
    limit: Option<u32>,
}

impl MemoryQueue {
    /// An empty queue that holds up to `entries_max`.
    #[must_use]
    pub fn new(entries_max: usize, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State::new());
        Self { state, changed: Notify::new(), lost: Notify::new(), entries_max, clock }
    }

    /// Loses everything, as a process that starts anew.
    pub fn clear(&self) {
        *self.lock() = State::new();
        self.lost.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn push(&self, entries: &[Due]) {
        let now = self.clock.now();
        let mut state = self.lock();
        for due in entries {
            // What the next sweep would bring too late is kept in any case.
            let horizon = state.cover.max(now.plus_ms(SWEEP_MS));
            if horizon < due.due_at || state.leased.contains_key(&(due.firing, due.due_at)) {
                continue;
            }
            state.insert(*due);
            if self.entries_max < state.len {
                state.put_out(now);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    async fn pull(&self, now: Instant, room: &Room) -> Pulled {
        let mut state = self.lock();
        state.end_leases(now);
        state.take(now, room)
    }

    fn settle(&self, entries: &[Due]) {
        let mut state = self.lock();
        for due in entries {
            if let Some((until, _)) = state.leased.remove(&(due.firing, due.due_at)) {
                state.leases.remove(&(until, due.firing, due.due_at));
            }
        }
    }

    async fn flush(&self) {}

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn lost(&self) {
        self.lost.notified().await;
    }

    async fn cover(&self) -> Instant {
        self.lock().cover
    }

    async fn raise_cover(&self, from: Instant, until: Instant) -> bool {
        let mut state = self.lock();
        if state.cover < from {
            return false;
        }
        state.cover = state.cover.max(until);
        true
    }

    async fn lower_cover(&self, until: Instant) {
        let mut state = self.lock();
        state.cover = state.cover.min(until);
    }

    async fn len(&self) -> usize {
        self.lock().len
    }

    fn entries_max(&self) -> usize {
        self.entries_max
    }

    fn health(&self) -> Health {
        Health::Healthy
    }
}

impl State {
    fn new() -> Self {
        Self {
            projects: HashMap::new(),
            turns: Turns::default(),
            sizes: BTreeSet::new(),
            len: 0,
            leased: HashMap::new(),
            leases: BTreeSet::new(),
            cover: Instant::MIN,
        }
    }

    fn insert(&mut self, due: Due) {
        let project = self.projects.entry(due.project);
        let project = project.or_insert_with(|| Project::new(due.project));
        let size = project.entries.len();
        if project.insert(due) {
            self.sizes.remove(&(size, due.project));
            self.sizes.insert((size + 1, due.project));
            self.len += 1;
        }
        if let Some(first) = project.first() {
            self.turns.set(due.project, first);
        }
    }

    /// What was handed out and not settled waits again.
    fn end_leases(&mut self, now: Instant) {
        while let Some((until, firing, due_at)) = self.leases.first().copied() {
            if now < until {
                return;
            }
            self.leases.pop_first();
            if let Some((_, due)) = self.leased.remove(&(firing, due_at)) {
                self.insert(due);
            }
        }
    }

    fn take(&mut self, now: Instant, room: &Room) -> Pulled {
        self.turns.promote(now);
        let mut due: Vec<Due> = Vec::new();
        let mut running = Running { room, projects: HashMap::new(), triggers: HashMap::new() };
        let mut blocked_until = None;
        let mut turn = 0;
        while let Some((at, id)) = self.turns.next(turn) {
            turn = at + 1;
            let Some(project) = self.projects.get_mut(&id) else { continue };
            if room.rows_max <= due.len() {
                return Pulled { due, next_at: Some(now) };
            }
            if !room.is_open(running.of_project(id), due.len()) {
                continue;
            }
            match project.find(now, &running) {
                Found::Entry(entry) => {
                    running.start(entry);
                    due.push(entry);
                    self.take_out(entry, now);
                    self.lease(entry, now);
                }
                Found::Later(Some(first)) => self.turns.wait(id, first),
                Found::Later(None) => self.turns.remove(id),
                Found::Blocked(first) => blocked_until = earlier(blocked_until, first),
            }
        }
        Pulled { due, next_at: earlier(blocked_until, self.turns.next_at()) }
    }

    /// Takes the first entry of a lane that was found due, and gives the lanes their next turns.
    fn take_out(&mut self, entry: Due, now: Instant) {
        self.remove(entry);
        let Some(project) = self.projects.get_mut(&entry.project) else { return };
        project.served(entry.trigger, now);
        match project.first() {
            Some(first) if first <= now => self.turns.served(entry.project),
            Some(first) => self.turns.wait(entry.project, first),
            None => {}
        }
    }

    fn remove(&mut self, entry: Due) {
        let Some(project) = self.projects.get_mut(&entry.project) else { return };
        let size = project.entries.len();
        if !project.remove(entry) {
            return;
        }
        self.len -= 1;
        self.sizes.remove(&(size, entry.project));
        if size == 1 {
            self.projects.remove(&entry.project);
            self.turns.remove(entry.project);
        } else {
            self.sizes.insert((size - 1, entry.project));
        }
    }

    fn lease(&mut self, entry: Due, now: Instant) {
        let until = now.plus_ms(QUEUE_LEASE_MS);
        self.leased.insert((entry.firing, entry.due_at), (until, entry));
        self.leases.insert((until, entry.firing, entry.due_at));
    }

    fn put_out(&mut self, now: Instant) {
        let Some((_, id)) = self.sizes.last().copied() else { return };
        let last = self.projects.get(&id).and_then(|project| project.entries.last_key_value());
        let Some((&(due_at, firing), &trigger)) = last else { return };
        self.remove(Due { due_at, firing, project: id, trigger, trigger_limit: None });
        if let Some(first) = self.projects.get(&id).and_then(Project::first) {
            self.turns.set(id, first);
        }
        if now.plus_ms(-OVERDUE_MS) < due_at {
            self.cover = self.cover.min(due_at.plus_ms(-1));
        }
    }
}

/// What a look at a project found.
enum Found {
    /// Due, and there is room for it.
    Entry(Due),
    /// Nothing is due before.
    Later(Option<Instant>),
    /// What is due has no room; the first of the rest is due then.
    Blocked(Option<Instant>),
}

impl Project {
    fn new(id: ProjectId) -> Self {
        let (entries, lanes) = (BTreeMap::new(), HashMap::new());
        Self { id, entries, lanes, turns: Turns::default() }
    }

    fn insert(&mut self, due: Due) -> bool {
        let lane = self.lanes.entry(due.trigger).or_default();
        lane.limit = due.trigger_limit;
        let is_new = lane.entries.insert((due.due_at, due.firing));
        if let Some((first, _)) = lane.entries.first() {
            self.turns.set(due.trigger, *first);
        }
        self.entries.insert((due.due_at, due.firing), due.trigger);
        is_new
    }

    fn remove(&mut self, due: Due) -> bool {
        let Some(lane) = self.lanes.get_mut(&due.trigger) else { return false };
        let was_there = lane.entries.remove(&(due.due_at, due.firing));
        match lane.entries.first() {
            Some((first, _)) => self.turns.set(due.trigger, *first),
            None => {
                self.lanes.remove(&due.trigger);
                self.turns.remove(due.trigger);
            }
        }
        self.entries.remove(&(due.due_at, due.firing));
        was_there
    }

    fn first(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((due_at, _), _)| *due_at)
    }

    fn served(&mut self, trigger: Option<TriggerId>, now: Instant) {
        let Some(lane) = self.lanes.get(&trigger) else { return };
        match lane.entries.first() {
            Some((first, _)) if *first <= now => self.turns.served(trigger),
            Some((first, _)) => self.turns.wait(trigger, *first),
            None => {}
        }
    }

    fn find(&mut self, now: Instant, running: &Running<'_>) -> Found {
        self.turns.promote(now);
        let mut is_blocked = false;
        let mut turn = 0;
        while let Some((at, trigger)) = self.turns.next(turn) {
            turn = at + 1;
            let Some(lane) = self.lanes.get(&trigger) else { continue };
            let Some(&(due_at, firing)) = lane.entries.first() else { continue };
            if now < due_at {
                // The clock was set back.
                self.turns.wait(trigger, due_at);
                continue;
            }
            let limit = lane.limit.map_or(usize::MAX, |limit| limit as usize);
            if limit <= running.of_trigger(trigger) {
                is_blocked = true;
                continue;
            }
            let (project, trigger_limit) = (self.id, lane.limit);
            return Found::Entry(Due { due_at, firing, project, trigger, trigger_limit });
        }
        if is_blocked {
            return Found::Blocked(self.turns.next_at());
        }
        Found::Later(self.first())
    }
}

/// What runs, with what this pull has taken so far.
struct Running<'a> {
    room: &'a Room,
    projects: HashMap<ProjectId, usize>,
    triggers: HashMap<TriggerId, usize>,
}

impl Running<'_> {
    fn of_project(&self, id: ProjectId) -> usize {
        let taken = self.projects.get(&id).copied().unwrap_or(0);
        taken + self.room.projects.get(&id).copied().unwrap_or(0)
    }

    fn of_trigger(&self, id: Option<TriggerId>) -> usize {
        let Some(id) = id else { return 0 };
        let taken = self.triggers.get(&id).copied().unwrap_or(0);
        taken + self.room.triggers.get(&id).copied().unwrap_or(0)
    }

    fn start(&mut self, entry: Due) {
        *self.projects.entry(entry.project).or_default() += 1;
        if let Some(trigger) = entry.trigger {
            *self.triggers.entry(trigger).or_default() += 1;
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
