//! One run as somebody sees it: where it stands, why it failed, what it waits for, who did what.

use crate::approvals::{Approvals, ApprovalsError, Changes, Repositories};
use crate::auth::Verdict;
use crate::blobs::BlobError;
use crate::desk::approvals;
use crate::desk::runs::find;
use crate::engine::{Event, RerunScope};
use crate::http::{App, Problem, Visitor};
use crate::model::{
    AttemptName, PersonId, Role, RunStatus, StageIndex, StageStatus, TeamId, Timestamp,
};
use crate::runs::LoadedRun;
use crate::runs::queue::Queued;
use crate::runs::view::{RunView, StageView};
use crate::store::access::projects::ProjectRow;
use crate::store::runs::StoredEvent;

/// Failed stages that are shown with the end of their logs, and lines of each.
const FAILURES_MAX: usize = 3;
const TAIL_LINES: u64 = 20;
/// What people did that is told, newest first.
const DEEDS_MAX: usize = 20;

/// A run as somebody sees it.
#[derive(Debug)]
pub struct SeenRun {
    /// The run.
    pub loaded: LoadedRun,
    /// The same as programs see it.
    pub view: RunView,
    /// Everything that has happened to it.
    pub events: Vec<StoredEvent>,
    /// Its project; `None` for runs from a terminal.
    pub project: Option<ProjectRow>,
    /// Whether the one who looks may stop it, and run it again where its project is not archived.
    pub may_run: bool,
    /// Stages that the one who looks may answer about now.
    pub answerable: Vec<StageIndex>,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// Which attempt has printed it.
    pub attempt: u32,
    /// Lines with their numbers, from 1; as they were printed.
    pub lines: Vec<(u64, String)>,
}

/// What a person, or something for them, has done to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who or what.
    pub by: String,
    /// What.
    pub kind: DeedKind,
    /// Why, in their words; may be empty.
    pub said: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeedKind {
    /// Asked it to stop.
    Cancelled,
    /// Asked it to stop at once.
    CancelledAtOnce,
    /// Ran stages again.
    Reran {
        /// Which were asked for.
        scope: RerunScope,
        /// How many that were, with those that follow.
        stages: usize,
    },
    /// Said yes to this stage.
    Approved(String),
    /// Said no to this stage.
    Rejected(String),
}

impl SeenRun {
    /// The run of this id or number.
    pub async fn find(app: &App, visitor: &Visitor, run: &str) -> Result<Self, Problem> {
        let row = find(app, visitor, run, Role::Viewer).await?;
        let (loaded, events) = app.runs.load_with_events(&row.id).await?;
        let project = app.store.find_project(&row.project).await?;
        let team = project.as_ref().map_or_else(|| TeamId(String::new()), |it| it.team.clone());
        let may_run = visitor.0.judge(&team, Role::Developer) == Verdict::Allowed;
        let answerable = approvals::answerable(app, visitor, (&loaded, &team)).await?;
        let view = RunView::of(&loaded, app.now());
        Ok(Self { loaded, view, events, project, may_run, answerable })
    }

    /// The stages that made it fail, in the order in which they ended.
    #[must_use]
    pub fn failures(&self) -> Vec<&StageView> {
        let is_failure = |it: &&StageView| it.status == StageStatus::Failed && !it.allowed;
        let mut failed: Vec<_> = self.view.stages.iter().filter(is_failure).collect();
        failed.sort_by_key(|it| {
            let last = it.attempts.last().and_then(|it| it.finished_at);
            last.unwrap_or(Timestamp(i64::MAX))
        });
        failed
    }

    /// The ends of the logs of its first failures.
    pub async fn tails(&self, app: &App) -> Result<Vec<Tail>, Problem> {
        let mut tails = Vec::new();
        for stage in self.failures().into_iter().take(FAILURES_MAX) {
            tails.push(self.tail(app, stage).await?);
        }
        Ok(tails)
    }

    async fn tail(&self, app: &App, stage: &StageView) -> Result<Tail, Problem> {
        let Some(attempt) = stage.present_attempts().last().map(|it| it.attempt) else {
            return Ok(Tail::default());
        };
        let name = AttemptName { run: self.view.id.clone(), stage: stage.stage, attempt };
        let reader = match app.logs.reader(&name).await {
            Ok(reader) => reader,
            Err(BlobError::NotFound(_)) => return Ok(Tail { attempt, lines: Vec::new() }),
            Err(error) => return Err(error.into()),
        };
        let lines = reader.extent().await?.lines;
        let place = reader.place_of_line(lines.saturating_sub(TAIL_LINES)).await?;
        let max = usize::try_from(TAIL_LINES).unwrap_or(usize::MAX);
        let (lines, _) = reader.next_lines(place, max, false).await?;
        let lines = lines.into_iter().map(|it| (it.number + 1, it.text)).collect();
        Ok(Tail { attempt, lines })
    }

    /// What it waits for, and its place in the line.
    pub async fn waits(&self, app: &App) -> Result<Queued, Problem> {
        Ok(app.runs.waits(&self.loaded, app.now()).await?)
    }

    /// What people did, newest first.
    #[must_use]
    pub fn deeds(&self) -> Vec<Deed> {
        let told = self.events.iter().rev().filter_map(|it| self.deed(it));
        told.take(DEEDS_MAX).collect()
    }

    /// Whether it was run again: its times are those of the last time.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.events.iter().any(|it| matches!(it.event, Event::RerunRequested { .. }))
    }

    fn deed(&self, stored: &StoredEvent) -> Option<Deed> {
        let key = |stage| self.view.key_of(stage).to_owned();
        #[expect(clippy::wildcard_enum_match_arm, reason = "few events are made by people")]
        let (by, kind, said) = match &stored.event {
            Event::CancelRequested { by, reason, force: false } => {
                (by, DeedKind::Cancelled, reason)
            }
            Event::CancelRequested { by, reason, .. } => (by, DeedKind::CancelledAtOnce, reason),
            Event::RerunRequested { scope, by, stages, .. } => {
                let kind = DeedKind::Reran { scope: scope.clone(), stages: stages.len() };
                let (by, at) = (by.clone(), stored.at);
                return Some(Deed { at, by, kind, said: String::new() });
            }
            Event::Approved { stage, by, comment } => {
                (by, DeedKind::Approved(key(*stage)), comment)
            }
            Event::Rejected { stage, by, comment } => {
                (by, DeedKind::Rejected(key(*stage)), comment)
            }
            _ => return None,
        };
        Some(Deed { at: stored.at, by: by.clone(), kind, said: said.clone() })
    }

    /// Login of who has started it by hand, where somebody has.
    pub async fn starter(&self, app: &App) -> Result<Option<String>, Problem> {
        let mut words = self.loaded.row.cause.split(':');
        let (Some("manual"), Some(person)) = (words.next(), words.next()) else { return Ok(None) };
        let person = app.store.find_person_by_id(&PersonId(person.to_owned())).await?;
        Ok(person.map(|it| it.login))
    }

    /// What differs from the last green run of the trunk.
    pub async fn changes(&self, app: &App) -> Result<Changes, Problem> {
        let repositories = Repositories::Projects(app.triggers.projects().clone());
        let approvals = Approvals::new(app.runs.clone(), repositories);
        approvals.changes(&self.loaded).await.map_err(|error| match error {
            ApprovalsError::NoApproval(_) => Problem::not_found("this run"),
            ApprovalsError::Runs(error) => error.into(),
            ApprovalsError::Store(error) => error.into(),
        })
    }

    /// Its project as `team/name`, where that is archived: what has begun goes on, and nothing begins anew.
    #[must_use]
    pub fn archived(&self) -> Option<String> {
        self.project.as_ref().filter(|it| it.archived_at.is_some()).map(ProjectRow::slug)
    }

    /// Whether the one who looks may run it again.
    #[must_use]
    pub fn may_rerun(&self) -> bool {
        self.may_run && self.view.status.is_finished() && self.archived().is_none()
    }

    /// Whether it is being stopped.
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        self.view.status == RunStatus::Cancelling
    }
}
