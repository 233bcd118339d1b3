//! Time semantics against an evaluator that does not know how to be clever.
//!
//! It walks the clock minute by minute (or second by second) around changes of clocks, and day by
//! day through years, looks at what the wall shows at each step, and notes where an expression
//! fires. For random expressions, zones and policies, `next_after` must say the same: nothing
//! missing, nothing extra, always later than what was asked, from wherever it is asked.

use std::collections::BTreeSet;

use belfry::domain::cron::Cron;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _};
use entity::Instant;

/// Pseudo-random numbers, the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ mixed >> 31) % u64::from(sides)).unwrap_or_default()
    }

    fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.roll(last - first + 1)
    }
}

/// A field as text, and the numbers that it was made from.
struct Field {
    text: String,
    numbers: BTreeSet<u32>,
}

impl Field {
    fn star(min: u32, max: u32) -> Self {
        Self { text: "*".to_owned(), numbers: (min..=max).collect() }
    }

    fn random(dice: &mut Dice, min: u32, max: u32) -> Self {
        let (first, last) = (dice.between(min, max), dice.between(min, max));
        let (first, last) = (first.min(last), first.max(last));
        let step = dice.between(1, max.min(9));
        let stepped = |first: u32, last: u32| (first..=last).step_by(step as usize).collect();
        match dice.roll(8) {
            0 => Self::star(min, max),
            1 => Self { text: format!("*/{step}"), numbers: stepped(min, max) },
            2 => Self { text: format!("{first}-{last}"), numbers: (first..=last).collect() },
            3 => Self { text: format!("{first}-{last}/{step}"), numbers: stepped(first, last) },
            4 => Self { text: format!("{first},{last}"), numbers: BTreeSet::from([first, last]) },
            _ => Self { text: first.to_string(), numbers: BTreeSet::from([first]) },
        }
    }
}

/// An expression and the plainest way to judge a civil time by it.
struct Expression {
    text: String,
    fields: [Field; 6],
}

impl Expression {
    fn random(dice: &mut Dice, step_secs: i64) -> Self {
        let second = match step_secs {
            1 => Field::random(dice, 0, 59),
            _ => Field { text: "0".to_owned(), numbers: BTreeSet::from([0]) },
        };
        let minute = Field::random(dice, 0, 59);
        // Clocks change at night: most hours are drawn from there.
        let hour_max = if dice.roll(3) == 0 { 23 } else { 4 };
        let hour = match dice.roll(4) {
            0 => Field::star(0, 23),
            1 => Field { text: "*/2".into(), numbers: (0..24).step_by(2).collect() },
            _ => {
                let hour = dice.roll(hour_max + 1);
                Field { text: format!("0,{hour}"), numbers: BTreeSet::from([0, hour]) }
            }
        };
        let day = || Field::star(1, 31);
        let month = if dice.roll(8) == 0 { Field::random(dice, 1, 12) } else { Field::star(1, 12) };
        let weekday = || Field::star(0, 6);
        let day = if dice.roll(4) == 0 { Field::random(dice, 1, 31) } else { day() };
        let weekday = if dice.roll(4) == 0 { Field::random(dice, 0, 6) } else { weekday() };
        Self::new(step_secs, [second, minute, hour, day, month, weekday])
    }

    fn new(step_secs: i64, fields: [Field; 6]) -> Self {
        let skipped = usize::from(step_secs != 1);
        let words: Vec<_> = fields.iter().skip(skipped).map(|field| field.text.as_str()).collect();
        Self { text: words.join(" "), fields }
    }

    fn matches(&self, civil: NaiveDateTime) -> bool {
        let [seconds, minutes, hours, days, months, weekdays] = &self.fields;
        let day = days.numbers.contains(&civil.day());
        let weekday = weekdays.numbers.contains(&civil.weekday().num_days_from_sunday());
        let starred = days.text.starts_with('*') || weekdays.text.starts_with('*');
        seconds.numbers.contains(&civil.second())
            && minutes.numbers.contains(&civil.minute())
            && hours.numbers.contains(&civil.hour())
            && months.numbers.contains(&civil.month())
            && if starred { day && weekday } else { day || weekday }
    }

    fn policy(&self, policy: DstPolicy) -> (Gap, Overlap) {
        let beat = self.fields[..3].iter().any(|field| field.text.contains(['*', '-', '/']));
        match policy {
            DstPolicy::Explicit { gap, overlap } => (gap, overlap),
            DstPolicy::Auto if beat => (Gap::Skip, Overlap::Both),
            DstPolicy::Auto => (Gap::Shift, Overlap::First),
        }
    }
}

/// A stretch of real time and what the wall shows at each step of it.
struct Walk {
    first_secs: i64,
    step_secs: i64,
    civil: Vec<NaiveDateTime>,
}

impl Walk {
    /// From `hours` before `around` to as long after it.
    fn new(zone: &str, around: &str, hours: i64, step_secs: i64) -> Self {
        let zone: chrono_tz::Tz = zone.parse().unwrap_or_else(|_| panic!("{zone} is no zone"));
        let around = Instant::parse(around).unwrap_or_else(|error| panic!("{error}")).millis();
        let first_secs = around / 1000 - hours * 3600;
        let civil = |step: i64| {
            let utc = DateTime::from_timestamp(first_secs + step * step_secs, 0);
            zone.from_utc_datetime(&utc.unwrap_or_default().naive_utc()).naive_local()
        };
        let steps = 0..=hours * 7200 / step_secs;
        Self { first_secs, step_secs, civil: steps.map(civil).collect() }
    }

    /// The instants in the inner half, found by looking at every step: whether it `matches`, and
    /// whether the wall `skipped` a match just before it.
    fn fires(&self, matches: &[bool], skipped: &[bool], policy: (Gap, Overlap)) -> Vec<i64> {
        let (gap, overlap) = policy;
        let mut last_pass = vec![true; self.civil.len()];
        let mut lowest = NaiveDateTime::MAX;
        for (step, civil) in self.civil.iter().enumerate().rev() {
            last_pass[step] = *civil < lowest;
            lowest = lowest.min(*civil);
        }
        let mut highest = NaiveDateTime::MIN;
        let mut found = Vec::new();
        for (step, civil) in self.civil.iter().enumerate() {
            let counts = match overlap {
                Overlap::First => highest < *civil,
                Overlap::Last => last_pass[step],
                Overlap::Both => true,
            };
            if gap == Gap::Shift && skipped[step] || counts && matches[step] {
                found.push(self.first_secs + step as i64 * self.step_secs);
            }
            highest = highest.max(*civil);
        }
        found.retain(|secs| self.inner().contains(secs));
        found
    }

    /// Whether the wall jumped over a match just before `step`.
    fn skips(&self, step: usize, expression: &Expression) -> bool {
        let tick = TimeDelta::seconds(self.step_secs);
        let before = step.checked_sub(1).map_or(self.civil[0], |before| self.civil[before]);
        let ticks = std::iter::successors(Some(before + tick), |civil| Some(*civil + tick));
        let mut skipped = ticks.take_while(|civil| *civil < self.civil[step]);
        skipped.any(|civil| expression.matches(civil))
    }

    fn inner(&self) -> std::ops::Range<i64> {
        let length = self.civil.len() as i64 * self.step_secs;
        self.first_secs + length / 4..self.first_secs + length * 3 / 4
    }
}

/// What `next_after` says for the inner half of `walk` must be what the walk has seen there.
fn compare(walk: &Walk, zone_name: &str, expression: &Expression, dice: &mut Dice) -> usize {
    // An expression of random days may be impossible; that is another test's concern.
    let Ok(cron) = Cron::parse(&expression.text) else {
        return 0;
    };
    let zone = Zone::parse(zone_name).unwrap_or_else(|error| panic!("{error}"));
    let explicit = [Gap::Shift, Gap::Skip].into_iter().flat_map(|gap| {
        [Overlap::First, Overlap::Last, Overlap::Both]
            .map(|overlap| DstPolicy::Explicit { gap, overlap })
    });
    let matches: Vec<_> = walk.civil.iter().map(|civil| expression.matches(*civil)).collect();
    let skipped: Vec<_> = (0..walk.civil.len()).map(|step| walk.skips(step, expression)).collect();
    let mut compared = 0;
    for policy in explicit.chain([DstPolicy::Auto]) {
        let expected = walk.fires(&matches, &skipped, expression.policy(policy));
        let inner = walk.inner();
        let next = |after_ms: i64| {
            let after = Instant::from_millis(after_ms);
            let found = cron.next_after(zone, policy, after).map_or(i64::MAX, Instant::millis);
            assert!(after_ms < found, "{} {zone_name}: {found} is not later", expression.text);
            found / 1000
        };
        let found = std::iter::successors(Some(inner.start - 1), |after| Some(next(after * 1000)));
        let found: Vec<_> = found.skip(1).take_while(|secs| *secs < inner.end).collect();
        assert_eq!(found, expected, "{} {zone_name} {policy:?}", expression.text);
        for _ in 0..20 {
            let span_ms = u32::try_from((inner.end - inner.start) * 1000).unwrap_or(u32::MAX);
            let after_ms = inner.start * 1000 + i64::from(dice.roll(span_ms));
            let expected = expected.iter().copied().find(|secs| after_ms < secs * 1000);
            let found = next(after_ms);
            let within = (found < inner.end).then_some(found);
            assert_eq!(within, expected, "{} {zone_name} {after_ms}", expression.text);
        }
        compared += expected.len();
    }
    compared
}

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

#[test]
fn minute_by_minute_no_instant_is_missing_and_none_is_extra() {
    let mut dice = Dice(1);
    let mut compared = 0;
    for (zone, around) in CHANGES {
        let walk = Walk::new(zone, around, 48, 60);
        for _ in 0..10 {
            let expression = Expression::random(&mut dice, 60);
            compared += compare(&walk, zone, &expression, &mut dice);
        }
    }
    assert!(25_000 < compared, "only {compared} instants were compared");
}

#[test]
fn second_by_second_no_instant_is_missing_and_none_is_extra() {
    let mut dice = Dice(2);
    let mut compared = 0;
    // Monrovia's clocks were 44 minutes and 30 seconds behind until then.
    let monrovia = ("Africa/Monrovia", "1972-01-07T00:44:30Z");
    for (zone, around) in [CHANGES[0], CHANGES[1], CHANGES[2], CHANGES[3], monrovia] {
        let walk = Walk::new(zone, around, 4, 1);
        let every = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
            .map(|(min, max)| Field::star(min, max));
        compared += compare(&walk, zone, &Expression::new(1, every), &mut dice);
        for _ in 0..6 {
            let mut expression = Expression::random(&mut dice, 1);
            while expression.fields[2].text != "*" {
                expression = Expression::random(&mut dice, 1);
            }
            compared += compare(&walk, zone, &expression, &mut dice);
        }
    }
    assert!(10_000 < compared, "only {compared} instants were compared");
}

#[test]
fn day_by_day_no_date_is_missing_and_none_is_extra() {
    let mut dice = Dice(3);
    let mut refused = 0;
    for _ in 0..200 {
        let zero = || Field { text: "0".to_owned(), numbers: BTreeSet::from([0]) };
        let (day, month) = (Field::random(&mut dice, 1, 31), Field::random(&mut dice, 1, 12));
        let weekday = Field::random(&mut dice, 0, 6);
        let expression = Expression::new(60, [zero(), zero(), zero(), day, month, weekday]);
        let first = DateTime::from_timestamp(946_684_800, 0).unwrap_or_default().naive_utc();
        let dates = (0..9000).map(|day| first + TimeDelta::days(day));
        let expected: Vec<_> = dates.filter(|date| expression.matches(*date)).collect();
        let Ok(cron) = Cron::parse(&expression.text) else {
            assert!(expected.is_empty(), "{} was refused", expression.text);
            refused += 1;
            continue;
        };
        let next = |after: Instant| cron.next_after(Zone::UTC, DstPolicy::Auto, after);
        let before = Instant::from_utc(first.and_utc()).plus_ms(-1);
        let found: Vec<_> = std::iter::successors(next(before), |after| next(*after))
            .map(|instant| instant.to_utc().naive_utc())
            .take(expected.len())
            .collect();
        assert_eq!(found, expected, "{}", expression.text);
    }
    assert!(refused < 20, "{refused} of 200 expressions were refused");
}
