//! The due queue: one suite that every home of it passes, and the sweeper that refills it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use belfry::clock::ManualClock;
use belfry::domain::outbox::Due;
use belfry::limits::QUEUE_LEASE_MS;
use belfry::queue::{MemoryQueue, Queue, Room};
use entity::{FiringId, Instant, ProjectId, TriggerId, TypedId};
use futures_util::future::join_all;
use sea_orm::prelude::Uuid;
use tests::Receiver;
use tests::services::shared::{redis_url, unique};

use crate::TestApp;
use crate::story::timer;

mod redis;

/// Every home there is.
const HOMES: [Home; 2] = [Home::Memory, Home::Redis];

/// A home of the queue for the suite.
#[derive(Clone, Copy, Debug)]
enum Home {
    Memory,
    Redis,
}

impl Home {
    /// An empty queue of this home that holds so many entries.
    async fn open(self, entries_max: usize) -> Arc<dyn Queue> {
        match self {
            Self::Memory => {
                let clock = Arc::new(ManualClock::new(Instant::MIN));
                Arc::new(MemoryQueue::new(entries_max, clock))
            }
            Self::Redis => redis::open(&redis_url().await, &unique(), entries_max).await,
        }
    }
}

/// What nobody comes near to in a story that is not about it.
const ROOMY: usize = 100_000;

/// Runs a story on each home, with its cover at the end of time.
macro_rules! on_every_home {
    ($($(#[$doc:meta])* $name:ident($queue:ident: $entries_max:expr) $body:block)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            for home in HOMES {
                println!("home: {home:?}");
                let $queue = home.open($entries_max).await;
                assert!($queue.raise_cover(Instant::MIN, Instant::MAX).await);
                $body
            }
        }
    )*};
}

fn at(ms: i64) -> Instant {
    // Far from the beginning of time, so that there is something before.
    Instant::from_millis(1_000_000 + ms)
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

/// An entry of the lane of a trigger, with the bound that its owner set.
fn of(project: u128, trigger: u128, limit: Option<u32>, firing: u128, ms: i64) -> Due {
    let trigger = Some(TriggerId(Uuid::from_u128(trigger)));
    Due { trigger, trigger_limit: limit, ..due(project, firing, ms) }
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

    what_is_not_settled_is_handed_out_again_when_its_lease_ends(queue: ROOMY) {
        queue.push(&[due(1, 1, 10), due(1, 2, 20)]);
        queue.flush().await;
        let taken = queue.pull(at(20), &Room::of(10)).await.due;
        queue.settle(&taken[1..]);
        assert_eq!(pull(&queue, 20 + QUEUE_LEASE_MS - 1, 10).await, [0; 0]);
        assert_eq!(pull(&queue, 20 + QUEUE_LEASE_MS, 10).await, [1]);
        assert_eq!(pull(&queue, 20 + QUEUE_LEASE_MS, 10).await, [0; 0]);
    }

    an_entry_that_is_handed_out_is_not_taken_in_again(queue: ROOMY) {
        queue.push(&[due(1, 1, 10)]);
        queue.flush().await;
        let taken = queue.pull(at(20), &Room::of(10)).await.due;
        queue.push(&[due(1, 1, 10)]);
        assert_eq!(pull(&queue, 30, 10).await, [0; 0]);
        // A retry is another instant, and after the claim nothing stands in the way.
        queue.push(&[due(1, 1, 25)]);
        assert_eq!(pull(&queue, 30, 10).await, [1]);
        queue.settle(&taken);
        queue.push(&[due(1, 1, 10)]);
        assert_eq!(pull(&queue, 30, 10).await, [1]);
    }

    triggers_of_a_project_are_served_in_turn(queue: ROOMY) {
        let backlog: Vec<Due> = (0..100).map(|n| of(1, 7, None, n, 1)).collect();
        queue.push(&backlog);
        queue.push(&[of(1, 8, None, 800, 50), due(1, 900, 60), due(2, 1_000, 70)]);
        let first = pull(&queue, 100, 6).await;
        assert_eq!(first, [0, 1_000, 800, 900, 1, 2]);
    }

    a_trigger_is_handed_out_as_often_as_its_owner_says_and_no_oftener(queue: ROOMY) {
        let of_two: Vec<Due> = (0..5).map(|n| of(1, 7, Some(2), n, 1)).collect();
        queue.push(&of_two);
        queue.push(&[of(1, 8, None, 100, 50), of(1, 9, Some(1), 200, 2_000)]);
        queue.flush().await;
        let pulled = queue.pull(at(100), &Room::of(10)).await;
        assert_eq!(numbers(&pulled.due), [0, 100, 1]);
        // What is bounded waits for a slot of its own, what is not yet due for its instant.
        assert_eq!(pulled.next_at, Some(at(2_000)));
        let mut room = Room::of(10);
        room.triggers.insert(TriggerId(Uuid::from_u128(7)), 1);
        assert_eq!(numbers(&queue.pull(at(100), &room).await.due), [2]);
    }

    the_newest_bound_of_a_trigger_counts_for_all_that_wait(queue: ROOMY) {
        queue.push(&[of(1, 7, Some(1), 1, 1), of(1, 7, Some(1), 2, 1), of(1, 7, Some(1), 3, 1)]);
        queue.push(&[of(1, 7, None, 4, 1)]);
        assert_eq!(pull(&queue, 5, 10).await, [1, 2, 3, 4]);
    }

    a_project_takes_slots_in_proportion_to_the_free_ones(queue: ROOMY) {
        let of_three = |project: u128| (0..100).map(move |n| due(project, project * 1_000 + n, 1));
        queue.push(&(1..=3).flat_map(of_three).collect::<Vec<Due>>());
        queue.flush().await;
        let mut room = Room { slots_free: 100, share: 3, ..Room::of(100) };
        // One that takes everything leaves 1/4, three leave 1/10.
        let taken = queue.pull(at(5), &room).await.due;
        assert_eq!(taken.len(), 90);
        // Another one still finds a slot, and those three none.
        queue.push(&[due(4, 4_000, 1)]);
        room.slots_free = 10;
        room.projects.extend((1..=3).map(|n| (ProjectId(Uuid::from_u128(n)), 30)));
        queue.flush().await;
        assert_eq!(numbers(&queue.pull(at(5), &room).await.due), [4_000]);
        assert_eq!(queue.pull(at(5), &room).await.next_at, None, "what lacks room does not count");
    }

    a_project_runs_as_many_as_it_may_and_no_more(queue: ROOMY) {
        queue.push(&(0..10).map(|n| due(1, n, 1)).collect::<Vec<Due>>());
        queue.flush().await;
        let mut room = Room { project_max: 4, ..Room::of(10) };
        room.projects.insert(ProjectId(Uuid::from_u128(1)), 1);
        assert_eq!(numbers(&queue.pull(at(5), &room).await.due), [0, 1, 2]);
    }

    the_cover_is_raised_only_from_what_it_is(queue: ROOMY) {
        queue.lower_cover(at(50)).await;
        assert!(!queue.raise_cover(at(51), at(100)).await);
        assert_eq!(queue.cover().await, at(50));
        assert!(queue.raise_cover(at(50), at(100)).await);
        assert_eq!(queue.cover().await, at(100));
    }

    when_it_is_full_who_holds_most_loses_the_latest(queue: 4) {
        queue.push(&[due(1, 1, 10), due(1, 2, 20), due(1, 3, 30), due(2, 20, 90)]);
        queue.push(&[due(2, 21, 95)]);
        queue.flush().await;
        assert_eq!((queue.len().await, queue.cover().await), (4, at(29)));
        assert_eq!(pull(&queue, 100, 10).await, [1, 20, 2, 21]);
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
