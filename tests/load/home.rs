//! Where the servers of a scenario keep what is durable: SQLite with everything in memory beside
//! it, or PostgreSQL and Redis of the harness's own.

use clap::ValueEnum;
use tempfile::TempDir;
use tests::services::{Postgres, Redis};
use tokio::process::Command;

use crate::client::Client;
use crate::process::{ADMIN_KEY, Server, command};

/// The name of the database on PostgreSQL.
const DATABASE: &str = "belfry";
/// What the signing secrets of a run are derived from.
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The two homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One process on SQLite; queue and bus in memory.
    Sqlite,
    /// Any number of processes on PostgreSQL and Redis.
    Postgres,
}

/// One home that runs; gone with the value.
pub struct Home {
    kind: Kind,
    folder: TempDir,
    scaled: Option<(Postgres, Redis)>,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        }
    }
}

impl Home {
    /// An empty one.
    pub async fn start(kind: Kind) -> Self {
        let folder = TempDir::new().expect("a folder");
        let scaled = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => {
                let postgres = Postgres::start().await;
                postgres.create_database(DATABASE).await;
                Some((postgres, Redis::start().await))
            }
        };
        Self { kind, folder, scaled }
    }

    /// Starts a server here.
    pub async fn serve(&self, settings: &[&str]) -> Server {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--allow-targets", "127.0.0.0/8"]).args(settings);
        command.env("BELFRY_ADMIN_KEY", ADMIN_KEY);
        if let Some((_, redis)) = &self.scaled {
            command.env("BELFRY_REDIS_URL", redis.url());
        }
        Server::start(command, self.folder.path()).await
    }

    /// Makes a project here; returns a client of it.
    pub async fn project(&self, server: &Server, name: &str) -> Client {
        let done = self.command(&["project", "create", name]).output().await.expect("it runs");
        let key = String::from_utf8(done.stdout).expect("a key").trim().to_owned();
        assert!(key.starts_with("blf_"), "{}", String::from_utf8_lossy(&done.stderr));
        Client::new(&server.url, &key)
    }

    /// Its Redis, if it has one.
    pub fn redis(&mut self) -> Option<&mut Redis> {
        self.scaled.as_mut().map(|(_, redis)| redis)
    }

    /// Where the database is, for whoever opens it in this process.
    pub fn database_url(&self) -> String {
        match &self.scaled {
            Some((postgres, _)) => postgres.url(DATABASE),
            None => format!("sqlite://{}/belfry.db", self.folder.path().display()),
        }
    }

    /// The binary on this database.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.folder.path(), args);
        if let Some((postgres, _)) = &self.scaled {
            command.env("DATABASE_URL", postgres.url(DATABASE));
            command.env("BELFRY_MASTER_KEY", MASTER_KEY);
        }
        debug_assert!((self.kind == Kind::Postgres) == self.scaled.is_some());
        command
    }
}
