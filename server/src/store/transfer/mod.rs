//! A project on its way from one database to another: everything that it owns, with ids and
//! history, as lines of JSON. For `belfry export` and `belfry import`, from either engine to either.
//!
//! ```text
//! {"belfry":"project","format":1,"version":"0.1.0","schema":"m0001_foundation","project":{…},"rows":{"trigger":2,…}}
//! {"trigger":{"id":"…","name":"hello",…}}        one line a row, each table in the order of its ids,
//! {"firing":{…}}                                  the event log in its own order
//! {"end":{"rows":812,"sha256":"…"}}               of all bytes before this line
//! ```
//! The names are those of tables and columns, identifiers are UUIDs, instants are milliseconds, and
//! bytes are hexadecimal. A row has every column but `event.seq`: the place in the log belongs to a
//! database, and an entry gets a new one where it arrives.
//!
//! **Promises.** An export is one snapshot, also beside a running server, and holds one row in
//! memory at a time. An import is one transaction: all or nothing. It refuses a project whose id or
//! name is there already, and a file that was cut off, changed, or written by something newer.

use entity::ProjectId;
use migration::{Migrator, MigratorTrait as _};

use crate::error::Error;

mod export;
mod import;
mod table;

pub use export::export;
pub use import::import;

/// What the files of this version are.
const FORMAT: u64 = 1;

/// What went where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// Rows, the project's own among them.
    pub rows: u64,
}

/// The names of the steps that made the schema, oldest first.
fn steps() -> Vec<String> {
    Migrator::migrations().iter().map(|step| step.name().to_owned()).collect()
}

/// Line `number` of a file is not what it should be.
fn wrong(number: u64, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("line {number}"), why.to_string())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
