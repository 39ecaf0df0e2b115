//! Bytes: logs by offset, and files by content hash. Knows nothing of runs beyond their names.

pub mod content;
pub mod member;
pub mod garbage;
pub mod log;
mod hold;

pub use content::{Blobs, StoredBlob};
pub use garbage::garbage;
pub use hold::Hold;
pub use log::{
    ESCAPE, LogExtent, LogLine, LogMatch, LogMatches, LogPlace, LogReader, LogSearch, LogSection,
    LogWriter, Logs, OUTPUT_SECTION, escape_length,
};
pub use member::{Archives, Found, ListedMember, Listing, Member, MemberKind};

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob has this digest, or no log this name.
    #[error("`{0}` is not stored")]
    NotFound(String),
    /// More bytes than allowed.
    #[error("{what} is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// What was written.
        what: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The bytes are not what their name says.
    #[error("`{0}` does not have the content its name says")]
    Corrupt(String),
    /// Bytes of a log are missing before those to be written.
    #[error("log `{log}` has {stored_bytes} bytes, so bytes from {offset} on leave a gap")]
    Gap {
        /// Name of the attempt.
        log: String,
        /// Bytes it has.
        stored_bytes: u64,
        /// Where the new ones were to begin.
        offset: u64,
    },
    /// The storage failed.
    #[error("{operation} failed")]
    Storage {
        /// What was tried, and on what.
        operation: String,
        /// What the storage said.
        #[source]
        source: std::io::Error,
    },
}

impl BlobError {
    fn storage(operation: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::Storage { operation: operation.into(), source: source.into() }
    }
}
