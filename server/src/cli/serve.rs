//! `belfry serve`: everything in one process.

use std::io::Write as _;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::open::{ADMIN_KEY_SUFFIX, lock, open_server, write_secret};
use super::{Done, Failure};
use crate::app::App;
use crate::config::ServeArgs;
use crate::engine::Engine;
use crate::service::{api_key::Made, project};
use crate::shutdown::Shutdown;
use crate::{http, telemetry};

/// Runs until a signal.
pub(super) async fn serve(args: ServeArgs) -> Done {
    let telemetry = telemetry::start(args.log_format, &args.log, args.otlp_endpoint.as_deref())
        .map_err(Failure::usage)?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::new(format!("--listen: {} could not be bound: {error}", args.listen))
    })?;
    // Held until the process ends.
    let _lock = lock(&args.database)?;
    let app = open_server(&args).await?;
    let own_key = args.admin_key.as_ref().map(|key| key.0.clone());
    let made = project::bootstrap(&app, own_key).await?;
    if let Some(made) = made.as_ref().filter(|_| args.admin_key.is_none()) {
        // At once: after this nobody can read the key any more.
        write_secret(&args.database.beside(ADMIN_KEY_SUFFIX), &made.text)?;
    }
    let engine = Engine::new(&app);
    engine.prepare().await?;
    greet(&args, &listener, made.as_ref());
    stop_on_signals(app.shutdown().clone())?;
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

/// Says where it is, and on first start the admin key. Nobody has to listen.
fn greet(args: &ServeArgs, listener: &TcpListener, made: Option<&Made>) {
    let address = listener.local_addr().unwrap_or(args.listen);
    let url = format!("http://{address}");
    let mut lines = vec![
        format!("Belfry {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  GraphQL     {url}/graphql"),
        format!("  Playground  {url}/playground"),
    ];
    if !http::playground::is_bundled() {
        let hint = "  (the small built-in query page; `make console` builds the playground)";
        lines.push(hint.to_owned());
    }
    match made {
        None => {}
        Some(_) if args.admin_key.is_some() => {
            lines.push("First start: the admin key is the one of BELFRY_ADMIN_KEY".to_owned());
        }
        Some(Made { text, .. }) => {
            let path = args.database.beside(ADMIN_KEY_SUFFIX);
            let kept = path.display();
            lines.push(format!("First start: the admin key is shown once, and kept in {kept}"));
            lines.push(format!("  {text}"));
            lines.push(format!("  {url}/playground#key={text}"));
        }
    }
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
