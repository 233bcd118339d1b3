//! What a run did and saw, written down while it happens, from several tasks at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use belfry::clock::{Clock as _, SystemClock};
use tests::checker::{Death, PlanVersion, Schedule, Tail, Timer, Window};

/// Written down so far.
#[derive(Default)]
pub struct Book {
    pages: Mutex<Pages>,
}

/// The parts of a history that the harness knows itself.
#[derive(Clone, Default)]
pub struct Pages {
    /// Every timer that was asked for.
    pub timers: Vec<Timer>,
    /// Every schedule that was made.
    pub schedules: Vec<Schedule>,
    /// What the tails saw.
    pub tails: Vec<Tail>,
    /// When processes were gone.
    pub deaths: Vec<Death>,
    /// When something was broken.
    pub windows: Vec<Window>,
    /// How often the fault struck.
    pub injected: usize,
}

impl Book {
    /// All of it.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault struck once more.
    pub fn struck(&self) {
        self.pages().injected += 1;
    }

    /// A process recorded nothing from `from` until now.
    pub fn died(&self, from: i64) {
        self.pages().deaths.push(Death { from, until: now() });
    }

    /// Something was broken from `from` until now.
    pub fn broken(&self, from: i64) {
        self.pages().windows.push(Window { from, until: now(), late_ms: None });
    }

    /// Something was missing from `from` until now, without which firing goes on, if later.
    pub fn degraded(&self, from: i64, late_ms: i64) {
        self.pages().windows.push(Window { from, until: now(), late_ms: Some(late_ms) });
    }

    /// A schedule has another plan.
    pub fn replanned(&self, schedule: &str, version: PlanVersion) {
        let mut pages = self.pages();
        let found = pages.schedules.iter_mut().find(|it| it.id == schedule);
        found.expect("a schedule that was made").versions.push(version);
    }
}

/// What time it is, in milliseconds since 1970.
pub fn now() -> i64 {
    SystemClock::new().now().millis()
}

/// Lets time pass.
pub async fn pass(ms: i64) {
    let clock = SystemClock::new();
    clock.sleep_until(clock.now().plus_ms(ms)).await;
}
