//! Opening the database for a command, and the files beside it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::Rng as _;

use super::{Done, Failure};
use crate::app::{App, Settings};
use crate::clock::SystemClock;
use crate::config::{DatabaseArgs, Home, MasterKey, ServeArgs, master_key};
use crate::link::Link;
use crate::service::project;
use crate::store::Store;

/// What the master key lies in, beside the database.
const MASTER_KEY_SUFFIX: &str = ".master-key";
/// What the first admin key is written to, beside the database.
pub(super) const ADMIN_KEY_SUFFIX: &str = ".admin-key";
/// What says that a server runs, beside the database.
const LOCK_SUFFIX: &str = ".lock";

/// Makes the database, or brings its schema up to date.
pub(super) async fn migrate(args: &DatabaseArgs) -> Done {
    let store = match args.home()? {
        // The master key is made with the file; on PostgreSQL nothing here needs it.
        Home::Sqlite(_) => open(args).await?.store().clone(),
        Home::Postgres => open_store(args).await?,
    };
    store.close().await;
    println!("{} is up to date", shown(args)?);
    Ok(())
}

/// The database of a command that works on rows alone.
pub(super) async fn open_store(args: &DatabaseArgs) -> Result<Store, Failure> {
    if let Some(file) = args.home()?.file() {
        make_private(file)?;
    }
    let opened = Store::open(&args.database_url.0, Arc::new(|_| {})).await;
    opened.map_err(|why| refusal(&format!("--database-url: {why}")))
}

/// The app of a command that is no server: nothing of it runs.
pub(super) async fn open(args: &DatabaseArgs) -> Result<App, Failure> {
    open_app(args, settings(args)?).await
}

/// The same for a command that needs a project, which a first start makes. What it says about
/// that goes to standard error: the output of the command may be piped.
pub(super) async fn open_started(args: &DatabaseArgs) -> Result<App, Failure> {
    let app = open(args).await?;
    if let Some(made) = project::bootstrap(&app, None).await? {
        match args.home()?.beside(ADMIN_KEY_SUFFIX) {
            Some(path) => {
                write_secret(&path, &made.text)?;
                eprintln!("The first admin key is in {}", path.display());
            }
            None => eprintln!("The first admin key, shown once: {}", made.text),
        }
    }
    Ok(app)
}

/// The same for a command that only makes sense on a database that is there: in the wrong folder
/// it must not make one.
pub(super) async fn open_existing(args: &DatabaseArgs) -> Result<App, Failure> {
    must_exist(args)?;
    open_started(args).await
}

/// Refuses a file that is not there.
pub(super) fn must_exist(args: &DatabaseArgs) -> Done {
    match args.home()?.file() {
        Some(file) if !file.exists() => {
            let shown = file.display();
            Err(Failure::new(format!("{shown} is not there; belfry migrate makes it")))
        }
        _ => Ok(()),
    }
}

/// The app of a server.
pub(super) async fn open_server(args: &ServeArgs) -> Result<App, Failure> {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let settings = Settings {
        redis_url: args.redis_url.as_ref().map(|url| url.0.clone()),
        allowed_networks: args.allowed_networks(),
        roles: args.role.clone(),
        concurrency: size(args.concurrency),
        project_concurrency: args.project_concurrency.map(size),
        poll_ms: i64::from(args.poll_secs) * 1_000,
        archive_after_ms: i64::from(args.archive_after_secs) * 1_000,
        delete_after_ms: i64::from(args.delete_after_secs) * 1_000,
        allowed_origins: args.allowed_origins.iter().flatten().cloned().collect(),
        rate_limit: args.rate_limit,
        rate_burst: args.rate_burst,
        ..settings(&args.database)?
    };
    open_app(&args.database, settings).await
}

/// Refuses settings of a server that do not go together, and a Redis that refuses us, before
/// anything is made.
pub(super) async fn check(args: &ServeArgs) -> Done {
    let home = args.database.home()?;
    let redis = args.redis_url.as_ref().map(|url| Link::parse(&url.0)).transpose()?;
    if home.file().is_some() && !args.role.is_all() {
        return Err(Failure::usage(format!(
            "--role: an SQLite database serves one process, which does everything; {} alone needs \
             PostgreSQL",
            args.role
        )));
    }
    if let Some(redis) = redis {
        redis.check().await.map_err(|why| refusal(&why))?;
    }
    Ok(())
}

/// The database as messages name it.
pub(super) fn shown(args: &DatabaseArgs) -> Result<String, Failure> {
    Ok(match args.home()? {
        Home::Sqlite(file) => file.display().to_string(),
        Home::Postgres => args.database_url.to_string(),
    })
}

async fn open_app(args: &DatabaseArgs, settings: Settings) -> Result<App, Failure> {
    if let Some(file) = args.home()?.file() {
        make_private(file)?;
    }
    let opened = App::open(settings, Arc::new(SystemClock::new())).await;
    opened.map_err(|why| refusal(&why))
}

/// One line, whatever an engine had to say.
fn refusal(why: &str) -> Failure {
    Failure::new(why.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Makes the file of the database when it is not there, readable by its owner alone: payloads may
/// be confidential. SQLite gives the files beside it the same permissions.
fn make_private(file: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", file.display()));
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(file).map(drop).map_err(failed)
}

/// Takes the lock of an SQLite database, so that what a dead server was executing can be taken over
/// at once. Held as long as the file is open. Processes share PostgreSQL without one.
pub(super) fn lock(args: &DatabaseArgs) -> Result<Option<File>, Failure> {
    let home = args.home()?;
    let Some(path) = home.beside(LOCK_SUFFIX) else { return Ok(None) };
    let shown = path.display();
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|error| Failure::new(format!("{shown}: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "another server runs on {}: an SQLite database serves one process",
                self::shown(args)?
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

fn settings(args: &DatabaseArgs) -> Result<Settings, Failure> {
    let master_key = match (args.master_key, args.home()?) {
        (Some(key), _) => key,
        (None, Home::Sqlite(file)) => kept_master_key(&file)?,
        (None, Home::Postgres) => {
            return Err(Failure::usage(
                "--master-key: PostgreSQL needs 64 hexadecimal digits, the same for every process; \
                 openssl rand -hex 32 makes some",
            ));
        }
    };
    Ok(Settings::new(args.database_url.0.clone(), master_key))
}

/// The master key of the file beside the database, else a new one.
fn kept_master_key(database: &Path) -> Result<MasterKey, Failure> {
    let mut path = database.as_os_str().to_owned();
    path.push(MASTER_KEY_SUFFIX);
    let path = PathBuf::from(path);
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            master_key(&text).map_err(|why| Failure::new(format!("{}: {why}", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut key = [0; 32];
            rand::rng().fill_bytes(&mut key);
            if database.exists() {
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
