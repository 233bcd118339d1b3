//! The simulation beside the engine: random schedules, played through both.
//!
//! The engine is whole: the planner, the queue, the executor with its stages, the recorder, the
//! sweeper and the renewer work on a real database, and each firing is a real request to a real
//! receiver, which answers when the run has had its time. Only the clock is the play's: it goes from
//! one moment at which something can happen to the next (`engine.rs`). What both say is compared
//! instant by instant. `draw.rs` makes the schedules.

use std::collections::{BTreeMap, BTreeSet};

use belfry::domain::simulation::{Fate, Setting, simulate};
use belfry::domain::timetable::Timetable;
use entity::firing::{Cause, Column, Entity, Status};
use entity::trigger::Overlap;
use entity::{Instant, ScheduleId};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use crate::{Random, TestApp};

mod draw;
mod engine;

use engine::Target;

/// How long a play lasts.
const LENGTH_MS: i64 = 2 * 3_600_000;
/// Firings that a play may run at a time: more than its schedules have instants.
const ROOM: usize = 10_000;

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
}

/// Plays `count` random schedules at once, on a Belfry of their own. Panics at the first
/// difference.
pub async fn compare(seed: u64, count: usize) -> Compared {
    let mut random = Random(seed);
    let app = TestApp::with_room_for(ROOM).await;
    let from = draw::start(&mut random);
    app.set_clock(from);
    let until = from.plus_ms(LENGTH_MS);
    let outages = draw::outages(&mut random, from);
    let target = Target::start().await;
    let calendars = draw::calendars(&app, from).await;
    let mut parts = Vec::with_capacity(count);
    while parts.len() < count {
        let name = parts.len().to_string();
        parts.extend(draw::part(&app, &mut random, &target, &calendars, &name).await);
    }
    engine::play(&app, &parts, &target, &outages, until).await;
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
            assert!(!own.contains(&next), "{}: {row:?} encloses {next}", part.shown);
            let other = fates.insert(next, fate.clone());
            assert_eq!(other, None, "{}: two ranges hold {next}", part.shown);
            counted += 1;
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
