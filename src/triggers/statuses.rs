//! What the statuses of a commit should say, derived from the runs. What is said is a pure matter of the
//! run's state; how far it was told is kept beside the run.

use super::{TriggerError, Triggers};
use crate::engine::{Run, Stage};
use crate::forge::StatusState;
use crate::model::{RunStatus, StageStatus};
use crate::notifications::NotificationError;
use crate::runs::{LoadedRun, RunsError};
use crate::store::intake::statuses::WantedStatus;

/// Runs that are told of at one look.
const BATCH: u32 = 50;
/// Lines of a summary; a check takes 65,535 characters.
const SUMMARY_STAGES_MAX: usize = 200;

impl Triggers {
    /// Brings the outbox up to date with what has happened to runs; true when there is more to do.
    pub(super) async fn derive_statuses(&self) -> Result<bool, TriggerError> {
        let runs = self.store().list_runs_to_tell(BATCH).await?;
        for id in &runs {
            let loaded = match self.runs.load(id).await {
                Ok(loaded) => loaded,
                Err(RunsError::NotFound(_)) => continue,
                Err(error) => {
                    tracing::warn!(run = %id, %error, "the statuses of a run are not told");
                    self.store().save_told(id, i64::MAX).await?;
                    continue;
                }
            };
            self.queue_statuses(&loaded).await?;
            self.note(&loaded).await?;
            self.store().save_told(id, loaded.seq).await?;
        }
        Ok(runs.len() == BATCH as usize)
    }

    /// Writes down what the forge is to be told; nothing where there is none.
    async fn queue_statuses(&self, loaded: &LoadedRun) -> Result<(), TriggerError> {
        let project = self.store().find_project(&loaded.row.project).await?;
        if !project.is_some_and(|it| it.has_forge()) {
            return Ok(());
        }
        let access = self.projects.access(&loaded.row.project).await?;
        let wanted = wanted(loaded, access.stage_statuses);
        Ok(self.store().save_statuses(&wanted, self.now()).await?)
    }

    /// Writes down whom to tell: again at the next look when the database fails. What can never be written down
    /// holds no status up.
    async fn note(&self, loaded: &LoadedRun) -> Result<(), TriggerError> {
        let Some(notifications) = &self.notifications else { return Ok(()) };
        match notifications.note_run(loaded).await {
            Err(NotificationError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(run = %loaded.row.id, %error, "nobody is told what became of a run");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// The statuses of a run: one of the pipeline, and one of each stage where that is wanted.
pub(super) fn wanted(loaded: &LoadedRun, with_stages: bool) -> Vec<WantedStatus> {
    let (row, run) = (&loaded.row, &loaded.run);
    let pipeline = format!("trunkline/{}", row.pipeline);
    let status = |context: String, (state, description): (StatusState, String), summary: String| {
        WantedStatus {
            project: row.project.clone(),
            revision: row.revision.clone(),
            context,
            run: row.id.clone(),
            state: state.as_str().to_owned(),
            description,
            summary,
        }
    };
    let mut all = vec![status(pipeline.clone(), of_run(run), summary(run))];
    if with_stages {
        for (planned, (_, stage)) in run.plan().stages.iter().zip(run.stages()) {
            let context = format!("{pipeline}/{}", planned.key);
            all.push(status(context, of_stage(run, stage), String::new()));
        }
    }
    all
}

fn of_run(run: &Run) -> (StatusState, String) {
    let keys = |wanted: StageStatus| {
        let with_status =
            run.stages().filter(|(_, stage)| stage.status == wanted && !stage.allowed);
        let keys: Vec<_> = with_status
            .filter_map(|(index, _)| run.plan().stages.get(index.as_usize()))
            .map(|it| format!("`{}`", it.key))
            .collect();
        keys.join(", ")
    };
    let count =
        |wanted: StageStatus| run.stages().filter(|(_, stage)| stage.status == wanted).count();
    let total = run.stages().count();
    match run.status() {
        RunStatus::Queued => (StatusState::Pending, "queued".to_owned()),
        RunStatus::Running => {
            let done = run.stages().filter(|(_, it)| it.status.is_finished()).count();
            (StatusState::Running, format!("{done} of {total} stages are done"))
        }
        RunStatus::Waiting => {
            let stages = keys(StageStatus::Waiting);
            (StatusState::Running, format!("waits for approval of {stages}"))
        }
        RunStatus::Cancelling => (StatusState::Running, "is being cancelled".to_owned()),
        RunStatus::Passed => {
            let (passed, skipped) = (count(StageStatus::Passed), count(StageStatus::Skipped));
            let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
            (StatusState::Success, format!("{passed} passed{skipped}"))
        }
        RunStatus::Failed => {
            (StatusState::Failure, format!("failed: {}", keys(StageStatus::Failed)))
        }
        RunStatus::Cancelled => (StatusState::Cancelled, "cancelled".to_owned()),
    }
}

fn of_stage(run: &Run, stage: &Stage) -> (StatusState, String) {
    let state = match stage.status {
        StageStatus::Pending | StageStatus::Ready => StatusState::Pending,
        StageStatus::Running | StageStatus::Delayed | StageStatus::Waiting => StatusState::Running,
        StageStatus::Passed | StageStatus::Skipped => StatusState::Success,
        StageStatus::Failed if stage.allowed => StatusState::Success,
        StageStatus::Failed => StatusState::Failure,
        StageStatus::Cancelled => StatusState::Cancelled,
    };
    (state, describe(run, stage))
}

fn describe(run: &Run, stage: &Stage) -> String {
    let reason = stage.skip_reason.as_ref().map(|it| run.explain_skip(it));
    match (stage.status, reason) {
        (StageStatus::Skipped, Some(reason)) => format!("skipped: {reason}"),
        (StageStatus::Failed, _) => {
            let message = stage.outcome().map(|it| it.message.as_str()).unwrap_or_default();
            let message = stage.failure.as_ref().map_or(message, |it| it.message.as_str());
            let allowed = if stage.allowed { " (allowed)" } else { "" };
            format!("failed{allowed}: {}", message.lines().next().unwrap_or_default())
        }
        (StageStatus::Waiting, _) => "waits for approval".to_owned(),
        (status, _) => status.to_string(),
    }
}

/// A table of the stages, once the run has ended; checks show it.
fn summary(run: &Run) -> String {
    if !run.status().is_finished() {
        return String::new();
    }
    let mut text = "| stage | |\n| --- | --- |\n".to_owned();
    let stages = run.plan().stages.iter().zip(run.stages());
    for (planned, (_, stage)) in stages.take(SUMMARY_STAGES_MAX) {
        let line = describe(run, stage).replace('|', "\\|");
        text.push_str(&format!("| `{}` | {line} |\n", planned.key));
    }
    text
}
