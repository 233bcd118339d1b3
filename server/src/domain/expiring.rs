//! A small map whose entries are trusted for a while: what was looked up a moment ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use entity::Instant;

/// Entries of one map; past it the map is emptied, which costs a look-up each.
pub const ENTRIES_MAX: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct Expiring<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Expiring<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: Mutex::default() }
    }

    /// The value of `key`, when it was put after `since`.
    pub fn get(&self, key: &K, since: Instant) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(put_at, _)| since < *put_at).map(|(_, value)| value.clone())
    }

    /// Remembers `value` as seen at `now`.
    pub fn put(&self, key: K, now: Instant, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if ENTRIES_MAX <= entries.len() && !entries.contains_key(&key) {
            entries.clear();
        }
        entries.insert(key, (now, value));
    }
}

impl<K: Eq + Hash, V: Clone> Default for Expiring<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_trusted_until_it_is_too_old() {
        let map = Expiring::new();
        map.put("key", Instant::from_millis(1_000), 7);
        assert_eq!(map.get(&"key", Instant::from_millis(999)), Some(7));
        assert_eq!(map.get(&"key", Instant::from_millis(1_000)), None);
    }

    #[test]
    fn the_map_holds_its_limit_and_starts_anew_past_it() {
        let map = Expiring::new();
        let (start, now) = (Instant::MIN, Instant::from_millis(1));
        (0..ENTRIES_MAX).for_each(|key| map.put(key, now, ()));
        assert_eq!(map.get(&0, start), Some(()));
        map.put(ENTRIES_MAX, now, ());
        assert_eq!((map.get(&0, start), map.get(&ENTRIES_MAX, start)), (None, Some(())));
    }
}
