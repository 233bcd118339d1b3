//! Time and identity, injected: the only file that knows what time it is.
//!
//! Everything that is stored or compared (due instants, leases, retries, retention) asks a
//! [`Clock`]; transport timeouts are tokio's. Tests use [`ManualClock`] and never sleep.
//!
//! **Which clock is the authority.** On SQLite the process's own wall clock, read at each question,
//! so that a firing is never early by the clock that its timer was accepted with. On PostgreSQL the
//! database's, for all processes: each measures how far the database's clock is from its own
//! monotonic one ([`Clock::follow`]) and no longer looks at its own wall clock, which may be wrong
//! or be set. A measurement is a bound: the database's clock showed at least that when its answer
//! came, so that a process may lag it by a round trip and is never ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use entity::{Instant, TypedId};
use tokio::sync::watch;
use uuid::{ContextV7, Timestamp, Uuid};

/// The longest single wait, so that a wall clock that was set is noticed within it.
const NAP: Duration = Duration::from_millis(500);

/// What time it is, and waiting for a time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The authoritative now, floored to the millisecond.
    fn now(&self) -> Instant;
    /// Time since some fixed point; never goes back. For measuring, not for storing.
    fn mono(&self) -> Duration;
    /// Returns when `now() >= at`; at once when that is already so.
    async fn sleep_until(&self, at: Instant);
    /// Returns after `ms`, whatever happens to `now` meanwhile: the pace of duties, which must not
    /// stand still because a clock was set back.
    async fn pause(&self, ms: i64);
    /// From now on shows what the authority shows, which was `at` just now or is later. A clock
    /// that is its own authority does not care.
    fn follow(&self, _at: Instant) {}
}

/// The machine's clock, until it is told to follow another.
pub struct SystemClock {
    start: std::time::Instant,
    /// What to add to the milliseconds of `mono`; [`OWN`] while nothing is followed.
    offset_ms: AtomicI64,
}

/// Says that the machine's wall clock is the authority.
const OWN: i64 = i64::MIN;
/// Two measurements that are closer than this differ by the length of their round trips: the later
/// of the two is nearer to the truth.
const ROUND_TRIP_MS_MAX: i64 = 50;

impl SystemClock {
    /// A clock whose `mono` counts from now.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
        let start = std::time::Instant::now();
        Self { start, offset_ms: AtomicI64::new(OWN) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        if offset_ms != OWN {
            return Instant::from_millis(self.mono_ms().saturating_add(offset_ms));
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Instant::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep_until(&self, at: Instant) {
        loop {
            let left = at.ms_since(self.now());
            if left <= 0 {
                return;
            }
            let left = Duration::from_millis(left.unsigned_abs());
            #[expect(clippy::disallowed_methods, reason = "this is where waiting happens")]
            tokio::time::sleep(left.min(NAP)).await;
        }
    }

    async fn pause(&self, ms: i64) {
        #[expect(clippy::disallowed_methods, reason = "this is where waiting happens")]
        tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
    }

    fn follow(&self, at: Instant) {
        let measured = at.millis() - self.mono_ms();
        let known = self.offset_ms.load(Ordering::Relaxed);
        let is_only_slower = known != OWN && (0..ROUND_TRIP_MS_MAX).contains(&(known - measured));
        if !is_only_slower {
            self.offset_ms.store(measured, Ordering::Relaxed);
        }
    }
}

impl SystemClock {
    fn mono_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is advanced.
pub struct ManualClock {
    start: Instant,
    now: watch::Sender<Instant>,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start, now: watch::Sender::new(start) }
    }

    /// Lets `by` pass.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now.send_modify(|now| *now = now.plus_ms(ms));
    }

    /// Shows `at` from now on, also when that is earlier (a clock that was set back).
    pub fn set(&self, at: Instant) {
        self.now.send_replace(at);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.now.borrow()
    }

    fn mono(&self) -> Duration {
        Duration::from_millis(self.now().ms_since(self.start).unsigned_abs())
    }

    async fn sleep_until(&self, at: Instant) {
        // The sender lives in `self`, so that waiting cannot fail while `self` is borrowed.
        let _ = self.now.subscribe().wait_for(|now| at <= *now).await;
    }

    async fn pause(&self, ms: i64) {
        self.sleep_until(self.now().plus_ms(ms)).await;
    }
}

/// Makes identifiers: UUIDv7 (RFC 9562), monotonic within the process, stamped by the [`Clock`].
pub struct Ids {
    clock: Arc<dyn Clock>,
    context: Mutex<ContextV7>,
}

impl Ids {
    /// Identifiers stamped with the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, context: Mutex::new(ContextV7::new()) }
    }

    /// A new identifier; greater than every one made before by `self`.
    pub fn make<T: TypedId>(&self) -> T {
        T::from_uuid(self.uuid())
    }

    /// The bare form of [`Ids::make`].
    pub fn uuid(&self) -> Uuid {
        let millis = self.clock.now().millis().unsigned_abs();
        let nanos = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*context, millis / 1_000, nanos))
    }
}

/// The millisecond that is written in a UUIDv7.
#[must_use]
pub fn stamped_at(id: Uuid) -> Instant {
    let millis = id.as_u128() >> 80;
    Instant::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::EventId;

    #[test]
    fn ids_rise_within_one_millisecond_and_carry_it() {
        let at = Instant::from_millis(1_800_000_000_123);
        let ids = Ids::new(Arc::new(ManualClock::new(at)));
        let made: Vec<EventId> = (0..10_000).map(|_| ids.make()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(stamped_at(made[0].0), at);
    }

    #[test]
    fn a_clock_that_follows_shows_the_authority_and_is_not_held_back_by_a_slow_answer() {
        let clock = SystemClock::new();
        let at = |ms: i64| Instant::from_millis(1_800_000_000_000 + ms);
        clock.follow(at(0));
        let shown = clock.now();
        assert!(at(0) <= shown && shown < at(40_000));
        clock.follow(at(-20));
        assert!(at(0) <= clock.now());
        // Further back than any round trip: the authority itself was set.
        clock.follow(at(-3_600_000));
        assert!(clock.now() < at(-3_500_000));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_instant_is_reached() {
        let clock = Arc::new(ManualClock::new(Instant::from_millis(1_000)));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Instant::from_millis(2_000)).await }
        });
        clock.advance(Duration::from_millis(999));
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_millis(1));
        sleeper.await.expect("the sleeper ends");
    }
}
