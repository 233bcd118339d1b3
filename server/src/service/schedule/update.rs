//! Changes of schedules: a new time plan ends what was planned and plans anew, anything else does
//! not.

use entity::schedule as row;
use entity::{Instant, ScheduleId};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::draft::{check_calendars, check_name, first_instant, violations};
use super::spec::{SpecInput, kept, passed, read_spec, to_text};
use super::{advance, changed, get, get_trigger, replan, settle, touch};
use crate::app::App;
use crate::domain::plan::Spec;
use crate::domain::planning::Reason;
use crate::domain::policy::Policy;
use crate::domain::text::Check;
use crate::error::{Result, refuse_if_any};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::service::action::expect_version;
use crate::service::{Caller, Scope};
use crate::store::{Change, Lock, Origin, calendar as calendars, event, plan};

/// A change of a schedule; what is `None` stays.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub id: ScheduleId,
    /// The version that the client saw.
    pub expected_version: Option<i32>,
    /// A new name, or none any more.
    pub name: Option<Option<String>>,
    /// A new time plan.
    pub spec: Option<SpecInput>,
    /// A new policy, in place of the whole old one.
    pub policy: Option<Policy>,
    /// A new payload: firings that are planned already get it too.
    pub payload: Option<Value>,
}

/// Changes a schedule.
///
/// # Errors
/// Every problem of the input; not found; a conflict with somebody else's change.
pub async fn update(app: &App, caller: &Caller, input: Update) -> Result<row::Model> {
    caller.require(Scope::Write)?;
    let mut check = Check::new();
    check_name(&mut check, "", input.name.as_ref().and_then(|name| name.as_deref()));
    let asked_at = app.clock().now();
    let spec = input.spec.as_ref().and_then(|spec| read_spec(&mut check, "spec", spec, asked_at));
    let payload = input.payload.map(|value| check.json("payload", &value, PAYLOAD_BYTES_MAX));
    if let Some(policy) = &input.policy {
        check.under("policy", policy.check());
    }
    refuse_if_any(check.problems)?;
    let mut new = NewPlan { spec, policy: input.policy };
    let (app, caller) = (app.clone(), caller.clone());
    let store = app.store().clone();
    store
        .change(Origin::Edit, move |change| {
            async move {
                change.lock(Lock::Definitions(caller.project)).await?;
                let mut row = get(change, caller.project, input.id).await?;
                let now = app.clock().now();
                expect_version(input.expected_version, row.version)?;
                let trigger = get_trigger(change, caller.project, row.trigger_id).await?;
                let said = new.spec.zip(input.spec.as_ref());
                new.spec = said.map(|(spec, said)| kept(said, spec, &row.spec));
                let is_new_plan = new.differs_from(&row);
                if is_new_plan {
                    row = settle(&app, change, row, Reason::Superseded, now).await?;
                }
                row.name = input.name.unwrap_or(row.name);
                let is_new_payload = payload.as_ref().is_some_and(|text| *text != row.payload);
                row.payload = payload.unwrap_or(row.payload);
                if is_new_payload || is_new_plan {
                    violations(change, &trigger, &row.payload, "payload").await?;
                }
                if is_new_plan {
                    new.write(change, &mut row, now).await?;
                    replan(&app, change, &mut row, &trigger, Reason::Superseded, now).await?;
                } else if is_new_payload {
                    plan::set_payload(change, &row).await?;
                }
                touch(change, &mut row, now).await?;
                advance(&app, change, &row, now).await?;
                let event = changed(&app, &caller, "schedule.updated", &row, &trigger);
                event::insert(change, vec![event]).await?;
                get(change, caller.project, input.id).await
            }
            .boxed()
        })
        .await
}

/// What an update says of the time plan; what is `None` stays.
struct NewPlan {
    spec: Option<Spec>,
    policy: Option<Policy>,
}

impl NewPlan {
    /// Whether it says anything else than `row` has.
    fn differs_from(&self, row: &row::Model) -> bool {
        self.spec.as_ref().is_some_and(|spec| to_text(spec) != row.spec)
            || self.policy.as_ref().is_some_and(|policy| to_text(policy) != row.policy)
    }

    /// Writes it into `row`, which has to leave an instant.
    async fn write(self, change: &Change, row: &mut row::Model, now: Instant) -> Result<()> {
        if let Some(spec) = self.spec {
            let is_same = to_text(&spec) == row.spec;
            let problem = passed(&spec, now).filter(|_| !is_same);
            refuse_if_any(problem.map(|problem| problem.under("spec")).into_iter().collect())?;
            row.kind = spec.kind();
            row.spec = to_text(&spec);
        }
        if let Some(policy) = self.policy {
            check_calendars(change, row, &policy, "policy").await?;
            calendars::set_of_schedule(change, row.id, &policy.calendars()).await?;
            row.policy = to_text(&policy);
        }
        first_instant(change, row, now).await?;
        Ok(())
    }
}
