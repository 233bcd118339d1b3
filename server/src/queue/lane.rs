//! Lanes that are drained in turn: the order in which the memory home serves them.
//!
//! ```text
//!  waiting: by the first instant ──(that instant has come)──► ready: by turn ──► served
//!      ▲                                                        ▲                  │
//!      └──────── what is left is not due yet ───────────────────┴── still due ◄────┘
//! ```
//! A lane that was served goes to the end of the turns. One that may not be served now keeps its
//! turn. Both moves cost the logarithm of the number of lanes, however many wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use entity::Instant;

/// The turns of lanes named `K`. What the lanes hold is the owner's.
#[derive(Debug)]
pub(super) struct Turns<K> {
    waiting: BTreeSet<(Instant, K)>,
    ready: BTreeMap<u64, K>,
    places: HashMap<K, Place>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Waiting(Instant),
    Ready(u64),
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        let (waiting, ready) = (BTreeSet::new(), BTreeMap::new());
        Self { waiting, ready, places: HashMap::new(), next: 0 }
    }
}

impl<K: Copy + Eq + Ord + Hash> Turns<K> {
    /// The first entry of `lane` is due at `first` now; a lane whose turn has come keeps it.
    pub(super) fn set(&mut self, lane: K, first: Instant) {
        match self.places.get(&lane) {
            Some(Place::Ready(_)) => {}
            Some(Place::Waiting(before)) if *before == first => {}
            _ => self.wait(lane, first),
        }
    }

    /// `lane` waits until `first`, also if its turn had come.
    pub(super) fn wait(&mut self, lane: K, first: Instant) {
        self.remove(lane);
        self.waiting.insert((first, lane));
        self.places.insert(lane, Place::Waiting(first));
    }

    /// `lane` was served and goes to the end of the turns.
    pub(super) fn served(&mut self, lane: K) {
        self.remove(lane);
        self.ready.insert(self.next, lane);
        self.places.insert(lane, Place::Ready(self.next));
        self.next += 1;
    }

    /// `lane` holds nothing any more.
    pub(super) fn remove(&mut self, lane: K) {
        match self.places.remove(&lane) {
            Some(Place::Waiting(first)) => drop(self.waiting.remove(&(first, lane))),
            Some(Place::Ready(turn)) => drop(self.ready.remove(&turn)),
            None => {}
        }
    }

    /// Gives a turn to every lane whose first instant has come.
    pub(super) fn promote(&mut self, now: Instant) {
        while let Some((first, lane)) = self.waiting.first().copied() {
            if now < first {
                return;
            }
            self.served(lane);
        }
    }

    /// The next lane at or after `turn`.
    pub(super) fn next(&self, turn: u64) -> Option<(u64, K)> {
        self.ready.range(turn..).next().map(|(turn, lane)| (*turn, *lane))
    }

    /// When the first of the lanes that wait will have its turn.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.waiting.first().map(|(first, _)| *first)
    }
}
