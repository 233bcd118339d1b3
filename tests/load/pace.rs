//! Time as the harness sees it: the machine's clock, and waiting for instants of it.

use std::ops::Range;

use belfry::clock::{Clock as _, SystemClock};

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemClock::new().now().millis()
}

/// Returns at an instant.
pub async fn until(at_ms: i64) {
    SystemClock::new().sleep_until(entity::Instant::from_millis(at_ms)).await;
}

/// Returns after a while.
pub async fn pause(ms: i64) {
    until(now_ms() + ms).await;
}

/// `count` instants, evenly from `from_ms` on over `span_ms`.
pub fn evenly(count: i64, from_ms: i64, span_ms: i64) -> impl Iterator<Item = i64> {
    (0..count).map(move |index| from_ms + span_ms * index / count)
}

/// Asks every few milliseconds until there is an answer; `None` when it takes too long.
pub async fn poll<T>(patience_ms: i64, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = now_ms() + patience_ms;
    loop {
        if let Some(found) = ask().await {
            return Some(found);
        }
        if end <= now_ms() {
            return None;
        }
        pause(10).await;
    }
}

/// When the instants of `dues` begin and end.
pub fn span(dues: impl Iterator<Item = i64>) -> Range<i64> {
    let (mut from, mut until) = (i64::MAX, i64::MIN);
    for due in dues {
        from = from.min(due);
        until = until.max(due);
    }
    from..until
}
