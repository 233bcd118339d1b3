//! One run: the services, the processes, the receiver, and what clients do beside the fault.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde_json::json;
use tempfile::TempDir;
use tests::checker::{Bounds, Facts, History, Trust};
use tests::services::{Postgres, PostgresOptions, Redis};

use crate::book::{Book, now, pass};
use crate::client::Client;
use crate::dump;
use crate::node::{Node, Plan};
use crate::tail;
use crate::target::Target;
use crate::workload::Goal;

/// What no run waits for longer before it is judged as it is.
const SETTLE_MS: i64 = 75_000;

/// What is due no longer than this may be under way.
const UNDER_WAY_MS: i64 = 500;

/// What a run may take.
const BOUNDS: Bounds = Bounds {
    // Well above what a healthy server needs, and below every poll that would hide a notice that
    // was lost.
    healthy_ms: 4_000,
    recovery_ms: 30_000,
    // One machine, one clock; and a process that follows PostgreSQL's is never ahead of it.
    skew_ms: 0,
    record_ms: 1_500,
    in_flight_ms: 1_500,
};

const WAITING: &str = "query($now: DateTime!) { firings(first: 0, filter: { dueAt: { lte: $now }, \
     status: { in: [SCHEDULED, EXECUTING, RETRYING] } }) { totalCount } }";

/// Everything of one run.
pub struct World {
    /// The processes.
    pub nodes: Vec<Node>,
    /// PostgreSQL, when the run is on it.
    pub postgres: Option<Postgres>,
    /// Redis, when there is one.
    pub redis: Option<Redis>,
    /// What tasks beside the fault need.
    pub shared: Arc<Shared>,
    kept: TempDir,
}

/// What tasks beside the fault need.
pub struct Shared {
    /// Operations.
    pub client: Arc<Client>,
    /// What happens is written down here.
    pub book: Arc<Book>,
    /// The receiver.
    pub target: Target,
    /// How far the servers' clock is ahead of ours, where it was moved on purpose.
    pub ahead_ms: AtomicI64,
    numbers: AtomicU64,
}

/// What a run stands on.
#[derive(Clone, Default)]
pub struct Ground {
    /// How many processes.
    pub processes: usize,
    /// Arguments and variables of each.
    pub plan: Plan,
    /// Where the database lies, when not in the usual place.
    pub within: Option<PathBuf>,
    /// The port of a proxy in front of PostgreSQL for the first process.
    pub database_port: Option<u16>,
}

impl World {
    /// One process on SQLite.
    pub async fn embedded(ground: Ground) -> Self {
        let kept = room();
        let folder = ground.within.unwrap_or_else(|| kept.path().to_owned());
        let node = Node::start("belfry", &folder, kept.path(), ground.plan).await;
        Self::around(vec![node], None, None, kept).await
    }

    /// Several processes on a PostgreSQL and a Redis of their own.
    pub async fn scaled(ground: Ground) -> Self {
        let options = PostgresOptions { within: ground.within.clone(), ..Default::default() };
        let (postgres, redis) = tokio::join!(Postgres::start_with(options), Redis::start());
        Self::over(postgres, redis, ground).await
    }

    /// The same on services that run already.
    pub async fn over(postgres: Postgres, redis: Redis, ground: Ground) -> Self {
        let kept = room();
        let folder = kept.path().to_owned();
        let url = postgres.create_database("belfry").await;
        let starts = (0..ground.processes.max(1)).map(|place| {
            let name = format!("belfry{place}");
            let mut plan = ground.plan.clone();
            let proxy = ground.database_port.filter(|_| place == 0);
            let port = postgres.port().to_string();
            let url = proxy.map_or(url.clone(), |proxy| url.replace(&port, &proxy.to_string()));
            plan.args.extend(["--database-url".to_owned(), url]);
            plan.args.extend(["--redis-url".to_owned(), redis.url()]);
            let folder = folder.clone();
            async move { Node::start(&name, &folder, &folder, plan).await }
        });
        // All at once, on an empty database.
        let nodes = futures_util::future::join_all(starts).await;
        Self::around(nodes, Some(postgres), Some(redis), kept).await
    }

    async fn around(
        nodes: Vec<Node>,
        postgres: Option<Postgres>,
        redis: Option<Redis>,
        kept: TempDir,
    ) -> Self {
        let client = Arc::new(Client::new(nodes.iter().map(Node::url).collect()));
        let book = Arc::new(Book::default());
        for place in 0..2 {
            tail::read(client.clone(), book.clone(), place).await;
        }
        let target = Target::start().await;
        let shared = Arc::new(Shared {
            client,
            book,
            target,
            ahead_ms: AtomicI64::new(0),
            numbers: AtomicU64::new(1),
        });
        Self { nodes, postgres, redis, shared, kept }
    }

    /// The book.
    pub fn book(&self) -> &Book {
        &self.shared.book
    }

    /// One more process, on the same services; clients do not know it.
    pub async fn join(&mut self, mut plan: Plan) {
        let postgres = self.postgres.as_ref().expect("it is on PostgreSQL");
        plan.args.extend(["--database-url".to_owned(), postgres.url("belfry")]);
        let redis = self.redis.as_ref().expect("it has one");
        plan.args.extend(["--redis-url".to_owned(), redis.url()]);
        let name = format!("belfry{}", self.nodes.len());
        self.nodes.push(Node::start(&name, self.kept.path(), self.kept.path(), plan).await);
    }

    /// The usual load, beside the fault: schedules at once, timers for `ms`.
    pub async fn load(&self, ms: i64) -> tokio::task::JoinHandle<()> {
        let url = self.shared.target.ok();
        self.shared.schedules(&url, 6, "ALLOW").await;
        // These stand in each other's way, and some are skipped.
        self.shared.schedules(&url, 3, "SKIP").await;
        let shared = self.shared.clone();
        let until = now() + ms;
        tokio::spawn(async move { shared.stream_of_timers(Goal::Url(url), until).await })
    }

    /// kill -9, and a new start `down_ms` later.
    pub async fn kill(&mut self, place: usize, down_ms: i64) {
        let from = now();
        self.nodes[place].kill().await;
        self.book().died(from);
        self.book().struck();
        pass(down_ms).await;
        self.nodes[place].start_again().await;
        self.missed(from);
    }

    /// SIGSTOP for `ms`, then SIGCONT.
    pub async fn stop(&mut self, place: usize, ms: i64) {
        let from = now();
        self.nodes[place].stop();
        pass(ms).await;
        self.nodes[place].go_on();
        self.book().died(from);
        self.missed(from);
        self.book().struck();
    }

    /// One process was missing: where there are others, they take over.
    fn missed(&self, from: i64) {
        match self.nodes.len() {
            1 => self.book().broken(from),
            _ => self.book().degraded(from, BOUNDS.recovery_ms),
        }
    }

    /// Ends the run: nothing new becomes due, what is due is done, then everything is read.
    pub async fn history(&mut self, injected_min: usize, trust: Trust) -> History {
        // What a fault held up is to be made up for by the schedules, not folded by their pause.
        self.quiet(UNDER_WAY_MS).await;
        self.shared.pause_all().await;
        self.timers_are_over().await;
        self.quiet(0).await;
        let until = self.shared.server_now();
        let client = &self.shared.client;
        let firings = dump::firings(client).await;
        let log = dump::log(client).await;
        let last = log.last().map(|entry| entry.id.clone());
        for _ in 0..100 {
            let pages = self.book().pages().clone();
            if pages.tails.iter().all(|tail| tail.seen.last() == last.as_ref()) {
                break;
            }
            pass(100).await;
        }
        let pages = self.book().pages().clone();
        let facts = Facts {
            until,
            injected: pages.injected,
            injected_min,
            deaths: pages.deaths,
            windows: pages.windows,
            bounds: BOUNDS,
            trust,
        };
        let deliveries = self.shared.target.deliveries();
        let (timers, schedules, tails) = (pages.timers, pages.schedules, pages.tails);
        History { facts, timers, schedules, deliveries, firings, log, tails }
    }

    async fn timers_are_over(&self) {
        let last = self.book().pages().timers.iter().filter_map(|timer| timer.fires_at).max();
        pass(last.unwrap_or(0) - self.shared.server_now()).await;
    }

    /// Waits until nothing waits any more that has been due for `grace_ms`.
    async fn quiet(&self, grace_ms: i64) {
        let until = now() + SETTLE_MS;
        while now() < until {
            let due = entity::Instant::from_millis(self.shared.server_now() - grace_ms);
            let due = json!({ "now": due.to_string() });
            let rows = self.shared.client.ask("firings", WAITING, due).await;
            if rows["totalCount"] == json!(0) {
                return;
            }
            pass(200).await;
        }
    }
}

/// A folder for databases and logs; kept for whoever looks for a fault, when `FAULTS_KEEP` is set.
fn room() -> TempDir {
    let mut room = tempfile::Builder::new().prefix("belfry-faults-").tempdir().expect("a folder");
    room.disable_cleanup(std::env::var_os("FAULTS_KEEP").is_some());
    room
}

impl Shared {
    /// What time it is for the servers.
    fn server_now(&self) -> i64 {
        now() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// The first of `count` numbers that nobody else has.
    pub fn numbers(&self, count: usize) -> u64 {
        self.numbers.fetch_add(count as u64, Ordering::Relaxed)
    }
}
