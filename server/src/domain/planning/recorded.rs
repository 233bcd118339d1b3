//! What has a record already, as the planner's step and the edits ask it.

use entity::Instant;

/// Stretches of time in which every instant has its record: single firings, and SKIPPED ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded(Vec<(Instant, Instant)>);

impl Recorded {
    /// From the first and the last instant of each record, in any order.
    #[must_use]
    pub fn new(mut records: Vec<(Instant, Instant)>) -> Self {
        records.sort_unstable();
        let mut joined: Vec<(Instant, Instant)> = Vec::with_capacity(records.len());
        for (first, last) in records {
            match joined.last_mut() {
                Some((_, until)) if first <= *until => *until = last.max(*until),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// Whether `at` has a record.
    #[must_use]
    pub fn covers(&self, at: Instant) -> bool {
        let begun = self.0.partition_point(|(first, _)| *first <= at);
        self.0[..begun].last().is_some_and(|(_, last)| at <= *last)
    }
}
