//! What is collected while files are read: their names and lines, every problem, and every
//! expression with its place.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::diagnostic::{Diagnostic, Place, Severity, SourceFile, Span};
use super::file::occurrence::Occurrence;

/// More problems than anybody reads; the rest is dropped.
const MOST_PROBLEMS: usize = 500;

/// Comparisons of names for `did you mean`; a bound on the time spent on broken files.
const MOST_COMPARISONS: usize = 50_000;

/// The state of one check.
#[derive(Default)]
pub(crate) struct Reading {
    sources: RefCell<Vec<Source>>,
    problems: RefCell<Vec<Diagnostic>>,
    seen: RefCell<HashSet<(&'static str, usize, usize, String)>>,
    comparisons: Cell<usize>,
    /// Source, byte and column of the last place, from which the next one on its line is counted.
    last_place: Cell<(usize, usize, usize)>,
    pub(crate) occurrences: RefCell<Vec<Occurrence>>,
    /// Name of the stage that is being read.
    pub(crate) stage: RefCell<Option<String>>,
}

struct Source {
    file: SourceFile,
    line_starts: Vec<usize>,
}

impl Reading {
    /// Adds a file; places name it by the index given back.
    pub(crate) fn add_source(&self, file: SourceFile) -> usize {
        let line_starts = std::iter::once(0)
            .chain(file.text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        let mut sources = self.sources.borrow_mut();
        sources.push(Source { file, line_starts });
        sources.len() - 1
    }

    /// The files, when all is read.
    pub(crate) fn into_parts(self) -> (Vec<SourceFile>, Vec<Diagnostic>, Vec<Occurrence>) {
        let sources = self.sources.into_inner().into_iter().map(|source| source.file).collect();
        let mut problems = self.problems.into_inner();
        problems.sort_by(Diagnostic::order);
        (sources, problems, self.occurrences.into_inner())
    }

    /// The place of these bytes.
    pub(crate) fn place(&self, source: usize, start: usize, end: usize) -> Place {
        let sources = self.sources.borrow();
        let Some(found) = sources.get(source) else { return Place::default() };
        let line = found.line_starts.partition_point(|it| *it <= start).max(1);
        let line_start = found.line_starts.get(line - 1).copied().unwrap_or(0);
        let (last_source, last_start, last_column) = self.last_place.get();
        let is_after = last_source == source && (line_start..=start).contains(&last_start);
        let (from, counted) = if is_after { (last_start, last_column) } else { (line_start, 1) };
        let between = found.file.text.get(from..start).unwrap_or_default();
        let column = counted.max(1) + between.chars().count();
        self.last_place.set((source, start, column));
        Place { source, start, len: end.saturating_sub(start), line, column }
    }

    /// The bytes of a place.
    pub(crate) fn text_at(&self, place: Place) -> String {
        let sources = self.sources.borrow();
        let text = sources.get(place.source).map_or("", |source| source.file.text.as_str());
        text.get(place.start..place.start + place.len).unwrap_or_default().to_owned()
    }

    /// Name of a file.
    pub(crate) fn source_name(&self, source: usize) -> String {
        let sources = self.sources.borrow();
        sources.get(source).map_or_else(String::new, |source| source.file.name.clone())
    }

    /// `file:line:column`, for messages that name a second place.
    pub(crate) fn show(&self, place: Place) -> String {
        format!("{}:{}:{}", self.source_name(place.source), place.line, place.column)
    }

    /// Records an error with its fix.
    pub(crate) fn error(
        &self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.record(Severity::Error, code, place, (message.into(), help.into()));
    }

    /// Records a warning with its fix.
    pub(crate) fn warn(
        &self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.record(Severity::Warning, code, place, (message.into(), help.into()));
    }

    fn record(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        (message, help): (String, String),
    ) {
        let key = (code, place.source, place.start, message.clone());
        if self.is_full() || !self.seen.borrow_mut().insert(key) {
            return;
        }
        self.problems.borrow_mut().push(Diagnostic {
            code,
            severity,
            message,
            help: (!help.is_empty()).then_some(help),
            file: self.source_name(place.source),
            span: Span { start: place.start, len: place.len },
            line: place.line,
            column: place.column,
        });
    }

    /// Whether no more problems are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.problem_count() >= MOST_PROBLEMS
    }

    /// How many problems there are.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// How many errors there are.
    pub(crate) fn error_count(&self) -> usize {
        self.problems.borrow().iter().filter(|it| it.is_error()).count()
    }

    /// Whether there is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(Diagnostic::is_error)
    }

    /// The candidate that was probably meant.
    pub(crate) fn closest<'a>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if word.len() > 100 || self.is_full() {
            return None;
        }
        let mut best: Option<(f64, &str)> = None;
        for candidate in candidates {
            self.comparisons.set(self.comparisons.get() + 1);
            if self.comparisons.get() > MOST_COMPARISONS {
                return None;
            }
            let score = similarity(word, candidate);
            if score > 0.0 && best.is_none_or(|(most, _)| score > most) {
                best = Some((score, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// `did you mean` and, when nothing is close, what is known.
    pub(crate) fn suggest(&self, word: &str, kind: &str, known: &[&str]) -> String {
        match self.closest(word, known.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => known_words(kind, known),
        }
    }
}

/// Above zero when one word may be a slip of the other.
fn similarity(word: &str, candidate: &str) -> f64 {
    let (a, b) =
        (word.to_lowercase().replace('-', "_"), candidate.to_lowercase().replace('-', "_"));
    let distance = strsim::osa_distance(&a, &b);
    let longest = a.chars().count().max(b.chars().count());
    let is_slip = distance <= longest.div_ceil(3) && distance < longest;
    let is_part = a.len() >= 3 && b.len() >= 3 && (a.starts_with(&b) || b.starts_with(&a));
    if is_slip || is_part { 0.01 + strsim::jaro_winkler(&a, &b) } else { 0.0 }
}

/// `known <kind> are a, b, c`, cut after a dozen and a half.
pub(crate) fn known_words(kind: &str, known: &[&str]) -> String {
    const SHOWN: usize = 40;
    if known.is_empty() {
        return format!("there are no {kind}");
    }
    let mut words: Vec<String> = known.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
    if known.len() > SHOWN {
        words.push(format!("and {} more", known.len() - SHOWN));
    }
    format!("known {kind}: {}", words.join(", "))
}
