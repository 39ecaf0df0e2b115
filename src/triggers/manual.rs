//! A person starts a pipeline, with inputs.

use std::collections::BTreeMap;

use super::start::{Fate, Happening, HappeningKind};
use super::{TriggerError, Triggers, pipelines};
use crate::pipeline::context::{Author, AuthorPart};
use crate::pipeline::file::Input;
use crate::projects::ProjectError;
use crate::source::{Mirror, SourceError, is_commit};
use crate::store::access::projects::ProjectRow;
use crate::store::runs::RunRow;

/// Pipelines that are named when the wanted one is not there.
const SHOWN: usize = 20;

/// What a person wants to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualOrder {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Branch, tag, full ref or commit id; empty for the default branch.
    pub revision: String,
    /// Values of its inputs, as text.
    pub inputs: BTreeMap<String, String>,
    /// Login of who asks.
    pub by: String,
    /// Who asks and for what, so that asking twice starts one run; unique within the project.
    pub cause: String,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// Nothing starts runs of this project any more.
    #[error("project `{0}` is archived")]
    Archived(String),
    /// The repository has no such revision; it has these branches.
    #[error("the repository has no branch, tag or commit `{0}`")]
    NoRevision(String, Vec<String>),
    /// The revision has no such pipeline.
    #[error("commit `{commit}` has no pipeline `{pipeline}`")]
    NoPipeline {
        /// What was asked for.
        pipeline: String,
        /// The commit.
        commit: String,
        /// Names of those it has.
        known: Vec<String>,
    },
    /// The pipeline cannot be planned, or its inputs do not fit.
    #[error("{0}")]
    Refused(String),
    /// The repository cannot be read now.
    #[error("the repository of `{0}` cannot be read: {1}")]
    Remote(String, #[source] Box<ProjectError>),
    /// Something of ours failed.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

/// A pipeline that a person may start.
#[derive(Debug, Clone, PartialEq)]
pub struct Startable {
    /// Its name.
    pub pipeline: String,
    /// What it asks for (`on.manual.inputs`), by name.
    pub inputs: BTreeMap<String, Input>,
}

impl ManualError {
    /// What a person can do about it, as a sentence.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Archived(_) => {
                Some("An admin of the team can restore it, in the settings of the project.".into())
            }
            Self::NoRevision(_, branches) if branches.is_empty() => {
                Some("The repository has no branch at all: push one first.".into())
            }
            Self::NoRevision(_, branches) => {
                let shown: Vec<_> =
                    branches.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
                let shown = shown.join(", ");
                Some(format!("Push it first, or name another. Its branches: {shown}."))
            }
            Self::NoPipeline { known, .. } if known.is_empty() => {
                Some("Pipelines are `.trunkline.yml` and the files in `pipelines/`.".into())
            }
            Self::NoPipeline { known, .. } => {
                let known: Vec<_> = known.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
                Some(format!("Known are {}.", known.join(", ")))
            }
            Self::Remote(..) => {
                Some("Check address, credential and trunk in the project's settings.".into())
            }
            Self::Refused(_) | Self::Trigger(_) => None,
        }
    }
}

impl Triggers {
    /// Starts a pipeline; gives the run that the order's cause has made, now or before.
    pub async fn start_manual(
        &self,
        project: &ProjectRow,
        order: ManualOrder,
    ) -> Result<RunRow, ManualError> {
        if project.archived_at.is_some() {
            return Err(ManualError::Archived(project.slug()));
        }
        if let Some(row) = self.find_started(project, &order).await? {
            return Ok(row);
        }
        let (mirror, commit, r#ref) = self.fetch_revision(project, &order.revision).await?;
        let happening = Happening {
            cause: order.cause.clone(),
            commit,
            r#ref,
            base: None,
            hands: vec![Author {
                part: AuthorPart::Starter,
                name: order.by.clone(),
                login: order.by.clone(),
                ..Author::default()
            }],
            kind: HappeningKind::Manual(order.pipeline.clone(), order.inputs.clone()),
        };
        let read = self.read(project, mirror, &happening).await?;
        let revision = (&read.commit, read.height);
        match read.fates.into_iter().next() {
            Some(Fate::Starts(planned)) => {
                self.create(project, &happening, revision, *planned).await?;
            }
            Some(Fate::Broken { shown, .. }) => return Err(ManualError::Refused(shown)),
            Some(Fate::Skipped { .. }) | None => {
                let (pipeline, commit) = (order.pipeline, happening.commit);
                return Err(ManualError::NoPipeline { pipeline, commit, known: read.pipelines });
            }
        }
        let started = self.find_started(project, &order).await?;
        started.ok_or_else(|| TriggerError::Broken("the run is gone".to_owned()).into())
    }

    /// Fetches, and finds the commit that is meant and the ref under which its run sees it.
    async fn fetch_revision(
        &self,
        project: &ProjectRow,
        revision: &str,
    ) -> Result<(Mirror, String, String), ManualError> {
        let remote = |error| ManualError::Remote(project.slug(), Box::new(error));
        let mirror = self.projects.fetch(project).await.map_err(remote)?;
        self.notice_mended(project, &mirror).await?;
        match resolve(&mirror, project, revision) {
            Ok((commit, r#ref)) => Ok((mirror, commit, r#ref)),
            Err(ManualError::NoRevision(name, _)) => {
                let refs = self.projects.list_remote(project).await.map_err(remote)?;
                let branches = refs.keys().filter_map(|it| it.strip_prefix("refs/heads/"));
                Err(ManualError::NoRevision(name, branches.map(str::to_owned).collect()))
            }
            Err(error) => Err(error),
        }
    }

    /// The pipelines of the default branch as they were when the remote was last looked at; none before that.
    pub async fn list_startable(
        &self,
        project: &ProjectRow,
    ) -> Result<Vec<Startable>, TriggerError> {
        let mirror = self.projects.mirror(&project.id);
        let trunk = format!("refs/heads/{}", project.default_branch);
        let read = tokio::task::spawn_blocking(move || {
            let commit = mirror.find_commit(&trunk)?;
            pipelines::read_all(&mirror, &commit.id)
        });
        let found = read.await.map_err(|error| TriggerError::Broken(error.to_string()))?;
        let readable = found.unwrap_or_default().into_iter().filter_map(|it| it.checked.pipeline);
        let startable = readable.map(|it| Startable {
            pipeline: it.name().to_owned(),
            inputs: it.triggers().manual.inputs.clone(),
        });
        Ok(startable.collect())
    }

    async fn find_started(
        &self,
        project: &ProjectRow,
        order: &ManualOrder,
    ) -> Result<Option<RunRow>, TriggerError> {
        let (pipeline, cause) = (&order.pipeline, &order.cause);
        Ok(self.store().find_run_by_cause(&project.id, pipeline, cause).await?)
    }
}

/// Git has words for the parent of a commit and much else; only names are taken.
fn is_plain(revision: &str) -> bool {
    let is_fine = |it: char| !it.is_control() && !" ~^:?*[\\{}".contains(it);
    revision.chars().all(is_fine) && !revision.contains("..") && !revision.starts_with('-')
}

/// The commit that is meant, and the ref under which its run sees it.
fn resolve(
    mirror: &Mirror,
    project: &ProjectRow,
    revision: &str,
) -> Result<(String, String), ManualError> {
    let revision = if revision.is_empty() { &project.default_branch } else { revision };
    if !is_plain(revision) {
        return Err(ManualError::NoRevision(revision.to_owned(), Vec::new()));
    }
    let full = revision.starts_with("refs/heads/") || revision.starts_with("refs/tags/");
    let candidates = if full {
        vec![(revision.to_owned(), revision.to_owned())]
    } else if is_commit(revision) {
        vec![(revision.to_owned(), String::new())]
    } else {
        let of = |folder| format!("refs/{folder}/{revision}");
        vec![(of("heads"), of("heads")), (of("tags"), of("tags"))]
    };
    for (name, r#ref) in candidates {
        match mirror.find_commit(&name) {
            Ok(commit) => return Ok((commit.id, r#ref)),
            Err(SourceError::NotFound(_)) => (),
            Err(error) => return Err(TriggerError::from(error).into()),
        }
    }
    Err(ManualError::NoRevision(revision.to_owned(), Vec::new()))
}
