//! Real services for the tests: PostgreSQL and Redis (alone, with Sentinels, as a cluster), each a
//! process of its own on a free port, in a temporary folder, gone with the value.
//!
//! They are found in `PATH` or where Debian keeps them; `tests/install.sh` installs what is
//! missing. Every start is bounded in time and fails with the log of the service. Whatever happens
//! to the tests, the kernel ends the services with them (`setpriv --pdeathsig`).
//!
//! What the whole run shares is in [`shared`]; the `services` program starts
//! it once around a command: `cargo run -p tests --bin services -- cargo nextest run`.

mod daemon;
mod postgres;
mod redis;
mod redis_cluster;
mod redis_sentinel;
pub mod shared;

pub use daemon::{Daemon, PATIENCE, free_port, poll};
pub use postgres::{Postgres, PostgresOptions};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
