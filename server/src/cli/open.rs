//! Opening the database for a command, and the files beside it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use rand::Rng as _;

use super::{Done, Failure};
use crate::app::{App, Settings};
use crate::clock::SystemClock;
use crate::config::{DatabaseArgs, MasterKey, ServeArgs, master_key};
use crate::limits::SWEEP_MS;
use crate::service::project;

/// What the master key lies in, beside the database.
const MASTER_KEY_SUFFIX: &str = ".master-key";
/// What the first admin key is written to, beside the database.
pub(super) const ADMIN_KEY_SUFFIX: &str = ".admin-key";
/// What says that a server runs, beside the database.
const LOCK_SUFFIX: &str = ".lock";

/// Makes the database, or brings its schema up to date.
pub(super) async fn migrate(args: &DatabaseArgs) -> Done {
    let app = open(args).await?;
    app.store().close().await;
    println!("{} is up to date", args.file().display());
    Ok(())
}

/// The app of a command that is no server: nothing of it runs.
pub(super) async fn open(args: &DatabaseArgs) -> Result<App, Failure> {
    let settings = settings(args, Vec::new())?;
    make_private(args.file())?;
    Ok(App::open(settings, Arc::new(SystemClock::new())).await?)
}

/// The same for a command that needs a project, which a first start makes. What it says about
/// that goes to standard error: the output of the command may be piped.
pub(super) async fn open_started(args: &DatabaseArgs) -> Result<App, Failure> {
    let app = open(args).await?;
    if let Some(made) = project::bootstrap(&app, None).await? {
        let path = args.beside(ADMIN_KEY_SUFFIX);
        write_secret(&path, &made.text)?;
        eprintln!("The first admin key is in {}", path.display());
    }
    Ok(app)
}

/// The same for a command that only makes sense on a database that is there: in the wrong folder
/// it must not make one.
pub(super) async fn open_existing(args: &DatabaseArgs) -> Result<App, Failure> {
    let file = args.file();
    if !file.exists() {
        let shown = file.display();
        return Err(Failure::new(format!("{shown} is not there; belfry migrate makes it")));
    }
    open_started(args).await
}

/// The app of a server.
pub(super) async fn open_server(args: &ServeArgs) -> Result<App, Failure> {
    let mut settings = settings(&args.database, args.allowed_networks())?;
    settings.concurrency = usize::try_from(args.concurrency).unwrap_or(usize::MAX);
    settings.archive_after_ms = i64::from(args.archive_after_secs) * 1_000;
    settings.delete_after_ms = i64::from(args.delete_after_secs) * 1_000;
    make_private(args.database.file())?;
    Ok(App::open(settings, Arc::new(SystemClock::new())).await?)
}

/// Makes the file of the database when it is not there, readable by its owner alone: payloads may
/// be confidential. SQLite gives the files beside it the same permissions.
fn make_private(file: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", file.display()));
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(file).map(drop).map_err(failed)
}

/// Takes the lock of the database, so that what a dead server was executing can be taken over at
/// once. Held as long as the file is open.
pub(super) fn lock(args: &DatabaseArgs) -> Result<File, Failure> {
    let path = args.beside(LOCK_SUFFIX);
    let shown = path.display();
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|error| Failure::new(format!("{shown}: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "another server runs on {}: an SQLite database serves one process",
                args.file().display()
            );
            Err(Failure::new(message))
        }
        Err(TryLockError::Error(error)) => Err(Failure::new(format!("{shown}: {error}"))),
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
    let write = |mut file: File| {
        // The mode above is only that of a new file.
        file.set_permissions(Permissions::from_mode(0o600))?;
        writeln!(file, "{text}")
    };
    file.and_then(write).map_err(failed)
}

fn settings(args: &DatabaseArgs, allowed_networks: Vec<IpNet>) -> Result<Settings, Failure> {
    Ok(Settings {
        database_url: args.database_url.clone(),
        master_key: own_master_key(args)?,
        allowed_networks,
        concurrency: 1,
        project_concurrency: None,
        poll_ms: SWEEP_MS,
        redis_url: None,
        archive_after_ms: 2 * 3_600_000,
        delete_after_ms: 48 * 3_600_000,
    })
}

/// The master key of the setting, else that of the file beside the database, else a new one.
fn own_master_key(args: &DatabaseArgs) -> Result<MasterKey, Failure> {
    if let Some(key) = args.master_key {
        return Ok(key);
    }
    let path = args.beside(MASTER_KEY_SUFFIX);
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            master_key(&text).map_err(|why| Failure::new(format!("{}: {why}", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut key = [0; 32];
            rand::rng().fill_bytes(&mut key);
            if args.file().exists() {
                eprintln!(
                    "belfry: {} was missing and is made anew: webhooks are signed with another \
                     secret from now on",
                    path.display()
                );
            }
            let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(&path, &text)?;
            Ok(MasterKey(key))
        }
        Err(error) => Err(failed(error)),
    }
}
