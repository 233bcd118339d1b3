//! `belfry serve`: one process with all roles or some.

use std::io::Write as _;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::open::{ADMIN_KEY_SUFFIX, check, lock, open_server, write_secret};
use super::{Done, Failure};
use crate::app::App;
use crate::config::{Role, ServeArgs};
use crate::engine::Engine;
use crate::service::{api_key::Made, project};
use crate::shutdown::Shutdown;
use crate::{http, telemetry};

/// Runs until a signal.
pub(super) async fn serve(args: ServeArgs) -> Done {
    check(&args).await?;
    let telemetry = telemetry::start(args.log_format, &args.log, args.otlp_endpoint.as_deref())
        .map_err(Failure::usage)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::new(format!("--listen: {} could not be bound: {error}", args.listen))
    })?;
    // Held until the process ends.
    let _lock = lock(&args.database)?;
    let app = open_server(&args).await?;
    app.store().prepare_log(app.clock().now()).await?;
    let own_key = args.admin_key.as_ref().map(|key| key.0.clone());
    let made = project::bootstrap(&app, own_key).await?;
    let key_file = args.database.home()?.beside(ADMIN_KEY_SUFFIX);
    if let Some(made) = made.as_ref().filter(|_| args.admin_key.is_none()) {
        // At once: after this nobody can read the key any more.
        match &key_file {
            Some(path) => write_secret(path, &made.text)?,
            None => say(&first_start(&args, &listener, made)?),
        }
    }
    let engine = Engine::new(&app);
    engine.prepare().await?;
    // Before anybody is told that there is something to stop.
    stop_on_signals(app.shutdown().clone())?;
    say(&greeting(&args, &listener));
    if let Some(made) = made.filter(|_| key_file.is_some() || args.admin_key.is_some()) {
        say(&first_start(&args, &listener, &made)?);
    }
    let ended = run(&app, engine, listener).await;
    telemetry.end().await;
    ended
}

/// First the engine ends, while the wire answers 503; then the wire.
async fn run(app: &App, engine: Engine, listener: TcpListener) -> Done {
    let stop = CancellationToken::new();
    let mut engine = tokio::spawn(engine.run());
    let mut serving = tokio::spawn(http::serve(app.clone(), listener, stop.clone()));
    let mut served = None;
    tokio::select! {
        () = app.shutdown().begun() => {}
        ended = &mut serving => served = Some(ended),
        _ = &mut engine => tracing::error!("the engine ended by itself"),
    }
    app.shutdown().begin();
    if !engine.is_finished() {
        // Its own failures are logged where they happen.
        let _ = engine.await;
    }
    stop.cancel();
    let served = match served {
        Some(served) => served,
        None => serving.await,
    };
    app.store().close().await;
    tracing::info!("stopped");
    let failed = |why: String| Failure::new(format!("the server ended: {why}"));
    served.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// Where it is, and what it does when that is not everything.
fn greeting(args: &ServeArgs, listener: &TcpListener) -> Vec<String> {
    let url = address(args, listener);
    let mut lines = vec![format!("Belfry {} is ready", env!("CARGO_PKG_VERSION"))];
    if !args.role.is_all() {
        lines.push(format!("  Roles       {}", args.role));
        lines.push(format!("  Health      {url}/readyz"));
    }
    if args.role.has(Role::Api) {
        lines.push(format!("  GraphQL     {url}/graphql"));
        lines.push(format!("  Playground  {url}/playground"));
        if !http::playground::is_bundled() {
            let hint = "  (the small built-in query page; `make console` builds the playground)";
            lines.push(hint.to_owned());
        }
    }
    lines
}

/// The first admin key: the only time that it is shown.
fn first_start(
    args: &ServeArgs,
    listener: &TcpListener,
    Made { text, .. }: &Made,
) -> Result<Vec<String>, Failure> {
    if args.admin_key.is_some() {
        return Ok(vec!["First start: the admin key is the one of BELFRY_ADMIN_KEY".to_owned()]);
    }
    let kept = args.database.home()?.beside(ADMIN_KEY_SUFFIX);
    let kept = kept.map_or_else(String::new, |path| format!(", and kept in {}", path.display()));
    Ok(vec![
        format!("First start: the admin key is shown once{kept}"),
        format!("  {text}"),
        format!("  {}/playground#key={text}", address(args, listener)),
    ])
}

fn address(args: &ServeArgs, listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap_or(args.listen))
}

/// Prints lines at once. Nobody has to listen.
fn say(lines: &[String]) {
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
}

/// The first signal begins shutdown, the second ends it at once.
fn stop_on_signals(shutdown: Shutdown) -> Done {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(format!("signals cannot be heard: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.is_begun() {
                shutdown.at_once();
            } else {
                tracing::info!("stopping; a second signal ends at once");
                shutdown.begin();
            }
        }
    });
    Ok(())
}
