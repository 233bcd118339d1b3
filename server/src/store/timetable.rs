//! The timetables of stored schedules: their specs and policies, with the calendars that those refer
//! to.

use std::collections::HashMap;

use entity::schedule::Model;
use entity::{CalendarId, ScheduleId, TypedId};

use super::{Change, Store, calendar};
use crate::domain::plan::Spec;
use crate::domain::policy::Policy;
use crate::domain::timetable::{NamedDates, Timetable};
use crate::error::{Error, Result};

/// What the timetable of a schedule is made from.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Whose.
    pub schedule: ScheduleId,
    /// `schedule.spec`.
    pub spec: &'a str,
    /// `schedule.policy`.
    pub policy: &'a str,
}

impl<'a> From<&'a Model> for Text<'a> {
    fn from(row: &'a Model) -> Self {
        Self { schedule: row.id, spec: &row.spec, policy: &row.policy }
    }
}

/// The timetables of several schedules, in their order.
pub async fn find_many(store: &Store, texts: &[Text<'_>]) -> Result<Vec<Timetable>> {
    let policies = policies(texts);
    let calendars = calendar::find_dates(store, &referred(&policies)).await?;
    compile(texts, policies, &calendars).into_iter().collect()
}

/// The timetables of several schedules, in their order, as a change sees them.
pub async fn get_many(change: &Change, texts: &[Text<'_>]) -> Result<Vec<Timetable>> {
    get_each(change, texts).await?.into_iter().collect()
}

/// The same, with what is wrong in place of those that cannot be read: a plan that this binary does
/// not understand (it names a zone that is gone, or was written by a newer one) is no reason not to
/// plan the others.
pub async fn get_each(change: &Change, texts: &[Text<'_>]) -> Result<Vec<Result<Timetable>>> {
    let policies = policies(texts);
    let calendars = calendar::get_dates(change, &referred(&policies)).await?;
    Ok(compile(texts, policies, &calendars))
}

fn compile(
    texts: &[Text<'_>],
    policies: Vec<Result<Policy>>,
    calendars: &HashMap<CalendarId, NamedDates>,
) -> Vec<Result<Timetable>> {
    let one = |(text, policy): (&Text<'_>, Result<Policy>)| {
        let spec: Spec =
            serde_json::from_str(text.spec).map_err(|error| fault(text, &error.to_string()))?;
        let seed = text.schedule.uuid().as_u128();
        Timetable::new(&spec, policy?, calendars, seed)
            .map_err(|problem| fault(text, &problem.message))
    };
    texts.iter().zip(policies).map(one).collect()
}

fn policies(texts: &[Text<'_>]) -> Vec<Result<Policy>> {
    let policy = |text: &Text<'_>| match text.policy {
        "{}" => Ok(Policy::default()),
        policy => serde_json::from_str(policy).map_err(|error| fault(text, &error.to_string())),
    };
    texts.iter().map(policy).collect()
}

fn referred(policies: &[Result<Policy>]) -> Vec<CalendarId> {
    let readable = policies.iter().filter_map(|policy| policy.as_ref().ok());
    let mut ids: Vec<CalendarId> = readable.flat_map(Policy::calendars).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn fault(text: &Text<'_>, why: &str) -> Error {
    Error::Internal(format!("the stored plan of {}: {why}", text.schedule))
}
