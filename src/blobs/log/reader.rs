//! Reading a log, also while this or another process writes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::record::{self, END, Record, Records};
use super::{
    Changes, Files, LogExtent, LogSection, OUTPUT_SECTION, blocking, none_if_missing, text,
};
use crate::blobs::BlobError;
use crate::model::{AttemptName, Timestamp};

/// How often a follower looks whether another process has written.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// Reads one log, also while it is written.
#[derive(Debug, Clone)]
pub struct LogReader {
    name: AttemptName,
    log: Arc<File>,
    files: Arc<Files>,
    changes: Arc<Changes>,
}

impl LogReader {
    pub(super) async fn open(
        name: AttemptName,
        files: Files,
        changes: Arc<Changes>,
    ) -> Result<Self, BlobError> {
        let path = files.log.clone();
        let opening = || format!("opening log `{name}`");
        let opened = blocking(opening, move || none_if_missing(File::open(path))).await?;
        let log = opened.ok_or_else(|| BlobError::NotFound(name.to_string()))?;
        Ok(Self { name, log: Arc::new(log), files: Arc::new(files), changes })
    }

    /// At most `max_bytes` from `offset` on; empty at the end.
    pub async fn read_at(&self, offset: u64, max_bytes: usize) -> Result<Vec<u8>, BlobError> {
        self.read(move |log, _| {
            let there = log.metadata()?.len().saturating_sub(offset);
            let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(max_bytes);
            let mut bytes = vec![0; wanted];
            let mut filled = 0;
            while filled < wanted {
                let rest = bytes.get_mut(filled..).unwrap_or_default();
                match log.read_at(rest, offset + filled as u64)? {
                    0 => break,
                    read => filled += read,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        })
        .await
    }

    /// Waits until there are bytes behind `offset` (true) or the log is complete, or deleted (false).
    pub async fn wait_for(&self, offset: u64) -> Result<bool, BlobError> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let (is_over, size_bytes) = self.read(|_, files| progress(files)).await?;
            if size_bytes > offset {
                return Ok(true);
            }
            if is_over {
                return Ok(false);
            }
            // Woken by this process or, failing that, by the clock: either way it looks again.
            tokio::time::timeout(POLL_EVERY, changes.changed()).await.ok();
        }
    }

    /// Offset of a line, counted from 0; `None` behind the end.
    pub async fn offset_of_line(&self, line: u64) -> Result<Option<u64>, BlobError> {
        self.read(move |log, files| {
            // A mark may be ahead of the text it belongs to.
            let size_bytes = log.metadata()?.len();
            let offset = if line == 0 {
                Some(0)
            } else {
                let mark = last_mark(files, |it| it.number < line && it.offset <= size_bytes)?;
                text::find_line_feed(log, mark.offset, line - mark.number)?
            };
            Ok(offset.filter(|it| *it < size_bytes))
        })
        .await
    }

    /// The line, counted from 0, that the byte at `offset` belongs to.
    pub async fn line_at(&self, offset: u64) -> Result<u64, BlobError> {
        self.read(move |log, files| {
            let mark = last_mark(files, |it| it.offset <= offset)?;
            let mut line = mark.number;
            text::scan(log, mark.offset, offset, |_, block| {
                line += text::count_line_feeds(block);
                None::<()>
            })?;
            Ok(line)
        })
        .await
    }

    /// When the byte at `offset` was printed, to a second; `None` for an empty log.
    pub async fn time_at(&self, offset: u64) -> Result<Option<Timestamp>, BlobError> {
        self.read(move |_, files| {
            let Some(marks) = Records::open(&files.lines)? else { return Ok(None) };
            Ok(marks.last_that(|it| it.offset <= offset)?.map(|it| it.at))
        })
        .await
    }

    /// When the text from `from` up to `to` was printed: offsets from which on a moment holds, the
    /// first one at or before `from`. For showing many lines with their times.
    pub async fn times(&self, from: u64, to: u64) -> Result<Vec<(u64, Timestamp)>, BlobError> {
        self.read(move |_, files| {
            let Some(marks) = Records::open(&files.lines)? else { return Ok(Vec::new()) };
            let first = marks.partition_point(|it| it.offset <= from)?.saturating_sub(1);
            let mut times = Vec::new();
            for index in first..marks.count() {
                let mark = marks.get(index)?;
                if mark.offset >= to {
                    break;
                }
                times.push((mark.offset, mark.at));
            }
            Ok(times)
        })
        .await
    }

    /// Bytes and lines stored, and whether the log is complete.
    pub async fn extent(&self) -> Result<LogExtent, BlobError> {
        self.read(|log, files| {
            let (is_complete, _) = progress(files)?;
            let size_bytes = log.metadata()?.len();
            let mark = last_mark(files, |it| it.offset <= size_bytes)?;
            let mut lines = mark.number;
            let mut last_byte = None;
            // From a byte before the mark, as the log may end at it.
            let from = mark.offset.saturating_sub(1);
            text::scan(log, from, size_bytes, |offset, block| {
                let skipped = usize::try_from(mark.offset.saturating_sub(offset)).unwrap_or(0);
                lines += text::count_line_feeds(block.get(skipped..).unwrap_or_default());
                last_byte = block.last().copied();
                None::<()>
            })?;
            lines += u64::from(last_byte.is_some_and(|it| it != b'\n'));
            Ok(LogExtent { size_bytes, lines, is_complete })
        })
        .await
    }

    /// The sections, in order.
    pub async fn sections(&self) -> Result<Vec<LogSection>, BlobError> {
        self.read(|_, files| {
            let records = record::read_all(&files.sections)?;
            let mut sections: Vec<_> = records.into_iter().filter_map(section).collect();
            // The output as a whole begins before the first step, if at the same byte.
            sections.sort_by_key(|it| (it.offset, it.step != OUTPUT_SECTION, it.step));
            Ok(sections)
        })
        .await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&File, &Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let (log, files) = (Arc::clone(&self.log), Arc::clone(&self.files));
        let reading = || format!("reading log `{}`", self.name);
        blocking(reading, move || read(&log, &files)).await
    }
}

/// Whether nothing more will come, and how much there is. In this order: what is written before
/// the end is marked is then seen.
fn progress(files: &Files) -> io::Result<(bool, u64)> {
    let is_complete = record::read_all(&files.sections)?.iter().any(|it| it.number == END);
    let metadata = none_if_missing(std::fs::metadata(&files.log))?;
    Ok(metadata.map_or((true, 0), |it| (is_complete, it.len())))
}

fn last_mark(files: &Files, is_before: impl Fn(Record) -> bool) -> io::Result<Record> {
    let beginning = Record { number: 0, offset: 0, at: Timestamp::default() };
    let Some(marks) = Records::open(&files.lines)? else { return Ok(beginning) };
    Ok(marks.last_that(is_before)?.unwrap_or(beginning))
}

fn section(record: Record) -> Option<LogSection> {
    let step = u32::try_from(record.number).ok()?;
    Some(LogSection { step, offset: record.offset, started_at: record.at })
}
