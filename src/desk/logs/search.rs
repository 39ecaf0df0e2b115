//! Looking for text in a log.

use super::{Outline, StageLog, outline};
use crate::blobs::{BlobError, LogMatch, LogSearch};
use crate::http::{App, Problem};

/// Lines that are found, unless asked otherwise and at most.
const MATCHES: u32 = 200;
const MATCHES_MAX: u32 = 1000;
/// Bytes that are looked at for one answer.
const BYTES_MAX: u64 = 256 << 20;
/// The longest text that is looked for.
const TEXT_CHARS_MAX: usize = 200;

/// What to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Text of one line; case does not matter.
    pub text: String,
    /// The attempt; the last when it is left out.
    pub attempt: Option<u32>,
    /// The first line, from 1; below 0 counts from the end.
    pub from_line: Option<i64>,
    /// Lines to give at most.
    pub matches: Option<u32>,
}

/// What was found.
#[derive(Debug)]
pub struct SearchResult {
    /// The log.
    pub outline: Outline,
    /// Lines that have the text.
    pub hits: Vec<SearchHit>,
    /// How many there are in what was looked at.
    pub count: u64,
    /// The line to go on with, from 1.
    pub next: Option<u64>,
    /// Whether all up to the end was looked at.
    pub is_whole: bool,
}

/// A line that has the text.
#[derive(Debug)]
pub struct SearchHit {
    /// Counts from 1.
    pub line: u64,
    /// The step that printed it.
    pub step: Option<u32>,
    /// What it says around the text.
    pub found: LogMatch,
}

/// Looks for text in the log of an attempt.
pub async fn search(
    app: &App,
    log: &StageLog,
    query: &SearchQuery,
) -> Result<SearchResult, Problem> {
    let text = query.text.trim_matches(['\r', '\n']);
    let length = text.chars().count();
    if length == 0 || length > TEXT_CHARS_MAX || text.contains('\n') {
        let title = format!("`q` is text of one line with 1 to {TEXT_CHARS_MAX} letters");
        return Err(Problem::bad_request(title));
    }
    let attempt = log.attempt(query.attempt)?;
    let outline = outline(app, log, attempt).await?;
    let matches = query.matches.unwrap_or(MATCHES).clamp(1, MATCHES_MAX);
    let wanted = LogSearch {
        text: text.to_owned(),
        from_line: super::first_line(query.from_line.unwrap_or(1), outline.lines),
        matches_max: usize::try_from(matches).unwrap_or(usize::MAX),
        bytes_max: BYTES_MAX,
    };
    let found = match app.logs.search(&log.name(attempt), wanted).await {
        Ok(found) => found,
        Err(BlobError::NotFound(_)) => crate::blobs::LogMatches::nothing(),
        Err(error) => return Err(error.into()),
    };
    let hits = found.matches.into_iter().map(|it| hit(&outline, it)).collect();
    Ok(SearchResult {
        outline,
        hits,
        count: found.count,
        next: found.next.map(|it| it + 1),
        is_whole: found.is_whole,
    })
}

fn hit(outline: &Outline, found: LogMatch) -> SearchHit {
    let line = found.line + 1;
    let section = outline.sections.iter().rfind(|it| it.first_line <= line);
    SearchHit { line, step: section.and_then(|it| it.step), found }
}
