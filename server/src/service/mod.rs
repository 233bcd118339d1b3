//! Floor 5: what clients may do, one file per noun. Each function checks its input whole (every
//! problem is listed), then changes state in one transaction, and says nothing about wires.

use entity::{Instant, KeyId, ProjectId, project as row};

use crate::domain::quota::Quotas;
use crate::error::{Error, Result};

pub mod action;
pub mod api_key;
mod audit;
pub mod backfill;
pub mod calendar;
pub mod event;
pub mod firing;
pub mod forecast;
pub mod health;
pub mod inbound;
pub mod once;
pub mod operation;
pub mod project;
mod quota;
pub mod sample;
pub mod schedule;
pub mod seed;
pub mod tail;
pub mod timer;
pub mod trigger;
pub mod watch;

/// Who asks: as a rule a valid API key of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Everything that it does happens in this project.
    pub project: ProjectId,
    /// How the log names it.
    pub by: Actor,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub expires_at: Option<Instant>,
    /// Whether the project is that of whoever runs the server.
    pub is_operator: bool,
    /// What the project may take up, as of a second ago at most.
    pub quotas: Quotas,
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// An API key, with its name.
    Key(KeyId, String),
    /// Belfry itself, for a reason that it states.
    Belfry,
    /// Whoever can reach the database.
    CommandLine,
    /// Whoever signs with the inbound secret of a trigger.
    Sender,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Scope {
    /// Read everything of the project.
    Read,
    /// Fire triggers and start timers.
    Fire,
    /// Write application events.
    EventsWrite,
    /// Change definitions, and act on firings.
    Write,
    /// Keys and signing secrets; implies every other scope.
    Admin,
}

/// A set of [`Scope`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Fire, Self::EventsWrite, Self::Write, Self::Admin];

    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Fire => "FIRE",
            Self::EventsWrite => "EVENTS_WRITE",
            Self::Write => "WRITE",
            Self::Admin => "ADMIN",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// The words that there are.
    pub fn parse(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == word);
        found.ok_or_else(|| format!("expected one of {}", Scopes(Self::ALL.to_vec())))
    }
}

impl Scopes {
    /// The set of `scopes`.
    #[must_use]
    pub fn new(scopes: Vec<Scope>) -> Self {
        Self(scopes)
    }

    /// Reads what `Display` wrote; words that this version does not know grant nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.split(' ').filter_map(|word| Scope::parse(word).ok()).collect())
    }

    /// The scopes of the set.
    #[must_use]
    pub fn list(&self) -> &[Scope] {
        &self.0
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id, _) => id.fmt(f),
            Self::Belfry => f.write_str("belfry"),
            Self::CommandLine => f.write_str("command line"),
            Self::Sender => f.write_str("inbound signature"),
        }
    }
}

impl Caller {
    /// Whoever can reach the database, at work in one project.
    #[must_use]
    pub fn command_line(project: &row::Model) -> Self {
        Self {
            project: project.id,
            by: Actor::CommandLine,
            scopes: Scopes::new(vec![Scope::Admin]),
            expires_at: None,
            is_operator: true,
            quotas: Quotas::from(project),
        }
    }

    /// Belfry itself, at work in one project.
    #[must_use]
    pub fn belfry(project: ProjectId) -> Self {
        Self {
            project,
            by: Actor::Belfry,
            scopes: Scopes::new(Vec::new()),
            expires_at: None,
            is_operator: false,
            quotas: Quotas::default(),
        }
    }

    /// The API key, when it is one.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self.by {
            Actor::Key(id, _) => Some(id),
            Actor::Belfry | Actor::CommandLine | Actor::Sender => None,
        }
    }

    /// Whether it may see and change every project.
    #[must_use]
    pub fn is_over_projects(&self) -> bool {
        self.is_operator && self.require(Scope::Admin).is_ok()
    }

    /// # Errors
    /// [`Error::Forbidden`] when the key has neither `scope` nor ADMIN.
    pub fn require(&self, scope: Scope) -> Result<()> {
        let held = self.scopes.list();
        let is_enough = held.contains(&scope) || held.contains(&Scope::Admin);
        if is_enough { Ok(()) } else { Err(Error::Forbidden(scope.as_str())) }
    }
}
