//! `belfry project`: the tenants, for whoever can reach the database.

use clap::{Args, Subcommand};

use super::Done;
use super::open::open_existing;
use crate::config::DatabaseArgs;
use crate::service::{Caller, project};

/// What to do about projects.
#[derive(Args, Debug)]
pub struct ProjectArgs {
    #[command(subcommand)]
    command: ProjectCommand,
}

#[derive(Debug, Subcommand)]
enum ProjectCommand {
    /// Make a project and print its admin key, once
    Create {
        /// What a person calls it; no other project may have the name
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the projects
    List(DatabaseArgs),
}

/// Does it.
pub(super) async fn project(args: ProjectArgs) -> Done {
    match args.command {
        ProjectCommand::Create { name, database } => {
            let app = open_existing(&database).await?;
            let caller = Caller::command_line(&project::only(&app).await?);
            let input = project::Create { name, ..project::Create::default() };
            let created = project::create(&app, &caller, input).await?;
            println!("{}", created.key.map(|made| made.text).unwrap_or_default());
            app.store().close().await;
        }
        ProjectCommand::List(database) => {
            let app = open_existing(&database).await?;
            for row in project::all(&app).await? {
                println!("{}  {}", row.id, row.name);
            }
            app.store().close().await;
        }
    }
    Ok(())
}
