//! How often an expression fires between two instants, without walking over each: a schedule of
//! every second fires 2.6 million times a month.
//!
//! Where the zone's offset stands still, instants are civil seconds, and those are counted by whole
//! days and parts of days. Only what lies near a transition is walked.
//!
//! ```text
//!   counted          │ walked: length of the gap or overlap on either side │   counted
//!  ──────────────────┼──────────────────────── T ──────────────────────────┼──────────────►
//! ```

use super::Cron;
use crate::domain::zone::{DstPolicy, Transition, Zone};

/// No clock has ever been moved by more than a day, with an hour to spare.
const MOVED_SECS_MAX: i64 = 25 * 3600;

impl Cron {
    /// How many instants lie after `after` and up to `until`, both in whole seconds.
    #[must_use]
    pub fn count(&self, zone: Zone, policy: DstPolicy, after: i64, until: i64) -> u64 {
        let mut total = 0;
        let mut at = after;
        let mut known = after - MOVED_SECS_MAX;
        while at < until {
            let Some(transition) = zone.next_transition(known, until + MOVED_SECS_MAX) else {
                return total + self.count_even(zone, at, until);
            };
            let (start, end) = nearby(&transition);
            let start = start.clamp(at, until);
            total += self.count_even(zone, at, start);
            let end = end.clamp(start, until);
            total += self.count_walking(zone, policy, start, end);
            at = end;
            known = transition.at_secs;
        }
        total
    }

    /// Counts where no transition is near.
    fn count_even(&self, zone: Zone, after: i64, until: i64) -> u64 {
        if until <= after {
            return 0;
        }
        self.calendar.count(zone.civil(after), zone.civil(until))
    }

    fn count_walking(&self, zone: Zone, policy: DstPolicy, after: i64, until: i64) -> u64 {
        let settled = self.settle(policy);
        let next = |from: i64| self.search(zone, settled, from).filter(|next| *next <= until);
        std::iter::successors(next(after), |last| next(*last)).count() as u64
    }
}

/// From where to where a transition matters.
fn nearby(transition: &Transition) -> (i64, i64) {
    let moved = (transition.after_secs - transition.before_secs).abs();
    (transition.at_secs - moved - 1, transition.at_secs + moved)
}

#[cfg(test)]
mod tests {
    use entity::Instant;

    use crate::domain::plan::{Plan, Spec};
    use crate::domain::zone::{DstPolicy, Gap, Overlap};

    /// Hours before and after some instants at which clocks change.
    const AROUND: [(&str, &str); 8] = [
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        // Half an hour only.
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        // A whole day was jumped over.
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        // At midnight.
        ("America/Asuncion", "2023-10-01T04:00:00Z"),
        ("UTC", "2026-02-28T23:59:59Z"),
    ];
    const EXPRESSIONS: [&str; 15] = [
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "15,45 1-3 * * *",
        "0 0 * * *",
        "0 */5 * * *",
        "30 1 1,29,30,31 * 0",
        "0 12 13 * 5",
        "0 0 29 2 *",
        "*/20 * * * * *",
        "5 4 3 2 1 *",
        "59 59 23 * * *",
        "30 2 L,15W * *",
        "0,30 1-2 * * 0#1,0#2,0L",
        "0 0 LW,L-5 * 5#2",
    ];

    fn walked(plan: &Plan, from: Instant, until: Instant) -> u64 {
        let next = |after: Instant| plan.next_after(after).filter(|next| *next < until);
        std::iter::successors(next(from.plus_ms(-1)), |last| next(*last)).count() as u64
    }

    #[test]
    fn counting_equals_walking_wherever_clocks_change() {
        for (zone, transition) in AROUND {
            let transition = Instant::parse(transition).expect(transition);
            for expression in EXPRESSIONS {
                let spec = Spec::cron(expression, zone);
                let plan = spec.compile().expect(expression);
                for (before_secs, after_secs) in
                    [(0, 1), (1, 1), (1799, 1801), (3600, 3600), (5400, 1), (90_000, 180_061)]
                {
                    let from = transition.plus_ms(-1000 * before_secs);
                    let until = transition.plus_ms(1000 * after_secs + 1);
                    let what = format!("{expression} in {zone}, {from} to {until}");
                    assert_eq!(plan.count(from, until), walked(&plan, from, until), "{what}");
                }
            }
        }
    }

    #[test]
    fn counting_equals_walking_under_each_policy() {
        let policies = [Gap::Shift, Gap::Skip].into_iter().flat_map(|gap| {
            [Overlap::First, Overlap::Last, Overlap::Both].map(|overlap| (gap, overlap))
        });
        for (gap, overlap) in policies {
            for (zone, transition) in AROUND {
                let at = Instant::parse(transition).expect(transition);
                for expression in EXPRESSIONS {
                    let dst = DstPolicy::new(gap, overlap);
                    let (expression, zone) = (expression.to_owned(), zone.to_owned());
                    let spec = Spec::Cron { expression, zone, dst };
                    let plan = spec.compile().expect("an expression");
                    for (before_secs, after_secs) in [(7200, 0), (1800, 1800), (0, 7200)] {
                        let from = at.plus_ms(-1000 * before_secs);
                        let until = at.plus_ms(1000 * after_secs + 1);
                        let what = format!("{spec:?}, {from} to {until}");
                        assert_eq!(plan.count(from, until), walked(&plan, from, until), "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_year_is_counted_by_days() {
        for expression in EXPRESSIONS {
            let zone = "Europe/Berlin";
            let spec = Spec::cron(expression, zone);
            let plan = spec.compile().expect(expression);
            let from = Instant::parse("2027-06-15T12:34:56.789Z").expect("an instant");
            let until = from.plus_ms(86_400_000 * 400);
            let is_dense = expression.starts_with('*') && expression != "*/7 * * * *";
            let until = if is_dense { from.plus_ms(86_400_000 * 9) } else { until };
            assert_eq!(plan.count(from, until), walked(&plan, from, until), "{expression}");
        }
    }

    #[test]
    fn every_second_of_a_month_takes_no_time() {
        let spec = Spec::cron("* * * * * *", "Europe/Berlin");
        let plan = spec.compile().expect("an expression");
        let from = Instant::parse("2026-03-01T00:00:00Z").expect("an instant");
        assert_eq!(plan.count(from, from.plus_ms(30 * 86_400_000)), 30 * 86_400);
    }
}
