//! `belfry seed`: demo data.

use super::Done;
use super::open::open_started;
use crate::config::DatabaseArgs;
use crate::service::{Caller, Scope, Scopes, project, seed as service};

/// Adds what is missing.
pub(super) async fn seed(args: &DatabaseArgs) -> Done {
    let app = open_started(args).await?;
    let project = project::only(&app).await?.id;
    let key = app.ids().make();
    let caller = Caller { project, key, scopes: Scopes::new(vec![Scope::Admin]) };
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
