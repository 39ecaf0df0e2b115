//! Reads logs while they grow: everything new as lines, or just the last line.

use std::collections::BTreeMap;

use crate::blobs::{BlobError, LogReader, Logs};
use crate::model::AttemptName;
use crate::worker::OUTPUT_SECTION;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A line longer than this is shown in pieces.
const LINE_LIMIT_BYTES: usize = 16 * 1024;
/// How far back the last lines of a log are looked for.
const TAIL_BYTES: u64 = 16 * 1024;

/// Reads the logs of a run's attempts. Memory is bounded however long they are.
#[derive(Debug)]
pub struct Follower {
    logs: Logs,
    open: BTreeMap<AttemptName, Position>,
}

#[derive(Debug)]
struct Position {
    reader: LogReader,
    offset: u64,
    partial: Vec<u8>,
}

impl Follower {
    /// A follower that has read nothing yet.
    #[must_use]
    pub fn new(logs: Logs) -> Self {
        Self { logs, open: BTreeMap::new() }
    }

    /// The next lines of a log that lie before `end`, at most a chunk of them; empty when there is
    /// nothing new.
    pub async fn read(&mut self, name: &AttemptName, end: u64) -> Result<Vec<String>, BlobError> {
        let Some(position) = self.position(name).await? else { return Ok(Vec::new()) };
        let left = usize::try_from(end.saturating_sub(position.offset)).unwrap_or(CHUNK_BYTES);
        if left > 0 {
            let left = left.min(CHUNK_BYTES);
            let bytes = position.reader.read_at(position.offset, left).await?;
            position.offset += bytes.len() as u64;
            position.partial.extend_from_slice(&bytes);
        }
        let mut lines = take_lines(&mut position.partial);
        if position.offset == end {
            lines.extend(position.take_rest());
        }
        Ok(lines)
    }

    /// Where the first of the steps begins that `is_wanted`; the end of all things when none has begun.
    pub async fn start_of(
        &mut self,
        name: &AttemptName,
        is_wanted: impl Fn(u32) -> bool,
    ) -> Result<u64, BlobError> {
        let Some(position) = self.position(name).await? else { return Ok(u64::MAX) };
        let sections = position.reader.sections().await?;
        let mut steps = sections.iter().filter(|it| it.step != OUTPUT_SECTION);
        Ok(steps.find(|it| is_wanted(it.step)).map_or(u64::MAX, |it| it.offset))
    }

    /// A last line without its line feed; the log is not followed any more.
    pub fn finish(&mut self, name: &AttemptName) -> Option<String> {
        self.open.remove(name)?.take_rest()
    }

    /// The same of all logs that are followed.
    pub fn finish_all(&mut self) -> Vec<(AttemptName, String)> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.filter_map(|(name, mut position)| Some((name, position.take_rest()?))).collect()
    }

    async fn position(&mut self, name: &AttemptName) -> Result<Option<&mut Position>, BlobError> {
        if !self.open.contains_key(name) {
            let reader = match self.logs.reader(name).await {
                Ok(reader) => reader,
                Err(BlobError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let position = Position { reader, offset: 0, partial: Vec::new() };
            self.open.insert(name.clone(), position);
        }
        Ok(self.open.get_mut(name))
    }
}

impl Position {
    /// A line that has no line feed.
    fn take_rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.partial);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// Takes whole lines, and pieces of lines that are too long.
fn take_lines(partial: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = partial.as_slice();
    loop {
        let end = rest.iter().position(|it| *it == b'\n');
        let (line, after) = match end {
            Some(end) if end <= LINE_LIMIT_BYTES => (rest.get(..end), rest.get(end + 1..)),
            _ if rest.len() > LINE_LIMIT_BYTES => {
                (rest.get(..LINE_LIMIT_BYTES), rest.get(LINE_LIMIT_BYTES..))
            }
            _ => break,
        };
        lines.push(String::from_utf8_lossy(line.unwrap_or_default()).into_owned());
        rest = after.unwrap_or_default();
    }
    *partial = rest.to_vec();
    lines
}

/// The last `count` lines of a log; empty when there is no log.
pub async fn last_lines(
    logs: &Logs,
    name: &AttemptName,
    count: usize,
) -> Result<Vec<String>, BlobError> {
    let reader = match logs.reader(name).await {
        Ok(reader) => reader,
        Err(BlobError::NotFound(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let size = reader.extent().await?.size_bytes;
    let from = size.saturating_sub(TAIL_BYTES);
    let bytes = reader.read_at(from, usize::try_from(TAIL_BYTES).unwrap_or(usize::MAX)).await?;
    let text = String::from_utf8_lossy(&bytes);
    // Where the reading began inside a line, the rest of that line says little.
    let skipped = usize::from(from > 0);
    let lines: Vec<&str> = text.lines().skip(skipped).filter(|it| !it.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(count);
    Ok(lines.iter().skip(first).map(|it| (*it).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, StageIndex, Timestamp};

    #[test]
    fn lines_come_out_whole_however_they_were_cut() {
        let mut partial = b"one\ntw".to_vec();
        assert_eq!(take_lines(&mut partial), ["one"]);
        partial.extend_from_slice(b"o\n\nthree");
        assert_eq!(take_lines(&mut partial), ["two", ""]);
        assert_eq!(partial, b"three");
    }

    #[test]
    fn an_endless_line_is_shown_in_pieces() {
        let mut partial = vec![b'x'; LINE_LIMIT_BYTES * 2 + 5];
        let lines = take_lines(&mut partial);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_LIMIT_BYTES; 2]);
        assert_eq!(partial.len(), 5);
    }

    #[tokio::test]
    async fn a_step_is_read_up_to_where_the_next_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        let name = AttemptName { run: RunId("r".to_owned()), stage: StageIndex(0), attempt: 1 };
        let mut writer = logs.writer(&name).await.unwrap();
        let at = Timestamp(0);
        for (text, section) in [("made", OUTPUT_SECTION), ("one", 0), ("two", 1)] {
            writer.start_section(writer.len(), section, at).await.unwrap();
            writer.write_at(writer.len(), text.as_bytes(), at).await.unwrap();
        }

        let mut follower = Follower::new(logs);
        let first = follower.start_of(&name, |it| it == 0).await.unwrap();
        let second = follower.start_of(&name, |it| it > 0).await.unwrap();
        assert_eq!(follower.start_of(&name, |it| it > 1).await.unwrap(), u64::MAX);
        assert_eq!(follower.read(&name, first).await.unwrap(), ["made"]);
        assert_eq!(follower.read(&name, second).await.unwrap(), ["one"]);
        assert!(follower.read(&name, second).await.unwrap().is_empty());
        assert!(follower.read(&name, u64::MAX).await.unwrap().is_empty(), "more may come");
        assert_eq!(follower.finish(&name), Some("two".to_owned()));
    }
}
