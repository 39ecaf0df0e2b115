//! Git: what a run is made from. Reads a repository, snapshots a dirty working tree without touching
//! it, checks trees out for workspaces, tells which paths changed, and keeps mirrors of others.

use std::path::{Path, PathBuf};

use crate::model::{Digest, Timestamp};

mod access;
mod snapshot;
mod listing;
mod submodules;
mod checkout;
mod changes;
mod globs;
mod prune;
mod library;
mod mirror;
mod program;
mod objects;

pub use changes::{DiffLine, FileDiff, FileStat, Hunk, LineKind};
pub use globs::Globs;
pub use library::{Address, Library, NoAddress, is_commit};
pub use mirror::{CommitFacts, Credential, Hand, Mirror, Remote};

/// A local repository: a clone, a linked worktree or a bare one. Cheap to clone, and only ever read.
#[derive(Debug, Clone)]
pub struct Repository {
    place: access::Place,
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
    /// The repository's objects, to be mounted read-only where the checkout's `.git` expects them: path
    /// on this machine, path in the container. Without them everything but `git` works.
    pub objects: Vec<(PathBuf, String)>,
    /// What a person should know about it, such as files that are only pointers to large ones.
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
    /// The content of a submodule is not on this machine.
    #[error("submodule `{path}` is not here at commit `{commit}`")]
    MissingSubmodule {
        /// Where it belongs.
        path: String,
        /// The commit that is wanted.
        commit: String,
    },
    /// The repository or the disk failed.
    #[error("{operation} failed: {reason}")]
    Failed {
        /// What was tried, and on what.
        operation: String,
        /// What git said.
        reason: String,
    },
}

impl SourceError {
    /// What to do about it, as one sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotARepository(_) => Some("run `git init`, or go to a folder of a repository"),
            Self::MissingSubmodule { .. } => {
                Some("run `git submodule update --init --recursive` in the repository")
            }
            Self::NotFound(_) => Some(
                "name a branch, a tag or a commit that `git log` shows; a shallow clone has the ones before after `git fetch --unshallow`",
            ),
            Self::Failed { .. } => None,
        }
    }

    /// Turns what git or the disk said about `operation` into an error.
    fn failed<E: ToString>(operation: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::Failed { operation: operation.into(), reason: error.to_string() }
    }
}

impl Repository {
    /// The repository that `folder` lies in. Whoever owns it: it is only read.
    pub fn discover(folder: &Path) -> Result<Self, SourceError> {
        let place = access::Place::find(folder)
            .ok_or_else(|| SourceError::NotARepository(folder.display().to_string()))?;
        Ok(Self { place })
    }

    /// Its top folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.folder()
    }

    /// The URL of the remote `origin` as it is configured, without user settings that replace it; a
    /// relative path becomes an absolute one.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let repository = self.place.open().ok()?;
        let url = repository.find_remote("origin").ok()?.url().ok()?.to_owned();
        let is_relative = url.starts_with("./") || url.starts_with("../");
        if !is_relative {
            return Some(url);
        }
        let path = std::fs::canonicalize(self.folder().join(&url)).ok()?;
        Some(path.display().to_string())
    }

    /// The repository itself as a folder of objects: enough to read commits, and nothing is written to it.
    #[must_use]
    pub fn own_objects(&self) -> &Path {
        &self.place.common
    }

    /// The working tree as it is, uncommitted and untracked (not ignored) files included. Objects that
    /// are not in the repository yet are written to `objects` (a folder that is made when missing, and
    /// may serve many repositories), never to the repository.
    ///
    /// A submodule counts as it is too. A repository inside of the repository that is no submodule is
    /// left out, as `git add` would ask about it.
    pub fn snapshot_working_tree(&self, objects: &Path) -> Result<Snapshot, SourceError> {
        snapshot::of_working_tree(&self.place, objects)
    }

    /// The last commit, without what is not committed.
    pub fn snapshot_head(&self) -> Result<Snapshot, SourceError> {
        snapshot::of_head(&self.place)
    }

    /// Checks a snapshot out below `folder` (complete or not there at all), submodules included, owned by
    /// `owner` (uid, gid) where this process may do that; where it may not, everybody may write. Files get
    /// the time of the checkout; those that are the same in the checkout that was used last are shared
    /// with it and keep theirs. The checkout that was used last is used again if it is of the same tree,
    /// commit and owner; every other one is a new one, so that no file looks older than what was built
    /// from the tree before.
    ///
    /// Its `.git` is enough for `git log`, `status`, `describe` and `diff` with a detached `HEAD`, where
    /// [`Checkout::objects`] are mounted. Where the checkout belongs to another user than git runs as,
    /// git wants `safe.directory`, which a repository cannot set for itself: set it by the environment
    /// (`GIT_CONFIG_COUNT`). Git LFS pointers stay pointers, and are told in [`Checkout::warnings`].
    pub fn checkout(
        &self,
        snapshot: &Snapshot,
        objects: &Path,
        folder: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<Checkout, SourceError> {
        checkout::Request { place: &self.place, snapshot, objects, folder, owner }.carry_out()
    }

    /// Content of a file in the snapshot; `None` when there is none. The target of a symbolic link is
    /// not followed, and submodules are not entered.
    pub fn read_file(
        &self,
        snapshot: &Snapshot,
        objects: &Path,
        path: &str,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        listing::read_file(&self.place, objects, &snapshot.tree, path)
    }

    /// All paths of the snapshot, sorted, with what identifies each file: its git blob id, and `+x` or
    /// `+link` behind it when it is executable or a symbolic link. Files of submodules are among them;
    /// a submodule that is not here has one entry, with its commit. Bytes of a path that are not UTF-8
    /// become U+FFFD.
    pub fn list_files(
        &self,
        snapshot: &Snapshot,
        objects: &Path,
    ) -> Result<Vec<(String, String)>, SourceError> {
        listing::list_files(&self.place, objects, &snapshot.tree)
    }

    /// Paths that differ between the snapshot and its merge base with `base` (a ref or commit), sorted.
    /// A renamed file counts with both paths. `None` when there is no such base.
    pub fn changed_paths(
        &self,
        snapshot: &Snapshot,
        objects: &Path,
        base: &str,
    ) -> Result<Option<Vec<String>>, SourceError> {
        changes::changed_paths(&self.place, objects, snapshot, base)
    }

    /// Files that differ between two trees, by path, and by how many lines. Of very many, the first ones.
    pub fn compare(
        &self,
        objects: &Path,
        trees: (&str, &str),
    ) -> Result<Vec<FileStat>, SourceError> {
        changes::compare(&self.place, objects, trees)
    }

    /// These files of two trees line by line, by path; a renamed one is named as it is in the new tree. What is
    /// long is cut, see [`FileDiff::is_cut`].
    pub fn diff(
        &self,
        objects: &Path,
        trees: (&str, &str),
        paths: &[String],
    ) -> Result<Vec<FileDiff>, SourceError> {
        changes::diff(&self.place, objects, trees, paths)
    }

    /// All paths of a tree, as [`Repository::list_files`] gives them.
    pub fn list_files_of_tree(
        &self,
        objects: &Path,
        tree: &str,
    ) -> Result<Vec<(String, String)>, SourceError> {
        listing::list_files(&self.place, objects, tree)
    }

    /// What a local run compares a snapshot with: the upstream of the branch, else the trunk (`main` or
    /// `master`, of `origin` or here), else the commit before; whichever leaves something to compare.
    #[must_use]
    pub fn default_base(&self, snapshot: &Snapshot) -> Option<String> {
        changes::default_base(&self.place, snapshot)
    }
}

/// One digest over the files that match the globs: their paths and contents. `*` and `?` do not match
/// `/`, `**` does. A glob that cannot be parsed stands for the path that is written like it.
#[must_use]
pub fn digest_of_globs(files: &[(String, String)], globs: &[String]) -> Digest {
    globs::digest(files, globs)
}

/// One digest over files, whatever their order: paths, and what identifies the content of each.
#[must_use]
pub fn digest_of_files(files: &[(String, String)]) -> Digest {
    globs::digest_of(files.iter())
}

/// Whether a path, or the name of a branch or tag, matches one of the globs. `*` and `?` do not match `/`,
/// `**` does.
#[must_use]
pub fn matches_glob(globs: &[String], text: &str) -> bool {
    Globs::new(globs).is_match(text)
}

/// Removes the checkouts below `folder` that were last asked for before `unused_since` and whose tree
/// is not in `keep`. Returns how many. Safe beside checkouts that are being made.
pub fn prune_checkouts(
    folder: &Path,
    keep: &[String],
    unused_since: Timestamp,
) -> Result<usize, SourceError> {
    prune::prune(folder, keep, unused_since)
}

/// Removes what [`Repository::snapshot_working_tree`] wrote to `objects` and no tree of `keep` consists of,
/// unless it was written after `unused_since`. Returns how many objects went.
pub fn prune_objects(
    objects: &Path,
    keep: &[String],
    unused_since: Timestamp,
) -> Result<usize, SourceError> {
    objects::prune(objects, keep, unused_since)
}
