//! Calendars on the wire.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};
use entity::CalendarId;
use entity::calendar::Model;
use futures_util::FutureExt as _;

use super::connection::{args, connection, cost};
use super::error::{Result, parse_id, payload};
use super::loader::{app, caller};
use super::scalar::{Date, DateTime};
use crate::domain::calendar::Entry;
use crate::error::Error;
use crate::service::{Scope, calendar};
use crate::store::calendar::SORT;

/// A named set of dates that schedules leave out or keep to.
pub struct Calendar(pub Model);

connection!(
    /// A page of calendars.
    CalendarConnection,
    CalendarEdge,
    Calendar,
    Model
);

/// One stretch of time, or a rule for many: one of its fields is set.
#[derive(SimpleObject)]
pub struct CalendarEntry {
    /// Whole days.
    dates: Option<DateRange>,
    /// From one instant on and before another.
    period: Option<Period>,
    /// Each minute that a cron expression of five fields allows, or each second for six.
    cron: Option<String>,
}

/// Whole days.
#[derive(SimpleObject)]
pub struct DateRange {
    /// The first.
    from: Date,
    /// The last.
    until: Date,
}

/// A stretch of time.
#[derive(SimpleObject)]
pub struct Period {
    /// The first instant.
    from: DateTime,
    /// The first instant after it.
    until: DateTime,
}

/// One stretch of time, or a rule for many: exactly one of these.
#[derive(OneofObject)]
pub enum CalendarEntryInput {
    /// One whole day.
    Date(Date),
    /// Whole days.
    Dates(DateRangeInput),
    /// From one instant on and before another.
    Period(PeriodInput),
    /// Each minute that a cron expression of five fields allows, or each second for six:
    /// `* * * * SAT,SUN` is every weekend.
    Cron(String),
}

/// Whole days.
#[derive(InputObject)]
pub struct DateRangeInput {
    /// The first.
    from: Date,
    /// The last.
    until: Date,
}

/// A stretch of time.
#[derive(InputObject)]
pub struct PeriodInput {
    /// The first instant.
    pub from: DateTime,
    /// The first instant after it.
    pub until: DateTime,
}

/// A calendar as it shall be.
#[derive(InputObject)]
pub struct CalendarSetInput {
    /// Unique in the project; the calendar of this name is replaced, or made.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// IANA name of the zone on whose wall its dates are read; each schedule's own when not said.
    time_zone: Option<String>,
    /// All its entries: at most 1,000.
    entries: Vec<CalendarEntryInput>,
    /// Refused when the calendar is at another version by now; 0 when it must not be there yet.
    expected_version: Option<i32>,
    /// A repeat with the same key and input within 24 h changes nothing.
    idempotency_key: Option<String>,
}

/// A calendar to delete.
#[derive(InputObject)]
pub struct CalendarDeleteInput {
    /// Which.
    id: ID,
    /// Refused when the calendar is at another version by now.
    expected_version: Option<i32>,
}

payload!(
    /// What `calendarSet` came to.
    CalendarSetPayload {
        /// The calendar as it is now.
        calendar: Calendar = Model => Calendar
    }
);

payload!(
    /// What `calendarDelete` came to.
    CalendarDeletePayload {
        /// The id of the calendar that is gone.
        deleted_id: ID = CalendarId => |id| id.to_string().into()
    }
);

/// A named set of dates that schedules leave out or keep to.
#[Object]
impl Calendar {
    /// Identity.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Unique in the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// IANA name of the zone on whose wall its dates are read; null for each schedule's own.
    async fn time_zone(&self) -> Option<&str> {
        self.0.time_zone.as_deref()
    }

    /// Its entries.
    async fn entries(&self) -> Result<Vec<CalendarEntry>> {
        Ok(calendar::entries(&self.0)?.into_iter().map(Into::into).collect())
    }

    /// Raised by every change; what `expectedVersion` compares.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// Calendars, to read.
#[derive(Default)]
pub struct CalendarQuery;

#[Object]
impl CalendarQuery {
    /// One calendar; null when there is none.
    async fn calendar(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] id: ID,
    ) -> Result<Option<Calendar>> {
        caller(ctx).require(Scope::Read)?;
        let found = calendar::find(app(ctx), caller(ctx), parse_id("id", &id)?).await?;
        Ok(found.map(Calendar))
    }

    /// Calendars, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn calendars(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows from the start: 50 when not said, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Begins after this cursor.")] after: Option<String>,
        #[graphql(desc = "Rows from the end.")] last: Option<i32>,
        #[graphql(desc = "Ends before this cursor.")] before: Option<String>,
    ) -> Result<CalendarConnection> {
        caller(ctx).require(Scope::Read)?;
        let page = args(first, after, last, before).check(SORT.code).map_err(Error::Refused)?;
        let slice = calendar::list(app(ctx), caller(ctx), &page).await?;
        let (app, caller) = (app(ctx).clone(), caller(ctx).clone());
        let count = Arc::new(move || {
            let (app, caller) = (app.clone(), caller.clone());
            async move { calendar::count(&app, &caller).await }.boxed()
        });
        Ok(CalendarConnection { slice, count })
    }
}

/// Calendars, to change.
#[derive(Default)]
pub struct CalendarMutation;

#[Object]
impl CalendarMutation {
    /// Makes a calendar, or replaces the one of the same name; schedules that refer to it are
    /// planned anew.
    async fn calendar_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: CalendarSetInput,
    ) -> Result<Option<CalendarSetPayload>> {
        CalendarSetPayload::of(calendar::set(app(ctx), caller(ctx), input.into()).await)
    }

    /// Deletes a calendar that no schedule refers to any more.
    async fn calendar_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked for.")] input: CalendarDeleteInput,
    ) -> Result<Option<CalendarDeletePayload>> {
        let done = match parse_id("id", &input.id) {
            Ok(id) => calendar::delete(app(ctx), caller(ctx), id, input.expected_version).await,
            Err(error) => Err(error),
        };
        CalendarDeletePayload::of(done)
    }
}

impl From<CalendarSetInput> for calendar::Set {
    fn from(input: CalendarSetInput) -> Self {
        Self {
            name: input.name,
            description: input.description,
            time_zone: input.time_zone,
            entries: input.entries.into_iter().map(Into::into).collect(),
            expected_version: input.expected_version,
            idempotency_key: input.idempotency_key,
        }
    }
}

impl From<CalendarEntryInput> for Entry {
    fn from(input: CalendarEntryInput) -> Self {
        match input {
            CalendarEntryInput::Date(date) => Self::Dates { from: date.0, until: date.0 },
            CalendarEntryInput::Dates(DateRangeInput { from, until }) => {
                Self::Dates { from: from.0, until: until.0 }
            }
            CalendarEntryInput::Period(PeriodInput { from, until }) => {
                Self::Period { from: from.0, until: until.0 }
            }
            CalendarEntryInput::Cron(expression) => Self::Cron { expression },
        }
    }
}

impl From<Entry> for CalendarEntry {
    fn from(entry: Entry) -> Self {
        let empty = Self { dates: None, period: None, cron: None };
        match entry {
            Entry::Dates { from, until } => {
                Self { dates: Some(DateRange { from: Date(from), until: Date(until) }), ..empty }
            }
            Entry::Period { from, until } => {
                Self { period: Some(Period { from: from.into(), until: until.into() }), ..empty }
            }
            Entry::Cron { expression } => Self { cron: Some(expression), ..empty },
        }
    }
}
