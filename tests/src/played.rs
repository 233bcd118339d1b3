//! The simulation beside the engine: random schedules, played through both.
//!
//! The engine's part is real: rows in a database, the planner, the claim with its overlap policies
//! and the record. Only the run itself is played, by recording a success when its time is over,
//! and the clock goes from one moment at which something can happen to the next. What both say is
//! compared instant by instant.

use std::collections::{BTreeMap, BTreeSet};

use belfry::domain::planning::missed_before;
use belfry::domain::simulation::{Fate, Setting, simulate};
use belfry::domain::timetable::Timetable;
use belfry::store::claim::{self, Claimed, Lease};
use belfry::store::overlap;
use belfry::store::range::{self, Reached};
use belfry::store::record::{self, Outcome};
use belfry::store::{Origin, plan, timetable};
use entity::firing::{Cause, Column, Entity, Model, Status};
use entity::trigger::Overlap;
use entity::{FiringId, Instant, ScheduleId, schedule};
use futures_util::FutureExt as _;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Random, TestApp, instant};

/// How long a play lasts.
const LENGTH_MS: i64 = 2 * 3_600_000;
/// When plays begin: on a plain day, and shortly before clocks change in one of the zones.
const STARTS: [&str; 5] = [
    "2026-03-02T10:00:00Z",
    "2026-03-08T05:30:00Z",
    "2026-03-29T00:00:00Z",
    "2026-04-04T14:00:00Z",
    "2026-11-01T04:30:00Z",
];
const ZONES: [&str; 4] = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"];
const EXPRESSIONS: [&str; 8] = [
    "* * * * *",
    "*/5 * * * *",
    "*/7 0-3 * * *",
    "30 * * * *",
    "15,45 1-3 * * *",
    "30 2 * * *",
    "*/40 */3 * * * *",
    "0 */2 * * *",
];
const INTERVALS: [&str; 6] = ["PT30S", "PT1M", "PT2M", "PT4M10S", "PT17M", "PT1H20M"];
const DURATIONS_MS: [i64; 6] = [0, 0, 1_000, 45_000, 300_000, 1_500_000];
const OVERLAPS: [&str; 5] = ["ALLOW", "SKIP", "BUFFER_ONE", "BUFFER_ALL", "CANCEL_OTHER"];
/// More moments than a play can have.
const MOMENTS_MAX: usize = 100_000;

/// What a comparison came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Schedules that were played.
    pub schedules: usize,
    /// Instants that were compared.
    pub instants: usize,
    /// Of these, those that did not fire as planned.
    pub skipped: usize,
}

/// One schedule, as both play it.
struct Part {
    id: ScheduleId,
    shown: String,
    table: Timetable,
    overlap: Overlap,
    durations_ms: Vec<i64>,
    /// How many of its firings have begun in the engine.
    started: usize,
}

/// A firing that the engine runs.
struct Run {
    ends_at: Instant,
    firing: Model,
}

/// Plays `count` random schedules at once, on a Belfry of their own. Panics at the first
/// difference.
pub async fn compare(seed: u64, count: usize) -> Compared {
    let mut random = Random(seed);
    let app = TestApp::start().await;
    let from = STARTS[random.below(STARTS.len())];
    let from = instant(from);
    app.set_clock(from);
    let until = from.plus_ms(LENGTH_MS);
    let outages = outages(&mut random, from);
    let mut parts = Vec::with_capacity(count);
    while parts.len() < count {
        parts.extend(part(&app, &mut random, from, parts.len()).await);
    }
    play(&app, &mut parts, &outages, until).await;
    let mut compared = Compared::default();
    for part in &parts {
        let setting = Setting {
            from,
            until,
            overlap: part.overlap,
            outages: outages.clone(),
            durations_ms: part.durations_ms.clone(),
            instants_max: 1_000_000,
            work_max: 1_000_000_000,
        };
        let simulated = of_simulation(part, &setting);
        let recorded = of_engine(&app, part, until).await;
        assert_same(seed, part, &simulated, &recorded, &outages);
        compared.schedules += 1;
        compared.instants += simulated.len();
        compared.skipped += simulated.values().filter(|fate| fate.is_skip()).count();
    }
    compared
}

/// What became of an instant, as both can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Became {
    status: Status,
    reason: Option<String>,
    started_at: Option<Instant>,
    finished_at: Option<Instant>,
}

impl Became {
    fn is_skip(&self) -> bool {
        matches!(self.status, Status::Skipped | Status::Cancelled)
    }
}

fn of_simulation(part: &Part, setting: &Setting) -> BTreeMap<Instant, Became> {
    let played = simulate(&part.table, setting);
    let fate = |fate: &Fate| {
        let reason = fate.reason.map(|reason| reason.as_str().to_owned());
        // A range says when its first instant was skipped.
        let is_skipped = fate.status == Status::Skipped;
        let finished_at = fate.finished_at.filter(|_| !is_skipped);
        let Fate { status, started_at, .. } = *fate;
        (fate.nominal_at, Became { status, reason, started_at, finished_at })
    };
    played.fates.iter().map(fate).collect()
}

async fn of_engine(app: &TestApp, part: &Part, until: Instant) -> BTreeMap<Instant, Became> {
    let rows = Entity::find()
        .filter(Column::ScheduleId.eq(part.id))
        .filter(Column::Cause.eq(Cause::Schedule))
        .order_by_asc(Column::NominalAt)
        .all(app.app.store().readers())
        .await
        .expect("firings");
    let own: BTreeSet<Instant> =
        rows.iter().filter(|row| row.range_count.is_none()).map(|row| row.nominal_at).collect();
    let mut fates = BTreeMap::new();
    for row in rows {
        let is_skipped = row.status == Status::Skipped;
        let fate = Became {
            status: row.status,
            reason: row.reason.clone(),
            started_at: row.started_at,
            finished_at: row.finished_at.filter(|_| !is_skipped),
        };
        let Some(range_until) = row.range_until else {
            fates.insert(row.nominal_at, fate);
            continue;
        };
        let mut last = row.nominal_at.plus_ms(-1);
        let mut counted = 0;
        while let Some(next) = part.table.next_after(last).filter(|next| *next <= range_until) {
            if !own.contains(&next) && !fates.contains_key(&next) {
                fates.insert(next, fate.clone());
                counted += 1;
            }
            last = next;
        }
        assert_eq!(row.range_count, Some(counted), "{}: {row:?}", part.shown);
    }
    fates.retain(|at, _| *at < until);
    fates
}

fn assert_same(
    seed: u64,
    part: &Part,
    simulated: &BTreeMap<Instant, Became>,
    recorded: &BTreeMap<Instant, Became>,
    outages: &[(Instant, Instant)],
) {
    let instants: BTreeSet<&Instant> = simulated.keys().chain(recorded.keys()).collect();
    for at in instants {
        assert_eq!(
            simulated.get(at),
            recorded.get(at),
            "simulated and recorded at {at}, seed {seed}, outages {outages:?}: {} {:?}",
            part.shown,
            part.durations_ms
        );
    }
}

/// Lets the engine work until `until`, moment by moment.
async fn play(app: &TestApp, parts: &mut [Part], outages: &[(Instant, Instant)], until: Instant) {
    let mut running: Vec<Run> = Vec::new();
    for _ in 0..MOMENTS_MAX {
        let now = app.now();
        loop {
            let ended = end(app, &mut running, now).await;
            let mut planned = 0;
            while app.engine.planner.run_once().await.expect("planning").schedules != 0 {
                planned += 1;
            }
            let claimed = begin(app, parts, &mut running, now).await;
            if !ended && planned == 0 && !claimed {
                break;
            }
        }
        let due = first_due(app).await;
        let ends = running.iter().map(|run| run.ends_at).min();
        let look = plan::next_look(app.app.store()).await.expect("a look");
        let next = [due, ends, look].into_iter().flatten().min().unwrap_or(Instant::MAX);
        let next = next.max(now.plus_ms(1));
        let outage = outages.iter().find(|(from, until)| *from <= next && next < *until);
        let next = outage.map_or(next, |(_, until)| *until);
        if until <= next {
            return;
        }
        app.set_clock(next);
    }
    panic!("a play has no more than {MOMENTS_MAX} moments");
}

/// Records what has run its time; whether anything has.
async fn end(app: &TestApp, running: &mut Vec<Run>, now: Instant) -> bool {
    let is_over = |run: &mut Run| run.ends_at <= now;
    let outcomes: Vec<Outcome> =
        running.extract_if(.., is_over).map(|run| outcome(&run.firing, now)).collect();
    if outcomes.is_empty() {
        return false;
    }
    let work = app.app.store().change(Origin::Engine, move |change| {
        async move { record::record(change, &outcomes, now).await.map(drop) }.boxed()
    });
    work.await.expect("the record");
    true
}

/// Claims what is due; whether anything was.
async fn begin(app: &TestApp, parts: &mut [Part], running: &mut Vec<Run>, now: Instant) -> bool {
    let due = waiting()
        .select_only()
        .column(Column::Id)
        .filter(Column::DueAt.between(missed_before(now).millis(), now.millis()))
        .into_tuple::<FiringId>()
        .all(app.app.store().readers());
    let due = due.await.expect("firings");
    if due.is_empty() {
        return false;
    }
    let lease = Lease { owner: Uuid::from_u128(1), now, until: now.plus_ms(LENGTH_MS) };
    let ids = app.app.ids().clone();
    let mut claimed = app
        .app
        .store()
        .change(Origin::Engine, move |change| {
            async move {
                let mut claimed = claim::claim(change, &due, lease).await?;
                let taken: BTreeSet<FiringId> = claimed.iter().map(|one| one.firing.id).collect();
                let rest: Vec<FiringId> =
                    due.iter().filter(|id| !taken.contains(id)).copied().collect();
                let decided = overlap::claim(change, &ids, &rest, lease).await?;
                let mut reached: Vec<Reached> = Vec::new();
                for one in &decided.skipped {
                    let schedule = one.schedule_id.expect("planned by a schedule");
                    reached.push(Reached { schedule, at: one.nominal_at, skipped: Some(one.id) });
                }
                claimed.extend(decided.claimed);
                for Claimed { firing, is_after_range, .. } in &claimed {
                    if *is_after_range {
                        let schedule = firing.schedule_id.expect("planned by a schedule");
                        reached.push(Reached { schedule, at: firing.nominal_at, skipped: None });
                    }
                }
                range::fold(change, &ids, &reached).await?;
                Ok(claimed)
            }
            .boxed()
        })
        .await
        .expect("the claim");
    claimed.sort_by_key(|one| one.firing.nominal_at);
    let still = executing(app).await;
    running.retain(|run| still.contains(&run.firing.id));
    for one in claimed {
        let of_part = |part: &&mut Part| Some(part.id) == one.firing.schedule_id;
        let part = parts.iter_mut().find(of_part).expect("one of the schedules");
        let durations = &part.durations_ms;
        let lasts_ms = durations.get(part.started % durations.len().max(1)).copied().unwrap_or(0);
        part.started += 1;
        running.push(Run { ends_at: now.plus_ms(lasts_ms), firing: one.firing });
    }
    true
}

/// What runs, as far as the engine knows.
async fn executing(app: &TestApp) -> BTreeSet<FiringId> {
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Status.eq(Status::Executing))
        .into_tuple::<FiringId>()
        .all(app.app.store().readers());
    ids.await.expect("firings").into_iter().collect()
}

/// When the first of what waits is due.
async fn first_due(app: &TestApp) -> Option<Instant> {
    let first = waiting().select_only().column_as(Column::DueAt.min(), "due_at");
    let first = first.into_tuple::<Option<Instant>>().one(app.app.store().readers());
    first.await.expect("a row").flatten()
}

/// What waits and is not blocked.
fn waiting() -> Select<Entity> {
    Entity::find().filter(Column::Status.eq(Status::Scheduled)).filter(Column::BlockedBy.is_null())
}

fn outcome(firing: &Model, now: Instant) -> Outcome {
    Outcome {
        firing: firing.id,
        project: firing.project_id,
        epoch: firing.epoch,
        status: Status::Completed,
        reason: None,
        due_at: firing.due_at,
        finished_at: Some(now),
        result: None,
        error: None,
        stage: None,
        trigger: firing.trigger_id.map(|id| (id, None)),
        slot: firing.trigger_id,
        counted: None,
        test_trigger: None,
        attempt: None,
        events: Vec::new(),
    }
}

/// Makes a random schedule; none when it would never fire.
async fn part(app: &TestApp, random: &mut Random, from: Instant, number: usize) -> Option<Part> {
    let spec = spec(random, from);
    let policy = policy(random, from);
    let overlap = *random.pick(&OVERLAPS);
    let input = json!({
        "name": format!("{number}"),
        "overlap": overlap,
        "schedules": [{ "spec": spec, "policy": policy }],
    });
    let shown = input.to_string();
    let query = "mutation($input: TriggerCreateInput!) { triggerCreate(input: $input) {
        trigger { schedules { id } } userErrors { field message } } }";
    let made = app.ask("triggerCreate", query, json!({ "input": input })).await;
    let id = made["trigger"]["schedules"][0]["id"].as_str();
    let Some(id) = id else {
        let fields = made["userErrors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(fields, "schedules.0.policy", "{shown}: {made}");
        return None;
    };
    let id: ScheduleId = id.parse().expect("an id");
    let row = schedule::Entity::find_by_id(id).one(app.app.store().readers()).await;
    let row = row.expect("a schedule").expect("it was made");
    let tables = timetable::find_many(app.app.store(), &[(&row).into()]).await;
    let durations = (0..random.below(4)).map(|_| *random.pick(&DURATIONS_MS)).collect();
    let overlap = match overlap {
        "ALLOW" => Overlap::Allow,
        "SKIP" => Overlap::Skip,
        "BUFFER_ONE" => Overlap::BufferOne,
        "BUFFER_ALL" => Overlap::BufferAll,
        _ => Overlap::CancelOther,
    };
    let table = tables.expect("a timetable").pop().expect("one");
    Some(Part { id, shown, table, overlap, durations_ms: durations, started: 0 })
}

fn spec(random: &mut Random, from: Instant) -> Value {
    if random.chance(50) {
        let mut cron = json!({
            "expression": random.pick(&EXPRESSIONS),
            "timeZone": random.pick(&ZONES),
        });
        if random.chance(30) {
            cron["gap"] = json!(random.pick(&["SHIFT", "SKIP"]));
            cron["overlap"] = json!(random.pick(&["FIRST", "LAST", "BOTH"]));
        }
        return json!({ "cron": cron });
    }
    if random.chance(10) {
        return json!({ "in": random.pick(&INTERVALS) });
    }
    let back_ms = 10_000 * i64::try_from(random.below(60)).expect("it is small");
    let anchor = from.plus_ms(-back_ms).to_string();
    json!({ "every": { "interval": random.pick(&INTERVALS), "anchor": anchor } })
}

fn policy(random: &mut Random, from: Instant) -> Value {
    let mut policy = json!({});
    let later = |random: &mut Random| {
        let minutes = i64::try_from(random.below(120)).expect("it is small");
        from.plus_ms(minutes * 60_000).to_string()
    };
    if random.chance(20) {
        policy["startsAt"] = json!(later(random));
    } else if random.chance(20) {
        policy["endsAt"] = json!(later(random));
    }
    if random.chance(20) {
        policy["maxFirings"] = json!(1 + random.below(20));
    }
    if random.chance(10) {
        policy["jitter"] = json!(random.pick(&["PT5S", "PT2M"]));
    }
    policy["catchUp"] = json!(random.pick(&["SKIP", "LAST", "ALL"]));
    if random.chance(50) {
        policy["catchUpWindow"] = json!(random.pick(&["PT2M", "PT20M"]));
    }
    if random.chance(30) {
        let until = from.plus_ms(5_400_000).to_string();
        policy["exclude"] = match random.below(3) {
            0 => json!([{ "cron": "20-30 * * * *" }]),
            1 => {
                json!([{ "period": { "from": from.plus_ms(2_700_000).to_string(), "until": until } }])
            }
            _ => json!([{ "cron": "* 3 * * *" }, { "cron": "*/2 * * * *" }]),
        };
    }
    policy
}

fn outages(random: &mut Random, from: Instant) -> Vec<(Instant, Instant)> {
    let mut outages = Vec::new();
    let mut at = from;
    for _ in 0..random.below(4) {
        let secs =
            |random: &mut Random, max| 1_000 * i64::try_from(1 + random.below(max)).expect("small");
        let begins = at.plus_ms(secs(random, 2_000));
        let ends = begins.plus_ms(secs(random, 1_800));
        outages.push((begins, ends));
        at = ends;
    }
    outages
}
