//! Recorded calls: one file of JSON lines for each cassette, sorted, redacted as it is written, readable
//! in a review. A call is found by what goes to the provider, in one canonical form.

pub mod canonical;
pub mod entry;
pub mod nearest;
pub mod redact;
pub mod recorder;
pub mod import;
pub mod yaml;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entry::{Call, Entry};
use redact::Redactor;

/// Entries of one cassette.
const ENTRIES_AT_MOST: usize = 20_000;

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
    #[error("line {line} of the cassette `{file}` is not an entry: {cause}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The cause.
        cause: String,
    },
}

/// A folder of cassettes.
#[derive(Debug)]
pub struct Cassettes {
    folder: PathBuf,
    redactor: Redactor,
    open: Mutex<HashMap<String, Arc<Cassette>>>,
}

/// One cassette.
#[derive(Debug)]
pub struct Cassette {
    file: PathBuf,
    redactor: Redactor,
    tape: Mutex<Tape>,
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

#[derive(Debug, Default)]
struct Tape {
    entries: BTreeMap<(String, String, u32), Entry>,
    /// How often each call was asked for since the gateway started.
    asked: HashMap<String, u32>,
    /// Calls that were recorded since then, by path and key.
    renewed: HashSet<(String, String)>,
    is_changed: bool,
}

impl Cassettes {
    /// The cassettes of a folder; the secrets never enter a file.
    #[must_use]
    pub fn new(folder: PathBuf, secrets: Vec<String>) -> Self {
        Self { folder, redactor: Redactor::new(secrets), open: Mutex::default() }
    }

    /// The cassette of a name, read when it is first asked for.
    pub fn open(&self, name: &str) -> Result<Arc<Cassette>, CassetteError> {
        let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_name) {
            return Err(CassetteError::Name(name.to_owned()));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cassette) = open.get(name) {
            return Ok(cassette.clone());
        }
        let file = self.folder.join(format!("{name}.jsonl"));
        let cassette = Arc::new(Cassette::read(file, self.redactor.clone())?);
        open.insert(name.to_owned(), cassette.clone());
        Ok(cassette)
    }

    /// Writes the cassettes that have changed.
    pub fn save(&self) -> Result<(), CassetteError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let cassettes: Vec<_> = open.values().cloned().collect();
        drop(open);
        cassettes.iter().try_for_each(|it| it.save())
    }
}

impl Cassette {
    /// The cassette of a file; an empty one, where there is none.
    pub fn read(file: PathBuf, redactor: Redactor) -> Result<Self, CassetteError> {
        let name = || file.display().to_string();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(CassetteError::File { file: name(), what: "read", cause }),
        };
        Self::of_text(file, &text, redactor)
    }

    /// The cassette of a text that stands in this file.
    pub fn of_text(file: PathBuf, text: &str, redactor: Redactor) -> Result<Self, CassetteError> {
        let mut tape = Tape::default();
        for (index, line) in text.lines().enumerate().filter(|it| !it.1.trim().is_empty()) {
            let entry: Entry = serde_json::from_str(line).map_err(|it| CassetteError::Line {
                file: file.display().to_string(),
                line: index + 1,
                cause: it.to_string(),
            })?;
            tape.insert(entry);
        }
        Ok(Self { file, redactor, tape: Mutex::new(tape) })
    }

    /// The recorded answer to a call; what is missing and what is nearest to it, when there is none.
    /// A call that was recorded once is answered as often as it comes; one that was recorded more often
    /// is answered in that order.
    pub fn find(&self, call: &Call) -> Result<Entry, String> {
        let mut tape = self.lock();
        let turn = tape.turn(&call.key);
        let of_repeat = |repeat| tape.entries.get(&(call.path.clone(), call.key.clone(), repeat));
        if let Some(entry) = of_repeat(turn) {
            return Ok(entry.clone());
        }
        match (of_repeat(1), of_repeat(2)) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(nearest::describe(
                call,
                tape.entries.values(),
                &self.file.display().to_string(),
            )),
            (Some(_), Some(_)) => Err(format!(
                "this call was recorded fewer times in `{}` than it is made: this is number {turn}",
                self.file.display()
            )),
        }
    }

    /// Takes a call in that was made. One that was looked for and missed stands behind equal ones; one that is
    /// recorded anew takes the place of all that earlier sessions have recorded of it.
    pub fn record(&self, call: &Call, response: entry::Response) {
        let mut tape = self.lock();
        tape.renew(call);
        if tape.entries.len() >= ENTRIES_AT_MOST {
            tracing::warn!(file = %self.file.display(), "the cassette is full");
            return;
        }
        let repeat = tape.last_repeat(call).saturating_add(1);
        let entry = self.redactor.entry(call.entry(repeat, response));
        tape.insert(entry);
        tape.is_changed = true;
    }

    /// Takes a call in that was recorded elsewhere, behind equal ones with other answers.
    pub fn add(&self, entry: Entry) -> Add {
        let mut tape = self.lock();
        if tape.entries.len() >= ENTRIES_AT_MOST {
            return Add::Full;
        }
        let entry = self.redactor.entry(entry);
        let text = |it: &Entry| serde_json::to_string(&it.response).unwrap_or_default();
        let new = text(&entry);
        let (from, to) = ((entry.path.clone(), entry.key.clone(), 1), u32::MAX);
        let until = (entry.path.clone(), entry.key.clone(), to);
        let equal: Vec<_> =
            tape.entries.range(from..=until).map(|it| (it.0.2, text(it.1))).collect();
        if equal.iter().any(|it| it.1 == new) {
            return Add::Present;
        }
        let repeat = equal.last().map_or(1, |it| it.0.saturating_add(1));
        tape.insert(Entry { repeat, ..entry });
        tape.is_changed = true;
        Add::Added
    }

    /// Writes the file anew beside the old one, and puts it in its place.
    pub fn save(&self) -> Result<(), CassetteError> {
        let mut tape = self.lock();
        if !tape.is_changed {
            return Ok(());
        }
        let mut text = String::new();
        for entry in tape.entries.values() {
            text.push_str(&serde_json::to_string(entry).unwrap_or_default());
            text.push('\n');
        }
        replace_file(&self.file, &text).map_err(|cause| CassetteError::File {
            file: self.file.display().to_string(),
            what: "written",
            cause,
        })?;
        tape.is_changed = false;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    fn turn(&mut self, key: &str) -> u32 {
        let asked = self.asked.entry(key.to_owned()).or_default();
        *asked = asked.saturating_add(1);
        *asked
    }

    /// Forgets what earlier sessions have recorded of a call, unless it is one that was missed.
    fn renew(&mut self, call: &Call) {
        let is_first = self.renewed.insert((call.path.clone(), call.key.clone()));
        if !is_first || self.asked.contains_key(&call.key) {
            return;
        }
        let is_other = |it: &(String, String, u32)| it.0 != call.path || it.1 != call.key;
        self.entries.retain(|name, _| is_other(name));
    }

    /// The number of the last of the equal calls that are recorded; 0 for none.
    fn last_repeat(&self, call: &Call) -> u32 {
        let name = |repeat| (call.path.clone(), call.key.clone(), repeat);
        let equal = self.entries.range(name(0)..=name(u32::MAX));
        equal.last().map_or(0, |it| it.0.2)
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.insert((entry.path.clone(), entry.key.clone(), entry.repeat), entry);
    }
}

fn replace_file(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = file.with_extension("jsonl.new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests;
