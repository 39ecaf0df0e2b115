//! Runs as clients see them. Kept apart from rows and engine types, so that those can change alone.

use crate::engine::{Attempt, Stage};
use crate::model::StageIndex;
use crate::pipeline::PlannedStage;
use crate::runs::LoadedRun;
use crate::store::runs::RunRow;

/// A run in a list.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct RunBody {
    /// Its id: a ULID in lower case.
    id: String,
    /// Counts the runs of this server from 1.
    number: i64,
    /// Id of its project; empty for runs from a terminal.
    project: String,
    /// Name of the pipeline.
    pipeline: String,
    /// What started it: `push`, `pull_request`, `schedule` or `manual`.
    event: String,
    /// Branch, or empty.
    branch: String,
    /// Commit id.
    revision: String,
    /// Subject line of the commit.
    title: String,
    /// `queued`, `running`, `waiting`, `cancelling`, `passed`, `failed` or `cancelled`.
    status: String,
    /// Milliseconds since 1970-01-01 UTC.
    created_at: i64,
    /// Milliseconds since 1970-01-01 UTC; absent until it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<i64>,
}

impl From<RunRow> for RunBody {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id.0,
            number: row.number,
            project: row.project.0,
            pipeline: row.pipeline,
            event: row.event,
            branch: row.branch,
            revision: row.revision,
            title: row.title,
            status: row.status.to_string(),
            created_at: row.created_at.0,
            finished_at: row.finished_at.map(|it| it.0),
        }
    }
}

/// A run with its stages.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct RunWithStages {
    /// The run.
    #[serde(flatten)]
    run: RunBody,
    /// When its first stage started.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    /// Its stages in the order of the plan.
    stages: Vec<StageBody>,
}

/// One stage of a run.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct StageBody {
    /// Its place in the plan.
    stage: u32,
    /// Its key: the name, with the cell of the matrix.
    key: String,
    /// Keys of its needs.
    needs: Vec<String>,
    /// Where it stands.
    status: String,
    /// Class of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_class: Option<String>,
    /// What went wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_message: Option<String>,
    /// Who has approved so far.
    approvals: Vec<String>,
    /// Its attempts, oldest first.
    attempts: Vec<AttemptBody>,
}

/// One try of a stage.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct AttemptBody {
    /// Counts from 1.
    attempt: u32,
    /// When it began.
    started_at: i64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<i64>,
}

impl From<LoadedRun> for RunWithStages {
    fn from(loaded: LoadedRun) -> Self {
        let plan = loaded.run.plan().clone();
        let key = |index: StageIndex| plan.stages.get(index.as_usize()).map(|it| it.key.clone());
        let stages = loaded.run.stages().filter_map(|(index, stage)| {
            let planned = plan.stages.get(index.as_usize())?;
            let needs = planned.needs.iter().filter_map(|it| key(it.stage)).collect();
            Some(StageBody::new(index, planned, stage, needs))
        });
        let stages = stages.collect();
        let started_at = loaded.run.times().0.map(|it| it.0);
        Self { run: loaded.row.into(), started_at, stages }
    }
}

impl StageBody {
    fn new(index: StageIndex, planned: &PlannedStage, stage: &Stage, needs: Vec<String>) -> Self {
        let failure = stage.failure.as_ref().map(|it| (it.class, it.message.clone()));
        let of_attempt = || stage.outcome().and_then(|it| Some((it.class?, it.message.clone())));
        let failure = failure.or_else(of_attempt);
        Self {
            stage: index.0,
            key: planned.key.clone(),
            needs,
            status: stage.status.to_string(),
            failure_class: failure.as_ref().map(|it| it.0.to_string()),
            failure_message: failure.map(|it| it.1),
            approvals: stage.approvals.clone(),
            attempts: stage.attempts.iter().zip(1..).map(AttemptBody::from).collect(),
        }
    }
}

impl From<(&Attempt, u32)> for AttemptBody {
    fn from((attempt, number): (&Attempt, u32)) -> Self {
        Self {
            attempt: number,
            started_at: attempt.started_at.0,
            finished_at: attempt.finished_at.map(|it| it.0),
        }
    }
}
