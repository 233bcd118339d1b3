//! The due queue in the memory of one process.
//!
//! Per project an ordered set of (due, firing); over all of them one ordered set, from which the
//! latest are put out when there are too many. Putting one out lowers the cover to just before it,
//! so that the sweeper brings it back when there is room.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use entity::{FiringId, Instant, ProjectId};
use tokio::sync::Notify;

use super::{Pulled, Queue};
use crate::domain::outbox::Due;

/// See the module.
pub struct MemoryQueue {
    state: Mutex<State>,
    changed: Notify,
    entries_max: usize,
}

#[derive(Default)]
struct State {
    lanes: HashMap<ProjectId, BTreeSet<(Instant, FiringId)>>,
    /// The projects that have a lane, in the order of their turns.
    turns: VecDeque<ProjectId>,
    all: BTreeSet<Due>,
    cover: Option<Instant>,
}

impl MemoryQueue {
    /// An empty queue that holds up to `entries_max`.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), entries_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn push(&self, entries: &[Due]) {
        let mut state = self.lock();
        for due in entries {
            if state.cover() < due.due_at {
                continue;
            }
            state.insert(*due);
            if self.entries_max < state.all.len() {
                state.put_latest_out();
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    async fn pull(&self, now: Instant, rows_max: usize) -> Pulled {
        let mut state = self.lock();
        let mut due = Vec::new();
        let mut idle_lanes = 0;
        while due.len() < rows_max && idle_lanes < state.turns.len() {
            let Some(project) = state.turns.pop_front() else { break };
            match state.take(project, now) {
                Some(taken) => {
                    due.push(taken);
                    idle_lanes = 0;
                }
                None => idle_lanes += 1,
            }
            if state.lanes.contains_key(&project) {
                state.turns.push_back(project);
            }
        }
        let next_at = state.all.first().map(|due| due.due_at);
        Pulled { due, next_at }
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn cover(&self) -> Instant {
        self.lock().cover()
    }

    fn set_cover(&self, until: Instant) {
        self.lock().cover = Some(until);
    }

    fn len(&self) -> usize {
        self.lock().all.len()
    }

    fn room(&self) -> usize {
        self.entries_max.saturating_sub(self.len())
    }
}

impl State {
    fn cover(&self) -> Instant {
        self.cover.unwrap_or(Instant::MIN)
    }

    fn insert(&mut self, due: Due) {
        if !self.all.insert(due) {
            return;
        }
        let lane = self.lanes.entry(due.project).or_insert_with(|| {
            self.turns.push_back(due.project);
            BTreeSet::new()
        });
        lane.insert((due.due_at, due.firing));
    }

    /// The first of a lane, when it is due.
    fn take(&mut self, project: ProjectId, now: Instant) -> Option<Due> {
        let lane = self.lanes.get_mut(&project)?;
        let (due_at, firing) = lane.first().copied().filter(|(due_at, _)| *due_at <= now)?;
        lane.pop_first();
        if lane.is_empty() {
            self.lanes.remove(&project);
        }
        let due = Due { due_at, firing, project };
        self.all.remove(&due);
        Some(due)
    }

    fn put_latest_out(&mut self) {
        let Some(last) = self.all.pop_last() else { return };
        if let Some(lane) = self.lanes.get_mut(&last.project) {
            lane.remove(&(last.due_at, last.firing));
            if lane.is_empty() {
                self.lanes.remove(&last.project);
                self.turns.retain(|project| *project != last.project);
            }
        }
        self.cover = Some(self.cover().min(last.due_at.plus_ms(-1)));
    }
}
