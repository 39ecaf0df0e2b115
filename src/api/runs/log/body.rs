//! Lines of logs as clients see them.

use crate::blobs::{LogLine, OUTPUT_SECTION};

/// A line of a log, or a piece of one that is very long.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub(super) struct LogLineBody {
    /// Counts the lines of the attempt from 1.
    line: u64,
    /// The step that printed it, from 0; null for what comes before the first.
    step: Option<u32>,
    /// `engine` for what Trunkline itself says, `output` for what the stage prints.
    stream: String,
    /// When it was printed, to a second, in milliseconds since 1970-01-01 UTC.
    at: i64,
    /// What it says.
    text: String,
    /// Whether the line goes on in the next one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_cut: bool,
}

/// Lines of a log.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct LogPage {
    /// The attempt they are of; 0 when the stage has not started.
    pub(super) attempt: u32,
    /// The lines.
    pub(super) items: Vec<LogLineBody>,
    /// The line to go on with (`from_line`); absent at the end of what there is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// Lines that there are now.
    pub(super) lines: u64,
    /// Whether no more will come.
    pub(super) is_complete: bool,
}

/// New lines of a log that is followed.
#[derive(Debug, serde::Serialize)]
pub(super) struct LogEvent {
    /// The attempt they are of.
    pub(super) attempt: u32,
    /// The lines.
    pub(super) lines: Vec<LogLineBody>,
}

impl From<LogLine> for LogLineBody {
    fn from(line: LogLine) -> Self {
        let stream = if line.section.is_none() { "engine" } else { "output" };
        Self {
            line: line.number + 1,
            step: line.section.filter(|it| *it != OUTPUT_SECTION),
            stream: stream.to_owned(),
            at: line.at.0,
            text: line.text,
            is_cut: line.is_cut,
        }
    }
}
