//! Floor 4: `App`, one running Belfry: every part that the services and the engine share.

use std::sync::{Arc, OnceLock};

use entity::{ProjectId, TriggerId, api_key};
use ipnet::IpNet;
use uuid::Uuid;

use crate::bus::{Bus, MemoryBus, RedisBus};
use crate::clock::{Clock, Ids};
use crate::config::{ConnectionUrl, MasterKey, Roles};
use crate::domain::expiring::Expiring;
use crate::domain::outbox::Outbox;
use crate::domain::quota::{Quotas, Waiting};
use crate::domain::signature::SigningKey;
use crate::domain::tally::{Tally, cause_word, outcome_word};
use crate::domain::uses::Uses;
use crate::limits::{QUEUE_ENTRIES_MAX, RATE_BURST_DEFAULT, RATE_LIMIT_DEFAULT, SWEEP_MS};
use crate::link::Link;
use crate::metrics::Metrics;
use crate::queue::{MemoryQueue, Queue, RedisQueue};
use crate::shutdown::Shutdown;
use crate::stage::Stages;
use crate::store::{AfterCommit, Store, installation};

/// What an [`App`] is built from. [`Settings::new`] has the defaults.
#[derive(Clone)]
pub struct Settings {
    /// The database.
    pub database_url: String,
    /// Redis, when queue and bus live there.
    pub redis_url: Option<String>,
    /// What every signing secret is derived from.
    pub master_key: MasterKey,
    /// Networks that stages may reach besides public addresses.
    pub allowed_networks: Vec<IpNet>,
    /// What this process does.
    pub roles: Roles,
    /// Firings that this process executes at a time.
    pub concurrency: usize,
    /// Firings of one project that it executes at a time, when less than its fair share.
    pub project_concurrency: Option<usize>,
    /// Pace at which SQL is searched for what the queue does not know.
    pub poll_ms: i64,
    /// Age at which an event counts as archived.
    pub archive_after_ms: i64,
    /// Age at which Belfry's own events are deleted.
    pub delete_after_ms: i64,
    /// Origins besides the server's own whose pages may speak to it.
    pub allowed_origins: Vec<String>,
    /// Units that an API key may use in a second; 0 is no limit.
    pub rate_limit: u32,
    /// Units that an API key may save up.
    pub rate_burst: u32,
}

impl Settings {
    /// A process that does everything, in memory, one firing at a time.
    #[must_use]
    pub fn new(database_url: String, master_key: MasterKey) -> Self {
        Self {
            database_url,
            redis_url: None,
            master_key,
            allowed_networks: Vec::new(),
            roles: Roles::all(),
            concurrency: 1,
            project_concurrency: None,
            poll_ms: SWEEP_MS,
            archive_after_ms: 2 * 3_600_000,
            delete_after_ms: 48 * 3_600_000,
            allowed_origins: Vec::new(),
            rate_limit: RATE_LIMIT_DEFAULT,
            rate_burst: RATE_BURST_DEFAULT,
        }
    }
}

/// Without secrets: neither the master key nor what URLs carry.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let redis = self.redis_url.as_deref().map(ConnectionUrl::from);
        f.debug_struct("Settings")
            .field("database_url", &ConnectionUrl::from(&*self.database_url))
            .field("redis_url", &redis)
            .field("roles", &self.roles.to_string())
            .field("concurrency", &self.concurrency)
            .field("project_concurrency", &self.project_concurrency)
            .field("poll_ms", &self.poll_ms)
            .finish_non_exhaustive()
    }
}

/// One running Belfry. Cheap to clone.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
}

struct Parts {
    store: Store,
    queue: Arc<dyn Queue>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    metrics: Arc<Metrics>,
    stages: Stages,
    shutdown: Shutdown,
    settings: Settings,
    process: Uuid,
    keys: Expiring<Vec<u8>, Arc<Credential>>,
    uses: Uses,
    waiting: Waiting,
}

/// What an API key stands for, as it was looked up.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The key.
    pub key: api_key::Model,
    /// What its project may take up.
    pub quotas: Quotas,
    /// Whether that is the project of whoever runs the server.
    pub is_operator: bool,
}

impl App {
    /// Opens the database, brings its schema up to date and puts the parts together. Nothing runs
    /// yet: the engine and the server are started by whoever opened.
    ///
    /// # Errors
    /// A sentence that says what could not be opened and names the setting.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Self::open_with(settings, clock, QUEUE_ENTRIES_MAX).await
    }

    /// The same with a due queue that holds so many entries.
    ///
    /// # Errors
    /// A sentence that says what could not be opened.
    pub async fn open_with(
        settings: Settings,
        clock: Arc<dyn Clock>,
        queue_entries_max: usize,
    ) -> Result<Self, String> {
        // Checked before anything is made.
        let links = settings.redis_url.as_deref().map(links).transpose()?;
        let metrics = Arc::new(Metrics::new()?);
        let homes = Arc::new(OnceLock::new());
        let after_commit = hand_out(homes.clone(), metrics.clone());
        let store = Store::open(&settings.database_url, after_commit).await;
        let store = store.map_err(|why| format!("--database-url: {why}"))?;
        metrics.adopt(store.commits())?;
        let allow = settings.allowed_networks.clone();
        let stages = Stages::new(crate::stage::Settings { allow }, clock.clone())?;
        let ids = Arc::new(Ids::new(clock.clone()));
        let opened = match links {
            None => Homes::in_memory(queue_entries_max, clock.clone()),
            Some(links) => {
                let made = installation::find_or_insert(&store, ids.uuid(), clock.now()).await;
                let id = made.map_err(|error| error.to_string())?;
                Homes::in_redis(links, id, queue_entries_max, clock.clone()).await?
            }
        };
        let Homes { queue, bus } = homes.get_or_init(|| opened).clone();
        let parts = Parts {
            process: ids.uuid(),
            keys: Expiring::new(),
            uses: Uses::default(),
            waiting: Waiting::default(),
            shutdown: Shutdown::new(),
            store,
            queue,
            bus,
            clock,
            ids,
            metrics,
            stages,
            settings,
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// What is durable.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// What waits for its instant.
    #[must_use]
    pub fn queue(&self) -> &Arc<dyn Queue> {
        &self.parts.queue
    }

    /// Who waits for news.
    #[must_use]
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.parts.bus
    }

    /// What time it is.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// New identifiers.
    #[must_use]
    pub fn ids(&self) -> &Arc<Ids> {
        &self.parts.ids
    }

    /// What is counted and measured.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// What actions can do.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.parts.stages
    }

    /// Whether to stop.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.parts.shutdown
    }

    /// What the operator set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// This process, as the owner of leases.
    #[must_use]
    pub fn process(&self) -> Uuid {
        self.parts.process
    }

    /// API keys that were looked up within the last second, by hash.
    #[must_use]
    pub fn keys(&self) -> &Expiring<Vec<u8>, Arc<Credential>> {
        &self.parts.keys
    }

    /// When API keys were used, until it is written.
    #[must_use]
    pub fn uses(&self) -> &Uses {
        &self.parts.uses
    }

    /// How many firings wait, for projects that have a quota of them.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.parts.waiting
    }

    /// What signs the webhooks of a project.
    #[must_use]
    pub fn signing_key(&self, project: ProjectId, generation: i32) -> SigningKey {
        let generation = u32::try_from(generation).unwrap_or(0);
        SigningKey::derive(&self.parts.settings.master_key.0, &project.to_string(), generation)
    }

    /// What verifies those who fire a trigger with a signature: a secret for each trigger, so that
    /// who holds one can fire nothing else, and no receiver of webhooks can fire anything.
    #[must_use]
    pub fn inbound_key(&self, trigger: TriggerId, generation: i32) -> SigningKey {
        let generation = u32::try_from(generation).unwrap_or(0);
        SigningKey::derive(&self.parts.settings.master_key.0, &trigger.to_string(), generation)
    }
}

/// Where the due queue and the bus live.
#[derive(Clone)]
struct Homes {
    queue: Arc<dyn Queue>,
    bus: Arc<dyn Bus>,
}

impl Homes {
    fn in_memory(queue_entries_max: usize, clock: Arc<dyn Clock>) -> Self {
        let queue = Arc::new(MemoryQueue::new(queue_entries_max, clock));
        Self { queue, bus: Arc::new(MemoryBus::new()) }
    }

    /// In Redis under the identity of the database: every process of one database finds the same
    /// keys, whatever name it knows the database by, and two databases never do.
    async fn in_redis(
        [queue, bus]: [Link; 2],
        installation: Uuid,
        queue_entries_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let namespace = format!("belfry:{}", installation.simple());
        let queue = RedisQueue::connect(queue, &namespace, queue_entries_max, clock).await?;
        let bus = RedisBus::connect(bus, &namespace).await?;
        Ok(Self { queue: Arc::new(queue), bus: Arc::new(bus) })
    }
}

/// One link each for the queue and the bus.
fn links(url: &str) -> Result<[Link; 2], String> {
    Ok([Link::parse(url)?, Link::parse(url)?])
}

/// Commit, then queue, then bus. What is committed before there are any is nobody's to hear.
fn hand_out(homes: Arc<OnceLock<Homes>>, metrics: Arc<Metrics>) -> AfterCommit {
    Arc::new(move |outbox: Outbox| {
        let Some(Homes { queue, bus }) = homes.get() else { return };
        if !outbox.due.is_empty() {
            queue.push(&outbox.due);
        }
        if !outbox.notices.is_empty() {
            bus.publish(&outbox.notices);
        }
        count(&metrics.engine, &outbox.tally);
    })
}

fn count(metrics: &crate::metrics::Engine, tally: &Tally) {
    for (cause, status) in &tally.ended {
        metrics.firings.with_label_values(&[cause_word(*cause), status]).inc();
    }
    for tried in &tally.attempts {
        metrics.attempts.with_label_values(&[&*tried.kind, outcome_word(tried.status)]).inc();
        let secs = tried.ms.max(0) as f64 / 1000.0;
        metrics.stage_duration.with_label_values(&[&tried.kind]).observe(secs);
    }
    for (reason, instants) in &tally.skipped {
        let instants = u64::try_from(*instants).unwrap_or(0);
        metrics.skipped.with_label_values(&[reason]).inc_by(instants);
    }
}
