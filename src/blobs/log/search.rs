//! Looking for text in a log: block by block, in a thread that may wait for the disk, so many bytes and finds
//! at a time. What is looked at is what people read: without escape sequences.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

use super::escapes::{ESCAPE, without_escapes};
use super::{LogPlace, Logs, text};
use crate::blobs::BlobError;
use crate::model::AttemptName;

/// Searches at once; each holds a thread.
pub(super) const SEARCHES_MAX: usize = 4;
const BLOCK_BYTES: usize = 1 << 20;
/// Of a line that fills a whole block, so much is looked at once more with what follows.
const OVERLAP_BYTES: usize = 1024;
/// Text around a find, on each side.
const AROUND_BYTES: usize = 200;

/// What to look for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSearch {
    /// Plain text of one line; case does not matter.
    pub text: String,
    /// The first line, counted from 0.
    pub from_line: u64,
    /// Lines to give at most.
    pub matches_max: usize,
    /// Bytes to look at, at most; a block more or less.
    pub bytes_max: u64,
}

/// Lines that have the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogMatches {
    /// The first of them.
    pub matches: Vec<LogMatch>,
    /// How many there are in what was looked at.
    pub count: u64,
    /// The line to go on with; `None` when all were given.
    pub next: Option<u64>,
    /// Whether all up to the end was looked at.
    pub is_whole: bool,
}

/// A line that has the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMatch {
    /// Counts from 0.
    pub line: u64,
    /// What stands before the text, or the end of that.
    pub before: String,
    /// The text, as it stands there.
    pub text: String,
    /// What stands behind it, or the beginning of that.
    pub behind: String,
}

impl LogMatches {
    /// Those of a log that is not there.
    #[must_use]
    pub fn nothing() -> Self {
        Self { is_whole: true, ..Self::default() }
    }
}

impl Logs {
    /// Looks for text in a log; [`BlobError::NotFound`] before its writer was opened.
    pub async fn search(
        &self,
        name: &AttemptName,
        search: LogSearch,
    ) -> Result<LogMatches, BlobError> {
        let reader = self.reader(name).await?;
        let place = reader.place_of_line(search.from_line).await?;
        let permit = Arc::clone(&self.searches).acquire_owned().await;
        let looking = |source| BlobError::storage(format!("searching log `{name}`"), source);
        let permit = permit.map_err(|error| looking(io::Error::other(error)))?;
        let mut pattern = RegexBuilder::new(&regex::escape(&search.text));
        let pattern = pattern.case_insensitive(true).build();
        let pattern = pattern.map_err(|error| looking(io::Error::other(error)))?;
        reader
            .read(move |log, _| {
                let _until_done = permit;
                Seeker::new(pattern, place, &search).search(log)
            })
            .await
    }
}

struct Seeker {
    pattern: Regex,
    /// Where the block begins.
    place: LogPlace,
    /// A next search begins behind this line, whatever its length.
    first: u64,
    matches_max: usize,
    /// No block begins behind it.
    end: u64,
    /// The line of the last find.
    last: Option<u64>,
    found: LogMatches,
}

impl Seeker {
    fn new(pattern: Regex, place: LogPlace, search: &LogSearch) -> Self {
        let end = place.offset.saturating_add(search.bytes_max.max(1));
        Self {
            pattern,
            place,
            first: place.line,
            matches_max: search.matches_max,
            end,
            last: None,
            found: LogMatches::default(),
        }
    }

    fn search(mut self, log: &File) -> io::Result<LogMatches> {
        let mut block = vec![0; BLOCK_BYTES];
        let mut plain = Vec::new();
        while self.place.offset < self.end {
            let filled = fill(log, &mut block, self.place.offset)?;
            let bytes = block.get(..filled).unwrap_or_default();
            let is_last = filled < BLOCK_BYTES;
            let (seen, taken) = lines_of(bytes, is_last);
            let escaped = memchr(ESCAPE, seen).is_some();
            if escaped {
                without_escapes(seen, &mut plain);
            }
            self.look(if escaped { &plain } else { seen });
            let taken = seen.get(..taken).unwrap_or_default();
            self.place.offset += taken.len() as u64;
            self.place.line += text::count_line_feeds(taken);
            if is_last {
                self.found.is_whole = true;
                return Ok(self.found);
            }
        }
        let next = self.place.line.max(self.first + 1);
        self.found.next = self.found.next.or(Some(next));
        Ok(self.found)
    }

    /// Looks at whole lines, or at a piece of one.
    fn look(&mut self, lines: &[u8]) {
        let (mut at, mut counted, mut line) = (0, 0, self.place.line);
        while let Some(found) = self.pattern.find_at(lines, at) {
            line += text::count_line_feeds(lines.get(counted..found.start()).unwrap_or_default());
            counted = found.start();
            let behind = lines.get(found.end()..).unwrap_or_default();
            let length = memchr(b'\n', behind).unwrap_or(behind.len());
            if self.last != Some(line) {
                self.last = Some(line);
                self.found.count += 1;
                self.keep(line, lines, found.range(), length);
            }
            at = found.end() + length;
        }
    }

    fn keep(&mut self, line: u64, lines: &[u8], find: std::ops::Range<usize>, behind: usize) {
        if self.found.matches.len() >= self.matches_max {
            self.found.next = self.found.next.or(Some(line));
            return;
        }
        let before = lines.get(..find.start).unwrap_or_default();
        let start = memrchr(b'\n', before).map_or(0, |it| it + 1);
        let start = start.max(find.start.saturating_sub(AROUND_BYTES));
        let end = find.end + behind.min(AROUND_BYTES);
        let text = |from: usize, to: usize| readable(lines.get(from..to).unwrap_or_default());
        self.found.matches.push(LogMatch {
            line,
            before: text(start, find.start),
            text: text(find.start, find.end),
            behind: text(find.end, end),
        });
    }
}

/// As text, without the halves of letters at its ends.
fn readable(bytes: &[u8]) -> String {
    let is_inside = |it: &&u8| **it & 0xC0 == 0x80;
    let head = bytes.iter().take(3).take_while(is_inside).count();
    let text = String::from_utf8_lossy(bytes.get(head..).unwrap_or_default());
    text.trim_end_matches(['\r', char::REPLACEMENT_CHARACTER]).to_owned()
}

/// What of a block is looked at, and how much of that is done with: whole lines; all of it at the end of the log.
fn lines_of(bytes: &[u8], is_last: bool) -> (&[u8], usize) {
    if is_last {
        return (bytes, bytes.len());
    }
    match memrchr(b'\n', bytes) {
        Some(end) => (bytes.get(..=end).unwrap_or_default(), end + 1),
        None => (bytes, bytes.len().saturating_sub(OVERLAP_BYTES)),
    }
}

fn fill(log: &File, block: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|it| !it.is_empty()) {
        match log.read_at(rest, offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
