//! The load harness: a real server process, a real receiver, real clients. `make load` runs it.
//!
//! It prints figures and checks promises: everything accepted is recorded once and delivered at
//! least once, nothing comes early, and the live log shows all of it in order. The figures are of
//! this machine at this moment; compare them only with others of the same run.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

mod client;
mod kill;
mod process;
mod steady;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    steady::run().await;
    kill::run().await;
}

/// The smallest, the value at `share`, and so on, of sorted figures.
fn at_share(sorted: &[i64], share: f64) -> i64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(0)
}
