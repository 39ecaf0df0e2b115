//! Changed files line by line, within bounds: for people to read.

use std::path::Path;

use super::{diff_of, path_of};
use crate::source::SourceError;
use crate::source::access::Place;

/// Lines around what differs.
const CONTEXT_LINES: u32 = 3;
/// Files, lines of one, letters of a line and bytes of all that are given.
const FILES_MAX: usize = 50;
const LINES_MAX: usize = 400;
const CHARS_MAX: usize = 1000;
const BYTES_MAX: usize = 40_000;

/// A changed file, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path.
    pub path: String,
    /// What differs, from the top.
    pub hunks: Vec<Hunk>,
    /// Whether there is more than is given here, or its lines cannot be told: no text, or too large.
    pub is_cut: bool,
}

/// Lines that differ, with some around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// A line of one or both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// Whether it is new, gone or the same.
    pub kind: LineKind,
    /// Its number in the old file, from 1.
    pub old: Option<u32>,
    /// Its number in the new file, from 1.
    pub new: Option<u32>,
    /// Its text, without its end.
    pub text: String,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It is as it was.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl LineKind {
    /// The word in JSON and on pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// These files of two trees, by path.
pub(in crate::source) fn diff(
    place: &Place,
    store: &Path,
    trees: (&str, &str),
    paths: &[String],
) -> Result<Vec<FileDiff>, SourceError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let repository = place.open_with(store)?;
    let diff = diff_of(&repository, trees, CONTEXT_LINES)?;
    let mut left = BYTES_MAX;
    let mut files = Vec::new();
    for (place, delta) in diff.deltas().enumerate() {
        let path = path_of(&delta);
        if files.len() == FILES_MAX || !paths.contains(&path) {
            continue;
        }
        let failed = SourceError::failed(format!("comparing `{path}`"));
        files.push(file_of(&diff, (place, path), &mut left).map_err(failed)?);
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn file_of(
    diff: &git2::Diff<'_>,
    (place, path): (usize, String),
    left: &mut usize,
) -> Result<FileDiff, git2::Error> {
    let patch = git2::Patch::from_diff(diff, place)?;
    let Some(patch) = patch.filter(|it| !it.delta().flags().is_binary()) else {
        return Ok(FileDiff { path, hunks: Vec::new(), is_cut: true });
    };
    let mut file = FileDiff { path, hunks: Vec::new(), is_cut: false };
    let mut count = 0;
    for hunk in 0..patch.num_hunks() {
        let mut lines = Vec::new();
        for place in 0..patch.num_lines_in_hunk(hunk)? {
            let Some(line) = line_of(&patch.line_in_hunk(hunk, place)?) else { continue };
            let Some(rest) = left.checked_sub(line.text.len() + 1).filter(|_| count < LINES_MAX)
            else {
                file.is_cut = true;
                break;
            };
            *left = rest;
            count += 1;
            lines.push(line);
        }
        if !lines.is_empty() {
            file.hunks.push(Hunk { lines });
        }
        if file.is_cut {
            break;
        }
    }
    Ok(file)
}

/// `None` for what is no line: that a file has no end of line at its end.
fn line_of(line: &git2::DiffLine<'_>) -> Option<DiffLine> {
    let kind = match line.origin() {
        ' ' => LineKind::Same,
        '+' => LineKind::Added,
        '-' => LineKind::Removed,
        _ => return None,
    };
    let text = String::from_utf8_lossy(line.content());
    let text = text.trim_end_matches(['\n', '\r']).chars();
    Some(DiffLine {
        kind,
        old: line.old_lineno(),
        new: line.new_lineno(),
        text: text.take(CHARS_MAX).collect(),
    })
}
