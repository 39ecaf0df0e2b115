//! What differs in the content of two revisions, as clients see it.

use crate::approvals::{ContentChange, ReleaseChange};
use crate::model::Digest;
use crate::source::{DiffLine, FileDiff};

/// The digests of what a run would release, beside those of the run that is compared with.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ReleaseBody {
    /// Over all parts: `sha256:` and 64 hex digits.
    digest: String,
    /// What it was. Absent when there is nothing to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// The parts that the pipeline names.
    parts: Vec<PartDigestBody>,
}

/// The digest of one part of a release.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct PartDigestBody {
    /// `code`, `infra`, `prompts`, `models` or `indexes`.
    part: &'static str,
    /// Over paths and contents. Absent when the pipeline no longer names the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What it was. Absent when there is nothing to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

/// A prompt that differs, line by line.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct PromptBody {
    /// Its path.
    path: String,
    /// What differs, from the top: runs of lines.
    hunks: Vec<Vec<LineBody>>,
    /// Whether there is more than is given here, or its lines cannot be told.
    is_cut: bool,
}

/// A line of one or both files.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct LineBody {
    /// `same`, `added` or `removed`.
    kind: &'static str,
    /// Its number in the old file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<u32>,
    /// Its number in the new file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<u32>,
    /// Its text, at most 1,000 characters.
    text: String,
}

/// Both, as bodies.
pub(super) fn bodies(content: ContentChange) -> (Option<ReleaseBody>, Vec<PromptBody>) {
    let prompts = content.prompts.into_iter().map(PromptBody::from).collect();
    (content.release.map(|it| ReleaseBody::of(&it)), prompts)
}

impl ReleaseBody {
    fn of(change: &ReleaseChange) -> Self {
        let text = |it: Option<&Digest>| it.map(Digest::to_string);
        let parts = change.parts().into_iter().map(|it| PartDigestBody {
            part: it.kind.as_str(),
            digest: text(it.now),
            before: text(it.before),
        });
        Self {
            digest: change.now.whole.to_string(),
            before: change.before.as_ref().map(|it| it.whole.to_string()),
            parts: parts.collect(),
        }
    }
}

impl From<FileDiff> for PromptBody {
    fn from(file: FileDiff) -> Self {
        let FileDiff { path, hunks, is_cut } = file;
        let lines = |lines: Vec<DiffLine>| lines.into_iter().map(LineBody::from).collect();
        Self { path, hunks: hunks.into_iter().map(|it| lines(it.lines)).collect(), is_cut }
    }
}

impl From<DiffLine> for LineBody {
    fn from(line: DiffLine) -> Self {
        let DiffLine { kind, old, new, text } = line;
        Self { kind: kind.as_str(), old, new, text }
    }
}
