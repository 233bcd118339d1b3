//! `belfry healthcheck`: asks a running server, for containers and supervisors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Done, Failure};

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which server.
#[derive(Args, Debug)]
pub struct HealthcheckArgs {
    /// The address that it serves on
    #[arg(long, env = "BELFRY_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// A TOML file with settings, of which this reads `listen`
    #[arg(long, env = "BELFRY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Asks `/readyz`.
pub(super) async fn healthcheck(args: &HealthcheckArgs) -> Done {
    let mut address = args.listen;
    if address.ip().is_unspecified() {
        // A server on every address is asked on the nearest.
        let loopback = if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
        };
        address.set_ip(loopback);
    }
    let url = format!("http://{address}/readyz");
    let failed = |error: reqwest::Error| Failure::new(format!("{url}: {error}"));
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(failed)?;
    let answer = client.get(&url).send().await.map_err(failed)?;
    let status = answer.status();
    let body = answer.text().await.map_err(failed)?;
    if !status.is_success() {
        return Err(Failure::new(format!("{url}: {status} {body}")));
    }
    println!("{body}");
    Ok(())
}
