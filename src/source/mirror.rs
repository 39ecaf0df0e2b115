//! A bare copy of a remote repository on this machine, brought up to date when something is wanted that it
//! does not have. Many processes may use one: a lock file lets one of them fetch at a time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::access::Place;
use super::checkout::lock::Lock;
use super::{Repository, Snapshot, SourceError};

mod remote;
mod history;

pub use history::{CommitFacts, Hand};
pub use remote::{Credential, Remote};

/// Branches and tags, as they are at the remote.
const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/// Where a commit that no branch leads to is kept.
const KEPT: &str = "refs/trunkline/commits/";

/// Which refs of the mirror are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prune {
    /// Those that are gone at the remote.
    Gone,
    Nothing,
}

/// The copy of one project's repository. Cheap to clone; it may not have been made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    parent: PathBuf,
    name: String,
}

impl Mirror {
    /// The mirror with this name in the folder of mirrors.
    #[must_use]
    pub fn new(parent: &Path, name: &str) -> Self {
        Self { parent: parent.to_owned(), name: name.to_owned() }
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.parent.join(format!("{}.git", self.name))
    }

    /// Branches and tags of the remote with what they point to; nothing is fetched.
    pub fn list_remote(
        &self,
        remote: &Remote<'_>,
    ) -> Result<BTreeMap<String, String>, SourceError> {
        self.open_or_make()?;
        let before = ["ls-remote", "--quiet", "--heads", "--tags", "--refs"];
        let folders = (self.parent.as_path(), self.folder());
        let listed = remote.call((folders.0, &folders.1), "listing the refs of", (&before, &[]))?;
        let line = |it: &str| {
            let (id, name) = it.split_once('\t')?;
            Some((name.to_owned(), id.to_owned()))
        };
        Ok(listed.lines().filter_map(line).collect())
    }

    /// Fetches what is new of branches and tags, and forgets those that are gone.
    pub fn fetch(&self, remote: &Remote<'_>) -> Result<(), SourceError> {
        self.fetch_refs(remote, &REFSPECS, Prune::Gone)
    }

    /// Sees to it that a commit is here: by what is new, then by `ref` (a pull request's), then by itself,
    /// which not every server gives. [`SourceError::NotFound`] when the remote does not give it.
    pub fn ensure(
        &self,
        remote: &Remote<'_>,
        commit: &str,
        r#ref: Option<&str>,
    ) -> Result<(), SourceError> {
        if self.has(commit) {
            return Ok(());
        }
        let mut last = self.fetch(remote);
        if let (false, Some(name)) = (self.has(commit), r#ref) {
            last = self.fetch_refs(remote, &[&format!("+{name}:{name}")], Prune::Nothing);
        }
        if !self.has(commit) && git2::Oid::from_str(commit).is_ok() {
            let refspec = format!("+{commit}:{KEPT}{commit}");
            last = self.fetch_refs(remote, &[&refspec], Prune::Nothing);
        }
        match last {
            _ if self.has(commit) => Ok(()),
            Err(error @ SourceError::Failed { .. }) => Err(error),
            _ => Err(SourceError::NotFound(commit.to_owned())),
        }
    }

    /// Whether a commit is here already.
    #[must_use]
    pub fn has(&self, commit: &str) -> bool {
        let Some(place) = Place::of_gitdir(&self.folder()) else { return false };
        let Ok(repository) = place.open() else { return false };
        git2::Oid::from_str(commit).is_ok_and(|id| repository.find_object(id, None).is_ok())
    }

    /// The mirror as a repository to read from.
    pub fn repository(&self) -> Result<Repository, SourceError> {
        let folder = self.folder();
        let place = Place::of_gitdir(&folder)
            .ok_or_else(|| SourceError::NotARepository(folder.display().to_string()))?;
        Ok(Repository { place })
    }

    /// What a commit, tag or branch is, with the commit's tree.
    pub fn find_commit(&self, name: &str) -> Result<CommitFacts, SourceError> {
        history::find_commit(&self.repository()?.place, name)
    }

    /// Authors and committers of a commit and of all before it that none of the bases has.
    pub fn hands(&self, commit: &str, bases: &[String]) -> Result<Vec<Hand>, SourceError> {
        history::hands(&self.repository()?.place, commit, bases)
    }

    /// First-parent commits up to and with this one: the order of trunk. 0 where history is cut off.
    pub fn height(&self, commit: &str) -> Result<i64, SourceError> {
        history::height(&self.repository()?.place, commit)
    }

    /// Whether everything `old` has is in `new` too.
    pub fn is_ancestor(&self, old: &str, new: &str) -> Result<bool, SourceError> {
        history::is_ancestor(&self.repository()?.place, old, new)
    }

    /// Paths of the files in a folder of a commit, sorted; nothing when there is no such folder.
    pub fn list_folder(&self, commit: &str, folder: &str) -> Result<Vec<String>, SourceError> {
        history::list_folder(&self.repository()?.place, commit, folder)
    }

    /// Content of a file at a commit, at most `bytes_max` of it; `None` when there is none.
    pub fn read_file(
        &self,
        commit: &str,
        path: &str,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        history::read_file(&self.repository()?.place, (commit, path), bytes_max)
    }

    fn fetch_refs(
        &self,
        remote: &Remote<'_>,
        refspecs: &[&str],
        prune: Prune,
    ) -> Result<(), SourceError> {
        self.open_or_make()?;
        let _lock = Lock::take(&self.parent, &self.name)?;
        let mut before = vec!["fetch", "--quiet", "--no-progress", "--no-tags", "--force"];
        before.extend(["--no-recurse-submodules", "--no-write-fetch-head"]);
        let depth = format!("--depth={}", remote.depth);
        if remote.depth > 0 {
            before.push(&depth);
        }
        if prune == Prune::Gone {
            before.push("--prune");
        }
        let folder = self.folder();
        remote.call((&self.parent, &folder), "fetching from", (&before, refspecs)).map(drop)
    }

    /// Opens the bare repository; whoever makes it first makes it whole, under another name.
    fn open_or_make(&self) -> Result<git2::Repository, SourceError> {
        let folder = self.folder();
        if let Some(place) = Place::of_gitdir(&folder) {
            return place.open();
        }
        let operation = || format!("making the mirror `{}`", folder.display());
        let failed = || SourceError::failed(operation());
        fs::create_dir_all(&self.parent).map_err(failed())?;
        let random = fastrand::u64(..);
        let part = self.parent.join(format!(".{}-{}-{random:x}", self.name, std::process::id()));
        git2::Repository::init_bare(&part).map_err(SourceError::failed(operation()))?;
        if let Err(error) = fs::rename(&part, &folder) {
            fs::remove_dir_all(&part).map_err(failed())?;
            if Place::of_gitdir(&folder).is_none() {
                return Err(failed()(error));
            }
        }
        let place = Place::of_gitdir(&folder)
            .ok_or_else(|| SourceError::failed(operation())("it is not there"))?;
        place.open()
    }
}

impl CommitFacts {
    /// What a run of this commit sees, under the name of a ref.
    #[must_use]
    pub fn snapshot(&self, r#ref: &str) -> Snapshot {
        Snapshot {
            commit: self.id.clone(),
            tree: self.tree.clone(),
            r#ref: r#ref.to_owned(),
            title: self.message.lines().next().unwrap_or_default().to_owned(),
            author: self.author.clone(),
            dirty: false,
        }
    }
}
