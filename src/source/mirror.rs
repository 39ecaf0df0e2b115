//! A bare copy of a remote repository on this machine, brought up to date when something is wanted that it
//! does not have. Many processes may use one: a lock file lets one of them fetch at a time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{AutotagOption, FetchOptions, FetchPrune, RemoteRedirect};

use super::access::Place;
use super::checkout::lock::Lock;
use super::{Repository, Snapshot, SourceError};

mod remote;
mod hosts;
mod history;

pub use history::CommitFacts;
pub use remote::{Credential, Remote};

/// Branches and tags, as they are at the remote.
const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/// Where a commit that no branch leads to is kept.
const KEPT: &str = "refs/trunkline/commits/";

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
        let repository = self.open_or_make()?;
        let failed = || remote.failed("listing the refs of");
        let mut anonymous = repository.remote_anonymous(remote.address).map_err(failed())?;
        let connection = anonymous
            .connect_auth(git2::Direction::Fetch, Some(remote.callbacks(&self.parent)), None)
            .map_err(failed())?;
        let heads = connection.list().map_err(failed())?;
        let named = heads.iter().filter(|it| {
            let is_wanted =
                it.name().starts_with("refs/heads/") || it.name().starts_with("refs/tags/");
            is_wanted && !it.name().ends_with("^{}")
        });
        Ok(named.map(|it| (it.name().to_owned(), it.oid().to_string())).collect())
    }

    /// Fetches what is new of branches and tags, and forgets those that are gone.
    pub fn fetch(&self, remote: &Remote<'_>) -> Result<(), SourceError> {
        self.fetch_refs(remote, &REFSPECS, FetchPrune::On)
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
            last = self.fetch_refs(remote, &[&format!("+{name}:{name}")], FetchPrune::Off);
        }
        if !self.has(commit) && git2::Oid::from_str(commit).is_ok() {
            let refspec = format!("+{commit}:{KEPT}{commit}");
            last = self.fetch_refs(remote, &[&refspec], FetchPrune::Off);
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
        prune: FetchPrune,
    ) -> Result<(), SourceError> {
        let _lock = Lock::take(&self.parent, &self.name)?;
        let repository = self.open_or_make()?;
        let failed = || remote.failed("fetching from");
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(remote.callbacks(&self.parent))
            .download_tags(AutotagOption::None)
            .follow_redirects(RemoteRedirect::None)
            .update_fetchhead(false)
            .prune(prune);
        if remote.depth > 0 {
            options.depth(i32::try_from(remote.depth).unwrap_or(i32::MAX));
        }
        let mut anonymous = repository.remote_anonymous(remote.address).map_err(failed())?;
        anonymous.fetch(refspecs, Some(&mut options), None).map_err(failed())
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
