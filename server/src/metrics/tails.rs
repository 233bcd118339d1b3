//! The readers of the live log, and how far the slowest has come.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus::IntGauge;

/// Every reader of one app.
pub struct Tails {
    count: IntGauge,
    places: Mutex<Vec<Weak<AtomicI64>>>,
}

/// Where one reader is; dropped with it.
pub struct TailPlace {
    at: Arc<AtomicI64>,
    count: IntGauge,
}

impl Tails {
    pub(super) fn new(count: IntGauge) -> Self {
        Self { count, places: Mutex::default() }
    }

    /// A reader begins at `at`.
    #[must_use]
    pub fn enter(&self, at: i64) -> TailPlace {
        let place = Arc::new(AtomicI64::new(at));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody need ever ask how far they are, so that those who left are cleared here as well.
        if places.len() == places.capacity() {
            places.retain(|place| 0 < place.strong_count());
        }
        places.push(Arc::downgrade(&place));
        self.count.inc();
        TailPlace { at: place, count: self.count.clone() }
    }

    /// Where the slowest is; none when there is no reader.
    #[must_use]
    pub fn slowest(&self) -> Option<i64> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| 0 < place.strong_count());
        let at = |place: &Weak<AtomicI64>| Some(place.upgrade()?.load(Ordering::Relaxed));
        places.iter().filter_map(at).min()
    }
}

impl TailPlace {
    /// The reader has read up to here.
    pub fn set(&self, at: i64) {
        self.at.store(at, Ordering::Relaxed);
    }
}

impl Drop for TailPlace {
    fn drop(&mut self) {
        self.count.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntGauge;

    use super::Tails;

    #[test]
    fn the_slowest_reader_counts_until_it_leaves() {
        let count = IntGauge::new("tails", "tails").expect("a gauge");
        let tails = Tails::new(count.clone());
        assert_eq!(tails.slowest(), None);
        let (slow, quick) = (tails.enter(3), tails.enter(5));
        quick.set(9);
        assert_eq!((tails.slowest(), count.get()), (Some(3), 2));
        drop(slow);
        assert_eq!((tails.slowest(), count.get()), (Some(9), 1));
    }
}
