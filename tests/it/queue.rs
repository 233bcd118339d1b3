//! The due queue: one suite that every home of it passes, and the sweeper that refills it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use belfry::domain::outbox::Due;
use belfry::queue::{MemoryQueue, Queue, Room};
use entity::{FiringId, Instant, ProjectId, TypedId};
use futures_util::future::join_all;
use sea_orm::prelude::Uuid;
use tests::Receiver;

use crate::TestApp;
use crate::story::timer;

/// A home of the queue for the suite: an empty one that holds so many entries.
type Home = fn(usize) -> Arc<dyn Queue>;

/// Every home there is.
const HOMES: [(&str, Home); 1] =
    [("memory", |entries_max| Arc::new(MemoryQueue::new(entries_max)))];

/// What nobody comes near to in a story that is not about it.
const ROOMY: usize = 100_000;

/// Runs a story on each home, with its cover at the end of time.
macro_rules! on_every_home {
    ($($(#[$doc:meta])* $name:ident($queue:ident: $entries_max:expr) $body:block)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            for (home, open) in HOMES {
                println!("home: {home}");
                let $queue = open($entries_max);
                assert!($queue.raise_cover(Instant::MIN, Instant::MAX).await);
                $body
            }
        }
    )*};
}

fn at(ms: i64) -> Instant {
    Instant::from_millis(ms)
}

fn due(project: u128, firing: u128, ms: i64) -> Due {
    Due {
        due_at: at(ms),
        firing: FiringId(Uuid::from_u128(firing)),
        project: ProjectId(Uuid::from_u128(project)),
        trigger: None,
        trigger_limit: None,
    }
}

fn numbers(entries: &[Due]) -> Vec<u128> {
    entries.iter().map(|due| due.firing.uuid().as_u128()).collect()
}

async fn pull(queue: &Arc<dyn Queue>, now_ms: i64, rows_max: usize) -> Vec<u128> {
    queue.flush().await;
    numbers(&queue.pull(at(now_ms), &Room::of(rows_max)).await.due)
}

on_every_home! {
    nothing_is_handed_out_before_its_instant(queue: ROOMY) {
        queue.push(&[due(1, 1, 1_000)]);
        assert_eq!(pull(&queue, 999, 10).await, [0; 0]);
        assert_eq!(queue.pull(at(999), &Room::of(10)).await.next_at, Some(at(1_000)));
        assert_eq!(pull(&queue, 1_000, 10).await, [1]);
        assert_eq!(queue.len().await, 0);
    }

    a_lane_is_drained_in_the_order_of_its_instants_whatever_the_order_of_pushes(queue: ROOMY) {
        queue.push(&[due(1, 3, 30), due(1, 1, 10)]);
        queue.push(&[due(1, 2, 20), due(1, 5, 20), due(1, 4, 20)]);
        assert_eq!(pull(&queue, 100, 10).await, [1, 2, 4, 5, 3]);
    }

    lanes_are_drained_in_turn_so_that_a_backlog_delays_nobody_else(queue: ROOMY) {
        let backlog: Vec<Due> = (0..1_000).map(|n| due(1, n, 1)).collect();
        queue.push(&backlog);
        queue.push(&[due(2, 2_000, 50), due(3, 3_000, 60), due(2, 2_001, 70)]);
        let first = pull(&queue, 100, 6).await;
        assert_eq!(first, [0, 2_000, 3_000, 1, 2_001, 2]);
    }

    a_turn_goes_on_where_the_last_pull_stopped(queue: ROOMY) {
        queue.push(&[due(1, 10, 1), due(1, 11, 1), due(2, 20, 1), due(2, 21, 1)]);
        assert_eq!(pull(&queue, 5, 1).await, [10]);
        assert_eq!(pull(&queue, 5, 1).await, [20]);
        assert_eq!(pull(&queue, 5, 2).await, [11, 21]);
    }

    a_lane_that_is_not_due_does_not_hold_up_one_that_is(queue: ROOMY) {
        queue.push(&[due(1, 10, 500), due(2, 20, 1)]);
        assert_eq!(pull(&queue, 100, 10).await, [20]);
        assert_eq!(queue.len().await, 1);
    }

    an_entry_that_is_pushed_twice_is_handed_out_once(queue: ROOMY) {
        queue.push(&[due(1, 1, 10), due(1, 1, 10)]);
        queue.push(&[due(1, 1, 10)]);
        assert_eq!(pull(&queue, 10, 10).await, [1]);
        assert_eq!(pull(&queue, 10, 10).await, [0; 0]);
    }

    nothing_is_taken_when_there_is_no_free_slot(queue: ROOMY) {
        queue.push(&[due(1, 1, 10)]);
        queue.flush().await;
        let pulled = queue.pull(at(20), &Room::of(0)).await;
        assert_eq!((pulled.due, pulled.next_at), (vec![], Some(at(20))));
    }

    what_is_due_after_the_cover_is_left_to_the_sweeper(queue: ROOMY) {
        queue.lower_cover(at(100)).await;
        queue.push(&[due(1, 1, 100), due(1, 2, 101)]);
        assert_eq!(pull(&queue, 1_000, 10).await, [1]);
        assert!(queue.raise_cover(at(100), at(101)).await);
        queue.push(&[due(1, 2, 101)]);
        assert_eq!(pull(&queue, 1_000, 10).await, [2]);
    }

    a_queue_at_its_limit_holds_everything(queue: 3) {
        queue.push(&[due(1, 1, 10), due(2, 2, 20), due(1, 3, 30)]);
        queue.flush().await;
        assert_eq!((queue.len().await, queue.cover().await), (3, Instant::MAX));
        assert_eq!(pull(&queue, 100, 10).await, [1, 2, 3]);
    }

    one_past_its_limit_it_puts_the_latest_out_and_lowers_its_cover(queue: 3) {
        queue.push(&[due(1, 1, 10), due(2, 4, 40), due(2, 2, 20), due(1, 3, 30)]);
        queue.flush().await;
        assert_eq!((queue.len().await, queue.cover().await), (3, at(39)));
        queue.push(&[due(1, 4, 40)]);
        queue.flush().await;
        assert_eq!(queue.len().await, 3);
        assert_eq!(pull(&queue, 100, 10).await, [1, 2, 3]);
    }

    an_entry_that_is_the_latest_itself_is_put_out(queue: 1) {
        queue.push(&[due(1, 1, 10)]);
        queue.push(&[due(1, 2, 20)]);
        queue.flush().await;
        assert_eq!((queue.cover().await, queue.len().await), (at(19), 1));
        assert_eq!(pull(&queue, 100, 10).await, [1]);
    }

    eight_concurrent_pullers_get_disjoint_sets(queue: ROOMY) {
        const ENTRIES: u128 = 20_000;
        let entries: Vec<Due> = (0..ENTRIES).map(|n| due(n % 7, n, 1)).collect();
        queue.push(&entries);
        queue.flush().await;
        let pullers = (0..8).map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let pulled = queue.pull(at(5), &Room::of(64)).await.due;
                    if pulled.is_empty() {
                        return taken;
                    }
                    taken.extend(numbers(&pulled));
                }
            })
        });
        let taken: Vec<u128> =
            join_all(pullers).await.into_iter().flat_map(|taken| taken.expect("a puller")).collect();
        let distinct: HashSet<u128> = taken.iter().copied().collect();
        assert_eq!((taken.len() as u128, distinct.len() as u128), (ENTRIES, ENTRIES));
    }

    no_wake_up_is_lost_between_a_pull_that_found_nothing_and_the_wait(queue: ROOMY) {
        // The puller has looked and not yet begun to wait when the push comes.
        assert_eq!(pull(&queue, 5, 1).await, [0; 0]);
        queue.push(&[due(1, 1, 1)]);
        queue.changed().await;
        assert_eq!(pull(&queue, 5, 1).await, [1]);
    }

    a_puller_that_sleeps_between_pushes_sees_every_entry(queue: ROOMY) {
        const ENTRIES: usize = 5_000;
        let pusher = tokio::spawn({
            let queue = queue.clone();
            async move {
                for n in 0..ENTRIES as u128 {
                    queue.push(&[due(n % 3, n, 1)]);
                    if n % 16 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
        let mut seen = 0;
        while seen < ENTRIES {
            match pull(&queue, 5, 7).await.len() {
                0 => queue.changed().await,
                taken => seen += taken,
            }
        }
        pusher.await.expect("the pusher ends");
        assert_eq!(queue.len().await, 0);
    }
}

#[tokio::test]
async fn what_a_full_queue_put_out_comes_back_in_time() {
    let app = TestApp::with_queue_of(5).await;
    let receiver = Receiver::start().await;
    for second in (1..=40).rev() {
        timer(&app, second, &receiver.url("/t")).await;
    }
    for second in 1..=40 {
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(receiver.received().len(), second, "after {second} s");
    }
}

#[tokio::test]
async fn more_than_a_queue_holds_may_be_due_at_one_instant() {
    let app = TestApp::with_queue_of(5).await;
    let receiver = Receiver::start().await;
    for _ in 0..40 {
        timer(&app, 1, &receiver.url("/t")).await;
    }
    app.work().await;
    app.advance(Duration::from_secs(1)).await;
    let bodies: HashSet<String> = receiver.bodies().into_iter().collect();
    assert_eq!((receiver.received().len(), bodies.len()), (40, 40));
}

#[tokio::test]
async fn what_waits_beyond_the_window_stays_in_sql_until_it_comes_near() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    timer(&app, 299, &receiver.url("/t")).await;
    timer(&app, 301, &receiver.url("/t")).await;
    app.work().await;
    let before = app.app.queue().len().await;
    app.advance(Duration::from_secs(1)).await;
    assert_eq!((before, app.app.queue().len().await), (1, 2));
}

#[tokio::test]
async fn a_queue_that_lost_everything_is_refilled_from_sql() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    timer(&app, 1, &receiver.url("/t")).await;
    app.work().await;
    let taken = app.app.queue().pull(Instant::MAX, &Room::of(10)).await.due;
    app.app.queue().settle(&taken);
    assert_eq!(taken.len(), 1, "taken and lost");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(receiver.received().len(), 0);
    app.advance(Duration::from_secs(2)).await;
    assert_eq!(receiver.received().len(), 1);
}
