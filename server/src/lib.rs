//! Belfry: makes things happen on time and tells people, live, what happened.
//!
//! The house has floors, and each imports only downward (`tests/it/floors.rs` holds them to it):
//!
//! | floor | rooms |
//! |---|---|
//! | 7 | [`http`], [`cli`], `main` |
//! | 6 | [`graphql`] and [`engine`], which never import each other |
//! | 5 | [`service`] |
//! | 4 | [`app`] |
//! | 3 | [`store`], [`queue`], [`bus`], [`stage`], which never import one another |
//! | 2 | [`domain`]: pure |
//! | 1 | [`error`], [`clock`], [`config`], [`limits`], [`link`], [`metrics`], [`shutdown`], [`telemetry`] |
//! | 0 | the crates `entity` and `migration` |
//!
//! Each noun has a file of the same name on every floor: `entity/firing.rs`, `store/firing.rs`,
//! `service/firing.rs`, `graphql/firing.rs`, `tests/it/firing.rs`.

pub mod app;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod graphql;
pub mod http;
pub mod limits;
pub mod link;
pub mod metrics;
pub mod queue;
pub mod service;
pub mod shutdown;
pub mod stage;
pub mod store;
pub mod telemetry;
