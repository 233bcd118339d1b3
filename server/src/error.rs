//! The one error of Belfry: what went wrong, in the terms by which a caller acts on it.
//!
//! Raised by the store, the services and the engine; turned into wire shapes at the top floors
//! (`graphql/error.rs`, `http/rest.rs`), which are also the only places that log it. A variant
//! exists because a caller or a client treats it differently. [`Code`] is API: its texts never
//! change.

use std::fmt;

use sea_orm::{DbErr, RuntimeErr};

/// Result of anything that may fail in Belfry's own terms.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a client may rely on: the machine-readable kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The input breaks a rule; nothing was changed.
    Validation,
    /// The id or name refers to nothing in this project.
    NotFound,
    /// The state of the object, or somebody else's change, forbids it.
    Conflict,
    /// A quota of the project is used up.
    Quota,
    /// No credential, or one that is not valid.
    Unauthenticated,
    /// The credential is valid but lacks the scope.
    Forbidden,
    /// The server cannot take the request now; it may be repeated.
    Unavailable,
    /// The key has used its share; the request may be repeated later.
    RateLimited,
    /// A fault of Belfry; the details are in the server's log only.
    Internal,
}

impl Code {
    /// The text on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "BAD_USER_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Quota => "QUOTA_EXCEEDED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::Unavailable => "SERVICE_UNAVAILABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }
}

/// One thing that is wrong with an input: which field, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why, for machines.
    pub code: Code,
    /// Dotted path of the input field, such as `schedules.0.cron`; empty for the input as a whole.
    pub field: String,
    /// Why, for people: what was expected.
    pub message: String,
}

impl Problem {
    /// A broken rule of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Code::Validation, field: field.into(), message: message.into() }
    }

    /// The same problem seen from one level up: `field` becomes `parent.field`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.field = match (parent.is_empty(), self.field.is_empty()) {
            (true, _) => self.field,
            (_, true) => parent.to_owned(),
            _ => format!("{parent}.{}", self.field),
        };
        self
    }
}

/// Why an operation did not happen. Whatever the variant, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is refused; every problem is listed.
    #[error("{}", Problems(.0))]
    Refused(Vec<Problem>),
    /// No credential, or one that does not hold.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The credential lacks this scope.
    #[error("the API key lacks the scope {0}")]
    Forbidden(&'static str),
    /// Overload or shutdown; the caller may try again.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The key has used its share; it may go on in so many seconds.
    #[error("the API key has used its share of requests; it may go on in {0} s")]
    RateLimited(u64),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// Anything else that is Belfry's fault.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// One broken rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused(vec![Problem::new(field, message)])
    }

    /// `field` refers to nothing of this project; `noun` and `id` say what was looked for.
    pub fn not_found(field: &str, noun: &str, id: impl fmt::Display) -> Self {
        let message = format!("no {noun} has the id {id}");
        Self::Refused(vec![Problem { code: Code::NotFound, field: field.to_owned(), message }])
    }

    /// The state of what `field` names forbids it.
    pub fn conflict(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused(vec![Problem { code: Code::Conflict, field: field.to_owned(), message }])
    }

    /// A quota of the project does not allow what `field` asks for.
    pub fn quota(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused(vec![Problem { code: Code::Quota, field: field.to_owned(), message }])
    }

    /// The same refusal seen from one level up, as [`Problem::under`]; another error stays.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        match self {
            Self::Refused(problems) => {
                Self::Refused(problems.into_iter().map(|problem| problem.under(parent)).collect())
            }
            other => other,
        }
    }

    /// The kind that the whole error counts as: that of its first problem, when refused.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(problems) => problems.first().map_or(Code::Validation, |p| p.code),
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Unavailable(_) => Code::Unavailable,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Database(error) if is_passing(error) => Code::Unavailable,
            Self::Database(_) | Self::Internal(_) => Code::Internal,
        }
    }

    /// What a client is told: never what the database or Belfry's own faults say of themselves.
    #[must_use]
    pub fn told(&self) -> String {
        match (self, self.code()) {
            (Self::Database(_), Code::Unavailable) => {
                "the database cannot do this now; it may be tried again".to_owned()
            }
            (Self::Database(_) | Self::Internal(_), _) => {
                "internal error; the server's log has the details".to_owned()
            }
            _ => self.to_string(),
        }
    }

    /// Whether a person who runs the server has to see it in the log.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Internal(_))
    }
}

/// Whether the same statement may succeed a moment later: the database is away, starting, stopping
/// or full, or it chose this transaction as the victim of a deadlock (PostgreSQL's appendix A).
fn is_passing(error: &DbErr) -> bool {
    let error = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error
        }
        _ => return false,
    };
    match &**error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection, rollback, resources, intervention (which a statement's time-out is, too);
            // SQLite's word for the last is 9.
            let class = code.get(..2).unwrap_or_default();
            code == "9" || code.len() == 5 && matches!(class, "08" | "40" | "53" | "57")
        }),
        _ => false,
    }
}

/// Nothing when there are no problems, else the refusal that lists them all.
///
/// # Errors
/// [`Error::Refused`] with every problem.
pub fn refuse_if_any(problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::Refused(problems)) }
}

struct Problems<'a>(&'a [Problem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let colon = if problem.field.is_empty() { "" } else { ": " };
            write!(f, "{separator}{}{colon}{}", problem.field, problem.message)?;
        }
        Ok(())
    }
}
