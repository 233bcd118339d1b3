//! 100,000 schedules with one instant each in the window of the planner, and nothing but the planner
//! at work. The ceiling of this one is the same firings inserted in bulk, with nothing decided.

use std::sync::Arc;

use belfry::clock::{Ids, SystemClock};
use belfry::limits::PLAN_SCHEDULES_MAX;
use belfry::store::{Origin, Store, firing, plan};
use entity::{Instant, firing as firings, schedule};
use futures_util::FutureExt as _;
use sea_orm::{EntityTrait as _, IntoActiveModel as _, QueryOrder as _};
use serde_json::json;

use crate::ceiling::Ceiling;
use crate::home::{Home, Kind};
use crate::machine::{Usage, Used};
use crate::table::Row;
use crate::{Scale, pace};

/// The least share of the raw insert that planning must reach.
const BAR: f64 = 0.4;
/// Rows of one statement when the schedules are made.
const CHUNK: usize = 500;

/// Runs it.
pub async fn run(kind: Kind, scale: Scale) -> Vec<Row> {
    let mut row = Row::new("plan", kind);
    row.firings = scale.of(100_000, 500);
    let home = Home::start(kind).await;
    let template = template(&home).await;
    let store = Store::open(&home.database_url(), Arc::new(|_| {})).await.expect("the store");
    let ids = Arc::new(Ids::new(Arc::new(SystemClock::new())));
    let now = Instant::from_millis(pace::now_ms());
    make_schedules(&home, &template, &ids, row.firings, now).await;

    let (usage, begun) = (Usage::now(), pace::now_ms());
    let mut planned = 0;
    loop {
        let ids = ids.clone();
        let report = store
            .change(Origin::Engine, move |change| {
                async move {
                    plan::advance_due(change, &ids, now, &[], PLAN_SCHEDULES_MAX as u64).await
                }
                .boxed()
            })
            .await
            .expect("planning");
        if report.schedules == 0 {
            break;
        }
        planned += report.planned as i64;
    }
    let took_ms = (pace::now_ms() - begun).max(1);
    row.used = Some(usage.until_now());
    row.promise(planned == row.firings, format!("{planned} firings were planned"));
    let raw = raw(&store, &ids, row.firings).await;
    row.rate = Some((row.firings as f64 * 1_000.0 / took_ms as f64, raw));
    if scale == Scale::Full {
        row.bar(BAR <= row.ratio(), format!("{BAR} of the raw insert"));
    }
    store.close().await;
    vec![row]
}

/// One schedule of one trigger, made as a client would.
async fn template(home: &Home) -> schedule::Model {
    let server = home.serve(&[]).await;
    let spec = json!({ "every": { "interval": "P1D" } });
    let client = server.client();
    client.make_trigger("planned", "http://127.0.0.1:9/", vec![json!({ "spec": spec })]).await;
    drop(server);
    let db = sea_orm::Database::connect(home.database_url()).await.expect("the database");
    let row = schedule::Entity::find().one(&db).await.expect("a row").expect("one schedule");
    schedule::Entity::delete_by_id(row.id).exec(&db).await.expect("it is deleted");
    row
}

/// Daily schedules in a zone with an instant within the next minutes each, unplanned.
async fn make_schedules(
    home: &Home,
    template: &schedule::Model,
    ids: &Ids,
    count: i64,
    now: Instant,
) {
    let db = sea_orm::Database::connect(home.database_url()).await.expect("the database");
    let schedule = |number: i64| {
        // From two minutes on, so that nothing is due before all is planned.
        let at = now.plus_ms(120_000 + number % 170 * 1_000).to_utc();
        let expression = at.format("%-S %-M %-H * * *").to_string();
        let spec = json!({ "kind": "CRON", "expression": expression, "zone": "UTC" });
        schedule::Model {
            id: ids.make(),
            kind: schedule::Kind::Cron,
            spec: spec.to_string(),
            state: schedule::State::Pending,
            planned_until: now,
            plan_at: Some(now),
            next_at: Some(now),
            ..template.clone()
        }
        .into_active_model()
    };
    let all: Vec<_> = (0..count).map(schedule).collect();
    for chunk in all.chunks(CHUNK) {
        let insert = schedule::Entity::insert_many(chunk.iter().cloned());
        insert.exec_without_returning(&db).await.expect("schedules");
    }
}

/// The same firings, with the same instants in the same order, inserted as the planner inserts them
/// and nothing else.
async fn raw(store: &Store, ids: &Ids, count: i64) -> Ceiling {
    let planned = firings::Entity::find().order_by_asc(firings::Column::Id);
    let mut rows = planned.all(store.readers()).await.expect("the planned firings");
    assert_eq!(rows.len() as i64, count, "what was planned is there");
    for row in &mut rows {
        row.id = ids.make();
        row.root_id = row.id;
        row.schedule_id = Some(ids.make());
    }
    let (usage, begun) = (Usage::now(), pace::now_ms());
    for chunk in rows.chunks(PLAN_SCHEDULES_MAX) {
        let chunk = chunk.to_vec();
        let insert = store.change(Origin::Engine, move |change| {
            async move { firing::insert(change, chunk).await }.boxed()
        });
        insert.await.expect("an insert");
    }
    let Used { ours_secs, .. } = usage.until_now();
    let took_ms = (pace::now_ms() - begun).max(1);
    Ceiling {
        per_sec: count as f64 * 1_000.0 / took_ms as f64,
        cpu_us: ours_secs * 1_000_000.0 / count as f64,
    }
}
