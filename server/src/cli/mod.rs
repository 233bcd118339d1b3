//! Floor 7: the command line. One file per command; each ends in a clear message or does its work.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, DatabaseArgs, ServeArgs};

mod cron;
mod healthcheck;
mod key;
mod open;
mod project;
mod receive;
mod seed;
mod serve;
mod transfer;

/// Why a command ended: what to say, and the exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

/// What a command comes to.
pub type Done = Result<(), Failure>;

impl Failure {
    /// A failure with exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A failure of what the user wrote: exit code 2, as clap has it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Makes things happen on time and tells people, live, what happened. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "belfry", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Make the database, or bring its schema up to date
    Migrate(DatabaseArgs),
    /// Print the GraphQL schema
    Schema,
    /// Ask a running server whether it can work; exit code 0 when it can
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Make and list projects
    Project(project::ProjectArgs),
    /// Make, list and revoke API keys
    Key(key::KeyArgs),
    /// Receive webhooks and print them, with whether their signatures hold
    Receive(receive::ReceiveArgs),
    /// Add demo data; a second run adds nothing
    Seed(DatabaseArgs),
    /// Write a project with its history to standard output
    Export(transfer::ExportArgs),
    /// Add the project that an export wrote, from standard input
    Import(DatabaseArgs),
    /// Look into cron expressions
    Cron(CronArgs),
}

#[derive(Args, Debug)]
struct CronArgs {
    #[command(subcommand)]
    command: CronCommand,
}

#[derive(Debug, Subcommand)]
enum CronCommand {
    /// Print the next instants of an expression
    Next(cron::NextArgs),
}

/// The whole command line, for whoever documents it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command of this process.
pub async fn main() -> ExitCode {
    let mut args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if args.len() < 2 {
        args.push("serve".into());
    }
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("belfry: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

async fn run(args: Vec<std::ffi::OsString>) -> Done {
    let mut command = command();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config::refuse_unknown_variables(&command, names).map_err(Failure::usage)?;
    if let Some(file) = config_file(&args) {
        command = config::with_file(command, &file).map_err(Failure::usage)?;
    }
    let matches = command
        .try_get_matches_from_mut(args)
        .unwrap_or_else(|error| config::without_secrets(&command, error).exit());
    let cli = Cli::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string()))?;
    match cli.command {
        Command::Serve(args) => serve::serve(*args).await,
        Command::Migrate(args) => open::migrate(&args).await,
        Command::Schema => {
            print!("{}", crate::graphql::sdl());
            Ok(())
        }
        Command::Healthcheck(args) => healthcheck::healthcheck(&args).await,
        Command::Project(args) => project::project(args).await,
        Command::Key(args) => key::key(args).await,
        Command::Receive(args) => receive::receive(args).await.map_err(Failure::from),
        Command::Seed(args) => seed::seed(&args).await,
        Command::Export(args) => transfer::export(&args).await,
        Command::Import(args) => transfer::import(&args).await,
        Command::Cron(CronArgs { command: CronCommand::Next(args) }) => cron::next(&args),
    }
}

/// The file of `--config` or `BELFRY_CONFIG`, which is needed before clap can run.
fn config_file(args: &[std::ffi::OsString]) -> Option<PathBuf> {
    let is_flag = |arg: &std::ffi::OsString| arg == "--config";
    if let Some(index) = args.iter().position(is_flag) {
        return args.get(index + 1).map(PathBuf::from);
    }
    let inline = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix("--config="));
    let named = inline.map(PathBuf::from).next();
    named.or_else(|| std::env::var_os("BELFRY_CONFIG").map(PathBuf::from))
}
