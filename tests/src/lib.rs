//! What the stories are told with: a whole Belfry on a real database with a clock that stands
//! still, and a real receiver of webhooks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod app;
pub mod checker;
mod database;
pub mod fuzz;
pub mod played;
mod random;
mod receiver;
mod redact;
pub mod services;
pub mod wall;

pub use app::{START, TestApp, instant};
pub use database::is_postgres;
pub use random::Random;
pub use receiver::{Answer, Received, Receiver};
pub use redact::redact;
