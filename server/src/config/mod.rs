//! What an operator may set, and where from: flag, then environment, then file, then default.
//!
//! clap reads flags and environment; the file (TOML, the long flag names of `belfry serve` as keys)
//! replaces the defaults of every command before clap runs. Everything is checked before anything starts, and a variable that
//! begins with `BELFRY_` but is no setting is refused, so that a typo never goes unnoticed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command, ValueEnum};
use ipnet::IpNet;

use crate::limits::{RATE_BURST_DEFAULT, RATE_LIMIT_DEFAULT};

mod file;
mod role;
mod url;

pub use file::with_file;
pub use role::{Role, Roles};
pub use url::{ConnectionUrl, Home};

/// The shortest admin key that an operator may choose: 32 characters.
pub const ADMIN_KEY_CHARS_MIN: usize = 32;
/// The longest: room for any token, and short enough for every proxy's headers.
pub const ADMIN_KEY_CHARS_MAX: usize = 1_024;

/// What the keys that Belfry makes begin with; an operator's own that began so would be held
/// against their checksum.
const OWN_KEY_PREFIX: &str = "blf_";
/// The variable that names the binary to the tests, which run with it.
const VARIABLE_OF_TESTS: &str = "BELFRY_BIN";
/// What the other variables of the tests begin with.
const PREFIX_OF_TESTS: &str = "BELFRY_TEST_";

/// The database, for every command that opens one.
#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// The database: sqlite://PATH, or postgres://USER:PASSWORD@HOST/DATABASE (15 or newer)
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite://belfry.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: ConnectionUrl,

    /// 64 hexadecimal digits from which signing secrets are derived; required on PostgreSQL, on
    /// SQLite a file beside the database, made at first start, stands in for it
    #[arg(long, env = "BELFRY_MASTER_KEY", hide_env_values = true, value_name = "HEX",
          value_parser = master_key)]
    pub master_key: Option<MasterKey>,

    /// A TOML file with settings; its keys are the long flag names of `belfry serve`
    #[arg(long, env = "BELFRY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Everything that `belfry serve` may be told.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The address to serve on
    #[arg(long, env = "BELFRY_LISTEN", default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The first admin key, at least 32 characters; without it one is made at first start
    #[arg(long, env = "BELFRY_ADMIN_KEY", hide_env_values = true, value_name = "KEY",
          value_parser = admin_key)]
    pub admin_key: Option<AdminKey>,

    /// Networks that outgoing stages may reach besides public addresses, such as 10.0.0.0/8;
    /// separated by commas
    #[arg(long, env = "BELFRY_ALLOW_TARGETS", default_value = "", value_name = "CIDRS",
          hide_default_value = true, value_delimiter = ',', value_parser = cidr)]
    pub allow_targets: Vec<Option<IpNet>>,

    /// Firings that this process executes at a time
    #[arg(long, env = "BELFRY_CONCURRENCY", default_value = "256", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,

    /// Age at which one of Belfry's own events counts as archived, in seconds
    #[arg(long, env = "BELFRY_ARCHIVE_AFTER_SECS", default_value = "7200", value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(60..))]
    pub archive_after_secs: u32,

    /// Age at which Belfry's own events are deleted, in seconds
    #[arg(long, env = "BELFRY_DELETE_AFTER_SECS", default_value = "172800", value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(60..))]
    pub delete_after_secs: u32,

    /// What is logged, as a tracing directive
    #[arg(long, env = "BELFRY_LOG", default_value = "info,sqlx=warn", value_name = "FILTER")]
    pub log: String,

    /// How it is logged
    #[arg(long, env = "BELFRY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// An OpenTelemetry collector that spans are sent to (OTLP over HTTP), such as
    /// http://127.0.0.1:4318; nothing is traced without one
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true,
          value_parser = collector)]
    pub otlp_endpoint: Option<String>,

    /// Redis (7 or newer), so that processes hear of each other's work at once: redis://HOST,
    /// rediss://HOST, redis+sentinel://HOST,HOST/SERVICE or redis+cluster://HOST,HOST
    #[arg(long, env = "BELFRY_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<ConnectionUrl>,

    /// What this process does: all, or some of api, planner, executor, retention, separated by
    /// commas; less than all needs PostgreSQL
    #[arg(long, env = "BELFRY_ROLE", default_value = "all", value_name = "ROLES")]
    pub role: Roles,

    /// Pace at which the database is searched for what neither memory nor Redis knew, in seconds
    #[arg(long, env = "BELFRY_POLL_SECS", default_value = "5", value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub poll_secs: u32,

    /// Firings of one project that this process executes at a time; without it a fair share of
    /// --concurrency
    #[arg(long, env = "BELFRY_PROJECT_CONCURRENCY", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub project_concurrency: Option<u32>,

    /// Origins besides the server's own whose pages may speak to it, such as
    /// https://console.example; separated by commas
    #[arg(long, env = "BELFRY_ALLOWED_ORIGINS", default_value = "", value_name = "ORIGINS",
          hide_default_value = true, value_delimiter = ',', value_parser = origin)]
    pub allowed_origins: Vec<Option<String>>,

    /// Units that one API key may use in a second, each a request or about a row of an answer; 0
    /// is no limit
    #[arg(long, env = "BELFRY_RATE_LIMIT", default_value_t = RATE_LIMIT_DEFAULT,
          value_name = "UNITS")]
    pub rate_limit: u32,

    /// Units that one API key may save up and use at once
    #[arg(long, env = "BELFRY_RATE_BURST", default_value_t = RATE_BURST_DEFAULT,
          value_name = "UNITS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_burst: u32,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// An operator's own admin key. Never printed.
#[derive(Clone)]
pub struct AdminKey(pub String);

/// The key that all others are derived from. Never printed.
#[derive(Clone, Copy)]
pub struct MasterKey(pub [u8; 32]);

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("REDACTED")
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("REDACTED")
    }
}

impl DatabaseArgs {
    /// Which engine holds the data.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn home(&self) -> Result<Home, String> {
        self.database_url.home().map_err(|why| format!("--database-url: {why}"))
    }
}

impl ServeArgs {
    /// The networks of `--allow-targets`.
    #[must_use]
    pub fn allowed_networks(&self) -> Vec<IpNet> {
        self.allow_targets.iter().flatten().copied().collect()
    }
}

/// Reads 64 hexadecimal digits.
///
/// # Errors
/// What was expected; it never repeats the text.
pub fn master_key(text: &str) -> Result<MasterKey, String> {
    let expected = "expected 64 hexadecimal digits";
    let text = text.trim();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(expected.to_owned());
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        let digits = &text[index * 2..index * 2 + 2];
        *byte = u8::from_str_radix(digits, 16).map_err(|_| expected.to_owned())?;
    }
    Ok(MasterKey(key))
}

/// The value of a setting that may carry a secret, taken out of an error before it is printed.
#[must_use]
pub fn without_secrets(command: &Command, mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = shown.split(' ').next().and_then(|flag| flag.strip_prefix("--"));
    if arguments(command).any(|arg| arg.is_hide_env_values_set() && arg.get_long() == flag) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    error
}

/// Every argument of a command and of all below it.
fn arguments(command: &Command) -> Box<dyn Iterator<Item = &Arg> + '_> {
    Box::new(command.get_arguments().chain(command.get_subcommands().flat_map(arguments)))
}

/// Refuses variables that begin with `BELFRY_` but are no setting of any command. What Kubernetes
/// sets for a service named `belfry` is passed over.
///
/// # Errors
/// A sentence that names the variable.
pub fn refuse_unknown_variables(
    command: &Command,
    names: impl Iterator<Item = String>,
) -> Result<(), String> {
    let known: Vec<&str> = arguments(command).filter_map(|arg| arg.get_env()?.to_str()).collect();
    for name in names {
        let is_of_kubernetes =
            name.starts_with("BELFRY_PORT") || name.starts_with("BELFRY_SERVICE_");
        let is_of_tests = name == VARIABLE_OF_TESTS || name.starts_with(PREFIX_OF_TESTS);
        let is_known = known.contains(&name.as_str()) || is_of_tests;
        if name.starts_with("BELFRY_") && !is_of_kubernetes && !is_known {
            return Err(format!("there is no setting {name}; belfry serve --help lists them"));
        }
    }
    Ok(())
}

fn admin_key(text: &str) -> Result<AdminKey, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() < ADMIN_KEY_CHARS_MIN || ADMIN_KEY_CHARS_MAX < text.len() || !is_plain {
        return Err(format!(
            "expected at least {ADMIN_KEY_CHARS_MIN} visible ASCII characters without blanks, and \
             at most {ADMIN_KEY_CHARS_MAX}"
        ));
    }
    if text.starts_with(OWN_KEY_PREFIX) {
        return Err(format!("expected a key that does not begin with {OWN_KEY_PREFIX}"));
    }
    Ok(AdminKey(text.to_owned()))
}

fn collector(text: &str) -> Result<String, String> {
    let url = ::url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let is_plain = url.is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    if is_plain { Ok(text.to_owned()) } else { Err("expected http://HOST:PORT".to_owned()) }
}

fn cidr(text: &str) -> Result<Option<IpNet>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let expected = || "expected networks such as 10.0.0.0/8,fd00::/8".to_owned();
    text.trim().parse().map(Some).map_err(|_| expected())
}

/// Reads an origin as browsers write it: scheme, host and port, in lower case.
fn origin(text: &str) -> Result<Option<String>, String> {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let url = ::url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let written = url.map(|url| url.origin().ascii_serialization());
    let found = written.filter(|written| written.eq_ignore_ascii_case(text));
    found.map(Some).ok_or_else(|| "expected origins such as https://console.example".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let read = |text: &str| origin(text).map(|found| found.unwrap_or_default());
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read(" https://a.example/ "), Ok("https://a.example".to_owned()));
        assert_eq!(read("HTTP://A.example:3000"), Ok("http://a.example:3000".to_owned()));
        for text in ["*", "a.example", "https://a.example/path", "ftp://a.example", "null"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_admin_key_has_at_least_32_characters() {
        assert!(admin_key(&"k".repeat(32)).is_ok());
        assert!(admin_key(&"k".repeat(31)).is_err());
        assert!(admin_key(&"k ".repeat(32)).is_err());
        assert!(admin_key(&"k".repeat(1_024)).is_ok());
        assert!(admin_key(&"k".repeat(1_025)).is_err());
        assert!(admin_key(&format!("blf_{}", "k".repeat(32))).is_err());
    }

    #[test]
    fn a_master_key_is_64_hexadecimal_digits() {
        assert_eq!(master_key(&"0f".repeat(32)).map(|key| key.0), Ok([15; 32]));
        assert!(master_key(&"0f".repeat(31)).is_err());
        assert!(master_key(&"0g".repeat(32)).is_err());
    }
}
