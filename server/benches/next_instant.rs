//! How long it takes to find the next instant, and to refuse what is no expression.
//!
//! `make bench`. Aims on one core: 2 µs where clocks stand still, 100 µs for the rarest dates and
//! where every match falls into a gap, 1 ms to refuse anything.

use std::hint::black_box;

use belfry::domain::cron::{Cron, EXPRESSION_BYTES_MAX};
use belfry::domain::plan::Spec;
use belfry::domain::zone::{DstPolicy, Gap, Overlap, Zone};
use criterion::{Criterion, criterion_group, criterion_main};
use entity::Instant;

const FAR: &str = "2026-06-15T12:34:56Z";

/// What is ordinary, far from any change of clocks.
const TYPICAL: [(&str, &str, &str, &str); 6] = [
    ("minutely", "* * * * *", "Europe/Berlin", FAR),
    ("hourly", "0 * * * *", "Europe/Berlin", FAR),
    ("daily", "30 2 * * *", "Europe/Berlin", FAR),
    ("weekdays", "0 9 * * MON-FRI", "Europe/Berlin", FAR),
    ("monthly", "0 0 L * *", "Europe/Berlin", FAR),
    ("daily in UTC", "30 2 * * *", "UTC", FAR),
];

/// What is rare, near a change of clocks, or at an end of time.
const WORST: [(&str, &str, &str, &str); 9] = [
    ("leap day", "0 0 29 2 *", "Europe/Berlin", "2096-03-01T00:00:00Z"),
    ("leap day on a Monday", "0 0 */28 2 1#5", "Europe/Berlin", "2072-03-01T00:00:00Z"),
    ("first days of years", "0 0 1W 1 *", "Europe/Berlin", "2026-01-02T00:00:00Z"),
    ("into a gap", "30 2 * * *", "America/New_York", "2026-03-08T06:00:00Z"),
    ("in the first pass", "*/30 * * * *", "America/New_York", "2026-11-01T05:10:00Z"),
    ("in the second pass", "30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z"),
    ("a day that was skipped", "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z"),
    ("1970", "0 0 29 2 *", "Africa/Monrovia", "1970-01-01T00:00:00Z"),
    ("9999", "0 0 29 2 *", "Pacific/Kiritimati", "9996-03-01T00:00:00Z"),
];

fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn cron(expression: &str) -> Cron {
    Cron::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn next(criterion: &mut Criterion) {
    for (group, cases) in [("typical", TYPICAL.as_slice()), ("worst", WORST.as_slice())] {
        let mut group = criterion.benchmark_group(group);
        for (name, expression, zone, from) in cases {
            let (cron, from) = (cron(expression), at(from));
            let zone = Zone::parse(zone).unwrap_or_else(|error| panic!("{error}"));
            group.bench_function(*name, |bencher| {
                bencher.iter(|| cron.next_after(zone, DstPolicy::AUTO, black_box(from)));
            });
        }
        group.finish();
    }
}

/// Each of the years that the zone database knows has this time in its gap.
fn always_skipped(criterion: &mut Criterion) {
    let (cron, from) = (cron("30 2 * 3 SUN#2"), at(FAR));
    let zone = Zone::parse("America/New_York").unwrap_or_else(|error| panic!("{error}"));
    let skip = DstPolicy::new(Gap::Skip, Overlap::Both);
    criterion.bench_function("worst/73 gaps in a row", |bencher| {
        bencher.iter(|| cron.next_after(zone, skip, black_box(from)));
    });
}

fn parse(criterion: &mut Criterion) {
    let length = EXPRESSION_BYTES_MAX;
    let list = format!("{} * * * x", "0-59/1,".repeat(length / 7 - 2) + "0");
    for (name, expression) in [
        ("a good one", "0 9 15W,L * MON-FRI".to_owned()),
        ("a bad field", "60 * * * *".to_owned()),
        ("an impossible date", "0 0 */29 2-12 1#2".to_owned()),
        ("the longest list", list),
        ("the most commas", format!("{} * * * *", ",".repeat(length - 8))),
        ("the most blanks", " ".repeat(length)),
        ("a megabyte", "*".repeat(1_000_000)),
    ] {
        criterion.bench_function(&format!("parse/{name}"), |bencher| {
            bencher.iter(|| Cron::parse(black_box(&expression)).is_ok());
        });
    }
}

fn year(criterion: &mut Criterion) {
    let spec = Spec::cron("* * * * *", "Europe/Berlin");
    let plan = spec.compile().unwrap_or_else(|problem| panic!("{}", problem.message));
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let mut group = criterion.benchmark_group("a year of every minute");
    group.sample_size(10);
    group.bench_function("walked", |bencher| {
        bencher.iter(|| {
            let next = |after: Instant| plan.next_after(after).filter(|next| *next < until);
            std::iter::successors(next(from), |last| next(*last)).count()
        });
    });
    group.bench_function("counted", |bencher| bencher.iter(|| plan.count(from, until)));
    group.finish();
}

criterion_group!(benches, next, always_skipped, parse, year);
criterion_main!(benches);
