//! Random schedules, policies and outages.

use belfry::store::timetable;
use entity::trigger::Overlap;
use entity::{Instant, ScheduleId, schedule};
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};

use super::Part;
use super::engine::Target;
use crate::{Random, TestApp, instant};

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

/// When a play begins.
pub(super) fn start(random: &mut Random) -> Instant {
    instant(STARTS[random.below(STARTS.len())])
}

/// Calendars that schedules may leave out or keep to.
pub(super) async fn calendars(app: &TestApp, from: Instant) -> Vec<Value> {
    let middle = json!({ "from": from.plus_ms(1_800_000).to_string(), "until": from.plus_ms(4_500_000).to_string() });
    let mut ids = Vec::new();
    for (name, zone, entries) in [
        ("minutes", None, json!([{ "cron": "5-34 * * * *" }])),
        ("hours", Some("Asia/Kathmandu"), json!([{ "cron": "* */2 * * *" }, { "period": middle }])),
    ] {
        let input = json!({ "name": name, "timeZone": zone, "entries": entries });
        let query = "mutation($input: CalendarSetInput!) { calendarSet(input: $input) {
            calendar { id } userErrors { field message } } }";
        ids.push(app.done("calendarSet", query, input).await["calendar"]["id"].clone());
    }
    ids
}

/// Makes a random schedule; none when it would never fire.
pub(super) async fn part(
    app: &TestApp,
    random: &mut Random,
    target: &Target,
    calendars: &[Value],
    name: &str,
) -> Option<Part> {
    let from = app.now();
    let spec = spec(random, from);
    let policy = policy(random, from, calendars);
    let overlap = *random.pick(&OVERLAPS);
    // The machine's own clock must not end what the play's clock lets run.
    let stage =
        json!({ "name": "run", "timeout": "PT5M", "config": { "http": { "url": target.url() } } });
    let input = json!({
        "name": name,
        "overlap": overlap,
        "action": { "inline": { "stages": [stage] } },
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
    Some(Part { id, shown, table, overlap, durations_ms: durations })
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

fn policy(random: &mut Random, from: Instant, calendars: &[Value]) -> Value {
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
    if random.chance(20) {
        let field = *random.pick(&["excludeCalendarIds", "onlyCalendarIds"]);
        policy[field] = json!([random.pick(calendars)]);
    }
    policy
}

/// When nothing works.
pub(super) fn outages(random: &mut Random, from: Instant) -> Vec<(Instant, Instant)> {
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
