//! What the stages of a run have printed, and what they print: found by run and stage, read by line.

mod follow;
mod outline;
mod search;
mod window;

pub use follow::{Follower, LogNews, Start};
pub use outline::{Outline, OutlineSection, outline, outlines};
pub use search::{SearchHit, SearchQuery, SearchResult, search};
pub use window::{LINES_MAX, LogWindow, WindowLine, window};

use crate::blobs::{BlobError, LogReader};
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::{AttemptName, Role, StageIndex, Timestamp};
use crate::runs::LoadedRun;
use crate::runs::view::{RunView, StageView};

/// A stage of a run whose log is read.
#[derive(Debug)]
pub struct StageLog {
    /// The run.
    pub loaded: LoadedRun,
    /// The stage.
    pub stage: StageIndex,
}

impl StageLog {
    /// The stage with this key or name, of a run that the caller may see.
    pub async fn find(
        app: &App,
        visitor: &Visitor,
        (run, stage): (&str, &str),
    ) -> Result<Self, Problem> {
        let loaded = super::runs::load(app, visitor, run, Role::Viewer).await?;
        let stage = loaded.find_stage(stage)?;
        Ok(Self { loaded, stage })
    }

    /// How many attempts there are.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let attempts = self.loaded.run.stage(self.stage).map_or(0, |it| it.attempts.len());
        u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// The attempt that is meant: this one, or the last; 0 before the first.
    pub fn attempt(&self, wanted: Option<u32>) -> Result<u32, Problem> {
        let last = self.attempts();
        match wanted {
            Some(wanted) if wanted == 0 || wanted > last => {
                let title = format!("attempt {wanted} of this stage does not exist");
                Err(Problem::new(ProblemKind::NotFound, title)
                    .with_help(format!("The stage has had {last} attempts.")))
            }
            Some(wanted) => Ok(wanted),
            None => Ok(last),
        }
    }

    /// The name of an attempt's log.
    #[must_use]
    pub fn name(&self, attempt: u32) -> AttemptName {
        AttemptName { run: self.loaded.row.id.clone(), stage: self.stage, attempt }
    }

    /// Whether the attempt has ended, as far as the run was read.
    #[must_use]
    pub fn is_ended(&self, attempt: u32) -> bool {
        let place = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let attempts = self.loaded.run.stage(self.stage).map(|it| it.attempts.as_slice());
        attempts.and_then(|it| it.get(place)).is_some_and(|it| it.finished_at.is_some())
    }

    /// The stage as people see it.
    pub fn view(&self, now: Timestamp) -> Result<StageView, Problem> {
        let mut view = RunView::of(&self.loaded, now);
        let place = view.stages.iter().position(|it| it.stage == self.stage);
        let place = place.ok_or_else(|| Problem::not_found("this stage"))?;
        Ok(view.stages.swap_remove(place))
    }

    /// Counts what its steps have done: another number means news.
    fn steps(&self, attempt: u32) -> usize {
        let place = usize::try_from(attempt).unwrap_or(usize::MAX).wrapping_sub(1);
        let attempts = self.loaded.run.stage(self.stage).map(|it| it.attempts.as_slice());
        let attempt = attempts.and_then(|it| it.get(place));
        attempt.map_or(0, |it| {
            it.steps.values().map(|step| 1 + usize::from(step.finished.is_some())).sum()
        })
    }

    /// Opens a log; `None` where nothing was printed yet, or it is no longer kept.
    pub async fn open(&self, app: &App, attempt: u32) -> Result<Option<LogReader>, Problem> {
        match app.logs.reader(&self.name(attempt)).await {
            Ok(reader) => Ok(Some(reader)),
            Err(BlobError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// From what people count to what a log counts: lines from 1, below 0 from the end.
#[must_use]
pub fn first_line(from: i64, lines: u64) -> u64 {
    if from < 0 {
        return lines.saturating_sub(from.unsigned_abs());
    }
    from.unsigned_abs().saturating_sub(1)
}
