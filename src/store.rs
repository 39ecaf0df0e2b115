//! All SQL, and nothing but SQL. One text serves SQLite and Postgres; one file for each table.

pub mod artifacts;
pub mod caches;
pub mod groups;
pub mod results;
pub mod runs;

/// The database of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed it first. Load it again and decide anew.
    #[error("`{what}` was changed by someone else")]
    Conflict {
        /// The row, as a person would name it.
        what: String,
    },
    /// The address names no database we know.
    #[error("database address `{url}` starts with neither `sqlite:` nor `postgres:`")]
    UnknownDatabase {
        /// The address, without its password.
        url: String,
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
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl Store {
    /// Connects and brings the schema up to date.
    pub async fn open(_url: &str) -> Result<Self, StoreError> {
        unimplemented!()
    }
}
