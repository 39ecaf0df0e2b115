//! All SQL, and nothing but SQL. One text serves SQLite and Postgres; one file for each table.
//! Writes that belong together are one method: a transaction never leaves this module.

mod connection;
pub mod access;
pub mod intake;
pub mod runs;
pub mod events;
pub mod fleet;
pub mod groups;
pub mod files;
pub mod results;
pub mod sealed;
pub mod operation;
pub mod spend;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use crate::metrics::{self, StoreAccess};

pub use connection::DatabaseKind;
use connection::Pool;
pub use files::{artifacts, caches};
pub use operation::{audit, retention, traces};

/// The database of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    holds_time: bool,
}

/// Runs `$body` with `$db` bound to the pool for reading. The body is compiled once for each
/// driver, so both drivers check its types.
macro_rules! with_db {
    ($store:expr, $db:ident => $body:expr) => {{
        let _use = $store.begin_use($crate::metrics::StoreAccess::Read);
        match &$store.pool {
            $crate::store::Pool::Sqlite { readers: $db, .. } => $body,
            $crate::store::Pool::Postgres($db) => $body,
        }
    }};
}
pub(crate) use with_db;

/// Runs `$body`, one statement, with `$db` bound to something that may write. On SQLite a
/// transaction goes round it: a lock that is asked for at its beginning can be waited for.
macro_rules! with_writer {
    ($store:expr, $db:ident => $body:expr) => {{
        let _use = $store.begin_use($crate::metrics::StoreAccess::Write);
        match &$store.pool {
            $crate::store::Pool::Sqlite { writer, .. } => {
                let mut transaction = $crate::store::connection::begin_writing(writer).await?;
                let $db = &mut *transaction;
                let value = $body;
                transaction.commit().await?;
                value
            }
            $crate::store::Pool::Postgres($db) => $body,
        }
    }};
}
pub(crate) use with_writer;

/// Runs `$body` with `$tx` bound to a transaction, and commits it unless the body returns.
macro_rules! in_transaction {
    ($store:expr, $tx:ident => $body:expr) => {{
        let _use = $store.begin_use($crate::metrics::StoreAccess::Write);
        match &$store.pool {
            $crate::store::Pool::Sqlite { writer, .. } => {
                let mut $tx = $crate::store::connection::begin_writing(writer).await?;
                let value = $body;
                $tx.commit().await?;
                value
            }
            $crate::store::Pool::Postgres(db) => {
                let mut $tx = db.begin().await?;
                let value = $body;
                $tx.commit().await?;
                value
            }
        }
    }};
}
pub(crate) use in_transaction;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed it first. Load it again and decide anew.
    #[error("`{what}` was changed by someone else")]
    Conflict {
        /// The row, as a person would name it.
        what: String,
    },
    /// There is one of this name already.
    #[error("there is a {kind} `{name}` already")]
    Taken {
        /// `team`, `person`, `project`, …
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Nobody would be left who can do what this person can.
    #[error("`{login}` is the last {role}")]
    Last {
        /// The login.
        login: String,
        /// What they are, as a person would name it.
        role: String,
    },
    /// Only a finished run can be deleted.
    #[error("run `{run}` has not finished")]
    Unfinished {
        /// Its id.
        run: String,
    },
    /// The address names no database we know.
    #[error("database address `{url}` starts with neither `sqlite:` nor `postgres:`")]
    UnknownDatabase {
        /// The address, without its password.
        url: String,
    },
    /// The database could not be reached or opened.
    #[error("database `{url}` could not be opened")]
    Unreachable {
        /// The address, without its password.
        url: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The folder of the SQLite file could not be made.
    #[error("folder `{path}` could not be created")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("file `{path}` is not a SQLite database")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// An older version of this program has made the schema, and this one has not brought it up to date.
    #[error("the database has {applied} of {known} migrations")]
    OlderSchema {
        /// Migrations that it has.
        applied: i64,
        /// Those that this version knows.
        known: i64,
    },
    /// A newer version of this program has changed the schema.
    #[error("the database has migration `{migration}`, which this version does not know")]
    NewerSchema {
        /// Its number.
        migration: i64,
    },
    /// A stored value cannot be read by this version.
    #[error("`{what}` in the database cannot be read")]
    Unreadable {
        /// Which row.
        what: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The database did not answer as it should.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("a migration failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl StoreError {
    fn taken(kind: &'static str, name: &str) -> Self {
        Self::Taken { kind, name: name.to_owned() }
    }

    /// Whether the database does not take what it was given, and would not at another time.
    #[must_use]
    pub fn is_about_content(&self) -> bool {
        matches!(self, Self::Database(error) if connection::is_about_content(error))
    }

    /// What a person can do about it, as a sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unfinished { .. } => Some("Cancel the run first, and wait for its end."),
            Self::UnknownDatabase { .. } => {
                Some("Write `sqlite:<file>` or `postgres://<user>@<host>/<database>`.")
            }
            Self::Taken { .. } => Some("Choose another name."),
            Self::Last { .. } => Some("Make somebody else one first."),
            Self::NotADatabase { .. } => Some("Name another file, or move this one away."),
            Self::NewerSchema { .. } => {
                Some("Use the newest version that has worked with this database.")
            }
            Self::Unreachable { source, .. } | Self::Database(source)
                if connection::is_disk_trouble(source) =>
            {
                Some(
                    "Is there space on the disk (`df`)? `trunkline gc` frees some; `--state` names another folder.",
                )
            }
            Self::Unreachable { .. } => Some("Check the address, and that the database runs."),
            Self::Conflict { .. }
            | Self::OlderSchema { .. }
            | Self::Folder { .. }
            | Self::Unreadable { .. }
            | Self::Database(_)
            | Self::Migration(_) => None,
        }
    }
}

impl Store {
    /// Connects and brings the schema up to date. A SQLite file and its folder are created when
    /// they are missing.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { pool: connection::open(url).await?, holds_time: false })
    }

    /// For tests in simulated time (`tokio::time::pause`), which moves on when all tasks wait: lets it
    /// stand while the database works, as that waits for real threads. Call it inside of such a test only.
    #[must_use]
    pub fn hold_time_while_working(self) -> Self {
        Self { holds_time: true, ..self }
    }

    /// The database is used while the answer lives.
    fn begin_use(&self, access: StoreAccess) -> Use {
        Use { _time: self.hold_time(), access, began: Instant::now() }
    }

    /// Simulated time stands while the answer lives. Nothing in production.
    fn hold_time(&self) -> Option<mpsc::Sender<()>> {
        self.holds_time.then(|| {
            let (sender, receiver) = mpsc::channel();
            // A task on another thread counts as work; this one ends when the sender is dropped.
            drop(tokio::task::spawn_blocking(move || receiver.recv().is_ok()));
            sender
        })
    }

    /// Which database it is.
    #[must_use]
    pub fn database_kind(&self) -> DatabaseKind {
        self.pool.kind()
    }

    /// Closes all connections, when what uses them is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A use of the database, counted when it ends.
struct Use {
    _time: Option<mpsc::Sender<()>>,
    access: StoreAccess,
    began: Instant,
}

impl Drop for Use {
    fn drop(&mut self) {
        metrics::store_used(self.access, self.began.elapsed());
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.database_kind()).finish_non_exhaustive()
    }
}

/// Reads a word or JSON text of a row.
fn read_json<T: serde::de::DeserializeOwned>(
    what: impl FnOnce() -> String,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what: what(), source })
}

/// Reads a single word of a row.
fn read_word<T: serde::de::DeserializeOwned>(
    what: impl FnOnce() -> String,
    word: &str,
) -> Result<T, StoreError> {
    serde_json::from_value(word.into())
        .map_err(|source| StoreError::Unreadable { what: what(), source })
}
