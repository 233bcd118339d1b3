//! Where the database and Redis are. Both may carry passwords, so they are never printed whole.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// A URL that may carry a password: `Debug` and `Display` leave user, password and parameters out.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl(pub String);

/// Which engine holds the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// One file, of one process; keys and the lock lie beside it.
    Sqlite(PathBuf),
    /// A server that many processes share; nothing lies beside it.
    Postgres,
}

impl ConnectionUrl {
    /// Which engine the URL of a database names.
    ///
    /// # Errors
    /// What was expected; it never repeats the URL.
    pub fn home(&self) -> Result<Home, String> {
        let expected = || {
            "expected sqlite://PATH with a path of a file, or postgres://USER:PASSWORD@HOST/DATABASE"
                .to_owned()
        };
        if let Some(path) = self.0.strip_prefix("sqlite:") {
            let path = path.trim_start_matches("//");
            let is_file = !path.is_empty() && !path.contains(['?', '#']) && path != ":memory:";
            return if is_file { Ok(Home::Sqlite(path.into())) } else { Err(expected()) };
        }
        let parsed = url::Url::parse(&self.0).map_err(|_| expected())?;
        let has_database = 1 < parsed.path().len();
        match parsed.scheme() {
            "postgres" | "postgresql" if has_database => Ok(Home::Postgres),
            _ => Err(expected()),
        }
    }
}

impl Home {
    /// The file of the database, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres => None,
        }
    }

    /// A file beside the database: its name and `suffix`.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Option<PathBuf> {
        let mut name = self.file().map(Path::as_os_str).map(OsStr::to_owned)?;
        name.push(suffix);
        Some(PathBuf::from(name))
    }
}

/// Never fails: what is wrong is said by [`ConnectionUrl::home`] in a line of its own.
impl From<&str> for ConnectionUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(self.0.strip_prefix("sqlite:").map_or("…", |_| &self.0));
        };
        // Parameters may hold a password too. The last `@` ends the user and the password, also
        // where somebody forgot to escape one in them.
        let bare = rest.split_once('?').map_or(rest, |(bare, _)| bare);
        let bare = bare.rsplit_once('@').map_or(bare, |(_, bare)| bare);
        write!(f, "{scheme}://{bare}")
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionUrl, Home};

    fn url(text: &str) -> ConnectionUrl {
        ConnectionUrl::from(text)
    }

    #[test]
    fn a_database_is_a_file_of_sqlite_or_a_server_of_postgresql() {
        let file = url("sqlite:/var/lib/belfry.db").home().expect("a file");
        let beside = file.beside(".lock").expect("a path");
        assert_eq!(beside.to_str(), Some("/var/lib/belfry.db.lock"));
        assert_eq!(url("sqlite://belfry.db").home(), Ok(Home::Sqlite("belfry.db".into())));
        for good in
            ["postgres://u:p@host/db", "postgresql://host:5433/db", "postgres:///db?host=/run"]
        {
            assert_eq!(url(good).home(), Ok(Home::Postgres), "{good}");
        }
        for bad in [
            "belfry.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a?b",
            "mysql://x/y",
            "postgres://host",
            "postgres://host/",
            "postgres://host:port/db",
            "",
        ] {
            let why = url(bad).home().expect_err(bad);
            assert!(why.starts_with("expected sqlite://PATH with a path of a file, or postgres:"));
        }
    }

    #[test]
    fn credentials_are_never_printed() {
        for (text, shown) in [
            ("postgres://belfry:s3cret@db:5432/belfry", "postgres://db:5432/belfry"),
            ("postgres://belfry:s3@cret/@db/belfry?password=s3cret", "postgres://db/belfry"),
            ("rediss://:s3cret@cache:6380/1", "rediss://cache:6380/1"),
            ("redis+sentinel://u:s3cret@a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
            ("sqlite:belfry.db", "sqlite:belfry.db"),
            ("s3cret", "…"),
        ] {
            assert_eq!(format!("{} {:?}", url(text), url(text)), format!("{shown} {shown}"));
        }
    }
}
