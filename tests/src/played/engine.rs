//! The engine's part of a play: every duty of the engine, at each moment at which something can
//! happen, and a receiver that answers when a run has had its time on the play's clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use belfry::store::plan;
use entity::firing::{Column, Entity, Model, Status};
use entity::{FiringId, Instant};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Part;
use crate::TestApp;

/// More moments than a play can have.
const MOMENTS_MAX: usize = 100_000;
/// How long a notice that says that a result is recorded is waited for before one looks anyway.
const PATIENCE: Duration = Duration::from_secs(1);

/// Receives what the stages send, and answers when the play lets it.
#[derive(Clone)]
pub(super) struct Target {
    url: String,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    /// Requests that wait for their answer, by `webhook-id`.
    waiting: HashMap<String, oneshot::Sender<()>>,
    /// Runs that were over before their request was there.
    over: HashSet<String>,
}

impl Target {
    /// One on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let held = Arc::new(Mutex::new(Held::default()));
        let router = Router::new().fallback(receive).with_state(held.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, held }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets the answer to a firing's one request go.
    fn release(&self, firing: FiringId) {
        let id = format!("{firing}_run");
        let mut held = self.held.lock().unwrap();
        match held.waiting.remove(&id) {
            // Nobody listens any more when the run was cancelled.
            Some(answer) => drop(answer.send(())),
            None => drop(held.over.insert(id)),
        }
    }
}

async fn receive(State(held): State<Arc<Mutex<Held>>>, headers: HeaderMap) -> StatusCode {
    let id = headers["webhook-id"].to_str().expect("an id").to_owned();
    let answer = {
        let mut held = held.lock().unwrap();
        if held.over.remove(&id) {
            return StatusCode::NO_CONTENT;
        }
        let (answer, answered) = oneshot::channel();
        held.waiting.insert(id, answer);
        answered
    };
    // It ends with the play, too.
    let _ = answer.await;
    StatusCode::NO_CONTENT
}

/// Lets the engine work until `until`, moment by moment.
pub(super) async fn play(
    app: &TestApp,
    parts: &[Part],
    target: &Target,
    outages: &[(Instant, Instant)],
    until: Instant,
) {
    let mut play = Play { app, parts, target, running: BTreeMap::new(), started: HashMap::new() };
    for _ in 0..MOMENTS_MAX {
        let now = app.now();
        app.engine.renewer.run_once().await.expect("a renewal");
        loop {
            let ended = play.end(now).await;
            let mut planned = 0;
            while app.engine.planner.run_once().await.expect("planning").schedules != 0 {
                planned += 1;
            }
            app.engine.sweeper.run_once().await.expect("a sweep");
            let claimed = play.begin(now).await;
            if !ended && planned == 0 && !claimed {
                break;
            }
        }
        let next = play.next_moment(now, outages).await;
        if until <= next {
            return;
        }
        app.set_clock(next);
    }
    panic!("a play has no more than {MOMENTS_MAX} moments");
}

struct Play<'a> {
    app: &'a TestApp,
    parts: &'a [Part],
    target: &'a Target,
    /// What runs, and when it will have had its time.
    running: BTreeMap<FiringId, Instant>,
    /// How many firings of each part have begun.
    started: HashMap<usize, usize>,
}

impl Play<'_> {
    /// Ends what has run its time, and waits until that is recorded; whether anything has.
    async fn end(&mut self, now: Instant) -> bool {
        let ended: BTreeSet<FiringId> =
            self.running.extract_if(.., |_, ends_at| *ends_at <= now).map(|(id, _)| id).collect();
        if ended.is_empty() {
            return false;
        }
        let mut listener = self.app.app.bus().listen();
        ended.iter().for_each(|id| self.target.release(*id));
        while self.executing().await.iter().any(|row| ended.contains(&row.id)) {
            // It is a hint.
            let _ = tokio::time::timeout(PATIENCE, listener.next()).await;
        }
        true
    }

    /// Claims all that is due; whether anything was.
    async fn begin(&mut self, now: Instant) -> bool {
        let mut has_begun = false;
        loop {
            self.app.app.queue().flush().await;
            let report = self.app.engine.executor.run_once().await.expect("a claim");
            if report.pulled == 0 {
                break;
            }
            has_begun = true;
        }
        if !has_begun {
            return false;
        }
        let executing = self.executing().await;
        let still: BTreeSet<FiringId> = executing.iter().map(|row| row.id).collect();
        // What was cancelled ends too, though nobody wants its result.
        for (id, _) in self.running.extract_if(.., |id, _| !still.contains(id)) {
            self.target.release(id);
        }
        for firing in executing {
            if !self.running.contains_key(&firing.id) {
                let lasts_ms = self.lasts_ms(&firing);
                self.running.insert(firing.id, now.plus_ms(lasts_ms));
            }
        }
        true
    }

    /// How long a firing that has begun will run.
    fn lasts_ms(&mut self, firing: &Model) -> i64 {
        let is_its = |part: &Part| Some(part.id) == firing.schedule_id;
        let number = self.parts.iter().position(is_its).expect("one of the schedules");
        let started = self.started.entry(number).or_default();
        let durations = &self.parts[number].durations_ms;
        let lasts_ms = durations.get(*started % durations.len().max(1)).copied().unwrap_or(0);
        *started += 1;
        lasts_ms
    }

    /// The first moment at which something can happen, unless nothing works then.
    async fn next_moment(&self, now: Instant, outages: &[(Instant, Instant)]) -> Instant {
        let due = self.first_due().await;
        let ends = self.running.values().min().copied();
        let look = plan::next_look(self.app.app.store()).await.expect("a look");
        let next = [due, ends, look].into_iter().flatten().min().unwrap_or(Instant::MAX);
        let next = next.max(now.plus_ms(1));
        let outage = outages.iter().find(|(from, until)| *from <= next && next < *until);
        outage.map_or(next, |(_, until)| *until)
    }

    /// What runs, in the order of its instants.
    async fn executing(&self) -> Vec<Model> {
        let rows = Entity::find()
            .filter(Column::Status.eq(Status::Executing))
            .order_by_asc(Column::NominalAt)
            .all(self.app.app.store().readers());
        rows.await.expect("firings")
    }

    /// When the first of what waits is due.
    async fn first_due(&self) -> Option<Instant> {
        let first = Entity::find()
            .filter(Column::Status.eq(Status::Scheduled))
            .filter(Column::BlockedBy.is_null())
            .select_only()
            .column_as(Column::DueAt.min(), "due_at")
            .into_tuple::<Option<Instant>>()
            .one(self.app.app.store().readers());
        first.await.expect("a row").flatten()
    }
}
