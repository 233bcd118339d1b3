//! Drafts of schedules, made alone or with their trigger: checked, stored, and planned at once.

use entity::schedule::{self as row, State};
use entity::{Instant, trigger};
use serde::Serialize;
use serde_json::Value;

use super::spec::{SpecInput, check_spec, to_text};
use crate::app::App;
use crate::domain::outbox::Notice;
use crate::domain::plan::Spec;
use crate::domain::policy::Policy;
use crate::domain::schema::Schema;
use crate::domain::text::Check;
use crate::domain::timetable::{Found, Timetable, WORK_MAX, Work};
use crate::error::{Error, Problem, Result, refuse_if_any};
use crate::limits::{
    JITTER_INSTANTS_MAX, NAME_CHARS_MAX, PAYLOAD_BYTES_MAX, SCHEDULES_PER_TRIGGER_MAX,
};
use crate::service::calendar;
use crate::store::{
    Change, calendar as calendars, plan, schedule as store, timetable, trigger as triggers,
};

/// A schedule to make.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// What a person calls it.
    pub name: Option<String>,
    /// When it fires.
    pub spec: SpecInput,
    /// What it does beyond that.
    pub policy: Policy,
    /// What it fires with; null when not said.
    pub payload: Option<Value>,
}

/// A draft whose every part was checked.
#[derive(Clone, Debug)]
pub(in crate::service) struct Checked {
    /// The path of the draft in the input.
    field: String,
    name: Option<String>,
    spec: Spec,
    policy: Policy,
    pub(super) payload: String,
}

/// Checks a draft; `field` is the path of the draft in the input.
pub(in crate::service) fn check_draft(
    check: &mut Check,
    field: &str,
    draft: &Draft,
    now: Instant,
) -> Option<Checked> {
    let mut own = Check::new();
    check_name(&mut own, "", draft.name.as_deref());
    let null = Value::Null;
    let payload = own.json("payload", draft.payload.as_ref().unwrap_or(&null), PAYLOAD_BYTES_MAX);
    let spec = check_spec(&mut own, "spec", &draft.spec, now);
    own.under("policy", draft.policy.check());
    check.under(field, own.problems);
    let (name, policy) = (draft.name.clone(), draft.policy.clone());
    Some(Checked { field: field.to_owned(), name, spec: spec?, policy, payload })
}

pub(in crate::service) fn check_count(count: usize) -> Result<()> {
    if count <= SCHEDULES_PER_TRIGGER_MAX {
        return Ok(());
    }
    let message = format!("expected at most {SCHEDULES_PER_TRIGGER_MAX} schedules of one trigger");
    Err(Error::invalid("schedules", message))
}

/// The violations of `schema` by the payload of a checked draft.
pub(in crate::service) fn payload_problems(schema: &Schema, checked: &Checked) -> Vec<Problem> {
    let payload = serde_json::from_str(&checked.payload).unwrap_or(Value::Null);
    let problems = schema.violations(&payload).into_iter();
    problems.map(|problem| problem.under("payload")).collect()
}

/// Adds checked drafts to a trigger and plans them at once, so that an acknowledged schedule is
/// armed.
pub(in crate::service) async fn insert(
    app: &App,
    change: &Change,
    trigger: &trigger::Model,
    drafts: Vec<Checked>,
    now: Instant,
) -> Result<Vec<row::Model>> {
    let mut made = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let field = draft.field.clone();
        let row = insert_one(app, change, trigger, draft, now).await;
        made.push(row.map_err(|error| if field.is_empty() { error } else { error.under(&field) })?);
    }
    plan::advance(change, app.ids(), now, made.clone()).await?;
    change.notify(Notice::Replan);
    Ok(made)
}

async fn insert_one(
    app: &App,
    change: &Change,
    trigger: &trigger::Model,
    draft: Checked,
    now: Instant,
) -> Result<row::Model> {
    let mut row = row::Model {
        id: app.ids().make(),
        project_id: trigger.project_id,
        trigger_id: trigger.id,
        name: draft.name,
        kind: draft.spec.kind(),
        spec: to_text(&draft.spec),
        state: State::Pending,
        pause_reason: None,
        paused_by: None,
        version: 1,
        plan_version: 1,
        planned_until: now,
        next_at: None,
        plan_at: Some(now),
        open_range_id: None,
        open_overlap_id: None,
        firings: 0,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        policy: to_text(&draft.policy),
        payload: draft.payload,
    };
    check_calendars(change, &row, &draft.policy, "policy").await?;
    row.next_at = Some(first_instant(change, &row, now).await?);
    store::insert(change, row.clone()).await?;
    calendars::set_of_schedule(change, row.id, &draft.policy.calendars()).await?;
    Ok(row)
}

/// Refuses a policy that refers to calendars which are not there, or are used by too many.
pub(super) async fn check_calendars(
    change: &Change,
    row: &row::Model,
    policy: &Policy,
    field: &str,
) -> Result<()> {
    let mut problems = Vec::new();
    for (name, ids) in [
        ("excludeCalendarIds", &policy.excluded_calendars),
        ("onlyCalendarIds", &policy.allowed_calendars),
    ] {
        for (index, id) in ids.iter().enumerate() {
            let field = format!("{field}.{name}.{index}");
            match calendar::admit(change, row.project_id, *id, row.id, &field).await {
                Err(Error::Refused(mut found)) => problems.append(&mut found),
                other => other?,
            }
        }
    }
    refuse_if_any(problems)
}

/// The first instant of a schedule after `now`.
///
/// # Errors
/// A refusal when there is none.
pub(super) async fn first_instant(
    change: &Change,
    row: &row::Model,
    now: Instant,
) -> Result<Instant> {
    let tables = timetable::get_many(change, &[row.into()]).await?;
    let Some(table) = tables.first() else { return Err(nothing_checked()) };
    check_jitter(table, now)?;
    let message = match table.search(now, &mut Work::new(WORK_MAX)) {
        Found::At(first) => return Ok(first),
        Found::Never => format!("expected a plan and a policy that leave an instant after {now}"),
        Found::NotUpTo(searched) => format!(
            "expected an instant sooner: up to {searched} the policy leaves all out, and nothing \
             later is looked for; leave out dates, periods or whole days rather than minutes or \
             seconds, or say `startsAt`"
        ),
    };
    Err(Error::invalid("policy", message))
}

/// Refuses a jitter that holds too many instants.
pub(super) fn check_jitter(table: &Timetable, after: Instant) -> Result<()> {
    if !table.is_jitter_crowded(after) {
        return Ok(());
    }
    let message =
        format!("expected at most {JITTER_INSTANTS_MAX} instants of the plan within the jitter");
    Err(Error::invalid("policy.jitter", message))
}

pub(super) fn check_name(check: &mut Check, field: &str, name: Option<&str>) {
    let Some(name) = name else { return };
    let mut own = Check::new();
    own.name("name", name, NAME_CHARS_MAX);
    check.under(field, own.problems);
}

/// Refuses a payload that violates the schema of the trigger's definition.
pub(super) async fn violations(
    change: &Change,
    trigger: &trigger::Model,
    payload: &str,
    field: &str,
) -> Result<()> {
    let (project, number) = (trigger.project_id, trigger.definition);
    let version = triggers::get_version(change, project, trigger.id, number).await?;
    let Some(schema) = crate::service::trigger::compile_stored(&version)? else { return Ok(()) };
    let payload = serde_json::from_str(payload).unwrap_or(Value::Null);
    let problems = schema.violations(&payload).into_iter();
    refuse_if_any(problems.map(|problem| problem.under(field)).collect())
}

pub(super) fn nothing_checked() -> Error {
    Error::Internal("a draft without problems and without a plan".to_owned())
}
