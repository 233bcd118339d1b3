//! Token buckets: how much each key may use, in units that come back with time.
//!
//! A bucket holds `burst` units and gains `rate` of them in a second. What is kept of it is one
//! instant, when it will be full again (the generic cell rate algorithm of ATM Forum's Traffic
//! Management 4.0), so an idle bucket is one whose instant has passed and may be forgotten.
//!
//! What costs more than a bucket holds is let in when the bucket is full, and leaves it in debt:
//! large requests stay possible, and are paid for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How large a bucket is, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What one unit takes to come back.
    unit: Duration,
    burst: u32,
}

impl Rate {
    /// A bucket of `burst` units that gains `rate` a second. `None` when the rate is 0: there is no
    /// limit then.
    #[must_use]
    pub fn new(rate: u32, burst: u32) -> Option<Self> {
        let unit = Duration::from_secs(1).checked_div(rate)?;
        Some(Self { unit, burst: burst.max(1) })
    }
}

/// The buckets of many keys.
#[derive(Debug)]
pub struct Buckets<K> {
    keys_max: usize,
    full_at: Mutex<HashMap<K, Duration>>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// At most `keys_max` buckets.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { keys_max, full_at: Mutex::default() }
    }

    /// Whether one unit is there at `now`; takes none.
    ///
    /// # Errors
    /// How long to wait until it would be.
    pub fn look(&self, key: &K, rate: Rate, now: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        late(&full_at, key, 1, rate, now)
    }

    /// Takes `cost` units out of the bucket of `key` at `now`, which never goes back.
    ///
    /// # Errors
    /// How long to wait until they would be there; nothing was taken.
    pub fn take(&self, key: &K, cost: u32, rate: Rate, now: Duration) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        late(&full_at, key, cost, rate, now)?;
        if self.keys_max <= full_at.len() && !full_at.contains_key(key) {
            make_room(&mut full_at, self.keys_max, now);
        }
        let full = full_at.get(key).map_or(now, |at| now.max(*at));
        full_at.insert(key.clone(), full + rate.unit * cost);
        Ok(())
    }
}

/// How long it takes until `cost` units are there, if they are not.
fn late<K: Eq + Hash>(
    full_at: &HashMap<K, Duration>,
    key: &K,
    cost: u32,
    Rate { unit, burst }: Rate,
    now: Duration,
) -> Result<(), Duration> {
    let missing = full_at.get(key).map_or(Duration::ZERO, |at| at.saturating_sub(now));
    let needed = unit * cost.min(burst);
    let late = (missing + needed).saturating_sub(unit * burst);
    if late.is_zero() { Ok(()) } else { Err(late) }
}

/// Forgets the buckets that are full, or else the one that is nearest to it.
fn make_room<K: Clone + Eq + Hash>(
    full_at: &mut HashMap<K, Duration>,
    keys_max: usize,
    now: Duration,
) {
    full_at.retain(|_, at| now < *at);
    if full_at.len() < keys_max {
        return;
    }
    let fullest = full_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
    if let Some(key) = fullest {
        full_at.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_used_at_once_and_comes_back_at_the_rate() {
        let (buckets, rate) = (Buckets::new(8), Rate::new(10, 3).expect("there is a limit"));
        for _ in 0..3 {
            assert_eq!(buckets.take(&"key", 1, rate, at(0)), Ok(()));
        }
        assert_eq!(buckets.take(&"key", 1, rate, at(0)), Err(at(100)), "one past it");
        assert_eq!(buckets.take(&"other", 3, rate, at(0)), Ok(()), "each key has its own");
        assert_eq!(buckets.take(&"key", 1, rate, at(99)), Err(at(1)));
        assert_eq!(buckets.take(&"key", 1, rate, at(100)), Ok(()));
        assert_eq!(buckets.take(&"key", 3, rate, at(400)), Ok(()), "full again, and no fuller");
        assert_eq!(buckets.take(&"key", 1, rate, at(400)), Err(at(100)));
    }

    #[test]
    fn a_look_takes_nothing() {
        let (buckets, rate) = (Buckets::new(8), Rate::new(10, 1).expect("there is a limit"));
        assert_eq!(buckets.look(&"key", rate, at(0)), Ok(()));
        assert_eq!(buckets.take(&"key", 1, rate, at(0)), Ok(()));
        assert_eq!(buckets.look(&"key", rate, at(40)), Err(at(60)));
    }

    #[test]
    fn what_costs_more_than_the_burst_needs_a_full_bucket_and_leaves_a_debt() {
        let (buckets, rate) = (Buckets::new(8), Rate::new(10, 3).expect("there is a limit"));
        assert_eq!(buckets.take(&"key", 1, rate, at(0)), Ok(()));
        assert_eq!(buckets.take(&"key", 10, rate, at(0)), Err(at(100)));
        assert_eq!(buckets.take(&"key", 10, rate, at(100)), Ok(()));
        assert_eq!(buckets.take(&"key", 1, rate, at(100)), Err(at(800)));
    }

    #[test]
    fn a_rate_of_0_is_no_limit() {
        assert!(Rate::new(0, 3).is_none());
    }

    #[test]
    fn no_more_keys_are_kept_than_allowed_and_idle_ones_go_first() {
        let (buckets, rate) = (Buckets::new(2), Rate::new(1, 2).expect("there is a limit"));
        let kept = || {
            let full_at = buckets.full_at.lock().expect("nobody panicked");
            let mut keys: Vec<i32> = full_at.keys().copied().collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(buckets.take(&1, 2, rate, at(0)), Ok(()));
        assert_eq!(buckets.take(&2, 1, rate, at(0)), Ok(()));
        assert_eq!(kept(), [1, 2], "at the limit");
        assert_eq!(buckets.take(&3, 1, rate, at(0)), Ok(()));
        assert_eq!(kept(), [1, 3], "one past it: the fullest made room");
        assert_eq!(buckets.take(&4, 1, rate, at(5_000)), Ok(()));
        assert_eq!(kept(), [4], "full ones are forgotten");
    }
}
