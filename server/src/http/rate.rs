//! How much each API key and each project may use: a bucket of units for each, in the memory of this
//! process.
//!
//! A request is one unit, and every hundred fields of its answer one more, by the guard's count
//! (`graphql/guard/complexity.rs`). Called by `execute.rs` for every operation, whatever its
//! transport, and by `rest/`. Every key has the same bucket, which the settings size; a project has
//! one of its own when its quota says so. Processes do not share their buckets: n of them let n times
//! as much in.

use std::sync::Arc;
use std::time::Duration;

use entity::{KeyId, ProjectId};

use crate::clock::Clock;
use crate::domain::bucket::{Buckets, Rate};
use crate::error::{Error, Result};
use crate::limits::{
    QUERY_COMPLEXITY_MAX, RATE_KEYS_MAX, RATE_PROJECT_BURST_SECS, RATE_UNIT_COMPLEXITY,
};
use crate::service::Caller;

/// What a request costs whatever it asks for.
pub const REQUEST: u32 = 1;

/// The buckets of this process. Clones share them.
#[derive(Clone)]
pub struct Rates {
    /// That of each key; `None` when there is no limit.
    of_keys: Option<Rate>,
    buckets: Arc<Buckets<Payer>>,
    clock: Arc<dyn Clock>,
}

/// Whose a bucket is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Payer {
    Key(KeyId),
    /// All keys of a project, and whoever else acts in it.
    Project(ProjectId),
    /// Whoever signs for the triggers of a project.
    Senders(ProjectId),
}

impl Rates {
    /// Buckets of `burst` units that gain `rate` a second for each key; no limit when that is 0.
    #[must_use]
    pub fn new(rate: u32, burst: u32, clock: Arc<dyn Clock>) -> Self {
        let buckets = Arc::new(Buckets::new(RATE_KEYS_MAX));
        Self { of_keys: Rate::new(rate, burst), buckets, clock }
    }

    /// Whether a caller has a unit left at all; takes none.
    ///
    /// # Errors
    /// [`Error::RateLimited`] with the seconds until there is one.
    pub fn look(&self, caller: &Caller) -> Result<()> {
        let now = self.clock.mono();
        self.payers(caller)
            .try_for_each(|(payer, rate)| self.buckets.look(&payer, rate, now))
            .map_err(limited)
    }

    /// Takes `units` from the buckets of a caller: its own first, then its project's.
    ///
    /// # Errors
    /// [`Error::RateLimited`] with the seconds until they are there.
    pub fn take(&self, caller: &Caller, units: u32) -> Result<()> {
        let now = self.clock.mono();
        self.payers(caller)
            .try_for_each(|(payer, rate)| self.buckets.take(&payer, units, rate, now))
            .map_err(limited)
    }

    /// Takes what an operation costs: a request and its `complexity`, which is not asked where there
    /// is no limit, and no more than what is executed at all.
    ///
    /// # Errors
    /// As [`Rates::take`].
    pub fn take_for(&self, caller: &Caller, complexity: impl FnOnce() -> usize) -> Result<()> {
        if self.payers(caller).next().is_none() {
            return Ok(());
        }
        let counted = complexity().min(QUERY_COMPLEXITY_MAX) / RATE_UNIT_COMPLEXITY;
        let units = u32::try_from(counted).unwrap_or(u32::MAX);
        self.take(caller, units.saturating_add(REQUEST))
    }

    /// Who pays, each with its bucket.
    fn payers(&self, caller: &Caller) -> impl Iterator<Item = (Payer, Rate)> {
        let own = caller.key().map_or(Payer::Senders(caller.project), Payer::Key);
        let project = Payer::Project(caller.project);
        let own = self.of_keys.map(|rate| (own, rate));
        own.into_iter().chain(of_project(caller).map(|rate| (project, rate)))
    }
}

fn limited(late: Duration) -> Error {
    let is_more = u64::from(0 < late.subsec_nanos());
    Error::RateLimited(late.as_secs() + is_more)
}

fn of_project(caller: &Caller) -> Option<Rate> {
    let rate = u32::try_from(caller.quotas.cost_per_second?).ok()?;
    Rate::new(rate, rate.saturating_mul(RATE_PROJECT_BURST_SECS))
}
