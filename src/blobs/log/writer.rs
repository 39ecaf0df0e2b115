//! Writing a log. Bytes reach the file before `write_at` returns; the kernel has them then, so a
//! killed process loses none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use super::record::{self, END, RECORD_BYTES, Record};
use super::{Changes, Files, blocking, text};
use crate::blobs::BlobError;
use crate::model::{AttemptName, Milliseconds, Timestamp};

/// At least one record of the line index for so much text, so many lines, and so much time. The
/// first two are looked at for each block of text.
const MARK_BYTES: u64 = 64 * 1024;
const MARK_LINES: u64 = 128;
const MARK_AGE: Milliseconds = Milliseconds::from_seconds(1);
const BLOCK_BYTES: usize = 1024;

/// So little is copied to the kernel sooner than it is handed to another thread, and programs print
/// line by line.
const QUICK_BYTES: usize = 4096;

/// Writes one log. There is one writer at a time.
#[derive(Debug)]
pub struct LogWriter {
    name: AttemptName,
    // Shared with the thread that writes, which goes on when the caller stops waiting.
    state: Arc<Mutex<State>>,
    changes: Arc<Changes>,
}

#[derive(Debug)]
struct State {
    log: File,
    lines: File,
    sections: File,
    /// Bytes of the log; what follows in the file is of a write that failed, and is written over.
    end: Position,
    /// The last record of the line index, and how many there are.
    last_mark: Option<Record>,
    marks: u64,
    known_sections: Vec<Record>,
}

/// A place in the text.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    offset: u64,
    /// Line feeds before it.
    line_feeds: u64,
}

impl LogWriter {
    pub(super) async fn open(
        name: AttemptName,
        files: Files,
        changes: Arc<Changes>,
    ) -> Result<Self, BlobError> {
        let opening = || format!("opening log `{name}` for writing");
        let state = blocking(opening, move || State::open(&files)).await?;
        Ok(Self { name, state: Arc::new(Mutex::new(state)), changes })
    }

    /// Bytes stored so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        lock(&self.state).end.offset
    }

    /// Whether nothing is stored yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes `bytes`, printed at `at`, as the bytes from `offset` on. What is stored already is not
    /// written again (it is taken to be the same); a gap is an error.
    pub async fn write_at(
        &mut self,
        offset: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<(), BlobError> {
        let stored_bytes = self.len();
        let Some(known) = stored_bytes.checked_sub(offset) else {
            return Err(BlobError::Gap { log: self.name.to_string(), stored_bytes, offset });
        };
        let new = behind(bytes, known);
        if new.is_empty() {
            return Ok(());
        }
        // An earlier write that nobody waited for may have come in between.
        let append = move |state: &mut State, new: &[u8]| {
            state.append(behind(new, state.end.offset - stored_bytes), at)
        };
        if new.len() <= QUICK_BYTES {
            tokio::task::coop::consume_budget().await;
            let done = append(&mut lock(&self.state), new);
            self.wake_readers();
            return done.map_err(|source| BlobError::storage(self.writing(), source));
        }
        let new = new.to_vec();
        self.change(move |state| append(state, &new)).await
    }

    /// Where the section of a step begins, if it has begun.
    #[must_use]
    pub fn section(&self, step: u32) -> Option<u64> {
        let state = lock(&self.state);
        state.known_sections.iter().find(|it| it.number == u64::from(step)).map(|it| it.offset)
    }

    /// Marks that a section begins at `offset` (a step, by its place in the stage). A step that has
    /// its mark keeps it.
    pub async fn start_section(
        &mut self,
        offset: u64,
        step: u32,
        at: Timestamp,
    ) -> Result<(), BlobError> {
        let section = Record { number: u64::from(step), offset, at };
        self.add_section(|_| section).await
    }

    /// Marks the log as complete: followers end.
    pub async fn finish(&mut self) -> Result<(), BlobError> {
        let end = |state: &State| Record {
            number: END,
            offset: state.end.offset,
            at: Timestamp::default(),
        };
        self.add_section(end).await
    }

    /// A record is as quickly written as a line.
    async fn add_section(&self, section: impl FnOnce(&State) -> Record) -> Result<(), BlobError> {
        tokio::task::coop::consume_budget().await;
        let done = {
            let mut state = lock(&self.state);
            let section = section(&state);
            state.add_section(section)
        };
        self.wake_readers();
        done.map_err(|source| BlobError::storage(self.writing(), source))
    }

    /// Changes the files, then wakes the readers.
    async fn change(
        &self,
        change: impl FnOnce(&mut State) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BlobError> {
        let state = Arc::clone(&self.state);
        blocking(|| self.writing(), move || change(&mut lock(&state))).await?;
        self.wake_readers();
        Ok(())
    }

    fn wake_readers(&self) {
        self.changes.send_modify(|it| *it = it.wrapping_add(1));
    }

    fn writing(&self) -> String {
        format!("writing log `{}`", self.name)
    }
}

fn behind(bytes: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    bytes.get(count..).unwrap_or_default()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Opens (creates) the files and makes them agree: whatever a crash has left, the log is
    /// right, and the index follows from it.
    fn open(files: &Files) -> io::Result<Self> {
        if let Some(folder) = files.log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let open =
            |path| File::options().read(true).write(true).create(true).truncate(false).open(path);
        let (lines, sections, log) =
            (open(&files.lines)?, open(&files.sections)?, open(&files.log)?);
        let metadata = log.metadata()?;

        let known_sections = record::read_all(&files.sections)?;
        sections.set_len(known_sections.len() as u64 * RECORD_BYTES)?;
        let all = record::read_all(&files.lines)?;
        let valid = without_torn(&log, valid_prefix(&all, metadata.len()))?;
        lines.set_len(valid.len() as u64 * RECORD_BYTES)?;

        let last_mark = valid.last().copied();
        let end = last_mark.map_or(Position::default(), |it| Position {
            offset: it.offset,
            line_feeds: it.number,
        });
        let marks = valid.len() as u64;
        let mut state = Self { log, lines, sections, end, last_mark, marks, known_sections };
        // When it was printed, nobody knows any more: not before the last mark, not after this.
        let changed_at = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed_at = Timestamp(i64::try_from(changed_at.as_millis()).unwrap_or(i64::MAX));
        state.index_rest(last_mark.map_or(changed_at, |it| it.at), metadata.len())?;
        Ok(state)
    }

    /// Indexes what the log has behind the last mark.
    fn index_rest(&mut self, at: Timestamp, size_bytes: u64) -> io::Result<()> {
        let log = self.log.try_clone()?;
        let mut failure = Ok(());
        text::scan(&log, self.end.offset, size_bytes, |_, block| {
            let (marks, end) = self.index(block, at);
            failure = self.add_marks(&marks);
            self.end = end;
            failure.is_err().then_some(())
        })?;
        failure
    }

    /// The index first: after a crash, marks of text that is not there are dropped, while text
    /// without marks would have lost its times.
    fn append(&mut self, bytes: &[u8], at: Timestamp) -> io::Result<()> {
        let (marks, end) = self.index(bytes, at);
        self.add_marks(&marks)?;
        self.log.write_all_at(bytes, self.end.offset)?;
        self.end = end;
        Ok(())
    }

    /// The marks that `bytes` get when they are added at the end, and where the end is then.
    fn index(&self, bytes: &[u8], at: Timestamp) -> (Vec<Record>, Position) {
        let mut marks = Vec::new();
        let mut end = self.end;
        let mark = |end: Position| Record { number: end.line_feeds, offset: end.offset, at };
        let mut last = match self.last_mark {
            Some(last) if at.since(last.at) < MARK_AGE => last,
            Some(_) | None => {
                marks.push(mark(end));
                mark(end)
            }
        };
        for block in bytes.chunks(BLOCK_BYTES) {
            end.line_feeds += text::count_line_feeds(block);
            end.offset += block.len() as u64;
            // One block early, so that the next one does not overshoot.
            let is_far = end.offset - last.offset > MARK_BYTES - BLOCK_BYTES as u64;
            if is_far || end.line_feeds - last.number >= MARK_LINES {
                last = mark(end);
                marks.push(last);
            }
        }
        (marks, end)
    }

    fn add_marks(&mut self, marks: &[Record]) -> io::Result<()> {
        record::write(&self.lines, marks, self.marks * RECORD_BYTES)?;
        self.marks += marks.len() as u64;
        self.last_mark = marks.last().copied().or(self.last_mark);
        Ok(())
    }

    fn add_section(&mut self, section: Record) -> io::Result<()> {
        if self.known_sections.iter().any(|it| it.number == section.number) {
            return Ok(());
        }
        let position = self.known_sections.len() as u64 * RECORD_BYTES;
        record::write(&self.sections, &[section], position)?;
        self.known_sections.push(section);
        Ok(())
    }
}

/// The records that can be true: in order, and of text that is there.
fn valid_prefix(marks: &[Record], size_bytes: u64) -> &[Record] {
    let mut before = Record { number: 0, offset: 0, at: Timestamp::default() };
    let valid = marks.iter().take_while(|mark| {
        let bytes = mark.offset.checked_sub(before.offset);
        let line_feeds = mark.number.checked_sub(before.number);
        before = **mark;
        mark.offset <= size_bytes && line_feeds.is_some() && bytes >= line_feeds
    });
    let count = valid.count();
    marks.get(..count).unwrap_or_default()
}

/// Records are written in order, so a crash tears the last one at most; that may still look right, and is held
/// against the text.
fn without_torn<'a>(log: &File, marks: &'a [Record]) -> io::Result<&'a [Record]> {
    let Some((last, before)) = marks.split_last() else { return Ok(marks) };
    let start = before.last().map_or((0, 0), |it| (it.offset, it.number));
    let mut line_feeds = start.1;
    text::scan(log, start.0, last.offset, |_, block| {
        line_feeds += text::count_line_feeds(block);
        None::<()>
    })?;
    Ok(if line_feeds == last.number { marks } else { before })
}
