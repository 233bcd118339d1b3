//! Floor 2: what Belfry means, pure: no runtime, no SQL, no clock.

pub mod action;
pub mod bucket;
pub mod circuit;
pub mod comparator;
pub mod cron;
pub mod duration;
pub mod event;
pub mod expiring;
pub mod filter;
pub mod firing;
pub mod forecast;
pub mod object;
pub mod outbox;
pub mod overlap;
pub mod page;
pub mod plan;
pub mod planning;
pub mod quota;
pub mod retry;
pub mod schema;
pub mod signature;
pub mod tally;
pub mod text;
pub mod uses;
pub mod zone;
