//! Floor 6: the schema. One file per noun; resolvers say what a field is, services do the work.
//!
//! Every operation carries the [`Caller`](crate::service::Caller) as request data; the transports
//! put it there after authentication.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions};

use crate::app::App;
use crate::limits::{QUERY_COMPLEXITY_MAX, QUERY_DEPTH_MAX, QUERY_DIRECTIVES_MAX};

mod action;
mod api_key;
mod attempt;
mod calendar;
mod comparator;
mod connection;
mod error;
mod event;
mod event_filter;
mod firing;
mod forecast;
pub mod guard;
mod loader;
mod node;
mod operation;
pub mod order;
mod project;
mod scalar;
mod schedule;
mod server;
mod stage_path;
mod timer;
mod trigger;

pub use event::LastEventId;

/// The executable schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    action::ActionQuery,
    api_key::ApiKeyQuery,
    calendar::CalendarQuery,
    event::EventQuery,
    firing::FiringQuery,
    forecast::ForecastQuery,
    node::NodeQuery,
    operation::OperationQuery,
    project::ProjectQuery,
    schedule::ScheduleQuery,
    server::ServerQuery,
    timer::TimerQuery,
    trigger::TriggerQuery,
);

/// Everything that can be changed. Each field answers with what it made or changed and with
/// `userErrors`; when these are not empty, nothing was changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    action::ActionMutation,
    api_key::ApiKeyMutation,
    calendar::CalendarMutation,
    event::EventMutation,
    firing::FiringMutation,
    operation::OperationMutation,
    project::ProjectMutation,
    schedule::ScheduleMutation,
    timer::TimerMutation,
    trigger::TriggerMutation,
);

/// Everything that can be watched.
#[derive(MergedSubscription, Default)]
pub struct Subscription(event::EventSubscription, firing::FiringSubscription);

/// The schema over a running Belfry.
#[must_use]
pub fn schema(app: &App) -> Schema {
    builder().data(app.clone()).data(loader::loader(app)).finish()
}

/// The schema as text: sorted and described.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .use_space_ident()
        .indent_width(2);
    let text = builder().finish().sdl_with_options(options);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim())
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .register_output_type::<node::Node>()
        .limit_depth(QUERY_DEPTH_MAX)
        .limit_complexity(QUERY_COMPLEXITY_MAX)
        .limit_directives(QUERY_DIRECTIVES_MAX)
        .with_sorted_fields()
        .with_sorted_enums()
}
