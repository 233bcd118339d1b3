//! Roles: which duties a process takes.
//!
//! Read by `engine/mod.rs`, which runs only the chosen duties, and by `http/mod.rs`, which serves
//! clients only where `api` is chosen. Any number of processes may have any role.

use std::fmt;
use std::str::FromStr;

/// One group of duties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves GraphQL, REST, WebSockets and the playground.
    Api,
    /// Expands schedules into firings, and takes the steps of operations.
    Planner,
    /// Executes what is due, and sweeps SQL for what was left behind.
    Executor,
    /// Deletes by age.
    Retention,
}

/// What one process does: at least one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Api, Self::Planner, Self::Executor, Self::Retention];

    /// The word of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Planner => "planner",
            Self::Executor => "executor",
            Self::Retention => "retention",
        }
    }
}

impl Roles {
    /// Every role: a process that does everything.
    #[must_use]
    pub fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    /// Whether `role` is among them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether the process does everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        Role::ALL.into_iter().all(|role| self.has(role))
    }
}

/// Reads `all`, or words of [`Role`] separated by commas.
impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self::all());
        }
        let read = |word: &str| Role::ALL.into_iter().find(|role| role.as_str() == word.trim());
        let chosen: Option<Vec<Role>> = text.split(',').map(read).collect();
        let chosen = chosen.ok_or_else(|| format!("expected all, or some of {}", Self::all()))?;
        // In one order and once each, however they were written.
        Ok(Self(Role::ALL.into_iter().filter(|role| chosen.contains(role)).collect()))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Roles};

    #[test]
    fn roles_are_read_in_any_order() {
        let roles: Roles = "executor, planner,executor".parse().expect("roles");
        assert_eq!(roles.to_string(), "planner,executor");
        assert!(roles.has(Role::Planner) && !roles.has(Role::Api) && !roles.is_all());
        assert_eq!("all".parse(), Ok(Roles::all()));
        assert_eq!("retention,executor,planner,api".parse(), Ok(Roles::all()));
        for bad in ["", "all,api", "api,", "leader"] {
            let refusal = bad.parse::<Roles>().expect_err(bad);
            assert_eq!(refusal, "expected all, or some of api,planner,executor,retention");
        }
    }
}
