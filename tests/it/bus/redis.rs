//! The bus between processes, and what Redis may do to it.

use std::sync::Arc;
use std::time::Duration;

use belfry::bus::{Bus, Listener, RedisBus};
use belfry::domain::outbox::Notice;
use belfry::link::Link;
use tests::services::{Redis, RedisCluster, poll};
use tokio::time::timeout;

use super::notice;

/// How long a notice of another process may take while nothing is wrong.
const SOON: Duration = Duration::from_millis(200);
/// How long a bus may take to hear the channel of a server that is there.
const TOLD: Duration = Duration::from_secs(5);
/// What no story waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bus of `namespace` in the Redis at `url`.
async fn open(url: &str, namespace: &str) -> Arc<dyn Bus> {
    let bus = RedisBus::connect(Link::parse(url).expect("a URL"), namespace).await;
    Arc::new(bus.unwrap_or_else(|why| panic!("{why}")))
}

/// The same once it hears the channel: it has told its listeners to look at everything, perhaps
/// before the first of them was there.
pub(super) async fn ready(url: &str, namespace: &str) -> Arc<dyn Bus> {
    let bus = open(url, namespace).await;
    let mut first = bus.listen();
    let told = timeout(TOLD, first.next()).await;
    assert!(matches!(told, Ok(None) | Err(_)), "{told:?}");
    bus
}

/// Waits until `listener` hears what `other` says; what it was told before is dropped.
async fn connected(other: &Arc<dyn Bus>, listener: &mut Listener) {
    poll("they hear each other", async || {
        other.publish(&[Notice::Replan]);
        let heard = timeout(SOON, listener.next()).await;
        (heard == Ok(Some(Notice::Replan))).then_some(())
    })
    .await;
    while let Ok(_late) = timeout(SOON, listener.next()).await {}
}

#[tokio::test]
async fn what_one_process_says_the_others_hear_once_and_it_hears_no_echo() {
    let server = Redis::start().await;
    let (one, two) = (ready(&server.url(), "a").await, ready(&server.url(), "a").await);
    let stranger = ready(&server.url(), "b").await;
    let mut listeners = [one.listen(), two.listen()];
    let mut elsewhere = stranger.listen();
    one.publish(&[notice(1), notice(2)]);
    for listener in &mut listeners {
        for number in [1, 2] {
            assert_eq!(timeout(PATIENCE, listener.next()).await, Ok(Some(notice(number))));
        }
        assert!(timeout(SOON, listener.next()).await.is_err());
    }
    assert!(timeout(SOON, elsewhere.next()).await.is_err());
}

#[tokio::test]
async fn garbage_in_the_channel_is_ignored() {
    let server = Redis::start().await;
    let bus = ready(&server.url(), "a").await;
    let mut listener = bus.listen();
    for garbage in ["", "x", "x\nC12", "x\n\nQ"] {
        server.command(&["PUBLISH", "a:bus", garbage]).await;
    }
    server.command(&["PUBLISH", "a:bus", "x\nR"]).await;
    assert_eq!(timeout(PATIENCE, listener.next()).await, Ok(Some(Notice::Replan)));
}

#[tokio::test]
async fn a_server_that_died_costs_no_local_notice_and_afterwards_all_look_at_everything() {
    let mut server = Redis::start().await;
    let (one, two) = (ready(&server.url(), "a").await, ready(&server.url(), "a").await);
    let (mut here, mut there) = (one.listen(), two.listen());
    server.kill().await;
    one.publish(&[notice(1)]);
    assert_eq!(timeout(SOON, here.next()).await, Ok(Some(notice(1))), "it needs no Redis");
    server.start_again().await;
    assert_eq!(timeout(PATIENCE, here.next()).await, Ok(None));
    assert_eq!(timeout(PATIENCE, there.next()).await, Ok(None));
    connected(&one, &mut there).await;
    one.publish(&[notice(2)]);
    assert_eq!(timeout(PATIENCE, there.next()).await, Ok(Some(notice(2))));
}

#[tokio::test]
async fn a_cluster_carries_it_between_its_nodes() {
    let cluster = RedisCluster::start(3).await;
    let (one, two) = (ready(&cluster.url(), "a").await, ready(&cluster.url(), "a").await);
    let mut there = two.listen();
    connected(&one, &mut there).await;
    one.publish(&[notice(2)]);
    assert_eq!(timeout(PATIENCE, there.next()).await, Ok(Some(notice(2))));
}
