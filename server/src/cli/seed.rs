//! `belfry seed`: demo data.

use super::Done;
use super::open::open_started;
use crate::config::DatabaseArgs;
use crate::service::{Caller, project, seed as service};

/// Adds what is missing.
pub(super) async fn seed(args: &DatabaseArgs) -> Done {
    let app = open_started(args).await?;
    let caller = Caller::command_line(&project::only(&app).await?);
    let made = service::seed(&app, &caller).await?;
    if made.is_empty() {
        println!("The demo data is there already");
    }
    for name in made {
        println!("made {name}");
    }
    app.store().close().await;
    Ok(())
}
