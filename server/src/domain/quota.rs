//! Quotas: how much of the server one project may take up.
//!
//! What definitions take up is counted in the transaction that adds one. What waits is not: with a
//! million firings that would cost more than the firing itself. [`Waiting`] keeps, for each project
//! that has such a quota, the number that was counted last plus what this process accepted since,
//! and says when to count anew. So a project may exceed its quota by what other processes accept
//! within [`QUOTA_SAMPLE_MS`], and what it got rid of counts until then, or, once it was refused,
//! for [`QUOTA_REFUSED_MS`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use entity::{Instant, ProjectId, project};

use crate::limits::{QUOTA_REFUSED_MS, QUOTA_SAMPLE_MS};

/// What a project may take up; any amount where nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Triggers.
    pub triggers: Option<i32>,
    /// Schedules.
    pub schedules: Option<i32>,
    /// API keys that hold.
    pub api_keys: Option<i32>,
    /// Firings that wait, accepted and planned ones.
    pub waiting_firings: Option<i32>,
    /// Cost of requests in a second.
    pub cost_per_second: Option<i32>,
}

impl From<&project::Model> for Quotas {
    fn from(row: &project::Model) -> Self {
        Self {
            triggers: row.triggers_max,
            schedules: row.schedules_max,
            api_keys: row.keys_max,
            waiting_firings: row.waiting_max,
            cost_per_second: row.cost_max,
        }
    }
}

impl Quotas {
    /// Writes them into the row of their project.
    pub fn apply_to(self, row: &mut project::Model) {
        row.triggers_max = self.triggers;
        row.schedules_max = self.schedules;
        row.keys_max = self.api_keys;
        row.waiting_max = self.waiting_firings;
        row.cost_max = self.cost_per_second;
    }
}

/// Whether `rows` more fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// They do.
    Enough,
    /// They do not.
    None,
    /// It has to be counted first: [`Waiting::counted`].
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Waiting {
    samples: Mutex<HashMap<ProjectId, Sample>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    waiting: u64,
}

impl Waiting {
    /// Whether `rows` more firings fit under `quota`.
    #[must_use]
    pub fn room(&self, project: ProjectId, quota: u64, rows: u64, now: Instant) -> Room {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sample) = samples.get(&project) else { return Room::Unknown };
        let fits = sample.waiting.saturating_add(rows) <= quota;
        let trusted_ms = if fits { QUOTA_SAMPLE_MS } else { QUOTA_REFUSED_MS };
        // A clock that was set back says nothing about the age.
        match now.ms_since(sample.at) {
            age_ms if !(0..trusted_ms).contains(&age_ms) => Room::Unknown,
            _ if fits => Room::Enough,
            _ => Room::None,
        }
    }

    /// So many wait now.
    pub fn counted(&self, project: ProjectId, waiting: u64, now: Instant) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.insert(project, Sample { at: now, waiting });
    }

    /// So many were accepted.
    pub fn accepted(&self, project: ProjectId, rows: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = samples.get_mut(&project) {
            sample.waiting = sample.waiting.saturating_add(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const PROJECT: ProjectId = ProjectId(Uuid::from_u128(7));

    fn at(ms: i64) -> Instant {
        Instant::from_millis(1_000_000 + ms)
    }

    #[test]
    fn what_fits_exactly_fits_and_one_more_does_not() {
        let waiting = Waiting::default();
        assert_eq!(waiting.room(PROJECT, 10, 1, at(0)), Room::Unknown);
        waiting.counted(PROJECT, 7, at(0));
        assert_eq!(waiting.room(PROJECT, 10, 3, at(0)), Room::Enough);
        assert_eq!(waiting.room(PROJECT, 10, 4, at(0)), Room::None);
        waiting.accepted(PROJECT, 3);
        assert_eq!(waiting.room(PROJECT, 10, 1, at(0)), Room::None);
    }

    #[test]
    fn a_number_is_trusted_for_its_time() {
        let waiting = Waiting::default();
        waiting.counted(PROJECT, 9, at(0));
        assert_eq!(waiting.room(PROJECT, 10, 1, at(QUOTA_SAMPLE_MS - 1)), Room::Enough);
        assert_eq!(waiting.room(PROJECT, 10, 1, at(QUOTA_SAMPLE_MS)), Room::Unknown);
        assert_eq!(waiting.room(PROJECT, 10, 2, at(QUOTA_REFUSED_MS - 1)), Room::None);
        assert_eq!(waiting.room(PROJECT, 10, 2, at(QUOTA_REFUSED_MS)), Room::Unknown);
        assert_eq!(waiting.room(PROJECT, 10, 1, at(-1)), Room::Unknown);
    }
}
