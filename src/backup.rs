//! Everything that an installation keeps, as one file, and back. A backup is taken while the server runs: first
//! the database at one moment, then what it refers to.

mod manifest;
mod pack;
mod sum;
mod unpack;
mod postgres;

use std::path::{Path, PathBuf};

pub use manifest::Manifest;
pub use pack::Packed;
pub use unpack::Unpacked;

use crate::blobs::Hold;
use crate::model::Timestamp;
use crate::store::{DatabaseKind, Store, StoreError};

/// Name of the key file in a backup.
pub const KEY_FILE: &str = "secret.keys";
/// Name of the SQLite database in a backup and in a state folder.
pub const SQLITE_FILE: &str = "state.db";
/// Name of the dump of a Postgres database in a backup.
const POSTGRES_FILE: &str = "postgres.dump";
/// Blobs and logs, in a backup and where they are kept: in the state folder, or in one that machines share.
const BLOBS: &str = "blobs/sha256";
const LOGS: &str = "logs";

/// Why there is no backup, or it cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no backup, or not all of one.
    #[error("`{path}` is no whole backup: {reason}")]
    NotWhole {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is something where it should go.
    #[error("`{0}` is there already")]
    Taken(String),
    /// A program of Postgres failed.
    #[error("`{program}` failed: {reason}")]
    Program {
        /// `pg_dump` or `pg_restore`.
        program: &'static str,
        /// What it said.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// What is saved.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The state folder.
    pub folder: PathBuf,
    /// Where logs and blobs are: the state folder, or the one that machines share.
    pub files: PathBuf,
    /// The database.
    pub store: Store,
    /// Its address, when it is Postgres.
    pub database_url: Option<String>,
    /// The key file, when it goes with the rest.
    pub keys: Option<PathBuf>,
    /// When.
    pub at: Timestamp,
}

impl Backup {
    /// Writes it to a new file, which only its owner can read.
    pub async fn write(self, target: &Path) -> Result<Packed, BackupError> {
        if target.exists() {
            return Err(BackupError::Taken(target.display().to_string()));
        }
        let folder = self.folder.clone();
        let hold = blocking(move || {
            Hold::to_read(&folder).map_err(|it| BackupError::file(&folder.join("locks"), it))
        });
        let hold = hold.await?;
        let snapshot = Snapshot::take(&self).await?;
        let manifest = Manifest::of(&self).await?;
        let target = target.to_owned();
        blocking(move || {
            let packed = pack::pack(&self, &snapshot, &manifest, &target);
            drop((snapshot, hold));
            packed
        })
        .await
    }
}

/// The database at one moment, as a file that goes with this value.
#[derive(Debug)]
struct Snapshot {
    path: PathBuf,
    name: &'static str,
}

impl Snapshot {
    async fn take(backup: &Backup) -> Result<Self, BackupError> {
        let part = format!("backup-{:016x}", fastrand::u64(..));
        let path = backup.folder.join(part);
        match backup.store.database_kind() {
            DatabaseKind::Sqlite => {
                let taken = Self { path, name: SQLITE_FILE };
                backup.store.snapshot_into(&taken.path).await?;
                Ok(taken)
            }
            DatabaseKind::Postgres => {
                let taken = Self { path, name: POSTGRES_FILE };
                let url = backup.database_url.clone().unwrap_or_default();
                let file = taken.path.clone();
                blocking(move || postgres::dump(&url, &file)).await?;
                Ok(taken)
            }
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "not removed");
        }
    }
}

/// What a file says that it is.
pub async fn manifest(file: &Path) -> Result<Manifest, BackupError> {
    let file = file.to_owned();
    blocking(move || unpack::manifest(&file)).await
}

/// Whether a restored SQLite database is in order.
pub async fn check_sqlite(file: &Path) -> Result<(), BackupError> {
    let store = Store::open(&format!("sqlite:{}", file.display())).await?;
    let complaints = store.check_integrity().await?;
    store.close().await;
    if complaints.is_empty() {
        return Ok(());
    }
    let reason = complaints.join("; ");
    Err(BackupError::NotWhole { path: file.display().to_string(), reason })
}

/// Where a backup is restored to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The state folder: empty, or not there.
    pub folder: PathBuf,
    /// The folder that machines share, for logs and blobs, of which none may be there.
    pub shared: Option<PathBuf>,
    /// The address of an empty Postgres database, for a backup of one.
    pub database_url: Option<String>,
}

/// Makes a state folder of a backup.
pub async fn restore(file: &Path, to: Target) -> Result<Unpacked, BackupError> {
    let file = file.to_owned();
    blocking(move || {
        let unpacked = unpack::unpack(&file, &to)?;
        let dump = to.folder.join(POSTGRES_FILE);
        if dump.exists() {
            let url = to.database_url.unwrap_or_default();
            postgres::restore(&url, &dump)?;
            std::fs::remove_file(&dump).map_err(|it| BackupError::file(&dump, it))?;
        }
        Ok(unpacked)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(BackupError::File { path: "the backup".to_owned(), source: error.into() })
    })
}
