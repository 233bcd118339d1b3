//! Why a schedule did, did not, or will fire, on the wire.

use async_graphql::{Enum, SimpleObject};

use crate::graphql::firing::Firing;
use crate::graphql::scalar::DateTime;
use crate::service::schedule::explain::{Explanation as Answer, Verdict};

/// Why, in one word.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Verdict")]
pub enum ScheduleVerdict {
    /// It fired: the firing says what came of it.
    Fired,
    /// A firing stands for it and has not begun yet.
    Planned,
    /// It was skipped: the firing says why.
    Skipped,
    /// Its firing was cancelled.
    Cancelled,
    /// It will fire.
    WillFire,
    /// It will be skipped unless the schedule is resumed before.
    Paused,
    /// The time plan has no such instant.
    NotPlanned,
    /// The time comes twice because clocks go back, and the other pass fires.
    OtherPass,
    /// The time does not exist because clocks go forward, and is skipped.
    DoesNotExist,
    /// The time does not exist because clocks go forward, and the instant after the gap stands for
    /// it.
    Moved,
    /// The policy or a calendar leaves it out.
    Excluded,
    /// It lies before the schedule starts or was made.
    BeforeStart,
    /// It lies after the schedule ends.
    AfterEnd,
    /// As many instants became firings as may.
    LimitReached,
    /// It passed, and its record is gone or never was: deleted by age, or of another plan.
    NotRecorded,
}

/// Why a schedule did, did not, or will fire at an instant. What is recorded goes before what the
/// schedule says now.
#[derive(SimpleObject)]
pub struct ScheduleExplanation {
    /// The instant that was asked for.
    at: DateTime,
    /// The same on the wall of the schedule's time zone.
    local: String,
    /// In one word.
    verdict: ScheduleVerdict,
    /// In a sentence.
    message: String,
    /// Where a clock change moved or repeated the instant; null elsewhere.
    note: Option<String>,
    /// The firing, or the range of skipped instants, that is recorded for it: that of the newest
    /// backfill, where the schedule itself did not fire.
    firing: Option<Firing>,
    /// The last instant of the schedule, as it is now, before it.
    previous_at: Option<DateTime>,
    /// The first instant of the schedule, as it is now, after it; null when `maxFirings` allows none.
    next_at: Option<DateTime>,
}

impl From<Answer> for ScheduleExplanation {
    fn from(answer: Answer) -> Self {
        Self {
            at: answer.at.into(),
            local: answer.local,
            verdict: answer.verdict.into(),
            message: answer.message,
            note: answer.note,
            firing: answer.firing.map(Firing),
            previous_at: answer.previous_at.map(Into::into),
            next_at: answer.next_at.map(Into::into),
        }
    }
}
