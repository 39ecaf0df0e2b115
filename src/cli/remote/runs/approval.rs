//! What an approval of a server would let through.

use serde::Deserialize;

use crate::approvals::{
    Answer, ComparedRun, ContentChange, MetricChange, Part, PartKind, ShownApproval,
};
use crate::cli::remote::{Call, Remote, RemoteError};
use crate::model::{Milliseconds, RunId, StageStatus, Timestamp};
use crate::pipeline::plan::Approval;
use crate::runs::view::{RunView, StageView};
use crate::source::FileStat;

/// An approval as the server shows it.
#[derive(Debug, Deserialize)]
struct Shown {
    stage: String,
    by: Vec<String>,
    count: u32,
    missing: u32,
    not_author: bool,
    #[serde(default)]
    until: Option<Timestamp>,
    answers: Vec<Said>,
    #[serde(default)]
    base: Option<Base>,
    #[serde(default)]
    changes: Option<Vec<Changed>>,
    #[serde(default)]
    changes_problem: Option<String>,
    metrics: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
struct Said {
    by: String,
    answer: String,
    comment: String,
    at: Timestamp,
    #[serde(default)]
    past: bool,
}

#[derive(Debug, Deserialize)]
struct Base {
    run: RunId,
    number: i64,
    revision: String,
    title: String,
}

#[derive(Debug, Deserialize)]
struct Changed {
    part: String,
    added: u64,
    removed: u64,
    file_count: usize,
    files: Vec<ChangedFile>,
}

#[derive(Debug, Deserialize)]
struct ChangedFile {
    path: String,
    added: u64,
    removed: u64,
    binary: bool,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the interface calls it so")]
struct Metric {
    stage: String,
    metric: String,
    before: Option<f64>,
    now: Option<f64>,
}

impl Remote {
    /// The approvals that people are asked for now, with what they would let through.
    pub async fn asked(&self, run: &RunView) -> Result<Vec<ShownApproval>, RemoteError> {
        let mut asked = Vec::new();
        let is_waiting = |it: &&StageView| it.status == StageStatus::Waiting;
        for stage in run.stages.iter().filter(is_waiting) {
            let call = Call::get(&["runs", &run.id.0, "stages", &stage.key, "approval"]);
            match self.client.fetch::<Shown>(&call).await {
                Ok(shown) => asked.push(shown.into()),
                // Somebody was faster.
                Err(error) if error.is_not_found() => (),
                Err(error) => return Err(error),
            }
        }
        Ok(asked)
    }
}

impl From<Shown> for ShownApproval {
    fn from(shown: Shown) -> Self {
        let asked = Approval {
            by: shown.by,
            count: shown.count,
            not_author: shown.not_author,
            timeout: Milliseconds(0),
            approve_on_timeout: false,
        };
        let parts = |all: Vec<Changed>| all.into_iter().filter_map(part).collect();
        Self {
            key: shown.stage,
            status: StageStatus::Waiting,
            asked,
            until: shown.until,
            answers: shown.answers.into_iter().map(Answer::from).collect(),
            missing: shown.missing,
            // The terminal asks who may; the server knows.
            authors: Vec::new(),
            base: shown.base.map(ComparedRun::from),
            parts: shown.changes.map(parts),
            problem: shown.changes_problem,
            // The terminal shows neither digests nor lines.
            content: ContentChange::default(),
            metrics: shown.metrics.into_iter().map(MetricChange::from).collect(),
        }
    }
}

impl From<Said> for Answer {
    fn from(said: Said) -> Self {
        let Said { by, answer, comment, at, past } = said;
        Self { by, is_approved: answer == "approved", comment, at, is_past: past }
    }
}

impl From<Base> for ComparedRun {
    fn from(base: Base) -> Self {
        let Base { run: id, number, revision, title } = base;
        Self { id, number, revision, title }
    }
}

impl From<Metric> for MetricChange {
    fn from(metric: Metric) -> Self {
        let Metric { stage, metric, before, now } = metric;
        Self { stage, metric, before, now }
    }
}

/// A part of the release; one that this version does not know is left out.
fn part(changed: Changed) -> Option<Part> {
    let more_files = changed.file_count.saturating_sub(changed.files.len());
    let file = |it: ChangedFile| FileStat {
        path: it.path,
        added: it.added,
        removed: it.removed,
        is_binary: it.binary,
    };
    Some(Part {
        kind: PartKind::parse(&changed.part)?,
        added: changed.added,
        removed: changed.removed,
        files: changed.files.into_iter().map(file).collect(),
        more_files,
    })
}
