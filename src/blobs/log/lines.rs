//! The lines of a log, each with its number, its section and its moment.

use super::{LogReader, LogSection};
use crate::blobs::BlobError;
use crate::model::Timestamp;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A line longer than this comes in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Where a reader of lines stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogPlace {
    /// The next byte.
    pub offset: u64,
    /// The line it belongs to, counted from 0.
    pub line: u64,
}

/// A line, or a piece of one that is very long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Counts from 0.
    pub number: u64,
    /// Its first byte.
    pub offset: u64,
    /// The section it lies in; `None` before the first.
    pub section: Option<u32>,
    /// When it was printed, to a second.
    pub at: Timestamp,
    /// What it says, without its line feed.
    pub text: String,
    /// Whether more of the same line follows.
    pub is_cut: bool,
}

impl LogReader {
    /// Where line `line`, counted from 0, begins; the end when there are not so many.
    pub async fn place_of_line(&self, line: u64) -> Result<LogPlace, BlobError> {
        if let Some(offset) = self.offset_of_line(line).await? {
            return Ok(LogPlace { offset, line });
        }
        let extent = self.extent().await?;
        Ok(LogPlace { offset: extent.size_bytes, line: extent.lines })
    }

    /// Where the reader of a byte stands.
    pub async fn place_of_offset(&self, offset: u64) -> Result<LogPlace, BlobError> {
        let offset = offset.min(self.extent().await?.size_bytes);
        Ok(LogPlace { offset, line: self.line_at(offset).await? })
    }

    /// The next whole lines, at most `max` of them and at most a chunk of bytes, and where to go on. A last
    /// line without its line feed is given only when nothing more `is_to_come`. Nothing when there is nothing new.
    pub async fn next_lines(
        &self,
        place: LogPlace,
        max: usize,
        is_to_come: bool,
    ) -> Result<(Vec<LogLine>, LogPlace), BlobError> {
        let bytes = self.read_at(place.offset, CHUNK_BYTES).await?;
        let is_end = !is_to_come && bytes.len() < CHUNK_BYTES;
        let (cut, end) = cut(&bytes, place, max, is_end);
        if cut.is_empty() {
            return Ok((Vec::new(), end));
        }
        let times = self.times(place.offset, end.offset).await?;
        let sections = self.sections().await?;
        let lines = cut.into_iter().map(|it| it.dated(&times, &sections)).collect();
        Ok((lines, end))
    }
}

/// A line of which only the bytes are known.
struct Piece {
    place: LogPlace,
    text: String,
    is_cut: bool,
}

impl Piece {
    fn dated(self, times: &[(u64, Timestamp)], sections: &[LogSection]) -> LogLine {
        let LogPlace { offset, line } = self.place;
        let index = times.partition_point(|(from, _)| *from <= offset);
        let at = index.checked_sub(1).and_then(|it| times.get(it)).or(times.first());
        let section = sections.iter().rfind(|it| it.offset <= offset);
        LogLine {
            number: line,
            offset,
            section: section.map(|it| it.step),
            at: at.map_or(Timestamp(0), |it| it.1),
            text: self.text,
            is_cut: self.is_cut,
        }
    }
}

fn cut(bytes: &[u8], from: LogPlace, max: usize, is_end: bool) -> (Vec<Piece>, LogPlace) {
    let (mut lines, mut place, mut rest) = (Vec::new(), from, bytes);
    while lines.len() < max && !rest.is_empty() {
        let end = rest.iter().position(|it| *it == b'\n');
        let (length, is_cut, with_feed) = match end {
            Some(end) if end <= LINE_BYTES_MAX => (end, false, true),
            _ if rest.len() > LINE_BYTES_MAX => (whole_letters(rest, LINE_BYTES_MAX), true, false),
            None if is_end => (rest.len(), false, false),
            Some(_) | None => break,
        };
        let text = rest.get(..length).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        lines.push(Piece { place, text, is_cut });
        let taken = length + usize::from(with_feed);
        place.offset += taken as u64;
        place.line += u64::from(with_feed);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (lines, place)
}

/// As many bytes, or the few less that do not cut a letter in two.
fn whole_letters(bytes: &[u8], length: usize) -> usize {
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|it| it & 0xC0 == 0x80);
    (length.saturating_sub(3)..=length).rev().find(|it| !is_inside(it)).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], max: usize, is_end: bool) -> (Vec<(u64, String, bool)>, LogPlace) {
        let from = LogPlace { offset: 100, line: 7 };
        let (lines, end) = cut(bytes, from, max, is_end);
        (lines.into_iter().map(|it| (it.place.line, it.text, it.is_cut)).collect(), end)
    }

    #[test]
    fn lines_are_whole_and_counted() {
        let (lines, end) = texts(b"one\n\nrest", 10, false);
        assert_eq!(lines, [(7, "one".to_owned(), false), (8, String::new(), false)]);
        assert_eq!(end, LogPlace { offset: 105, line: 9 });
        let (lines, end) = texts(b"one\n\nrest", 10, true);
        assert_eq!(lines.last().unwrap(), &(9, "rest".to_owned(), false));
        assert_eq!(end, LogPlace { offset: 109, line: 9 });
        assert_eq!(texts(b"a\nb\n", 1, true).1, LogPlace { offset: 102, line: 8 });
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_cut_no_letter() {
        let long = format!("{}ä{}\n", "x".repeat(LINE_BYTES_MAX - 1), "y".repeat(9));
        let (lines, end) = texts(long.as_bytes(), 10, false);
        let [(7, first, true), (7, second, false)] = lines.as_slice() else { panic!() };
        assert_eq!((first.len(), second.as_str()), (LINE_BYTES_MAX - 1, "äyyyyyyyyy"));
        assert_eq!(end, LogPlace { offset: 100 + long.len() as u64, line: 8 });
    }
}
