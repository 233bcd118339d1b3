//! `TestApp`: one running Belfry.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Request, Variables};
use belfry::app::{App, Settings};
use belfry::clock::{Clock, ManualClock, SystemClock};
use belfry::config::MasterKey;
use belfry::engine::Engine;
use belfry::graphql::{Schema, guard, schema};
use belfry::limits::QUEUE_ENTRIES_MAX;
use belfry::service::api_key::Create;
use belfry::service::{Caller, Scope, api_key, project};
use entity::{Instant, ProjectId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::database::{self, Database};

/// When every story begins: a Monday.
pub const START: &str = "2026-03-02T10:00:00Z";

/// A whole Belfry on a real SQLite file. Its duties run when [`TestApp::work`] is called, its
/// time passes when [`TestApp::advance`] is.
pub struct TestApp {
    /// The app itself, for stories that look inside.
    pub app: App,
    /// Its duties.
    pub engine: Engine,
    /// Whom the stories' operations are run for.
    pub caller: Caller,
    clock: Option<Arc<ManualClock>>,
    schema: Schema,
    key: String,
    url: OnceCell<String>,
    /// Gone with the app.
    database: Arc<Database>,
}

/// How much fits into one app.
#[derive(Clone, Copy)]
struct Sizes {
    concurrency: usize,
    queue_entries_max: usize,
}

const SIZES: Sizes = Sizes { concurrency: 64, queue_entries_max: QUEUE_ENTRIES_MAX };

impl TestApp {
    /// A new one whose clock stands at [`START`].
    pub async fn start() -> Self {
        Self::start_with(SIZES).await
    }

    /// The same with a due queue that holds so few entries.
    pub async fn with_queue_of(queue_entries_max: usize) -> Self {
        Self::start_with(Sizes { queue_entries_max, ..SIZES }).await
    }

    /// The same with room for `concurrency` firings at a time.
    pub async fn with_room_for(concurrency: usize) -> Self {
        Self::start_with(Sizes { concurrency, ..SIZES }).await
    }

    /// A new one on the machine's clock, that is already served; its engine stands still.
    pub async fn live() -> Self {
        Self::live_with(SIZES.concurrency).await
    }

    /// The same with room for `concurrency` firings at a time.
    pub async fn live_with(concurrency: usize) -> Self {
        let sizes = Sizes { concurrency, ..SIZES };
        let app =
            Self::open(Database::make().await, Arc::new(SystemClock::new()), None, sizes).await;
        app.listen().await;
        app
    }

    /// A new one with other settings, served, whose clock stands at [`START`].
    pub async fn served_with(set: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::new(instant(START)));
        let database = Database::make().await;
        let app = Self::open_with(database, clock.clone(), Some(clock), SIZES, set).await;
        app.listen().await;
        app
    }

    /// The same database after the process died and was started anew: nothing was given back.
    pub async fn restart(self) -> Self {
        let (database, clock) =
            (self.database.clone(), self.clock.clone().expect("a manual clock"));
        self.app.shutdown().at_once();
        self.app.store().close().await;
        drop(self);
        let app = Self::open(database, clock.clone(), Some(clock), SIZES).await;
        app.engine.prepare().await.expect("the engine prepares");
        app
    }

    async fn start_with(sizes: Sizes) -> Self {
        let clock = Arc::new(ManualClock::new(instant(START)));
        Self::open(Database::make().await, clock.clone(), Some(clock), sizes).await
    }

    async fn open(
        database: Arc<Database>,
        clock: Arc<dyn Clock>,
        manual: Option<Arc<ManualClock>>,
        sizes: Sizes,
    ) -> Self {
        Self::open_with(database, clock, manual, sizes, |_| {}).await
    }

    async fn open_with(
        database: Arc<Database>,
        clock: Arc<dyn Clock>,
        manual: Option<Arc<ManualClock>>,
        sizes: Sizes,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        let url = database.url().to_owned();
        let mut settings = Settings {
            allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
            concurrency: sizes.concurrency,
            redis_url: database::redis_url().await,
            ..Settings::new(url, MasterKey([7; 32]))
        };
        set(&mut settings);
        let app = App::open_with(settings, clock, sizes.queue_entries_max);
        let app = app.await.expect("the app opens");
        project::bootstrap(&app, None).await.expect("the first start");
        let owner = project::only(&app).await.expect("the project").id;
        let (caller, key) = key_of(&app, owner, "story", &[Scope::Admin]).await;
        let engine = Engine::new(&app);
        let schema = schema(&app);
        Self { app, engine, caller, clock: manual, schema, key, url: OnceCell::new(), database }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.app.clock().now()
    }

    /// Lets `by` pass and does what is due then.
    pub async fn advance(&self, by: Duration) {
        self.clock.as_ref().expect("a manual clock").advance(by);
        self.work().await;
    }

    /// Lets `by` pass; nobody works.
    pub fn pass(&self, by: Duration) {
        self.clock.as_ref().expect("a manual clock").advance(by);
    }

    /// Sets the clock, also back; nobody works.
    pub fn set_clock(&self, at: Instant) {
        self.clock.as_ref().expect("a manual clock").set(at);
    }

    /// Every duty, until nothing is left to do now.
    pub async fn work(&self) {
        loop {
            while self.engine.planner.run_once().await.expect("planning").schedules != 0 {}
            let operated = self.engine.operator.run_once().await.expect("a step").worked_off;
            self.engine.sweeper.run_once().await.expect("a sweep");
            let mut pulled = 0;
            loop {
                self.app.queue().flush().await;
                let report = self.engine.executor.run_once().await.expect("a claim");
                if report.pulled == 0 {
                    break;
                }
                pulled += report.pulled;
                self.engine.executor.idle().await;
            }
            if pulled == 0 && operated == 0 {
                return;
            }
        }
    }

    /// The answer to an operation of the story's key, in process: `{data, errors}`.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        self.graphql_as(&self.caller, query, variables).await
    }

    /// The same for another caller.
    pub async fn graphql_as(&self, caller: &Caller, query: &str, variables: Value) -> Value {
        let request =
            Request::new(query).variables(Variables::from_json(variables)).data(caller.clone());
        let order = guard::check(query, None).map(|admitted| admitted.order());
        let mut response = self.schema.execute(request).await;
        // As the transports do.
        order.unwrap_or_default().apply(&mut response.data);
        serde_json::to_value(&response).expect("a response is JSON")
    }

    /// `data.<field>` of an operation that must have no errors.
    pub async fn ask(&self, field: &str, query: &str, variables: Value) -> Value {
        let answer = self.graphql(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"][field].clone()
    }

    /// A mutation that must be done: its payload, without user errors.
    pub async fn done(&self, field: &str, query: &str, input: Value) -> Value {
        let payload = self.ask(field, query, json!({ "input": input })).await;
        assert_eq!(payload["userErrors"], json!([]), "{field}");
        payload
    }

    /// A mutation that must be refused: its user errors, each as `CODE field: message`.
    pub async fn refused(&self, field: &str, query: &str, input: Value) -> Vec<String> {
        let payload = self.ask(field, query, json!({ "input": input })).await;
        let errors = payload["userErrors"].as_array().expect("user errors").clone();
        assert!(!errors.is_empty(), "{field} was not refused: {payload}");
        let shown = |error: &Value| {
            format!(
                "{} {}: {}",
                error["code"].as_str().unwrap_or_default(),
                error["field"].as_str().unwrap_or("-"),
                error["message"].as_str().unwrap_or_default()
            )
        };
        errors.iter().map(shown).collect()
    }

    /// The schema, for subscriptions: `app.stream(query)`.
    pub fn stream(&self, query: &str) -> futures_util::stream::BoxStream<'static, Value> {
        self.stream_as(&self.caller, query)
    }

    /// The same for another caller.
    pub fn stream_as(
        &self,
        caller: &Caller,
        query: &str,
    ) -> futures_util::stream::BoxStream<'static, Value> {
        use futures_util::StreamExt as _;
        let request = Request::new(query).data(caller.clone());
        let schema = self.schema.clone();
        let stream = async_stream(schema, request);
        stream.map(|response| serde_json::to_value(&response).expect("JSON")).boxed()
    }

    /// The server's address, `http://127.0.0.1:<port>`; it listens from the first call on.
    pub fn url(&self) -> String {
        self.url.get().expect("TestApp::live, or listen, was called").clone()
    }

    /// Serves over HTTP; returns the address.
    pub async fn listen(&self) -> String {
        let start = || async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let app = self.app.clone();
            let stop = CancellationToken::new();
            tokio::spawn(async move { belfry::http::serve(app, listener, stop).await });
            format!("http://{address}")
        };
        self.url.get_or_init(start).await.clone()
    }

    /// The URL of the story's database.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// The text of the story's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Revokes the story's key.
    pub async fn revoke_key(&self) {
        let id = self.caller.key().expect("a key");
        self.revoke(&self.caller, id).await;
    }

    /// Revokes a key of the caller's project on the command line.
    pub async fn revoke(&self, caller: &Caller, id: entity::KeyId) {
        let caller = command_line(&self.app, caller.project).await;
        api_key::revoke(&self.app, &caller, id).await.expect("the key is revoked");
    }

    /// A new key of a project, made on the command line: its caller, and its text.
    pub async fn key_of(&self, project: ProjectId, scopes: &[Scope]) -> (Caller, String) {
        key_of(&self.app, project, "story", scopes).await
    }

    /// Begins to shut down.
    pub fn begin_shutdown(&self) {
        self.app.shutdown().begin();
    }
}

async fn key_of(app: &App, project: ProjectId, name: &str, scopes: &[Scope]) -> (Caller, String) {
    let caller = command_line(app, project).await;
    let (name, scopes) = (name.to_owned(), scopes.to_vec());
    let input = Create { name, scopes, ..Create::default() };
    let made = api_key::create(app, &caller, input).await.expect("a key");
    let text = made.text.expect("its text");
    let caller = api_key::authenticate(app, Some(&text)).await.expect("the key holds");
    (caller, text)
}

async fn command_line(app: &App, project: ProjectId) -> Caller {
    let row = belfry::store::project::find(app.store(), project).await.expect("a row");
    Caller::command_line(&row.expect("the project"))
}

fn async_stream(
    schema: Schema,
    request: Request,
) -> impl futures_util::Stream<Item = async_graphql::Response> + Send + 'static {
    use futures_util::StreamExt as _;
    futures_util::stream::once(async move { schema.execute_stream(request).boxed() }).flatten()
}

/// An instant from RFC 3339.
pub fn instant(text: &str) -> Instant {
    Instant::parse(text).expect("RFC 3339")
}
