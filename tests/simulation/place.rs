//! Where histories happen: a repository and folders that all of them share.

use std::path::{Path, PathBuf};

use trunkline::source::{Repository, Snapshot};
use trunkline::store::Store;

use crate::repository::Repo;

/// Gone with this value.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    repo: Repo,
    pub(crate) snapshot: Snapshot,
}

impl Place {
    /// In memory, where the machine has a folder for that.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent).unwrap();
        let repo = Repo::new().file("README.md", "A simulation.\n").commit("first");
        let snapshot = Repository::discover(repo.folder()).unwrap().snapshot_head().unwrap();
        Self { folder, repo, snapshot }
    }

    /// Makes the database that every history begins with.
    pub(crate) async fn prepare(&self) {
        open(&self.empty_database()).await.close().await;
    }

    pub(crate) fn repository(&self) -> String {
        self.repo.folder().display().to_string()
    }

    /// A folder with an empty database for one history.
    pub(crate) fn begin_history(&self, seed: u64) -> PathBuf {
        let folder = self.folder.path().join(format!("history-{seed}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(self.empty_database(), database_in(&folder)).unwrap();
        folder
    }

    /// The state folder of the machine with this number.
    pub(crate) fn state_folder(&self, machine: u32) -> PathBuf {
        self.folder.path().join(format!("state-{machine}"))
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }

    fn empty_database(&self) -> PathBuf {
        self.folder.path().join("empty.db")
    }
}

pub(crate) fn database_in(folder: &Path) -> PathBuf {
    folder.join("state.db")
}

pub(crate) async fn open(database: &Path) -> Store {
    Store::open(&format!("sqlite:{}", database.display())).await.unwrap()
}
