//! Cron expressions: when they fire, in a zone whose clocks change.
//!
//! Three steps: `parse` reads the dialect (with `piece`, `field` and `day` below it), `calendar` walks
//! civil time, and this file maps civil time to instants. `words` says it in English, `count` says how
//! often without walking. Called by `plan` only.
//!
//! # Where clocks change
//!
//! An expression allows a set of civil seconds. Each stands for no, one or two instants, as the
//! [`DstPolicy`] says; the expression fires at the union of them, in the order of real time.
//!
//! ```text
//! clocks go forward at T                      clocks go back at T
//!   civil  01:59 │ 03:00                        civil  01:00 … 01:59 │ 01:00 … 01:59 02:00
//!                T                                     first pass    T second pass
//!   02:00 … 02:59 exist never:                  01:00 … 01:59 exist twice:
//!   SHIFT  they fire at T, together             FIRST  left of T      LAST  right of T
//!   SKIP   they do not fire                     BOTH   on either side
//! ```
//!
//! To find the instant after `from`, walk the civil seconds after what the wall shows at `from`.
//! As long as the wall runs forward, the first that stands for an instant is the answer. The wall
//! runs backward only at the end of a first pass, so that only a search which starts in one must
//! rewind: at once for LAST, at the end of the pass for BOTH. A stretch that does not count is
//! jumped over in one step, which bounds the work, and an answer is always after `from`.

mod calendar;
mod count;
mod day;
mod field;
mod month;
mod parse;
mod piece;
mod set;
mod words;

use chrono::NaiveDateTime;
use entity::Instant;

use self::calendar::Calendar;
pub use self::parse::EXPRESSION_BYTES_MAX;
use self::parse::Timing;
pub use self::piece::CronError;
use crate::domain::zone::{DstPolicy, Gap, Overlap, Reading, Transition, Zone};

/// A cron expression that has been understood, and that matches some day.
#[derive(Clone, Debug)]
pub struct Cron {
    expression: String,
    calendar: Calendar,
}

impl Cron {
    /// Reads an expression of 5 fields, 6 with leading seconds, or a nickname; the dialect is
    /// described in `parse.rs`.
    ///
    /// # Errors
    /// Where it stops making sense and what was expected there; also when no date can ever match.
    pub fn parse(expression: &str) -> Result<Self, CronError> {
        let fields = parse::parse(expression)?;
        let calendar = Calendar::new(fields);
        Ok(Self { expression: expression.trim().to_owned(), calendar })
    }

    /// The expression as it was given, without blanks around it.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// In words, such as `every week on Monday at 14:00`; the expression itself where words would be
    /// longer than it is.
    #[must_use]
    pub fn words(&self) -> String {
        words::describe(self.calendar.fields())
            .unwrap_or_else(|| format!("by the expression `{}`", self.expression))
    }

    /// What `policy` means for this expression; what it leaves open follows from the time fields.
    #[must_use]
    pub fn settle(&self, policy: DstPolicy) -> (Gap, Overlap) {
        let (gap, overlap) = match self.calendar.fields().timing {
            Timing::Fixed => (Gap::Shift, Overlap::First),
            Timing::Interval => (Gap::Skip, Overlap::Both),
        };
        (policy.gap.unwrap_or(gap), policy.overlap.unwrap_or(overlap))
    }

    /// The first instant strictly after `after` at which the expression fires; none when the year
    /// 9999 ends before.
    #[must_use]
    pub fn next_after(&self, zone: Zone, policy: DstPolicy, after: Instant) -> Option<Instant> {
        let from = after.millis().div_euclid(1000);
        let found = self.search(zone, self.settle(policy), from)?;
        (from < found && found <= Instant::MAX.millis() / 1000)
            .then(|| Instant::from_millis(found * 1000))
    }

    /// The first civil time that SHIFT moves to the end of `transition`'s gap.
    #[must_use]
    pub fn shifted_by(&self, transition: Transition) -> Option<NaiveDateTime> {
        let civil = self.calendar.next_after(transition.just_before())?;
        let forward = transition.before_secs < transition.after_secs;
        (forward && civil <= transition.last_within()).then_some(civil)
    }

    /// Whether it stands for whole minutes: it has no field for seconds, or allows each of them.
    #[must_use]
    pub fn covers_minutes(&self) -> bool {
        let has_seconds = self.expression.split_ascii_whitespace().count() == 6;
        !has_seconds || self.calendar.fields().seconds.len() == 60
    }

    /// Whether a day that it allows at all it allows in each minute.
    #[must_use]
    pub fn has_every_minute(&self) -> bool {
        let fields = self.calendar.fields();
        fields.minutes.len() == 60 && fields.hours.len() == 24
    }

    /// Whether the expression allows the civil time itself.
    #[must_use]
    pub fn allows(&self, civil: NaiveDateTime) -> bool {
        self.calendar.includes(civil)
    }

    fn search(&self, zone: Zone, (gap, overlap): (Gap, Overlap), from: i64) -> Option<i64> {
        let mut civil = zone.civil(from);
        if let Reading::Twice(back) = zone.read(civil)
            && from < back.at_secs
        {
            match overlap {
                Overlap::First => {}
                Overlap::Last => civil = back.just_before(),
                Overlap::Both => match self.calendar.next_after(civil) {
                    Some(next) if next <= back.last_within() => return Some(back.first_pass(next)),
                    _ => civil = back.just_before(),
                },
            }
        }
        loop {
            civil = self.calendar.next_after(civil)?;
            let (instant, resume) = match zone.read(civil) {
                Reading::Once(instant) => (Some(instant), civil),
                Reading::Never(forward) => {
                    ((gap == Gap::Shift).then_some(forward.at_secs), forward.last_within())
                }
                Reading::Twice(back) => {
                    (Some(pass(back, overlap, civil, from)), back.last_within())
                }
            };
            match instant.filter(|instant| from < *instant) {
                Some(instant) => return Some(instant),
                None => civil = civil.max(resume),
            }
        }
    }
}

/// The instant at which a repeated civil time fires next: of two passes, the first that lies ahead.
fn pass(back: Transition, overlap: Overlap, civil: NaiveDateTime, from: i64) -> i64 {
    let first = back.first_pass(civil);
    match overlap {
        Overlap::First => first,
        Overlap::Both if from < first => first,
        Overlap::Both | Overlap::Last => back.second_pass(civil),
    }
}

#[cfg(test)]
mod tests {
    use entity::Instant;

    use super::Cron;
    use crate::domain::zone::{DstPolicy, Gap, Overlap, Zone};

    fn fires(expression: &str, policy: DstPolicy, from: &str, steps: usize) -> Vec<String> {
        let cron = Cron::parse(expression).expect(expression);
        let zone = Zone::parse("America/New_York").expect("it exists");
        let next = |after: &Instant| cron.next_after(zone, policy, *after);
        let from = Instant::parse(from).expect(from);
        let instants = std::iter::successors(next(&from), next).take(steps);
        instants.map(|instant| zone.format(instant)[5..].to_owned()).collect()
    }

    fn explicit(gap: Gap, overlap: Overlap) -> DstPolicy {
        DstPolicy::new(gap, overlap)
    }

    #[test]
    fn times_that_the_gap_moves_together_fire_once() {
        let fires = fires("15,45 2,3 * * *", DstPolicy::AUTO, "2026-03-08T05:00:00Z", 4);
        let expected = ["03-08T03:00:00-04:00", "03-08T03:15:00-04:00", "03-08T03:45:00-04:00"];
        assert_eq!(fires[..3], expected);
        assert_eq!(fires[3], "03-09T02:15:00-04:00");
    }

    #[test]
    fn a_fixed_time_does_not_repeat_when_restarted_in_the_second_pass() {
        let fires = fires("30 1 * * *", DstPolicy::AUTO, "2026-11-01T06:10:00Z", 1);
        assert_eq!(fires, ["11-02T01:30:00-05:00"]);
    }

    #[test]
    fn the_first_and_the_last_instant_of_belfry_are_within_reach() {
        let first = fires("0 0 1 1 *", DstPolicy::AUTO, "1970-01-01T00:00:00Z", 1);
        assert_eq!(first, ["01-01T00:00:00-05:00"]);
        let last = fires("* * * * * *", DstPolicy::AUTO, "9999-12-31T23:59:58.500Z", 9);
        assert_eq!(last, ["12-31T18:59:59-05:00"]);
    }

    #[test]
    fn each_pass_can_be_chosen() {
        for (overlap, expected) in [
            (Overlap::First, ["11-01T01:30:00-04:00", "11-02T01:30:00-05:00"]),
            (Overlap::Last, ["11-01T01:30:00-05:00", "11-02T01:30:00-05:00"]),
            (Overlap::Both, ["11-01T01:30:00-04:00", "11-01T01:30:00-05:00"]),
        ] {
            let policy = explicit(Gap::Skip, overlap);
            for from in ["2026-11-01T00:00:00Z", "2026-11-01T05:10:00Z"] {
                assert_eq!(fires("30 1 * * *", policy, from, 2), expected, "{overlap:?} {from}");
            }
        }
    }

    #[test]
    fn a_gap_can_be_skipped_or_closed_whatever_the_expression() {
        let from = "2026-03-08T06:30:00Z";
        let skipped = fires("30 2 * * *", explicit(Gap::Skip, Overlap::Both), from, 1);
        assert_eq!(skipped, ["03-09T02:30:00-04:00"]);
        let shifted = fires("*/40 * * * *", explicit(Gap::Shift, Overlap::Both), from, 3);
        let expected = ["03-08T01:40:00-05:00", "03-08T03:00:00-04:00", "03-08T03:40:00-04:00"];
        assert_eq!(shifted, expected);
    }
}
