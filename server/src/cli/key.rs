//! `belfry key`: API keys and the signing secret, for whoever can reach the database.

use clap::{Args, Subcommand};
use entity::KeyId;

use super::open::open_existing;
use super::{Done, Failure};
use crate::app::App;
use crate::config::DatabaseArgs;
use crate::service::{Caller, Scope, api_key, project};

/// What to do about keys.
#[derive(Args, Debug)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, once
    Create {
        /// What a person calls it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it may do, separated by commas: READ, FIRE, EVENTS_WRITE, WRITE, ADMIN
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true,
              value_parser = Scope::parse)]
        scopes: Vec<Scope>,
        #[command(flatten)]
        of: OfProject,
    },
    /// List the keys; what they read is not stored
    List(OfProject),
    /// Revoke a key: within a second it opens nothing any more
    Revoke {
        /// Its id: key_…
        id: String,
        #[command(flatten)]
        of: OfProject,
    },
    /// Print the secret that signs webhooks
    Signing(OfProject),
}

/// Whose keys, and where.
#[derive(Args, Debug)]
struct OfProject {
    /// The project, by name; without it the one that first start made
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl OfProject {
    async fn open(&self) -> Result<(App, entity::project::Model), Failure> {
        let app = open_existing(&self.database).await?;
        let project = project::named(&app, self.project.as_deref()).await?;
        Ok((app, project))
    }
}

/// Does it.
pub(super) async fn key(args: KeyArgs) -> Done {
    match args.command {
        KeyCommand::Create { name, scopes, of } => {
            let (app, project) = of.open().await?;
            let caller = Caller::command_line(&project);
            let input = api_key::Create { name, scopes, ..api_key::Create::default() };
            let created = api_key::create(&app, &caller, input).await?;
            println!("{}", created.text.unwrap_or_default());
            close(app).await
        }
        KeyCommand::List(of) => {
            let (app, project) = of.open().await?;
            let now = app.clock().now();
            for row in api_key::all(&app, &Caller::command_line(&project)).await? {
                let state = match (row.revoked_at, row.expires_at) {
                    (Some(_), _) => "revoked",
                    (None, Some(at)) if at <= now => "expired",
                    _ => "active",
                };
                println!("{}  {state:7}  {}  [{}]", row.id, row.name, row.scopes);
            }
            close(app).await
        }
        KeyCommand::Revoke { id, of } => {
            let id: KeyId =
                id.parse().map_err(|error: entity::IdError| Failure::usage(error.to_string()))?;
            let (app, project) = of.open().await?;
            api_key::revoke(&app, &Caller::command_line(&project), id).await?;
            println!("{id} is revoked");
            close(app).await
        }
        KeyCommand::Signing(of) => {
            let (app, project) = of.open().await?;
            let caller = Caller::command_line(&project);
            let secret = project::signing_secret(&app, &caller, &project);
            println!("{}", secret.unwrap_or_default());
            close(app).await
        }
    }
}

async fn close(app: App) -> Done {
    app.store().close().await;
    Ok(())
}
