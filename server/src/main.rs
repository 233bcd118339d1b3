//! The `belfry` binary: hands over to the command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Every TLS client of the process uses it; an error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    belfry::cli::main().await
}
