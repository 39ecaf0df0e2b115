//! Git: what a run is made from. Reads a repository, snapshots a dirty working tree without touching
//! it, checks trees out for workspaces, and tells which paths changed.

use std::path::{Path, PathBuf};

use crate::model::Digest;

/// A local repository. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
}

/// A revision, fixed: what a run sees of a repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Id of the commit (of `HEAD`); empty in a repository without commits.
    pub commit: String,
    /// Id of the git tree that is checked out; not the commit's when the working tree is dirty.
    pub tree: String,
    /// Full ref, such as `refs/heads/main`; empty when detached.
    pub r#ref: String,
    /// Subject line of the commit.
    pub title: String,
    /// Name of the author.
    pub author: String,
    /// Whether uncommitted changes are part of it.
    pub dirty: bool,
}

/// Where and for whom a tree is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The folder; never written to again.
    pub folder: PathBuf,
    /// The repository's objects, to be mounted read-only where the checkout's `.git` expects them.
    pub objects: Vec<(PathBuf, String)>,
    /// w
    pub warnings: Vec<String>,
}

/// Why git could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder is in no repository.
    #[error("`{0}` is not inside a git repository")]
    NotARepository(String),
    /// No such revision, ref or path.
    #[error("the repository has no `{0}`")]
    NotFound(String),
    /// The repository or the disk failed.
    #[error("{operation} failed: {reason}")]
    Failed {
        /// What was tried, and on what.
        operation: String,
        /// What git said.
        reason: String,
    },
}

impl Repository {
    /// The repository that `folder` lies in.
    pub fn discover(folder: &Path) -> Result<Self, SourceError> {
        Ok(Self { folder: folder.to_owned() })
    }

    /// Its top folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The working tree as it is, uncommitted and untracked (not ignored) files included. Objects that
    /// are not in the repository yet are written to `objects`, never to the repository.
    pub fn snapshot_working_tree(&self, _objects: &Path) -> Result<Snapshot, SourceError> {
        unimplemented!()
    }

    /// The last commit, without what is not committed.
    pub fn snapshot_head(&self) -> Result<Snapshot, SourceError> {
        unimplemented!()
    }

    /// Checks a snapshot out below `folder` (once for each tree and owner; complete or not there at all),
    /// submodules included, owned by `owner` (uid, gid) where this process may do that.
    pub fn checkout(
        &self,
        _snapshot: &Snapshot,
        _objects: &Path,
        _folder: &Path,
        _owner: Option<(u32, u32)>,
    ) -> Result<Checkout, SourceError> {
        unimplemented!()
    }

    /// Text of a file in the snapshot; `None` when there is none.
    pub fn read_file(
        &self,
        _snapshot: &Snapshot,
        _objects: &Path,
        _path: &str,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        unimplemented!()
    }

    /// All paths of the snapshot, sorted, with the digest of each file's content (git blob id).
    pub fn list_files(
        &self,
        _snapshot: &Snapshot,
        _objects: &Path,
    ) -> Result<Vec<(String, String)>, SourceError> {
        unimplemented!()
    }

    /// Paths that differ between the snapshot and its merge base with `base` (a ref or commit), sorted.
    /// `None` when there is no such base.
    pub fn changed_paths(
        &self,
        _snapshot: &Snapshot,
        _objects: &Path,
        _base: &str,
    ) -> Result<Option<Vec<String>>, SourceError> {
        unimplemented!()
    }
}

/// One digest over the files that match the globs: their paths and contents.
#[must_use]
pub fn digest_of_globs(_files: &[(String, String)], _globs: &[String]) -> Digest {
    Digest::of(b"")
}
