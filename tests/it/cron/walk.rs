//! Time semantics against an evaluator that does not know how to be clever (`tests/src/wall`): a
//! sample of what `make soak` does whole, and random expressions where clocks were moved oddly.

use belfry::domain::cron::Cron;
use belfry::domain::zone::{DstPolicy, Zone};
use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use entity::Instant;
use tests::Random;
use tests::wall::{Rule, Tally, Walk, YEARS, changes};

/// Changes of clocks of every kind: an hour, half an hour, two, three, seven hours, a whole day.
const CHANGES: [(&str, &str); 20] = [
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00:00Z"),
    ("Australia/Lord_Howe", "2024-10-05T15:30:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Apia", "2011-04-02T14:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("America/Santiago", "2024-04-07T03:00:00Z"),
    ("America/Santiago", "2024-09-08T04:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Africa/Casablanca", "2025-02-23T02:00:00Z"),
    ("Africa/Casablanca", "2025-04-06T02:00:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
    ("Asia/Amman", "2014-10-30T22:00:00Z"),
    ("Antarctica/Troll", "2024-03-31T01:00:00Z"),
    ("Antarctica/Casey", "2020-10-03T16:01:00Z"),
    ("Antarctica/Vostok", "1994-01-31T17:00:00Z"),
    ("Etc/GMT+12", "2026-01-01T00:00:00Z"),
];
/// How many changes of clocks are drawn for the sample.
const SAMPLE: usize = 5;

fn zone(name: &str) -> Tz {
    name.parse().unwrap_or_else(|_| panic!("{name} is no zone"))
}

/// From `hours` before `around` to as long after it.
fn walk(zone: Tz, around: &str, hours: i64, step_secs: i64) -> Walk {
    let around = Instant::parse(around).unwrap_or_else(|error| panic!("{error}")).millis() / 1000;
    Walk::new(zone, around - hours * 3600, around + hours * 3600, step_secs)
}

fn between(random: &mut Random, first: usize, last: usize) -> usize {
    first + random.below(last - first + 1)
}

fn field(random: &mut Random, min: usize, max: usize) -> String {
    let (one, other) = (between(random, min, max), between(random, min, max));
    let (first, last) = (one.min(other), one.max(other));
    let step = between(random, 1, max.min(9));
    match random.below(8) {
        0 => "*".to_owned(),
        1 => format!("*/{step}"),
        2 => format!("{first}-{last}"),
        3 => format!("{first}-{last}/{step}"),
        4 => format!("{first},{last}"),
        _ => first.to_string(),
    }
}

fn date(random: &mut Random) -> String {
    let day = between(random, 1, 28);
    match random.below(10) {
        0 => "L".to_owned(),
        1 => format!("L-{},{day}", random.below(28)),
        2 => format!("{day}W"),
        3 => "LW".to_owned(),
        _ => field(random, 1, 31),
    }
}

fn weekday(random: &mut Random) -> String {
    let day = random.below(8);
    match random.below(8) {
        0 => format!("{day}#{}", between(random, 1, 5)),
        1 => format!("{day}L"),
        2 => format!("{day}#1,{}", random.below(7)),
        _ => field(random, 0, 6),
    }
}

fn expression(random: &mut Random, step_secs: i64) -> String {
    let second = if step_secs == 1 { field(random, 0, 59) + " " } else { String::new() };
    // Clocks change at night: most hours are drawn from there.
    let hour_max = if random.chance(30) { 23 } else { 4 };
    let hour = match random.below(4) {
        0 => "*".to_owned(),
        1 => "*/2".to_owned(),
        _ => format!("0,{}", random.below(hour_max + 1)),
    };
    let mut seldom = |percent, field: fn(&mut Random) -> String| {
        if random.chance(percent) { field(random) } else { "*".to_owned() }
    };
    let month = seldom(12, |random| field(random, 1, 12));
    let (day, weekday) = (seldom(25, date), seldom(25, weekday));
    format!("{second}{} {hour} {day} {month} {weekday}", field(random, 0, 59))
}

/// Compares `count` random expressions.
fn compare(tally: &mut Tally, zone: Tz, walk: &Walk, random: &mut Random, count: usize) {
    let step_secs = walk.at(1) - walk.at(0);
    let possible = std::iter::repeat_with(|| expression(random, step_secs))
        .filter(|expression| Cron::parse(expression).is_ok());
    possible.take(count).for_each(|expression| tally.expression(zone, &expression, walk));
}

#[test]
fn minute_by_minute_no_instant_is_missing_and_none_is_extra() {
    let (mut random, mut tally) = (Random(1), Tally::default());
    for (name, around) in CHANGES {
        let walk = walk(zone(name), around, 27, 60);
        compare(&mut tally, zone(name), &walk, &mut random, 2);
    }
    assert_eq!(tally.described, Vec::<String>::new());
    assert!(900_000 < tally.comparisons, "only {} comparisons", tally.comparisons);
}

#[test]
fn second_by_second_no_instant_is_missing_and_none_is_extra() {
    let (mut random, mut tally) = (Random(2), Tally::default());
    // Monrovia's clocks were 44 minutes and 30 seconds behind until then.
    let monrovia = ("Africa/Monrovia", "1972-01-07T00:44:30Z");
    for (name, around) in [CHANGES[0], CHANGES[1], CHANGES[2], CHANGES[3], monrovia] {
        let walk = walk(zone(name), around, 2, 1);
        tally.expression(zone(name), "* * * * * *", &walk);
        compare(&mut tally, zone(name), &walk, &mut random, 1);
    }
    assert_eq!(tally.described, Vec::<String>::new());
    assert!(1_000_000 < tally.comparisons, "only {} comparisons", tally.comparisons);
}

#[test]
fn changes_of_clocks_drawn_from_all_zones_make_no_difference() {
    let (mut random, mut tally) = (Random(3), Tally::default());
    while tally.changes < SAMPLE {
        let zone = *random.pick(&chrono_tz::TZ_VARIANTS);
        let from = YEARS.start + i32::try_from(random.below(YEARS.len() - 2)).expect("a year");
        let changes = changes(zone, from..from + 2);
        if !changes.is_empty() {
            tally.change(zone, random.pick(&changes));
        }
    }
    println!("{} comparisons around {} changes of clocks", tally.comparisons, tally.changes);
    assert_eq!(tally.described, Vec::<String>::new());
}

#[test]
fn a_difference_would_be_seen() {
    let mut tally = Tally::default();
    let name = zone("America/New_York");
    // A walk along the wall of another zone, whose clocks change at another instant.
    let walk = walk(zone("America/Chicago"), "2026-03-08T07:00:00Z", 4, 60);
    tally.expression(name, "30 2 * * *", &walk);
    assert!(0 < tally.differences, "{tally:?}");
    assert!(tally.described[0].contains("expected"), "{}", tally.described[0]);
}

#[test]
fn day_by_day_no_date_is_missing_and_none_is_extra() {
    let mut random = Random(4);
    let mut refused = 0;
    for _ in 0..200 {
        let (day, month) = (date(&mut random), field(&mut random, 1, 12));
        let expression = format!("0 0 {day} {month} {}", weekday(&mut random));
        let rule = Rule::new(&expression);
        let first = DateTime::from_timestamp(946_684_800, 0).unwrap_or_default().naive_utc();
        let dates = (0..4000).map(|day| first + TimeDelta::days(day));
        let expected: Vec<_> = dates.filter(|date| rule.allows(*date)).collect();
        let Ok(cron) = Cron::parse(&expression) else {
            assert!(expected.is_empty(), "{expression} was refused");
            refused += 1;
            continue;
        };
        let next = |after: Instant| cron.next_after(Zone::UTC, DstPolicy::AUTO, after);
        let before = Instant::from_utc(first.and_utc()).plus_ms(-1);
        let found: Vec<_> = std::iter::successors(next(before), |after| next(*after))
            .map(|instant| instant.to_utc().naive_utc())
            .take(expected.len())
            .collect();
        assert_eq!(found, expected, "{expression}");
    }
    assert!(0 < refused && refused < 30, "{refused} of 200 expressions were refused");
}
