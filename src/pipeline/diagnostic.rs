//! Problems of a pipeline file: what is wrong, where, what is known, and the fix.

use serde::Serialize;

mod render;

#[cfg(test)]
mod tests;

/// A file that was read, for [`Diagnostic::render`] and for storing with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// Path in the repository, or `repository@ref:path` of an included file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It can run, and probably does not do what was meant.
    Warning,
}

impl Severity {
    /// The word shown to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes; zero marks a point.
    pub len: usize,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable name, such as `pipeline/unknown-key`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, with names in backticks.
    pub message: String,
    /// The fix.
    pub help: Option<String>,
    /// Name of the [`SourceFile`].
    pub file: String,
    /// Where in the file.
    pub span: Span,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Diagnostic {
    /// Several lines of plain text: the problem, the place, the source line underlined, the fix.
    #[must_use]
    pub fn render(&self, sources: &[SourceFile]) -> String {
        render::render(self, sources)
    }

    /// By file, place and severity.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |it: &Self| (it.span.start, it.severity);
        self.file.cmp(&other.file).then_with(|| key(self).cmp(&key(other)))
    }

    /// Whether it keeps the pipeline from running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Where something stands: a file by its index, bytes, and the line for messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The first byte of this place.
    pub(crate) fn beginning(self) -> Self {
        Self { len: self.len.min(1), ..self }
    }

    /// A part of this place that lies on its first line.
    pub(crate) fn part(self, offset: usize, len: usize, column_offset: usize) -> Self {
        let column = self.column + column_offset;
        Self { start: self.start + offset, len, column, ..self }
    }
}
