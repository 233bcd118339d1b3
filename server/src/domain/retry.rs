//! The retry policy of a stage: how often it is tried and how long the pauses are.
//!
//! Pure, jitter included: the pause follows from the firing and the attempt alone, so that a
//! replayed decision is the same decision. Called by the engine after a failed attempt and by
//! [`action`](super::action) on save.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jitter;
use super::object::Object;
use crate::error::Problem;

/// Attempts of one stage, the first included. Twenty with the last default pause repeated span
/// eight days, after which nobody waits for a webhook any more.
pub const ATTEMPTS: RangeInclusive<u32> = 1..=20;

/// Attempts when nothing is said: with [`DELAYS_MS`] they span about 24 hours.
pub const ATTEMPTS_DEFAULT: u32 = 8;

/// Pauses when nothing is said: 5 s, 30 s, 5 min, 30 min, 2 h, 6 h, 15 h.
pub const DELAYS_MS: [i64; 7] =
    [5_000, 30_000, 300_000, 1_800_000, 7_200_000, 21_600_000, 54_000_000];

/// The longest pause: a day, so that a definition that was mended takes effect the day after.
pub const DELAY_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// The longest `Retry-After` that is honoured; a receiver cannot park a firing for longer.
pub const RETRY_AFTER_MS_MAX: i64 = DELAY_MS_MAX;

/// A pause differs from its nominal length by up to this many percent, so that firings that failed
/// together do not come back together.
pub const JITTER_PERCENT: i64 = 20;

/// How often a stage is tried, and the pauses between the tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retry {
    /// Tries, the first included, within [`ATTEMPTS`].
    pub max_attempts: u32,
    /// The pause after the first try, after the second, and so on, each up to [`DELAY_MS_MAX`];
    /// the last one repeats.
    pub delays_ms: Vec<i64>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: ATTEMPTS_DEFAULT, delays_ms: DELAYS_MS.to_vec() }
    }
}

impl Retry {
    /// One try, no second.
    #[must_use]
    pub fn never() -> Self {
        Self { max_attempts: 1, delays_ms: Vec::new() }
    }

    /// Reads a policy `{maxAttempts?, delaysMs?}` as a user wrote it.
    ///
    /// # Errors
    /// Every problem, with fields relative to the policy.
    pub fn check(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut object = Object::new(value);
        let range = i64::from(*ATTEMPTS.start())..=i64::from(*ATTEMPTS.end());
        let max_attempts = object
            .integer("maxAttempts", range)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(ATTEMPTS_DEFAULT);
        let delays_ms = match object.list("delaysMs") {
            Some(items) => check_delays(&mut object, items, max_attempts),
            None => DELAYS_MS.to_vec(),
        };
        let problems = object.finish();
        if problems.is_empty() { Ok(Self { max_attempts, delays_ms }) } else { Err(problems) }
    }

    /// The pause after failed attempt number `attempt` (counted from 1) of the firing whose id is
    /// `seed`, in milliseconds; `None` when there are no further attempts. What the receiver asked
    /// for is a lower bound, up to [`RETRY_AFTER_MS_MAX`].
    #[must_use]
    pub fn delay_ms(&self, attempt: u32, seed: u128, retry_after_ms: Option<i64>) -> Option<i64> {
        if self.max_attempts <= attempt {
            return None;
        }
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let nominal = self.delays_ms.get(index).or(self.delays_ms.last()).copied().unwrap_or(0);
        let asked = retry_after_ms.unwrap_or(0).clamp(0, RETRY_AFTER_MS_MAX);
        Some(jittered(nominal.clamp(0, DELAY_MS_MAX), attempt, seed).max(asked))
    }
}

fn check_delays(object: &mut Object<'_>, items: &[Value], max_attempts: u32) -> Vec<i64> {
    let most = usize::try_from(*ATTEMPTS.end()).unwrap_or(usize::MAX) - 1;
    if most < items.len() {
        object.problem("delaysMs", format!("expected at most {most} pauses"));
    }
    if items.is_empty() && 1 < max_attempts {
        object.problem("delaysMs", "expected at least one pause, as there are several attempts");
    }
    let mut delays = Vec::with_capacity(items.len().min(most));
    for (index, item) in items.iter().enumerate().take(most) {
        match item.as_i64().filter(|delay| (0..=DELAY_MS_MAX).contains(delay)) {
            Some(delay) => delays.push(delay),
            None => object.problem(
                format!("delaysMs.{index}"),
                format!("expected a whole number of milliseconds from 0 to {DELAY_MS_MAX}"),
            ),
        }
    }
    delays
}

/// `nominal` moved by up to ±[`JITTER_PERCENT`], evenly spread over firings and attempts.
fn jittered(nominal: i64, attempt: u32, seed: u128) -> i64 {
    // From -1,000,000 to 1,000,000: a millionth of the allowed span per step.
    let step = jitter::share(seed, u64::from(attempt), 2_000_000);
    let position = i64::try_from(step).unwrap_or(0) - 1_000_000;
    nominal + nominal * JITTER_PERCENT / 100 * position / 1_000_000
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A UUIDv7 of the millisecond `index`.
    fn seed(index: u128) -> u128 {
        (0x019f_0000_0000 + index) << 80 | 0x7000_8000_0000_0000_0000
    }

    fn problems(value: Value) -> Vec<String> {
        let problems = Retry::check(&value).expect_err("it is refused");
        problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect()
    }

    #[test]
    fn the_default_is_eight_attempts_over_about_a_day() {
        let retry = Retry::default();
        let mut total_ms = 0;
        for (attempt, nominal) in (1..).zip(DELAYS_MS) {
            let delay = retry.delay_ms(attempt, seed(0), None).expect("another attempt");
            assert!((delay - nominal).abs() <= nominal / 5, "{attempt}: {delay}");
            total_ms += nominal;
        }
        assert_eq!(retry.delay_ms(8, seed(0), None), None);
        assert_eq!(total_ms / 3_600_000, 23);
    }

    #[test]
    fn jitter_is_the_same_for_the_same_attempt_and_spread_over_others() {
        let retry = Retry { max_attempts: 2, delays_ms: vec![1_000_000] };
        let delays: Vec<i64> =
            (0..10_000).filter_map(|index| retry.delay_ms(1, seed(index), None)).collect();
        assert_eq!(retry.delay_ms(1, seed(7), None), Some(delays[7]));
        assert!(delays.iter().all(|delay| (800_000..=1_200_000).contains(delay)));
        for tenth in 0..10 {
            let from = 800_000 + tenth * 40_000;
            let count = delays.iter().filter(|delay| (from..from + 40_000).contains(*delay));
            let count = count.count();
            assert!((850..1_150).contains(&count), "tenth {tenth} has {count}");
        }
        let twenty = Retry { max_attempts: 20, delays_ms: vec![1_000_000] };
        let of_one: std::collections::HashSet<_> =
            (1..20).filter_map(|attempt| twenty.delay_ms(attempt, seed(1), None)).collect();
        assert_eq!(of_one.len(), 19);
    }

    #[test]
    fn the_last_pause_repeats() {
        let retry = Retry { max_attempts: 20, delays_ms: vec![0, 10_000] };
        assert_eq!(retry.delay_ms(1, seed(1), None), Some(0));
        let last = retry.delay_ms(19, seed(1), None).expect("another attempt");
        assert!((8_000..=12_000).contains(&last));
        assert_eq!(retry.delay_ms(20, seed(1), None), None);
        assert_eq!(retry.delay_ms(u32::MAX, seed(1), None), None);
        assert_eq!(Retry::never().delay_ms(1, seed(1), Some(1)), None);
    }

    #[test]
    fn what_the_receiver_asked_for_is_a_lower_bound_up_to_a_day() {
        let retry = Retry { max_attempts: 2, delays_ms: vec![10_000] };
        let delay = |asked| retry.delay_ms(1, seed(1), Some(asked));
        let own = retry.delay_ms(1, seed(1), None);
        assert_eq!(delay(1_000), own);
        assert_eq!(delay(-1), own);
        assert_eq!(delay(60_000), Some(60_000));
        assert_eq!(delay(RETRY_AFTER_MS_MAX), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(delay(RETRY_AFTER_MS_MAX + 1), Some(RETRY_AFTER_MS_MAX));
    }

    #[test]
    fn a_policy_is_read_and_every_problem_listed() {
        assert_eq!(Retry::check(&json!({})), Ok(Retry::default()));
        assert_eq!(Retry::check(&json!({ "maxAttempts": 1, "delaysMs": [] })), Ok(Retry::never()));
        assert_eq!(
            problems(
                json!({ "maxAttempts": 0, "delaysMs": [0, DELAY_MS_MAX, DELAY_MS_MAX + 1, -1],
                             "delays": [] })
            ),
            [
                "maxAttempts: expected a whole number from 1 to 20",
                "delaysMs.2: expected a whole number of milliseconds from 0 to 86400000",
                "delaysMs.3: expected a whole number of milliseconds from 0 to 86400000",
                "delays: unknown field; the fields are maxAttempts, delaysMs",
            ]
        );
        let none = "delaysMs: expected at least one pause, as there are several attempts";
        assert_eq!(problems(json!({ "delaysMs": [] })), [none]);
    }

    #[test]
    fn attempts_and_pauses_end_at_their_limits() {
        let policy = |attempts: u32, pauses: usize| {
            Retry::check(&json!({ "maxAttempts": attempts, "delaysMs": vec![1; pauses] }))
        };
        assert!(policy(20, 19).is_ok());
        assert!(policy(21, 19).is_err());
        assert!(policy(20, 20).is_err());
    }

    #[test]
    fn the_stored_form_is_read_back() {
        let retry = Retry { max_attempts: 3, delays_ms: vec![1, 2] };
        let text = r#"{"maxAttempts":3,"delaysMs":[1,2]}"#;
        assert_eq!(json!(retry).to_string(), text);
        assert_eq!(serde_json::from_str::<Retry>(text).ok(), Some(retry));
        assert_eq!(serde_json::from_str::<Retry>("{}").ok(), Some(Retry::default()));
    }
}
