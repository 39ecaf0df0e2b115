//! One append-only file for each attempt, written at byte offsets, with a line index beside it.

use std::path::{Path, PathBuf};

use super::BlobError;
use crate::model::{AttemptName, Timestamp};

/// The folder of logs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
}

/// Writes one log. There is one writer at a time.
#[derive(Debug)]
pub struct LogWriter {}

/// Reads one log, also while it is written.
#[derive(Debug)]
pub struct LogReader {}

impl Logs {
    /// Opens (creates) the folder.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        Ok(Self { folder: folder.to_owned() })
    }

    /// Opens a log for writing; creates it when it is new, and repairs the tail after a crash.
    pub async fn writer(&self, _name: &AttemptName) -> Result<LogWriter, BlobError> {
        let _ = &self.folder;
        unimplemented!()
    }

    /// Opens a log for reading.
    pub async fn reader(&self, _name: &AttemptName) -> Result<LogReader, BlobError> {
        unimplemented!()
    }

    /// Removes the log. No error if it is gone.
    pub async fn delete(&self, _name: &AttemptName) -> Result<(), BlobError> {
        unimplemented!()
    }
}

impl LogWriter {
    /// Bytes stored so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        unimplemented!()
    }

    /// Whether nothing is stored yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes `bytes`, printed at `at`, as the bytes from `offset` on. What is stored already is not
    /// written again; a gap is an error.
    pub async fn write_at(
        &mut self,
        _offset: u64,
        _bytes: &[u8],
        _at: Timestamp,
    ) -> Result<(), BlobError> {
        unimplemented!()
    }

    /// Marks that a section begins at `offset` (a step, by its place in the stage).
    pub async fn start_section(
        &mut self,
        _offset: u64,
        _step: u32,
        _at: Timestamp,
    ) -> Result<(), BlobError> {
        unimplemented!()
    }

    /// Marks the log as complete: followers end.
    pub async fn finish(&mut self) -> Result<(), BlobError> {
        unimplemented!()
    }
}

impl LogReader {
    /// At most `max_bytes` from `offset` on; empty at the end.
    pub async fn read_at(&self, _offset: u64, _max_bytes: usize) -> Result<Vec<u8>, BlobError> {
        unimplemented!()
    }

    /// Waits until there are bytes behind `offset` (true) or the log is complete (false).
    pub async fn wait_for(&self, _offset: u64) -> Result<bool, BlobError> {
        unimplemented!()
    }

    /// Offset of a line, counted from 0; `None` behind the end.
    pub async fn offset_of_line(&self, _line: u64) -> Result<Option<u64>, BlobError> {
        unimplemented!()
    }

    /// Bytes and lines stored, and whether the log is complete.
    pub async fn extent(&self) -> Result<LogExtent, BlobError> {
        unimplemented!()
    }

    /// The sections, in order.
    pub async fn sections(&self) -> Result<Vec<LogSection>, BlobError> {
        unimplemented!()
    }
}

/// How much of a log there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogExtent {
    /// Bytes.
    pub size_bytes: u64,
    /// Lines; a last one without its line feed counts.
    pub lines: u64,
    /// Whether nothing more will come.
    pub is_complete: bool,
}

/// Where a step's output begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSection {
    /// Place of the step in its stage.
    pub step: u32,
    /// First byte.
    pub offset: u64,
    /// When it began.
    pub started_at: Timestamp,
}
