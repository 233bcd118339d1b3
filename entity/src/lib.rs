//! Floor 0: the rows of Belfry's tables, one file per noun, and the column types they are made of.
//!
//! Rows only: no behaviour, no query. `store/` in the server is the only reader and writer.

pub mod action;
pub mod action_version;
pub mod api_key;
pub mod attempt;
pub mod calendar;
pub mod event;
pub mod firing;
pub mod id;
pub mod idempotency;
pub mod installation;
pub mod instant;
pub mod log_floor;
pub mod operation;
pub mod project;
pub mod schedule;
pub mod schedule_calendar;
pub mod trigger;
pub mod trigger_version;

pub use id::*;
pub use instant::Instant;
