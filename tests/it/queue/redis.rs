//! What Redis may do to the due queue: lose everything, die, hang, refuse, and lie.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use belfry::clock::ManualClock;
use belfry::domain::outbox::Due;
use belfry::link::Link;
use belfry::queue::{Health, Queue, RedisQueue, Room};
use entity::Instant;
use tests::services::{Redis, RedisCluster, RedisSentinel, poll};
use tokio::time::timeout;

use super::{at, due, numbers, of, pull};

/// What no story waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The namespace where a server is the story's own.
const OURS: &str = "story";

/// A queue of `namespace` in the Redis at `url`, at the beginning of time.
pub(super) async fn open(url: &str, namespace: &str, entries_max: usize) -> Arc<dyn Queue> {
    open_at(url, namespace, entries_max, Instant::MIN).await
}

async fn open_at(url: &str, namespace: &str, entries_max: usize, now: Instant) -> Arc<dyn Queue> {
    let link = Link::parse(url).expect("a URL");
    let clock = Arc::new(ManualClock::new(now));
    let queue = RedisQueue::connect(link, namespace, entries_max, clock).await;
    Arc::new(queue.unwrap_or_else(|why| panic!("{why}")))
}

/// A queue on a server of its own that knows everything.
async fn covered(server: &Redis) -> Arc<dyn Queue> {
    let queue = open(&server.url(), OURS, 1_000).await;
    assert!(queue.raise_cover(Instant::MIN, Instant::MAX).await);
    queue
}

async fn healthy(queue: &Arc<dyn Queue>) {
    poll("it is healthy", async || (queue.health() == Health::Healthy).then_some(())).await;
}

async fn degraded(queue: &Arc<dyn Queue>) -> String {
    poll("it is degraded", async || match queue.health() {
        Health::Degraded(reason) => Some(reason),
        Health::Healthy => None,
    })
    .await
}

async fn lost(queue: &Arc<dyn Queue>) {
    timeout(PATIENCE, queue.lost()).await.expect("it says that it lost what it held");
}

/// That it goes on in memory as any queue, once it was filled anew.
async fn goes_on_by_itself(queue: &Arc<dyn Queue>) {
    assert_eq!(queue.cover().await, Instant::MIN);
    assert!(queue.raise_cover(Instant::MIN, Instant::MAX).await);
    queue.push(&[due(1, 77, 10)]);
    timeout(PATIENCE, queue.changed()).await.expect("a push wakes");
    assert_eq!(pull(queue, 20, 10).await, [77]);
}

/// That it is in Redis again, and knows that it knows nothing.
async fn heals(queue: &Arc<dyn Queue>) {
    healthy(queue).await;
    lost(queue).await;
    assert_eq!(queue.cover().await, Instant::MIN);
    assert!(queue.raise_cover(Instant::MIN, Instant::MAX).await);
    queue.push(&[due(1, 88, 10)]);
    assert_eq!(pull(queue, 20, 10).await, [88]);
    assert_eq!(queue.health(), Health::Healthy);
}

#[tokio::test]
async fn a_flush_is_noticed_and_only_delays() {
    let server = Redis::start().await;
    let queue = covered(&server).await;
    queue.push(&[due(1, 1, 10)]);
    queue.flush().await;
    server.flush_all().await;
    lost(&queue).await;
    queue.push(&[due(1, 2, 10)]);
    assert_eq!(pull(&queue, 20, 10).await, [0; 0], "without a cover it is the sweeper's");
    heals(&queue).await;
}

#[tokio::test]
async fn a_server_that_is_killed_is_done_without_until_it_is_back() {
    let mut server = Redis::start().await;
    let queue = covered(&server).await;
    server.kill().await;
    let reason = degraded(&queue).await;
    assert!(reason.starts_with(&format!("Redis at 127.0.0.1:{}", server.port())), "{reason}");
    lost(&queue).await;
    goes_on_by_itself(&queue).await;
    server.start_again().await;
    heals(&queue).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_done_without_until_it_answers() {
    let server = Redis::start().await;
    let queue = covered(&server).await;
    server.pause();
    let pulled = timeout(PATIENCE, queue.pull(at(20), &Room::of(1))).await;
    assert_eq!(pulled.expect("it does not wait for long").due, []);
    degraded(&queue).await;
    lost(&queue).await;
    goes_on_by_itself(&queue).await;
    server.resume();
    heals(&queue).await;
}

#[tokio::test]
async fn clients_that_are_paused_go_on_without() {
    let server = Redis::start().await;
    let queue = covered(&server).await;
    server.command(&["CLIENT", "PAUSE", "4000", "ALL"]).await;
    degraded(&queue).await;
    lost(&queue).await;
    goes_on_by_itself(&queue).await;
    heals(&queue).await;
}

#[tokio::test]
async fn keys_of_a_wrong_type_are_deleted_and_built_anew() {
    let server = Redis::start().await;
    for key in ["ready", "waiting", "leased", "sizes", "limits", "count", "cover"] {
        let queue = covered(&server).await;
        queue.push(&[of(1, 5, Some(9), 1, 10)]);
        queue.flush().await;
        let name = format!("{{{OURS}:0}}:{key}");
        server.command(&["DEL", &name]).await;
        server.command(&["LPUSH", &name, "x"]).await;
        // Some are read only by a pull, others only by a push.
        queue.push(&[of(1, 5, Some(9), 2, 10)]);
        queue.flush().await;
        queue.pull(at(20), &Room::of(10)).await;
        queue.cover().await;
        queue.len().await;
        poll("the key is gone", async || {
            (server.command(&["TYPE", &name]).await.trim() != "list").then_some(())
        })
        .await;
        heals(&queue).await;
        server.flush_all().await;
    }
}

#[tokio::test]
async fn garbage_is_dropped() {
    let server = Redis::start().await;
    let queue = covered(&server).await;
    queue.push(&[due(1, 1, 10)]);
    queue.flush().await;
    let lanes = server.command(&["--raw", "KEYS", "*:lane:*"]).await;
    assert!(!lanes.is_empty());
    for key in ["ready", "waiting", "leased", "sizes"] {
        server.command(&["ZADD", &format!("{{{OURS}:0}}:{key}"), "1", "nonsense"]).await;
    }
    server.command(&["HSET", &format!("{{{OURS}:0}}:limits"), "a", "b"]).await;
    assert_eq!(pull(&queue, 20, 10).await, [1]);
    assert_eq!(pull(&queue, 20, 10).await, [0; 0]);
    assert_eq!((queue.health(), queue.len().await), (Health::Healthy, 0));
}

#[tokio::test]
async fn a_server_without_memory_is_done_without_until_it_has_some() {
    let server = Redis::start_with(&["--maxmemory-policy", "noeviction"]).await;
    let queue = covered(&server).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    queue.push(&[due(1, 1, 10)]);
    let reason = degraded(&queue).await;
    assert!(reason.contains("OOM"), "{reason}");
    lost(&queue).await;
    goes_on_by_itself(&queue).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    heals(&queue).await;
}

#[tokio::test]
async fn a_password_that_changes_later_is_survived() {
    let server = Redis::start().await;
    let queue = covered(&server).await;
    server.command(&["CONFIG", "SET", "requirepass", "new"]).await;
    server.command(&["-a", "new", "--no-auth-warning", "CLIENT", "KILL", "TYPE", "normal"]).await;
    let reason = degraded(&queue).await;
    lost(&queue).await;
    goes_on_by_itself(&queue).await;
    assert!(!reason.contains("new"), "{reason}");
    let open = ["-a", "new", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""];
    server.command(&open).await;
    heals(&queue).await;
}

#[tokio::test]
async fn what_waiting_will_not_mend_is_refused_at_the_start_in_one_sentence() {
    let server = Redis::start_with(&["--requirepass", "right"]).await;
    let port = server.port();
    let refused = async |url: &str| {
        let link = Link::parse(url).expect("a URL");
        link.check().await.expect_err(url)
    };
    let wrong = refused(&format!("redis://:wr0ng@127.0.0.1:{port}")).await;
    assert!(wrong.starts_with(&format!("--redis-url: Redis at 127.0.0.1:{port} ")), "{wrong}");
    assert!(!wrong.contains("wr0ng") && !wrong.contains('\n'), "{wrong}");
    let without = refused(&format!("redis://127.0.0.1:{port}")).await;
    assert!(without.starts_with("--redis-url: "), "{without}");
    let database = refused(&format!("redis://:right@127.0.0.1:{port}/99")).await;
    assert!(database.starts_with("--redis-url: "), "{database}");
    println!("{wrong}\n{without}\n{database}");
    assert_eq!(
        Link::parse(&format!("redis://:right@127.0.0.1:{port}")).unwrap().check().await,
        Ok(())
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_no_error() {
    let mut server = Redis::start().await;
    server.kill().await;
    let queue = open(&server.url(), OURS, 1_000).await;
    degraded(&queue).await;
    goes_on_by_itself(&queue).await;
    server.start_again().await;
    heals(&queue).await;
}

#[tokio::test]
async fn what_one_process_pushes_wakes_another_and_goes_to_one_only() {
    let server = Redis::start().await;
    let one = open_at(&server.url(), OURS, 10_000, at(0)).await;
    let two = open_at(&server.url(), OURS, 10_000, at(0)).await;
    assert!(one.raise_cover(Instant::MIN, Instant::MAX).await);
    // Once for the subscription, which may come first, and once for the push.
    let mut taken = Vec::new();
    assert_eq!(pull(&two, 0, 1).await, [0; 0]);
    one.push(&[due(9, 999, 1)]);
    while taken.is_empty() {
        timeout(PATIENCE, two.changed()).await.expect("the other hears of it");
        taken = pull(&two, 5, 10).await;
    }
    assert_eq!(taken, [999]);

    const ENTRIES: u128 = 5_000;
    one.push(&(0..ENTRIES).map(|n| due(n % 5, n, 1)).collect::<Vec<Due>>());
    one.flush().await;
    let drain = |queue: Arc<dyn Queue>| async move {
        let mut taken = Vec::new();
        loop {
            let pulled = queue.pull(at(5), &Room::of(100)).await.due;
            if pulled.is_empty() {
                return taken;
            }
            queue.settle(&pulled);
            taken.extend(numbers(&pulled));
        }
    };
    let (first, second) = tokio::join!(tokio::spawn(drain(one)), tokio::spawn(drain(two)));
    let (first, second) = (first.expect("one"), second.expect("two"));
    let all: HashSet<u128> = first.iter().chain(&second).copied().collect();
    assert_eq!((first.len() + second.len(), all.len() as u128), (all.len(), ENTRIES));
    assert!(!first.is_empty() && !second.is_empty(), "{} and {}", first.len(), second.len());
}

#[tokio::test]
async fn a_cluster_keeps_every_shard_on_one_node() {
    let cluster = RedisCluster::start(3).await;
    let queue = open(&cluster.url(), OURS, 10_000).await;
    assert_eq!(queue.health(), Health::Healthy);
    assert!(queue.raise_cover(Instant::MIN, Instant::MAX).await);
    assert_eq!(queue.cover().await, Instant::MAX);
    let entries: Vec<Due> = (0..1_000).map(|n| due(n % 7, n * 0x9E37_79B9, 1 + n as i64)).collect();
    queue.push(&entries);
    queue.flush().await;
    assert_eq!(queue.len().await, 1_000);
    let mut taken = Vec::new();
    for _ in 0..10 {
        let pulled = queue.pull(at(2_000), &Room::of(100)).await.due;
        assert_eq!(pulled.len(), 100);
        queue.settle(&pulled);
        taken.extend(numbers(&pulled));
    }
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 1_000);
    assert_eq!((pull(&queue, 2_000, 10).await, queue.len().await), (vec![], 0));

    cluster.flush_all().await;
    lost(&queue).await;
    heals(&queue).await;
}

#[tokio::test]
async fn a_fail_over_behind_sentinel_is_survived() {
    let mut sentinel = RedisSentinel::start().await;
    let queue = open(&sentinel.url(), OURS, 1_000).await;
    assert_eq!(queue.health(), Health::Healthy);
    assert!(queue.raise_cover(Instant::MIN, Instant::MAX).await);
    queue.push(&[due(1, 1, 10)]);
    assert_eq!(pull(&queue, 20, 10).await, [1]);
    sentinel.fail_over().await;
    degraded(&queue).await;
    heals(&queue).await;
}
