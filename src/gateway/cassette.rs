//! Recorded calls: one file of JSON lines for each cassette, sorted, redacted as it is written, readable
//! in a review. A call is found by what goes to the provider, in one canonical form.

pub mod canonical;
pub mod entry;
mod lines;
mod tape;
mod disk;
pub mod saver;
pub mod nearest;
pub mod redact;
pub mod recorder;
pub mod import;
pub mod yaml;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::cache::flight::{Flights, Turn};
use disk::{Held, Stamp};
use entry::{Call, Entry};
use redact::Redactor;
use tape::{Name, Tape};

/// Entries of one cassette.
const ENTRIES_AT_MOST: usize = 20_000;
/// Entries that were changed by hand and are named one by one.
const EDITED_NAMED: usize = 10;

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// Its name would lead elsewhere.
    #[error("`{0}` is not the name of a cassette: letters, digits, `-`, `_` and `.` are")]
    Name(String),
    /// The disk.
    #[error("the cassette `{file}` cannot be {what}: {cause}")]
    File {
        /// The file.
        file: String,
        /// Read or written.
        what: &'static str,
        /// The cause.
        cause: std::io::Error,
    },
    /// A line of it.
    #[error("line {line} of the cassette `{file}` is not an entry: {cause}; {help}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The cause.
        cause: String,
        /// What to do.
        help: &'static str,
    },
    /// It could not be written to the end.
    #[error("{cause}; its last recordings ({count}) stand in `{beside}`: append those lines to it")]
    Beside {
        /// Why not.
        cause: Box<CassetteError>,
        /// How many are elsewhere.
        count: usize,
        /// And where.
        beside: String,
    },
}

/// A folder of cassettes.
#[derive(Debug)]
pub struct Cassettes {
    folder: PathBuf,
    redactor: Redactor,
    open: Mutex<HashMap<String, Arc<Cassette>>>,
    news: Arc<Notify>,
}

/// One cassette.
#[derive(Debug)]
pub struct Cassette {
    file: PathBuf,
    redactor: Redactor,
    tape: Mutex<Tape>,
    /// Of equal calls that are missing one goes out, and the others wait for its recording.
    flights: Arc<Flights>,
    /// Hears of each recording.
    news: Arc<Notify>,
    /// `None` for a text of a revision, which nothing is written into.
    disk: Option<Mutex<Disk>>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Disk {
    /// As it was when it was last read or written.
    stamp: Option<Stamp>,
    /// Entries that were changed by hand, of which the log has told.
    edited: HashSet<Name>,
    /// When it could not be written, and why.
    failed: Option<(Instant, String)>,
}

/// Why there is no recorded answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It was not recorded.
    Unknown,
    /// It was recorded fewer times than it is made, which is now so many.
    Fewer(u32),
}

/// What became of a call that was recorded elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Add {
    /// It is in the cassette now.
    Added,
    /// It was there, with the same answer.
    Present,
    /// The cassette holds no more.
    Full,
}

/// Refuses what is not the name of a cassette.
pub fn check_name(name: &str) -> Result<(), CassetteError> {
    let is_letter = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_letter) {
        return Err(CassetteError::Name(name.to_owned()));
    }
    Ok(())
}

impl Cassettes {
    /// The cassettes of a folder; the secrets never enter a file.
    #[must_use]
    pub fn new(folder: PathBuf, secrets: Vec<String>) -> Self {
        let (open, news) = (Mutex::default(), Arc::default());
        Self { folder, redactor: Redactor::new(secrets), open, news }
    }

    /// The cassette of a name, read when it is first asked for.
    pub fn open(&self, name: &str) -> Result<Arc<Cassette>, CassetteError> {
        let file = self.file(name)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cassette) = open.get(name) {
            return Ok(cassette.clone());
        }
        let cassette = Cassette::read(file, self.redactor.clone())?;
        let cassette = Arc::new(Cassette { news: self.news.clone(), ..cassette });
        open.insert(name.to_owned(), cassette.clone());
        Ok(cassette)
    }

    /// Whether a cassette could be opened. It is read anew when it is asked for.
    pub fn check(&self, name: &str) -> Result<(), CassetteError> {
        let file = self.file(name)?;
        let read = disk::read(&file).map_err(|it| not_read(&file, it))?;
        lines::read(&file, read.as_ref().map_or("", |it| it.0.as_str())).map(drop)
    }

    fn file(&self, name: &str) -> Result<PathBuf, CassetteError> {
        check_name(name)?;
        Ok(self.folder.join(format!("{name}.jsonl")))
    }

    /// Writes the cassettes that have changed.
    pub fn save(&self) -> Result<(), CassetteError> {
        self.list().iter().try_for_each(|it| it.save())
    }

    /// Writes them soon after they have changed, until `over`.
    pub async fn keep(&self, over: CancellationToken) {
        saver::keep(self.news.clone(), || self.list(), over).await;
    }

    fn list(&self) -> Vec<Arc<Cassette>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().cloned().collect()
    }
}

impl Cassette {
    /// The cassette of a file; an empty one, where there is none.
    pub fn read(file: PathBuf, redactor: Redactor) -> Result<Self, CassetteError> {
        let read = disk::read(&file).map_err(|it| not_read(&file, it))?;
        let (text, stamp) = read.map_or((String::new(), None), |it| (it.0, Some(it.1)));
        let mut disk = Disk { stamp, ..Disk::default() };
        let cassette = Self::of_lines(file, &text, (redactor, &mut disk))?;
        Ok(Self { disk: Some(Mutex::new(disk)), ..cassette })
    }

    /// The cassette of a text that a revision has of this file. It is never written.
    pub fn of_text(file: PathBuf, text: &str, redactor: Redactor) -> Result<Self, CassetteError> {
        Self::of_lines(file, text, (redactor, &mut Disk::default()))
    }

    fn of_lines(
        file: PathBuf,
        text: &str,
        (redactor, disk): (Redactor, &mut Disk),
    ) -> Result<Self, CassetteError> {
        let lines = lines::read(&file, text)?;
        disk.tell_edited(&file, &lines);
        let mut tape = Tape::default();
        for (_, entry) in lines {
            tape.insert(entry);
        }
        let flights = Arc::new(Flights::new(usize::MAX));
        let (tape, news) = (Mutex::new(tape), Arc::default());
        Ok(Self { file, redactor, tape, flights, news, disk: None })
    }

    /// Its recordings are told of here, for somebody who has it written.
    #[must_use]
    pub fn telling(self, news: Arc<Notify>) -> Self {
        Self { news, ..self }
    }

    /// The recorded answer to a call. A call that was recorded once is answered as often as it comes; one that was recorded
    /// more often is answered in that order.
    pub fn find(&self, call: &Call) -> Result<Entry, Missed> {
        self.find_number(call, self.count(call))
    }

    /// Counts a call, and says how often it was made, this time included.
    #[must_use]
    pub fn count(&self, call: &Call) -> u32 {
        self.lock().turn(&call.key)
    }

    /// The recorded answer to a call that was counted already.
    pub fn find_number(&self, call: &Call, turn: u32) -> Result<Entry, Missed> {
        let tape = self.lock();
        if let Some(entry) = tape.entry(call, turn).cloned() {
            return Ok(Entry::clone(&entry));
        }
        let (first, is_only) = (tape.entry(call, 1).cloned(), tape.entry(call, 2).is_none());
        drop(tape);
        match first {
            Some(only) if is_only => Ok(Entry::clone(&only)),
            Some(_) => Err(Missed::Fewer(turn)),
            None => Err(Missed::Unknown),
        }
    }

    /// Waits until equal calls have come back that are out to be recorded; `None` when that took too long. Whoever holds
    /// it keeps others waiting.
    pub async fn turn(&self, call: &Call, limit: Duration) -> Option<Turn> {
        self.flights.join(&format!("{} {}", call.path, call.key), limit).await
    }

    /// What is missing where a call was missed, and what is nearest to it, for people. To compare takes its time.
    #[must_use]
    pub fn describe(&self, call: &Call, missed: Missed) -> String {
        let file = self.file.display().to_string();
        match missed {
            Missed::Fewer(turn) => format!(
                "this call was recorded fewer times in `{file}` than it is made: this is number {turn}"
            ),
            Missed::Unknown => {
                let entries = self.lock().all();
                nearest::describe(&self.redactor.call(call), &entries, &file)
            }
        }
    }

    /// Takes a call in that was made. One that was looked for and missed stands behind equal ones; one that is
    /// recorded anew takes the place of all that earlier sessions have recorded of it.
    pub fn record(&self, call: &Call, response: entry::Response) {
        let mut tape = self.lock();
        tape.renew(call);
        if tape.len() >= ENTRIES_AT_MOST {
            tracing::warn!(file = %self.file.display(), "the cassette is full");
            return;
        }
        let last = tape.equal(&call.path, &call.key).last().map_or(0, |it| it.0);
        let entry = self.redactor.entry(call.entry(last.saturating_add(1), response));
        tape.record(entry);
        drop(tape);
        self.news.notify_one();
    }

    /// Takes a call in that was recorded elsewhere, behind equal ones with other answers.
    pub fn add(&self, entry: Entry) -> Add {
        let mut tape = self.lock();
        if tape.len() >= ENTRIES_AT_MOST {
            return Add::Full;
        }
        let entry = self.redactor.entry(entry);
        let text = |it: &Entry| serde_json::to_string(&it.response).unwrap_or_default();
        let new = text(&entry);
        let equal = tape.equal(&entry.path, &entry.key);
        let equal: Vec<_> = equal.map(|it| (it.0, text(it.1))).collect();
        if equal.iter().any(|it| it.1 == new) {
            return Add::Present;
        }
        let repeat = equal.last().map_or(1, |it| it.0.saturating_add(1));
        tape.record(Entry { repeat, ..entry });
        drop(tape);
        self.news.notify_one();
        Add::Added
    }

    /// Writes what has changed. What others have made of the file meanwhile stands; where that cannot be read, the file
    /// is left as it is, and the recordings wait here.
    pub fn save(&self) -> Result<(), CassetteError> {
        match &self.disk {
            Some(disk) => self.write(&mut disk.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Ok(()),
        }
    }

    /// The same, but not at once again after it has failed, which the log tells of. Whether something is left to be
    /// written.
    fn save_in_turn(&self) -> bool {
        let Some(disk) = &self.disk else { return false };
        let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.failed.as_ref().is_some_and(|it| it.0.elapsed() < saver::RETRY) {
            return true;
        }
        let Err(error) = self.write(&mut disk) else {
            if disk.failed.take().is_some() {
                tracing::info!(file = %self.file.display(), "the cassette is written again");
            }
            return false;
        };
        let error = error.to_string();
        if disk.failed.as_ref().is_none_or(|it| it.1 != error) {
            let hint = "recordings are kept in memory until then";
            tracing::error!(%error, hint, "a cassette could not be written, and is tried again");
        }
        disk.failed = Some((Instant::now(), error));
        true
    }

    /// Writes it for the last time. What cannot go into the file was paid for, too: it goes into one beside it.
    fn close(&self) -> Result<(), CassetteError> {
        let Err(cause) = self.save() else { return Ok(()) };
        let mut tape = self.lock();
        let unsaved = tape.all_unsaved();
        let beside = self.file.with_extension("jsonl.unsaved");
        if disk::append(&beside, &lines::write(unsaved.iter())).is_err() {
            return Err(cause);
        }
        drop(tape.take_unsaved());
        let (cause, count) = (Box::new(cause), unsaved.len());
        Err(CassetteError::Beside { cause, count, beside: beside.display().to_string() })
    }

    fn write(&self, disk: &mut Disk) -> Result<(), CassetteError> {
        if !self.lock().is_changed() {
            return Ok(());
        }
        let not_written = |cause| CassetteError::File {
            file: self.file.display().to_string(),
            what: "written",
            cause,
        };
        let held = Held::open(&self.file).map_err(not_written)?;
        let found = held.read_if_not(disk.stamp).map_err(|it| not_read(&self.file, it))?;
        let found = match found {
            Some((text, stamp)) => {
                let lines = lines::read(&self.file, &text)?;
                disk.tell_edited(&self.file, &lines);
                Some((lines, stamp))
            }
            None => None,
        };
        let (entries, unsaved) = {
            let mut tape = self.lock();
            if let Some((lines, stamp)) = found {
                tape.merge(lines.into_iter().map(|it| it.1));
                disk.stamp = Some(stamp);
            }
            (tape.all(), tape.take_unsaved())
        };
        match held.replace(&lines::write(entries.iter())) {
            Ok(stamp) => {
                disk.stamp = Some(stamp);
                Ok(())
            }
            Err(cause) => {
                self.lock().give_back(unsaved);
                Err(not_written(cause))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Warns of entries whose request was changed by hand, of each once: they answer the call that they were recorded
    /// for, and no other.
    fn tell_edited(&mut self, file: &Path, lines: &[(usize, Entry)]) {
        let edited = lines.iter().filter(|it| it.1.is_edited());
        let names = edited.map(|it| (it.0, (it.1.path.clone(), it.1.key.clone(), it.1.repeat)));
        let new: Vec<_> = names.filter(|it| !self.edited.contains(&it.1)).collect();
        let file = file.display();
        for (line, (_, key, _)) in new.iter().take(EDITED_NAMED) {
            let hint = "calls are found by `key`: delete the line and record the call anew";
            tracing::warn!(%file, line, %key, hint, "the `key` of an entry is not that of its `request`");
        }
        if let Some(more) = new.len().checked_sub(EDITED_NAMED).filter(|it| *it > 0) {
            tracing::warn!(%file, more, "the `key` of more entries is not that of their `request`");
        }
        self.edited.extend(new.into_iter().map(|it| it.1));
    }
}

fn not_read(file: &Path, cause: std::io::Error) -> CassetteError {
    CassetteError::File { file: file.display().to_string(), what: "read", cause }
}

#[cfg(test)]
mod tests;
