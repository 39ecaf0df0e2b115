//! What an approval would let through: who is asked and who has answered, and how code, infra, prompts and
//! metrics differ from the last green run of the trunk. Reads only.

use std::path::PathBuf;

use crate::engine::{Event, Stage};
use crate::forge::request_ref;
use crate::model::{RunId, StageIndex, StageStatus, Timestamp};
use crate::pipeline::plan::{Approval, Work};
use crate::projects::{ProjectError, Projects};
use crate::runs::{LoadedRun, Runs, RunsError};
use crate::source::{Repository, SourceError};
use crate::store::StoreError;
use crate::store::runs::{RunFilter, RunRow};
use content::{Reader, Side};

mod authors;
mod change;
mod content;
mod release;
mod stuck;

pub use authors::ChangeAuthor;
pub use change::{MetricChange, Part, PartKind};
pub use content::ContentChange;
pub use release::{PartChange, ReleaseChange, ReleaseDigests};
pub use stuck::{Candidate, Circle, Stuck};

/// Where revisions are read from.
#[derive(Debug, Clone)]
pub enum Repositories {
    /// The mirrors of a server's projects.
    Projects(Projects),
    /// The folder that a run of a terminal names, with the folder of its own objects.
    Folders(PathBuf),
}

/// Shows approvals. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Approvals {
    runs: Runs,
    repositories: Repositories,
}

/// An approval, and what it would let through.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownApproval {
    /// Key of its stage.
    pub key: String,
    /// Where it stands.
    pub status: StageStatus,
    /// What the file wants.
    pub asked: Approval,
    /// Until when people have time; `None` while nobody is asked.
    pub until: Option<Timestamp>,
    /// What people have said, oldest first.
    pub answers: Vec<Answer>,
    /// How many more must say yes.
    pub missing: u32,
    /// Who has made the change, and does not count where the file says `not_author`.
    pub authors: Vec<ChangeAuthor>,
    /// The run that all is compared with; `None` when there is none yet.
    pub base: Option<ComparedRun>,
    /// What differs in the files, by part of the release; `None` when it cannot be known.
    pub parts: Option<Vec<Part>>,
    /// Why it cannot be known.
    pub problem: Option<String>,
    /// The digests of the release, and prompts line by line.
    pub content: ContentChange,
    /// What differs in the metrics.
    pub metrics: Vec<MetricChange>,
}

/// What a run would bring, compared with the last green run of the trunk before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// That run; `None` when there is none yet.
    pub base: Option<ComparedRun>,
    /// What differs in the files, by part of the release; `None` when it cannot be known.
    pub parts: Option<Vec<Part>>,
    /// Why it cannot be known.
    pub problem: Option<String>,
    /// The digests of the release, and prompts line by line.
    pub content: ContentChange,
}

/// What one person has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub by: String,
    /// Whether it was a yes.
    pub is_approved: bool,
    /// Why.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// Whether the stage was run again after it: it counts for nothing any more.
    pub is_past: bool,
}

/// The run that another one is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedRun {
    /// Its id.
    pub id: RunId,
    /// Its number.
    pub number: i64,
    /// Its commit.
    pub revision: String,
    /// Subject line of the commit.
    pub title: String,
}

impl From<RunRow> for ComparedRun {
    fn from(row: RunRow) -> Self {
        let RunRow { id, number, revision, title, .. } = row;
        Self { id, number, revision, title }
    }
}

/// Why an approval cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    /// The stage is no approval, or not there.
    #[error("the run has no approval `{0}`")]
    NoApproval(String),
    /// A run could not be read.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why two revisions cannot be compared.
#[derive(Debug, thiserror::Error)]
enum Incomparable {
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the project is gone")]
    NoProject,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading the revisions broke: {0}")]
    Broken(String),
}

impl Approvals {
    /// The approvals of these runs.
    #[must_use]
    pub fn new(runs: Runs, repositories: Repositories) -> Self {
        Self { runs, repositories }
    }

    /// Shows the approval of a stage, by its key or its place.
    pub async fn show(
        &self,
        loaded: &LoadedRun,
        name: &str,
    ) -> Result<ShownApproval, ApprovalsError> {
        let missing = || ApprovalsError::NoApproval(name.to_owned());
        let (index, stage, asked) = find(loaded, name).ok_or_else(missing)?;
        let planned = loaded.run.plan().stages.get(index.as_usize());
        let key = planned.map(|it| it.key.clone()).unwrap_or_default();
        let base = self.base(&loaded.row).await?;
        let changes = self.changes_since(loaded, base.as_ref()).await;
        let Changes { base: compared, parts, problem, content } = changes;
        let before = base.map(|it| change::metrics(&it.run)).unwrap_or_default();
        Ok(ShownApproval {
            key,
            status: stage.status,
            asked: asked.clone(),
            until: stage.waits_until,
            answers: self.answers(loaded, index).await?,
            missing: loaded.run.missing_approvals(index),
            authors: self.authors(loaded).await?,
            metrics: change::compared(&before, &change::metrics(&loaded.run)),
            base: compared,
            parts,
            problem,
            content,
        })
    }

    /// What a run would bring.
    pub async fn changes(&self, loaded: &LoadedRun) -> Result<Changes, ApprovalsError> {
        let base = self.base(&loaded.row).await?;
        Ok(self.changes_since(loaded, base.as_ref()).await)
    }

    async fn changes_since(&self, loaded: &LoadedRun, base: Option<&LoadedRun>) -> Changes {
        let compared = base.map(|it| ComparedRun::from(it.row.clone()));
        match self.read(loaded, base).await {
            Ok((parts, content)) => Changes { base: compared, parts, problem: None, content },
            Err(error) => Changes {
                base: compared,
                parts: None,
                // Without a run to compare with, nothing is missed.
                problem: base.map(|_| error.to_string()),
                content: ContentChange::default(),
            },
        }
    }

    /// The newest green run of the same pipeline before this one, on the branch that it is on or goes into.
    async fn base(&self, row: &RunRow) -> Result<Option<LoadedRun>, ApprovalsError> {
        let branch = self.trunk(row).await?;
        let filter = RunFilter {
            pipeline: Some(row.pipeline.clone()),
            repository: Some(row.repository.clone()),
            branch: Some(branch),
            is_green: true,
            before: Some(row.id.clone()),
            limit: 1,
            ..RunFilter::default()
        };
        match self.runs.store().list_runs(&filter).await?.first() {
            Some(base) => Ok(Some(self.runs.load(&base.id).await?)),
            None => Ok(None),
        }
    }

    async fn trunk(&self, row: &RunRow) -> Result<String, ApprovalsError> {
        let project = match &self.repositories {
            Repositories::Projects(_) => self.runs.store().find_project(&row.project).await?,
            Repositories::Folders(_) => None,
        };
        Ok(project.map_or_else(|| row.branch.clone(), |it| it.default_branch))
    }

    /// Who has made the change of a run.
    pub async fn authors(&self, loaded: &LoadedRun) -> Result<Vec<ChangeAuthor>, StoreError> {
        let people = match &self.repositories {
            Repositories::Projects(_) => self.runs.store().list_people().await?,
            Repositories::Folders(_) => Vec::new(),
        };
        Ok(authors::of(&loaded.run, &people))
    }

    async fn answers(
        &self,
        loaded: &LoadedRun,
        stage: StageIndex,
    ) -> Result<Vec<Answer>, ApprovalsError> {
        let events = self.runs.store().list_events(&loaded.row.id, 0).await?;
        let mut answers: Vec<Answer> = Vec::new();
        for stored in events {
            if let Event::RerunRequested { stages, .. } = &stored.event
                && stages.contains(&stage)
            {
                for earlier in &mut answers {
                    earlier.is_past = true;
                }
            }
            let is_approved = matches!(stored.event, Event::Approved { .. });
            if let Event::Approved { stage: it, by, comment }
            | Event::Rejected { stage: it, by, comment } = stored.event
                && it == stage
            {
                answers.push(Answer { by, is_approved, comment, at: stored.at, is_past: false });
            }
        }
        Ok(answers)
    }

    /// What differs in the files, and in their content.
    async fn read(
        &self,
        loaded: &LoadedRun,
        base: Option<&LoadedRun>,
    ) -> Result<(Option<Vec<Part>>, ContentChange), Incomparable> {
        let side = |it: &LoadedRun| Side {
            tree: it.row.tree.clone(),
            release: it.run.plan().release.clone(),
        };
        let (now, before) = (side(loaded), base.map(side));
        if now.release.is_none() && before.is_none() {
            return Ok((None, ContentChange::default()));
        }
        let (folder, objects) = self.repository(loaded, base.map(|it| &it.row)).await?;
        let read = tokio::task::spawn_blocking(move || {
            Reader { repository: Repository::discover(&folder)?, objects }
                .read(&now, before.as_ref())
        });
        Ok(read.await.map_err(|error| Incomparable::Broken(error.to_string()))??)
    }

    /// Where both revisions are, and where else objects are.
    async fn repository(
        &self,
        loaded: &LoadedRun,
        base: Option<&RunRow>,
    ) -> Result<(PathBuf, PathBuf), Incomparable> {
        let row = &loaded.row;
        let projects = match &self.repositories {
            Repositories::Folders(objects) => {
                return Ok((PathBuf::from(&row.repository), objects.clone()));
            }
            Repositories::Projects(projects) => projects,
        };
        let found = self.runs.store().find_project(&row.project).await?;
        let project = found.ok_or(Incomparable::NoProject)?;
        let request = loaded.run.context().pull_request.as_ref();
        let head = request.and_then(|it| request_ref(project.forge, it.number));
        if let Some(base) = base {
            projects.ensure(&project, &base.revision, None).await?;
        }
        let mirror = projects.ensure(&project, &row.revision, head.as_deref()).await?;
        Ok((mirror.folder(), projects.objects()))
    }
}

/// The approval of this key or place.
fn find<'a>(loaded: &'a LoadedRun, name: &str) -> Option<(StageIndex, &'a Stage, &'a Approval)> {
    let mut stages = loaded.run.plan().stages.iter().zip(loaded.run.stages());
    let (planned, (index, stage)) =
        stages.find(|(planned, (index, _))| planned.key == name || index.0.to_string() == name)?;
    match &planned.work {
        Work::Approval(asked) => Some((index, stage, asked)),
        Work::Container(_) | Work::Image(_) | Work::Builtin { .. } => None,
    }
}
