//! The services that the tests start for themselves do what their names say.

use tests::services::{Postgres, Redis, RedisCluster, RedisSentinel, poll, shared};

#[tokio::test]
async fn a_postgres_survives_its_kill_with_what_was_committed() {
    let mut postgres = Postgres::start().await;
    postgres.create_database("one").await;
    postgres.psql("one", "CREATE TABLE kept AS SELECT 7 AS number").await;
    postgres.kill().await;
    assert!(postgres.try_psql("one", "SELECT 1").await.is_err());
    postgres.start_again().await;
    assert_eq!(postgres.psql("one", "SELECT number FROM kept").await, "7");
    postgres.restart().await;
    postgres.copy_database("one", "two").await;
    assert_eq!(postgres.psql("two", "SELECT number FROM kept").await, "7");
}

#[tokio::test]
async fn a_database_is_gone_with_its_value() {
    let database = shared::database(None).await;
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", database.name());
    let server = Postgres::start().await;
    assert_eq!(server.psql("postgres", &count).await, "0");
    drop(database);
}

#[tokio::test]
async fn a_redis_is_empty_after_its_restart() {
    let mut redis = Redis::start().await;
    redis.command(&["SET", "a", "1"]).await;
    assert_eq!(redis.command(&["GET", "a"]).await, "1");
    redis.restart().await;
    assert_eq!(redis.command(&["GET", "a"]).await, "");
    redis.pause();
    redis.resume();
    assert_eq!(redis.command(&["PING"]).await, "PONG");
}

#[tokio::test]
async fn a_cluster_shares_its_slots() {
    let cluster = RedisCluster::start(3).await;
    let mut moved = 0;
    for node in 0..3 {
        let answer = cluster.command(node, &["SET", "a", "1"]).await;
        moved += usize::from(answer.starts_with("MOVED"));
    }
    assert_eq!(moved, 2);
}

#[tokio::test]
async fn a_replica_takes_over_from_its_master() {
    let mut redis = RedisSentinel::start().await;
    redis.command(&["SET", "a", "1"]).await;
    redis.fail_over().await;
    poll("the new master to know", async || {
        (redis.command(&["GET", "a"]).await == "1").then_some(())
    })
    .await;
}
