//! What a backup says of itself: first what it is, and last that it is whole.

use serde::{Deserialize, Serialize};

use super::{Backup, BackupError};

/// Name of the first file of a backup.
pub(super) const FIRST: &str = "manifest.json";
/// Name of the last.
pub(super) const LAST: &str = "end.json";
/// The form of a backup that this version writes, and the newest that it reads.
pub(super) const FORM: u32 = 2;

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its form.
    pub form: u32,
    /// The version that has written it.
    pub version: String,
    /// The moment of its database, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// `SQLite` or `Postgres`.
    pub database: String,
    /// Migrations that the database has.
    pub migrations: i64,
    /// Whether the key file is in it.
    pub has_keys: bool,
}

/// That a backup is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// SHA-256 of all files with their names and sizes; empty in form 1.
    #[serde(default)]
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) async fn of(backup: &Backup) -> Result<Self, BackupError> {
        Ok(Self {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: backup.at.0,
            database: backup.store.database_kind().to_string(),
            migrations: backup.store.count_migrations().await?,
            has_keys: backup.keys.is_some(),
        })
    }
}
