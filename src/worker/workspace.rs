//! Checkouts for workspaces: one for each run and owner, however many stages ask for it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::sync::OnceCell;

use crate::executor::{Executor, ExecutorError, Label};
use crate::forge::request_ref;
use crate::model::{ProjectId, RunId};
use crate::runs::{LoadedRun, RunsError};
use crate::source::{Checkout, Repository, Snapshot, SourceError};
use crate::worker::attempt::job::Setup;
use crate::worker::{Worker, WorkerError};

/// Checkouts and listings that are remembered. (What was forgotten is found on disk again.)
const REMEMBERED_MAX: usize = 64;

/// A checkout that is made once and waited for by everybody else.
pub(in crate::worker) type SharedCheckout = Arc<OnceCell<Checkout>>;

/// User and group that own the files.
pub(in crate::worker) type Owner = Option<(u32, u32)>;

/// Paths of a tree with the ids of their contents.
pub(in crate::worker) type Files = Arc<Vec<(String, String)>>;

/// Where the tree of a run comes from.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Origin {
    project: ProjectId,
    /// A folder, or what stands for the project.
    pub(in crate::worker) repository: PathBuf,
    commit: String,
    /// Number of the pull or merge request.
    request: Option<u64>,
}

impl Origin {
    pub(in crate::worker) fn of(loaded: &LoadedRun) -> Self {
        Self {
            project: loaded.row.project.clone(),
            repository: PathBuf::from(&loaded.row.repository),
            commit: loaded.row.revision.clone(),
            request: loaded.run.context().pull_request.as_ref().map(|it| it.number),
        }
    }
}

/// The revision that a run sees.
pub(in crate::worker) fn snapshot_of(loaded: &LoadedRun) -> Snapshot {
    let git = &loaded.run.context().git;
    Snapshot {
        commit: git.sha.clone(),
        tree: loaded.row.tree.clone(),
        r#ref: git.r#ref.clone(),
        title: git.message.clone(),
        author: git.author.clone(),
        dirty: git.dirty,
    }
}

impl<E: Executor> Worker<E> {
    pub(in crate::worker) fn label(&self, stage: &str) -> Label {
        Label { instance: self.settings.instance.clone(), stage: stage.to_owned() }
    }

    /// The checked-out tree of a run, owned by `owner`: the same one for all its stages, whatever other
    /// runs use meanwhile.
    pub(in crate::worker) async fn checkout(
        &self,
        run: &RunId,
        setup: &Setup,
        owner: Owner,
    ) -> Result<Checkout, ExecutorError> {
        let key = (run.clone(), owner);
        let cell: SharedCheckout = {
            let mut checkouts = self.checkouts.lock().unwrap_or_else(PoisonError::into_inner);
            if checkouts.len() >= REMEMBERED_MAX {
                checkouts.clear();
            }
            checkouts.entry(key).or_default().clone()
        };
        let made = cell.get_or_try_init(|| self.make_checkout(setup, owner)).await?;
        Ok(made.clone())
    }

    async fn make_checkout(&self, setup: &Setup, owner: Owner) -> Result<Checkout, ExecutorError> {
        let operation = || format!("checking out tree `{}`", setup.snapshot.tree);
        let found = self.repository(&setup.origin).await;
        let repository = found.map_err(|error| ExecutorError::Infra {
            operation: operation(),
            reason: error.to_string(),
        })?;
        let snapshot = setup.snapshot.clone();
        let (objects, folder) = (self.objects(), self.settings.state_folder.join("checkouts"));
        let made = tokio::task::spawn_blocking(move || {
            Repository::discover(&repository)?.checkout(&snapshot, &objects, &folder, owner)
        });
        match made.await {
            Ok(Ok(checkout)) => Ok(checkout),
            Ok(Err(error @ SourceError::NotARepository(_))) => {
                Err(ExecutorError::Rejected(error.to_string()))
            }
            Ok(Err(error @ SourceError::MissingSubmodule { .. })) => {
                let help = "run `git submodule update --init` in the repository, then run again";
                Err(ExecutorError::Rejected(format!("{error}\nhelp: {help}")))
            }
            Ok(Err(error)) => {
                Err(ExecutorError::Infra { operation: operation(), reason: error.to_string() })
            }
            Err(error) => {
                Err(ExecutorError::Infra { operation: operation(), reason: error.to_string() })
            }
        }
    }

    /// All paths of a run's tree; read once for each tree.
    pub(in crate::worker) async fn list_files(
        &self,
        loaded: &LoadedRun,
    ) -> Result<Files, WorkerError> {
        let tree = loaded.row.tree.clone();
        let cell: Arc<OnceCell<Files>> = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            if files.len() >= REMEMBERED_MAX {
                files.clear();
            }
            files.entry(tree).or_default().clone()
        };
        let list = || async {
            let repository = self.repository(&Origin::of(loaded)).await?;
            let objects = self.objects();
            let snapshot = snapshot_of(loaded);
            let listed = tokio::task::spawn_blocking(move || {
                Repository::discover(&repository)?.list_files(&snapshot, &objects)
            });
            let listed = listed.await.map_err(|error| SourceError::Failed {
                operation: "listing files".to_owned(),
                reason: error.to_string(),
            })?;
            Ok::<_, WorkerError>(Arc::new(listed?))
        };
        Ok(cell.get_or_try_init(list).await?.clone())
    }

    /// A file of a run's tree, if it is there.
    pub(in crate::worker) async fn read_file(
        &self,
        (origin, snapshot): (&Origin, &Snapshot),
        path: String,
    ) -> Result<Option<Vec<u8>>, WorkerError> {
        let repository = self.repository(origin).await?;
        let (objects, snapshot) = (self.objects(), snapshot.clone());
        let read = tokio::task::spawn_blocking(move || {
            Repository::discover(&repository)?.read_file(&snapshot, &objects, &path)
        });
        let read = read.await.map_err(|error| SourceError::Failed {
            operation: "reading a file".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(read?)
    }

    /// The folder that a run's tree is read from: where a person stood, or this machine's mirror of the
    /// project, in which the commit is then.
    async fn repository(&self, origin: &Origin) -> Result<PathBuf, WorkerError> {
        let Some(projects) = self.parts.projects.as_ref().filter(|_| !origin.project.0.is_empty())
        else {
            return Ok(origin.repository.clone());
        };
        let store = self.parts.runs.store();
        let found = store.find_project(&origin.project).await.map_err(RunsError::from)?;
        let gone = || SourceError::NotFound(origin.repository.display().to_string());
        let project = found.ok_or_else(gone)?;
        let head = origin.request.and_then(|it| request_ref(project.forge, it));
        let mirror = projects.ensure(&project, &origin.commit, head.as_deref()).await?;
        Ok(mirror.folder())
    }

    /// Where objects of dirty working trees are kept.
    fn objects(&self) -> PathBuf {
        self.settings.state_folder.join("objects")
    }
}
