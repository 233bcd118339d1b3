//! The event log as clients see it: application events in, pages out. Entries never change.

use entity::event::{self as row, Class};
use entity::{EventId, Instant, TypedId};
use futures_util::FutureExt as _;
use sea_orm::Condition;
use serde::Serialize;
use serde_json::Value;

use super::once::Once;
use super::{Caller, Scope};
use crate::app::App;
use crate::clock::stamped_at;
use crate::domain::event::{Stamp, blank};
use crate::domain::filter::{Field, Filter, FilterError, Op, Severity, archived_until_ms};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::text::Check;
use crate::error::{Error, Problem, Result, refuse_if_any};
use crate::limits::{
    BULK_ROWS_MAX, EMAIL_CHARS_MAX, LABEL_CHARS_MAX, MESSAGE_CHARS_MAX, NAME_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
};
use crate::store::{Change, Origin, event as store, event_filter};

/// The type of what applications write.
pub const APP_EVENT: &str = "app.event";

/// An application's event.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// Whom it concerns.
    pub email: String,
    /// Which installation.
    pub environment: String,
    /// Which part.
    pub component: String,
    /// What happened.
    pub message: String,
    /// Anything else; required, and not null.
    pub data: Option<Value>,
    /// How bad it is.
    #[serde(serialize_with = "severity_level")]
    pub severity: Option<Severity>,
    /// The client's word for what belongs together.
    pub correlation_id: Option<String>,
}

/// Which entries a client wants to see.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Both forms of the filter, already one.
    pub filter: Option<Filter>,
}

/// Where the defaults of the flags come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defaults {
    /// A page hides test and archived entries unless the filter speaks of them.
    Page,
    /// The live log hides test entries unless the filter speaks of them.
    Live,
}

impl Selection {
    /// Joins the typed and the text form, and adds what they do not speak of.
    ///
    /// # Errors
    /// What is wrong with the text, or that both together are too large.
    pub fn new(
        typed: Option<Filter>,
        text: Option<&str>,
        defaults: Defaults,
    ) -> Result<Self, FilterError> {
        let mut parts: Vec<Filter> = typed.into_iter().collect();
        if let Some(text) = text {
            parts.push(Filter::parse(text)?);
        }
        let speaks_of = |field| parts.iter().any(|part| part.field_mentions(field));
        let mut implied = Vec::new();
        if !speaks_of(Field::IsTest) {
            implied.push(Filter::compare(Field::IsTest, Op::Eq, false)?);
        }
        if defaults == Defaults::Page && !speaks_of(Field::IsArchived) {
            implied.push(Filter::compare(Field::IsArchived, Op::Eq, false)?);
        }
        parts.extend(implied);
        // Not `Filter::all`: what is implied does not use up the client's limits.
        Ok(Self { filter: Some(Filter::And(parts)) })
    }

    /// Whether any of Belfry's own entries could match. In doubt yes.
    pub(super) fn may_match_own(&self) -> bool {
        self.filter.as_ref().is_none_or(may_match_own)
    }

    /// As a condition on rows; what is archived is judged at `now`.
    pub(super) fn condition(&self, app: &App, now: Instant) -> Condition {
        let Some(filter) = &self.filter else { return Condition::all() };
        let backend = app.store().readers().get_database_backend();
        event_filter::condition(filter, backend, now, app.settings().archive_after_ms)
    }
}

/// Writes events of an application, all or none, in their order.
///
/// # Errors
/// Every problem of every event, with the path `<field>.<index>` when `field` is not empty.
pub async fn log(
    app: &App,
    caller: &Caller,
    field: &str,
    drafts: Vec<Draft>,
    idempotency_key: Option<String>,
) -> Result<Vec<row::Model>> {
    caller.require(Scope::EventsWrite)?;
    if BULK_ROWS_MAX < drafts.len() {
        let message = format!("expected at most {BULK_ROWS_MAX} events, not {}", drafts.len());
        return Err(Error::invalid(field, message));
    }
    let once = Once::new(idempotency_key, "eventLog", &drafts)?;
    let mut problems = Vec::new();
    let mut rows = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        let mut check = Check::new();
        rows.push(check_draft(app, caller, &mut check, draft));
        let path = if field.is_empty() { String::new() } else { format!("{field}.{index}") };
        problems.extend(check.problems.into_iter().map(|problem| problem.under(&path)));
    }
    refuse_if_any(problems)?;
    let project = caller.project;
    let now = app.clock().now();
    let ids = app
        .store()
        .change(Origin::Api, move |change| {
            async move { insert(change, &once, project, rows, now).await }.boxed()
        })
        .await?;
    let mut found = store::find_many(app.store(), project, &ids).await?;
    found.sort_by_key(|row| row.seq);
    Ok(found)
}

/// Everything that is wrong with an event; nothing is logged.
///
/// # Errors
/// When the key may not write events.
pub fn problems(app: &App, caller: &Caller, draft: Draft) -> Result<Vec<Problem>> {
    caller.require(Scope::EventsWrite)?;
    let mut check = Check::new();
    check_draft(app, caller, &mut check, draft);
    Ok(check.problems)
}

/// One entry.
///
/// # Errors
/// The database's own.
pub async fn find(app: &App, caller: &Caller, id: EventId) -> Result<Option<row::Model>> {
    store::find(app.store(), caller.project, id).await
}

/// A page of the log.
///
/// # Errors
/// The database's own.
pub async fn list(
    app: &App,
    caller: &Caller,
    selection: &Selection,
    is_descending: bool,
    page: &Page,
) -> Result<Slice<row::Model>> {
    let condition = selection.condition(app, app.clock().now());
    store::list(app.store(), caller.project, condition, is_descending, page).await
}

/// How many entries match.
///
/// # Errors
/// The database's own.
pub async fn count(app: &App, caller: &Caller, selection: &Selection) -> Result<u64> {
    let condition = selection.condition(app, app.clock().now());
    store::count(app.store(), caller.project, condition).await
}

/// Whether an entry counts as archived now.
#[must_use]
pub fn is_archived(app: &App, row: &row::Model) -> bool {
    let until_ms = archived_until_ms(app.clock().now(), app.settings().archive_after_ms);
    row.class == Class::System && row.created_at.millis() <= until_ms
}

/// The place after the newest entry that there is: a tail from here misses nothing later.
///
/// # Errors
/// The database's own.
pub async fn head(app: &App) -> Result<Cursor> {
    Ok(place(store::head(app.store()).await?))
}

/// The place of the entry `seq` in the log.
#[must_use]
pub fn place(seq: i64) -> Cursor {
    Cursor { order: store::LOG_ORDER, key: seq, id: uuid::Uuid::nil() }
}

async fn insert(
    change: &Change,
    once: &Once,
    project: entity::ProjectId,
    rows: Vec<row::Model>,
    now: Instant,
) -> Result<Vec<EventId>> {
    if let Some(ids) = once.repeated(change, project, now).await? {
        return Ok(ids);
    }
    let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
    once.remember(change, project, &ids, now).await?;
    store::insert(change, rows).await?;
    Ok(ids)
}

fn may_match_own(filter: &Filter) -> bool {
    use crate::domain::filter::Value;
    let is_own = |value: &Value| !matches!(value, Value::Text(text) if text == APP_EVENT);
    match filter {
        Filter::And(parts) => parts.iter().all(may_match_own),
        Filter::Or(parts) => parts.iter().any(may_match_own),
        Filter::Compare { field: Field::Type, op: Op::Eq, value } => is_own(value),
        Filter::Compare { field: Field::Type, op: Op::In, value: Value::List(items) } => {
            items.iter().any(is_own)
        }
        Filter::Not(_) | Filter::Compare { .. } => true,
    }
}

/// What an idempotency key remembers of a severity.
fn severity_level<S: serde::Serializer>(
    severity: &Option<Severity>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    severity.map(Severity::level).serialize(serializer)
}

fn check_draft(app: &App, caller: &Caller, check: &mut Check, draft: Draft) -> row::Model {
    check.email("email", &draft.email, EMAIL_CHARS_MAX);
    check.name("environment", &draft.environment, LABEL_CHARS_MAX);
    check.name("component", &draft.component, LABEL_CHARS_MAX);
    check.words("message", &draft.message, MESSAGE_CHARS_MAX);
    let data = match &draft.data {
        Some(value) if !value.is_null() => Some(check.json("data", value, PAYLOAD_BYTES_MAX)),
        _ => {
            check.problem("data", "expected any JSON value but null");
            None
        }
    };
    if let Some(text) = &draft.correlation_id {
        check.name("correlationId", text, NAME_CHARS_MAX);
    }
    let id: EventId = app.ids().make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project: caller.project };
    row::Model {
        severity: draft.severity.unwrap_or(Severity::Info).level(),
        email: Some(draft.email),
        environment: Some(draft.environment),
        component: Some(draft.component),
        message: Some(draft.message),
        data,
        actor: Some(caller.by.to_string()),
        correlation_id: draft.correlation_id,
        ..blank(stamp, Class::App, APP_EVENT)
    }
}
