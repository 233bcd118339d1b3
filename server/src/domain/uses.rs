//! When API keys were used, until it is written: noted in the path of a request, which must not wait
//! for a database, and taken once a minute by the duty that writes it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use entity::{Instant, KeyId, ProjectId};

use crate::limits::KEYS_USED_MAX;

/// See the module.
#[derive(Debug, Default)]
pub struct Uses {
    latest: Mutex<HashMap<(ProjectId, KeyId), Instant>>,
}

impl Uses {
    /// A key was used. Of more than [`KEYS_USED_MAX`] keys some are forgotten.
    pub fn note(&self, project: ProjectId, key: KeyId, at: Instant) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() < KEYS_USED_MAX || latest.contains_key(&(project, key)) {
            latest.insert((project, key), at);
        }
    }

    /// What was noted since this was last called.
    #[must_use]
    pub fn take(&self) -> Vec<(ProjectId, KeyId, Instant)> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.drain().map(|((project, key), at)| (project, key, at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn key(number: u128) -> KeyId {
        KeyId(Uuid::from_u128(number))
    }

    const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));

    #[test]
    fn the_last_use_of_each_key_is_taken_once() {
        let uses = Uses::default();
        uses.note(PROJECT, key(1), Instant::from_millis(1));
        uses.note(PROJECT, key(1), Instant::from_millis(2));
        assert_eq!(uses.take(), [(PROJECT, key(1), Instant::from_millis(2))]);
        assert_eq!(uses.take(), []);
    }

    #[test]
    fn as_many_keys_as_the_limit_are_remembered_and_no_more() {
        let uses = Uses::default();
        let at = Instant::from_millis(1);
        (0..KEYS_USED_MAX as u128).for_each(|number| uses.note(PROJECT, key(number), at));
        uses.note(PROJECT, key(KEYS_USED_MAX as u128), at);
        uses.note(PROJECT, key(0), Instant::from_millis(2));
        let taken = uses.take();
        assert_eq!(taken.len(), KEYS_USED_MAX);
        assert!(taken.contains(&(PROJECT, key(0), Instant::from_millis(2))));
    }
}
