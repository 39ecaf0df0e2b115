//! A window of whole lines, one entry a line, however long that is.

use super::StageLog;
use crate::blobs::{LogLine, LogReader, OUTPUT_SECTION};
use crate::http::{App, Problem};
use crate::model::Timestamp;

/// Lines of a window at most.
pub const LINES_MAX: usize = 500;
/// Lines before a window that are read for the colours that go on in it.
const BEFORE_MAX: u64 = 200;
/// Bytes of the lines of a window at most; those that are left get less each.
const WINDOW_BYTES_MAX: usize = 2 << 20;

/// Lines of a log.
#[derive(Debug, Default)]
pub struct LogWindow {
    /// The lines.
    pub lines: Vec<WindowLine>,
    /// Those before them, for what goes on in them.
    pub before: Vec<LogLine>,
    /// Lines that there are.
    pub total: u64,
    /// Whether no more lines will come.
    pub is_complete: bool,
    /// Whether more may come that belongs to the last of them.
    pub is_open: bool,
}

/// A line of a log.
#[derive(Debug)]
pub struct WindowLine {
    /// Counts from 1.
    pub number: u64,
    /// The step that printed it, from 0; `None` for the engine, and for a stage without steps.
    pub step: Option<u32>,
    /// When it was printed, to a second.
    pub at: Timestamp,
    /// What it says, or the beginning of that.
    pub text: String,
    /// Bytes of it that are left out.
    pub missing_bytes: u64,
}

/// At most `count` lines from line `from` on, counted from 1.
pub async fn window(
    app: &App,
    log: &StageLog,
    attempt: u32,
    (from, count): (u64, usize),
) -> Result<LogWindow, Problem> {
    let is_ended = log.is_ended(attempt);
    let Some(reader) = log.open(app, attempt).await? else { return Ok(LogWindow::default()) };
    let extent = reader.extent().await?;
    let first = from.saturating_sub(1);
    let before = before(&reader, first).await?;
    let lines = lines(&reader, first, count.min(LINES_MAX)).await?;
    let is_whole = is_ended || extent.is_complete;
    let end = lines.last().map_or(first, |it| it.number);
    Ok(LogWindow {
        lines,
        before,
        total: extent.lines,
        is_complete: is_whole,
        is_open: !is_whole && end >= extent.lines,
    })
}

/// The lines before a window, as far as one read goes.
async fn before(reader: &LogReader, first: u64) -> Result<Vec<LogLine>, Problem> {
    let from = first.saturating_sub(BEFORE_MAX);
    let place = reader.place_of_line(from).await?;
    let max = usize::try_from(first - from).unwrap_or(0);
    let (mut lines, _) = reader.next_lines(place, max, true).await?;
    lines.retain(|it| it.number < first);
    Ok(lines)
}

async fn lines(reader: &LogReader, first: u64, max: usize) -> Result<Vec<WindowLine>, Problem> {
    let mut place = reader.place_of_line(first).await?;
    let mut lines: Vec<WindowLine> = Vec::with_capacity(max);
    let mut room = WINDOW_BYTES_MAX;
    while lines.len() < max {
        let (read, end) = reader.next_lines(place, max - lines.len(), false).await?;
        place = end;
        let Some(last) = read.last() else { break };
        let (number, is_cut) = (last.number, last.is_cut);
        let size = last.offset + last.text.len() as u64;
        for line in read {
            add(&mut lines, line, &mut room);
        }
        if is_cut {
            // The rest of a very long line is measured and not read.
            place = reader.place_of_line(number + 1).await?;
            if let Some(line) = lines.last_mut() {
                line.missing_bytes += place.offset.saturating_sub(size);
            }
            if place.line <= number {
                break;
            }
        }
    }
    Ok(lines)
}

/// A piece of a line that is there already is only counted.
fn add(lines: &mut Vec<WindowLine>, line: LogLine, room: &mut usize) {
    let length = line.text.len();
    if let Some(last) = lines.last_mut().filter(|it| it.number == line.number + 1) {
        last.missing_bytes += length as u64;
        return;
    }
    let shown = line.text.floor_char_boundary((*room).max(256).min(length));
    *room = room.saturating_sub(shown);
    let mut text = line.text;
    text.truncate(shown);
    lines.push(WindowLine {
        number: line.number + 1,
        step: line.section.filter(|it| *it != OUTPUT_SECTION),
        at: line.at,
        text,
        missing_bytes: (length - shown) as u64,
    });
}
