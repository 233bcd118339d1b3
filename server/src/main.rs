//! The `belfry` binary: hands over to the command line.

use std::process::ExitCode;

/// A firing is some hundreds of small allocations on its way through client, store and log; the
/// system's allocator takes a sixth of the whole processor time at thousands of firings a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Every TLS client of the process uses it; an error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    belfry::cli::main().await
}
