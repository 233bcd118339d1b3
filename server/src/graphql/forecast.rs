//! Forecasts on the wire.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::comparator::{Flag, IdComparator};
use super::error::Result;
use super::loader::{app, caller};
use super::scalar::{DateTime, Duration};
use crate::domain::forecast::Period;
use crate::service::forecast::{self, Bucket, Forecast as Found, Question};

/// Which firings a forecast counts; every set condition must hold.
#[derive(InputObject, Default)]
pub struct ForecastFilter {
    /// By the id of the trigger.
    trigger_id: Option<IdComparator>,
    /// Firings of test triggers, counted as if they could fire more than once; EXCLUDE when not said.
    is_test: Option<Flag>,
}

/// How many firings are to come. It counts what waits already and what the schedules say as they are
/// now: paused and deleted ones say nothing. Firings that clients have yet to ask for, and retries
/// of attempts that have yet to fail, are not in it.
#[derive(SimpleObject)]
pub struct Forecast {
    /// The first instant.
    from: DateTime,
    /// The first instant after the period.
    until: DateTime,
    /// Length of a bucket; the last may be shorter.
    step: Duration,
    /// The period in its order.
    buckets: Vec<ForecastBucket>,
    /// All firings of the period.
    firings: u64,
    /// Firings that wait although they were due before the period; in no bucket.
    overdue: u64,
    /// Whether there were more schedules, or more different ones, than one forecast looks at (10,000
    /// schedules, those that fire first; a million buckets of different cron expressions and of
    /// schedules with a policy), or some that leave out too much to be counted. The counts are
    /// lower bounds then.
    is_truncated: bool,
    /// How long the newest firings of the project were executed, on average over up to 200 that are
    /// over: all attempts of a firing together. Null when there are none.
    mean_duration: Option<Duration>,
    /// Firings that an executor runs at a time, as the process that answers is set.
    concurrency: usize,
}

/// What is expected in one part of the period.
#[derive(SimpleObject)]
pub struct ForecastBucket {
    /// Its first instant.
    from: DateTime,
    /// The first instant after it.
    until: DateTime,
    /// All firings: the sum of the four kinds.
    firings: u64,
    /// Timers, and other firings that were accepted for later.
    accepted: u64,
    /// Instants of schedules that are firings already.
    planned: u64,
    /// Further attempts of firings that failed.
    retries: u64,
    /// Instants of schedules that will become firings: exactly those that the schedules' previews
    /// show.
    enumerated: u64,
    /// How many executors these firings keep busy through the bucket: each firing with the mean
    /// duration of its trigger's newest ones (of the project's, when the trigger has none yet or is
    /// not among the 50 busiest), over the bucket's length times `concurrency`. Round up, and leave
    /// room for what is not expected. Null when no duration was measured.
    executors: Option<f64>,
}

/// Forecasts, to ask for.
#[derive(Default)]
pub struct ForecastQuery;

#[Object]
impl ForecastQuery {
    /// How many firings are to come in a period, in buckets, and how many executors they need.
    #[graphql(complexity = "10_000 + 20 * child_complexity")]
    async fn forecast(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first instant; now when not said.")] from: Option<DateTime>,
        #[graphql(desc = "The first instant after the period: at most 366 days \
            later, and at most 366 days from now.")]
        until: DateTime,
        #[graphql(desc = "Length of a bucket: at least a second, and at most 1,000 buckets.")]
        step: Duration,
        #[graphql(desc = "Which firings.")] filter: Option<ForecastFilter>,
    ) -> Result<Forecast> {
        let filter = filter.unwrap_or_default();
        let question = Question {
            from: from.map(|from| from.0),
            until: until.0,
            step_ms: step.0,
            trigger: filter.trigger_id.map(|ids| ids.check("filter.triggerId")).transpose()?,
            is_test: filter.is_test.unwrap_or(Flag::Exclude).wanted(),
        };
        Ok(forecast::forecast(app(ctx), caller(ctx), question).await?.into())
    }
}

impl From<Found> for Forecast {
    fn from(found: Found) -> Self {
        let Found { period, buckets, overdue, is_truncated, mean_ms, concurrency } = found;
        Self {
            from: period.from.into(),
            until: period.until.into(),
            step: Duration(period.step_ms),
            firings: buckets.iter().map(Bucket::firings).sum(),
            buckets: buckets.into_iter().enumerate().map(|it| bucket(&period, it)).collect(),
            overdue,
            is_truncated,
            mean_duration: mean_ms.map(|ms| Duration(ms.round() as i64)),
            concurrency,
        }
    }
}

fn bucket(period: &Period, (index, bucket): (usize, Bucket)) -> ForecastBucket {
    let (from, until) = period.bucket(index);
    ForecastBucket {
        from: from.into(),
        until: until.into(),
        firings: bucket.firings(),
        accepted: bucket.accepted,
        planned: bucket.planned,
        retries: bucket.retries,
        enumerated: bucket.enumerated,
        executors: bucket.executors,
    }
}
