//! What a schedule says, from the client's words to a stored plan, and what it will do.

use entity::Instant;
use entity::schedule as row;
use serde::Serialize;

use super::draft::check_jitter;
use super::nothing_checked;
use crate::app::App;
use crate::domain::duration::Parts;
use crate::domain::plan::{Plan, Spec};
use crate::domain::policy::Policy;
use crate::domain::text::Check;
use crate::domain::timetable::{Timetable, WORK_MAX, Work};
use crate::domain::zone::{DstPolicy, Zone};
use crate::error::{Error, Problem, Result, refuse_if_any};
use crate::limits::{DELAY_MS_MAX, PREVIEW_ROWS_MAX};
use crate::service::Caller;
use crate::store::{calendar, schedule, timetable};

/// A time plan as a client says it.
#[derive(Clone, Debug, Serialize)]
pub enum SpecInput {
    /// Once, at an instant in the future.
    At(Instant),
    /// Once, so many milliseconds from now.
    In(i64),
    /// At each `anchor + phase + k × interval` after the anchor.
    Every {
        /// In milliseconds; whole seconds. Exactly one of this and `parts`.
        interval_ms: Option<i64>,
        /// The same in parts.
        #[serde(skip_serializing_if = "Option::is_none")]
        parts: Option<Parts>,
        /// Where the counting starts. When not said, it is now, or 1970 if there is a phase.
        anchor: Option<Instant>,
        /// How long after the beginning of each interval, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        phase_ms: Option<i64>,
    },
    /// By a cron expression.
    Cron {
        /// Five fields, or six with leading seconds, or `@daily` and the like.
        expression: String,
        /// IANA name; UTC when not said.
        zone: Option<String>,
        /// What happens where clocks change; by the expression where not said.
        #[serde(flatten)]
        dst: DstPolicy,
    },
}

/// The next instants of a plan.
#[derive(Clone, Debug)]
pub struct Preview {
    /// In words.
    pub summary: String,
    /// IANA name of the zone.
    pub zone: String,
    /// The instants.
    pub instants: Vec<PreviewInstant>,
}

/// One instant of a preview.
#[derive(Clone, Debug)]
pub struct PreviewInstant {
    /// When.
    pub at: Instant,
    /// The same in the schedule's zone, RFC 3339.
    pub local: String,
    /// Where a clock change moved it.
    pub note: Option<String>,
}

/// The next `rows` instants of a schedule that need not be stored, after `from`. It is as if it were
/// made now, or at `from` if that is earlier.
///
/// # Errors
/// Every problem of the plan, of the policy, and of the number.
pub async fn preview(
    app: &App,
    caller: &Caller,
    (spec, policy): (&SpecInput, Policy),
    from: Option<Instant>,
    rows: i32,
) -> Result<Preview> {
    let now = app.clock().now();
    let from = from.unwrap_or(now);
    let made_at = from.min(now);
    let mut check = Check::new();
    let rows = usize::try_from(rows).ok().filter(|rows| *rows <= PREVIEW_ROWS_MAX);
    if rows.is_none() {
        check.problem("first", format!("expected a number from 0 to {PREVIEW_ROWS_MAX}"));
    }
    let spec = check_spec(&mut check, "spec", spec, made_at);
    check.under("policy", policy.check());
    refuse_if_any(check.problems)?;
    let spec = spec.ok_or_else(nothing_checked)?;
    let table = unsaved(app, caller, (&spec, policy), made_at).await?;
    let left = left_after(&table, made_at, from)?;
    let rows = rows.map(|rows| rows.min(usize::try_from(left).unwrap_or(usize::MAX)));
    Ok(Preview {
        summary: table.summary(),
        zone: table.plan().zone_name().to_owned(),
        instants: upcoming(&table, from, rows.unwrap_or(0)),
    })
}

/// How many instants after `from` may become firings of a schedule that is made at `made_at`.
fn left_after(table: &Timetable, made_at: Instant, from: Instant) -> Result<u64> {
    let Some(max) = table.policy().max_firings else { return Ok(u64::MAX) };
    let max = max.max(0).unsigned_abs();
    let period = (made_at.plus_ms(1), from.plus_ms(1));
    let before = table.count_up_to(max, period, &mut Work::new(WORK_MAX)).ok_or_else(|| {
        let message = "expected an earlier instant: what `maxFirings` leaves is not counted so far";
        Error::invalid("from", message)
    })?;
    Ok(max - before)
}

/// The timetable of a schedule that need not be stored, as if made at `made_at`, with the caller's
/// calendars.
///
/// # Errors
/// A refusal when the policy refers to calendars which are not there, or its jitter holds too much.
pub(super) async fn unsaved(
    app: &App,
    caller: &Caller,
    (spec, policy): (&Spec, Policy),
    made_at: Instant,
) -> Result<Timetable> {
    let ids = policy.calendars();
    let own = calendar::find_many(app.store(), caller.project, &ids).await?;
    if let Some(missing) = ids.iter().find(|id| own.iter().all(|row| row.id != **id)) {
        return Err(Error::not_found("policy", "calendar", *missing));
    }
    let dates = calendar::find_dates(app.store(), &ids).await?;
    let table = Timetable::new(spec, policy, &dates, 0);
    let table = table.map_err(|problem| Error::Refused(vec![problem]))?;
    check_jitter(&table, made_at)?;
    Ok(table)
}

/// The policy of a stored schedule.
///
/// # Errors
/// A fault when what is stored cannot be read.
pub fn policy_of(row: &row::Model) -> Result<Policy> {
    let fault = |error| Error::Internal(format!("the stored policy of {}: {error}", row.id));
    serde_json::from_str(&row.policy).map_err(fault)
}

/// The timetable of a stored schedule.
///
/// # Errors
/// A fault when what is stored cannot be read; the database's own.
pub async fn timetable_of(app: &App, row: &row::Model) -> Result<Timetable> {
    let mut tables = timetable::find_many(app.store(), &[row.into()]).await?;
    tables.pop().ok_or_else(nothing_checked)
}

/// The plan of a stored schedule.
///
/// # Errors
/// A fault when what is stored cannot be read.
pub fn plan_of(row: &row::Model) -> Result<Plan> {
    let fault = |why: String| Error::Internal(format!("the stored spec of {}: {why}", row.id));
    let spec: Spec = serde_json::from_str(&row.spec).map_err(|error| fault(error.to_string()))?;
    spec.compile().map_err(|problem| fault(problem.message))
}

/// The next instants of a stored schedule, no more than may become firings.
///
/// # Errors
/// A refusal of the number; the database's own.
pub async fn next_instants(app: &App, row: &row::Model, rows: i32) -> Result<Vec<PreviewInstant>> {
    let rows = usize::try_from(rows).ok().filter(|rows| *rows <= PREVIEW_ROWS_MAX);
    let rows = rows.ok_or_else(|| {
        Error::invalid("first", format!("expected a number from 0 to {PREVIEW_ROWS_MAX}"))
    })?;
    let table = timetable_of(app, row).await?;
    let now = app.clock().now();
    let Some(max) = table.policy().max_firings else { return Ok(upcoming(&table, now, rows)) };
    // What is planned has its place already.
    let planned = schedule::count_planned(app.store(), row.project_id, row.id, now).await?;
    let left = (max - row.firings).max(0).unsigned_abs().saturating_add(planned);
    Ok(upcoming(&table, now, rows.min(usize::try_from(left).unwrap_or(usize::MAX))))
}

/// The next instants of a timetable after `from`; fewer when too much is left out between them.
#[must_use]
pub fn upcoming(table: &Timetable, from: Instant, rows: usize) -> Vec<PreviewInstant> {
    let plan = table.plan();
    let mut work = Work::new(WORK_MAX);
    table
        .walk(from, &mut work)
        .take(rows)
        .map(|at| PreviewInstant { at, local: plan.local(at), note: plan.note_at(at) })
        .collect()
}

/// Turns what a client said of a new schedule into a plan that can be stored; its problems are noted
/// under `field`.
pub(super) fn check_spec(
    check: &mut Check,
    field: &str,
    input: &SpecInput,
    now: Instant,
) -> Option<Spec> {
    let spec = read_spec(check, field, input, now)?;
    check.under(field, passed(&spec, now).into_iter().collect());
    Some(spec)
}

/// The same without a look at whether it has passed, which matters only when the plan is new.
pub(super) fn read_spec(
    check: &mut Check,
    field: &str,
    input: &SpecInput,
    now: Instant,
) -> Option<Spec> {
    let (spec, place) = match input {
        SpecInput::At(at) => (Spec::At { at: *at }, "at"),
        SpecInput::In(delay_ms) => {
            if !(1..=DELAY_MS_MAX).contains(delay_ms) {
                check.under(field, vec![Problem::new("in", DELAY_EXPECTED)]);
                return None;
            }
            (Spec::In { delay_ms: *delay_ms, at: now.plus_ms(*delay_ms) }, "in")
        }
        SpecInput::Every { interval_ms, parts, anchor, phase_ms } => {
            let interval_ms = match interval(*interval_ms, *parts) {
                Ok(interval_ms) => interval_ms,
                Err(problems) => {
                    let under = problems.into_iter().map(|problem| problem.under("every"));
                    check.under(field, under.collect());
                    return None;
                }
            };
            let unsaid = if phase_ms.is_some() { Instant::MIN } else { now };
            let (anchor, phase_ms) = (anchor.unwrap_or(unsaid), phase_ms.unwrap_or(0));
            (Spec::Every { interval_ms, anchor, phase_ms }, "every")
        }
        SpecInput::Cron { expression, zone, dst } => {
            let zone = zone.clone().unwrap_or_else(|| "UTC".to_owned());
            (Spec::Cron { expression: expression.clone(), zone, dst: *dst }, "cron")
        }
    };
    if let Err(mut problem) = spec.compile() {
        if problem.field == "zone" {
            problem.field = "timeZone".to_owned();
        }
        let is_zone_unread = problem.field == "expression";
        check.under(field, vec![problem.under(place)]);
        if let Spec::Cron { zone, .. } = &spec
            && is_zone_unread
            && let Err(why) = Zone::parse(zone)
        {
            check.under(field, vec![Problem::new("cron.timeZone", why)]);
        }
    }
    Some(spec)
}

/// That an instant has passed, of a plan that has only the one.
pub(super) fn passed(spec: &Spec, now: Instant) -> Option<Problem> {
    let Spec::At { at } = spec else { return None };
    let message = || format!("expected an instant in the future, after {now}");
    (*at <= now).then(|| Problem::new("at", message()))
}

/// The new spec of a schedule that has one: what counts from the moment at which it was said, and was
/// not said otherwise, goes on counting from there when nothing else changed. So a plan that is
/// sent again changes nothing.
pub(super) fn kept(said: &SpecInput, new: Spec, stored: &str) -> Spec {
    let Ok(old) = serde_json::from_str::<Spec>(stored) else { return new };
    let is_same = match (said, &new, &old) {
        (
            SpecInput::Every { anchor: None, .. },
            Spec::Every { interval_ms, phase_ms, .. },
            Spec::Every { interval_ms: old_interval_ms, phase_ms: old_phase_ms, .. },
        ) => (interval_ms, phase_ms) == (old_interval_ms, old_phase_ms),
        (SpecInput::In(_), Spec::In { delay_ms, .. }, Spec::In { delay_ms: old_ms, .. }) => {
            delay_ms == old_ms
        }
        _ => false,
    };
    if is_same { old } else { new }
}

const DELAY_EXPECTED: &str = "expected a duration from 1 ms to 10 years";

/// The one interval that was said.
fn interval(ms: Option<i64>, parts: Option<Parts>) -> std::result::Result<i64, Vec<Problem>> {
    match (ms, parts) {
        (Some(ms), None) => Ok(ms),
        (None, Some(parts)) => parts.to_ms(),
        (None, None) | (Some(_), Some(_)) => Err(vec![Problem::new("interval", FORM_EXPECTED)]),
    }
}

const FORM_EXPECTED: &str =
    "expected either `interval` or at least one of days, hours, minutes and seconds";

/// A spec or a policy as it is stored.
pub(in crate::service) fn to_text(value: &impl Serialize) -> String {
    serde_json::json!(value).to_string()
}
