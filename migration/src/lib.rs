//! Floor 0: Belfry's schema, one file per step, the same steps on SQLite and PostgreSQL.
//!
//! A step is never changed once it was released; a later step mends it. There are no `down` steps:
//! an older binary refuses a newer schema, and a backup is the way back.

use sea_orm_migration::prelude::MigrationTrait;
pub use sea_orm_migration::prelude::MigratorTrait;

mod m0001_foundation;

/// Every step, in order.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_foundation::Migration)]
    }
}
