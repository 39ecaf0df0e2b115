//! One append-only file for each attempt, written at byte offsets, with an index beside it: which
//! line is where and when it was printed. The size of a log is bounded by who writes it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Semaphore, watch};

use super::BlobError;
use crate::model::{AttemptName, RunId, Timestamp};

mod record;
mod text;
mod writer;
mod reader;
mod lines;
mod escapes;
mod search;
#[cfg(test)]
mod tests;

pub use escapes::{ESCAPE, escape_length};
pub use lines::{LogLine, LogPlace};
pub use reader::LogReader;
pub use search::{LogMatch, LogMatches, LogSearch};
pub use writer::LogWriter;

/// Section of a log that holds the output of the containers, as a step number no stage has.
pub const OUTPUT_SECTION: u32 = u32::MAX;

/// The folder of logs. Cheap to clone; clones wake each other's readers.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
    changes: Arc<Mutex<HashMap<AttemptName, Weak<Changes>>>>,
    searches: Arc<Semaphore>,
}

/// Tells the readers of one log in this process that there is more. The number means nothing.
type Changes = watch::Sender<u64>;

/// The files of one log.
#[derive(Debug, Clone)]
struct Files {
    /// The bytes, as they were printed.
    log: PathBuf,
    /// Which line is where: records of line feeds before an offset, that offset, and a moment.
    lines: PathBuf,
    /// Records of a step, its offset and a moment; and the end.
    sections: PathBuf,
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

impl Logs {
    /// Opens (creates) the folder.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        std::fs::create_dir_all(folder).map_err(|source| {
            BlobError::storage(format!("opening log folder `{}`", folder.display()), source)
        })?;
        let searches = Arc::new(Semaphore::new(search::SEARCHES_MAX));
        Ok(Self { folder: folder.to_owned(), changes: Arc::default(), searches })
    }

    /// Opens a log for writing; creates it when it is new, and repairs the tail after a crash.
    pub async fn writer(&self, name: &AttemptName) -> Result<LogWriter, BlobError> {
        LogWriter::open(name.clone(), self.files(name)?, self.changes_of(name)).await
    }

    /// Opens a log for reading; [`BlobError::NotFound`] before its writer was opened.
    pub async fn reader(&self, name: &AttemptName) -> Result<LogReader, BlobError> {
        LogReader::open(name.clone(), self.files(name)?, self.changes_of(name)).await
    }

    /// Removes the log; its followers end. No error if it is gone.
    pub async fn delete(&self, name: &AttemptName) -> Result<(), BlobError> {
        let files = self.files(name)?;
        let removing = || format!("removing log `{name}`");
        blocking(removing, move || files.remove()).await?;
        self.changes_of(name).send_modify(|it| *it += 1);
        Ok(())
    }

    /// Removes all logs of a run. No error if there are none.
    pub async fn delete_run(&self, run: &RunId) -> Result<(), BlobError> {
        let folder = self.folder_of(run)?;
        let removing = || format!("removing the logs of run `{run}`");
        blocking(removing, move || none_if_missing(std::fs::remove_dir_all(folder)).map(drop)).await
    }

    /// The runs that have logs here.
    pub async fn list_runs(&self) -> Result<Vec<RunId>, BlobError> {
        let folder = self.folder.clone();
        let listing = || "listing the runs with logs".to_owned();
        blocking(listing, move || {
            let entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
            Ok(entries
                .iter()
                .filter_map(|it| it.file_name().into_string().ok())
                .map(RunId)
                .collect())
        })
        .await
    }

    fn folder_of(&self, run: &RunId) -> Result<PathBuf, BlobError> {
        // The id may come from a person: it must not lead out of the folder.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if run.0.is_empty() || !run.0.chars().all(is_plain) {
            return Err(BlobError::NotFound(run.to_string()));
        }
        Ok(self.folder.join(&run.0))
    }

    fn files(&self, name: &AttemptName) -> Result<Files, BlobError> {
        let folder = self.folder_of(&name.run)?;
        let file = |kind| folder.join(format!("{}-{}.{kind}", name.stage.0, name.attempt));
        Ok(Files { log: file("log"), lines: file("idx"), sections: file("sec") })
    }

    /// What wakes the readers of a log; there as long as a reader or its writer is.
    fn changes_of(&self, name: &AttemptName) -> Arc<Changes> {
        let mut all = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = all.get(name).and_then(Weak::upgrade) {
            return changes;
        }
        all.retain(|_, it| it.strong_count() > 0);
        let changes = Arc::new(Changes::new(0));
        all.insert(name.clone(), Arc::downgrade(&changes));
        changes
    }
}

impl Files {
    fn remove(&self) -> io::Result<()> {
        for path in [&self.log, &self.lines, &self.sections] {
            none_if_missing(std::fs::remove_file(path))?;
        }
        Ok(())
    }
}

fn none_if_missing<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

/// Runs file operations where they may wait for the disk.
async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|it| Err(it.into()));
    done.map_err(|source| BlobError::storage(operation(), source))
}
