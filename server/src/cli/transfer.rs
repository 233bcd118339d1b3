//! `belfry export` and `belfry import`: a project on its way to another database.

use std::io::{BufReader, BufWriter};

use clap::Args;

use super::open::{lock, must_exist, open, open_store};
use super::{Done, Failure};
use crate::config::{DatabaseArgs, Home};
use crate::store::{Store, project, transfer};

/// What to export.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The name of the project; without it the only one
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Writes a project to standard output. A server may go on meanwhile.
pub(super) async fn export(args: &ExportArgs) -> Done {
    must_exist(&args.database)?;
    let store = open_store(&args.database).await?;
    let project = chosen(&store, args.project.as_deref()).await?;
    let mut out = BufWriter::new(std::io::stdout());
    let report = transfer::export(&store, project, &mut out).await?;
    store.close().await;
    eprintln!("exported {} ({}): {} rows", report.name, report.project, report.rows);
    Ok(())
}

/// Adds the project of standard input.
pub(super) async fn import(args: &DatabaseArgs) -> Done {
    // One long transaction: a server on the same file could not write meanwhile.
    let _lock = lock(args)?;
    let store = match args.home()? {
        // The master key is made with the file.
        Home::Sqlite(_) => open(args).await?.store().clone(),
        Home::Postgres => open_store(args).await?,
    };
    let lines = Box::new(BufReader::new(std::io::stdin()));
    let imported = transfer::import(&store, lines).await;
    store.close().await;
    let report = imported?;
    println!("imported {} ({}): {} rows", report.name, report.project, report.rows);
    Ok(())
}

async fn chosen(store: &Store, name: Option<&str>) -> Result<entity::project::Model, Failure> {
    let mut projects = project::all(store).await?;
    let names: Vec<String> = projects.iter().map(|project| project.name.clone()).collect();
    let names = names.join(", ");
    if let Some(name) = name {
        projects.retain(|project| project.name == name);
        let missing = || Failure::new(format!("no project is named {name:?}; there are: {names}"));
        return projects.pop().ok_or_else(missing);
    }
    match projects.len() {
        0 => Err(Failure::new("there is no project")),
        1 => projects.pop().ok_or_else(|| Failure::new("there is no project")),
        _ => Err(Failure::usage(format!("--project: expected one of {names}"))),
    }
}
