//! Other repositories, of which single files are read. What is fetched is kept in a bare mirror, so a
//! state of it that was fetched once can be read without the network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::Place;
use super::checkout::lock::Lock;
use super::program::{Call, is_missing_ref};
use super::{SourceError, listing};
use crate::model::Digest;

mod address;

pub use address::{Address, NoAddress};

/// Where what was fetched is found again: one ref for each that was asked for.
const REFS: &str = "refs/includes/";
/// The longest a fetch may take.
const TIME_MAX: Duration = Duration::from_mins(2);
/// The most that a mirror may take on the disk.
const BYTES_MAX: u64 = 512 << 20;

/// A repository that pipelines include files from; its mirror is made when it is first fetched.
#[derive(Debug, Clone)]
pub struct Library {
    address: Address,
    /// The folder of all mirrors.
    mirrors: PathBuf,
    name: String,
}

impl Library {
    /// The mirror of a repository below the folder of all mirrors.
    #[must_use]
    pub fn of(address: Address, mirrors: &Path) -> Self {
        let name = Digest::of(address.url().as_bytes()).hex().to_owned();
        Self { address, mirrors: mirrors.to_owned(), name }
    }

    /// The commit that a tag, branch or commit stood for when it was last fetched; `None` when it never was.
    pub fn find(&self, r#ref: &str) -> Result<Option<String>, SourceError> {
        let Some(place) = Place::of_gitdir(&self.folder()) else { return Ok(None) };
        let lock = self.lock()?;
        lock.mark_used();
        commit_of(&place, r#ref)
    }

    /// Fetches the state that a tag, branch or commit (all 40 digits) stands for now, without its history.
    /// Takes as long as the network, at most two minutes.
    pub fn fetch(&self, r#ref: &str) -> Result<String, SourceError> {
        if !is_ref(r#ref) {
            return Err(SourceError::NotFound(r#ref.to_owned()));
        }
        let lock = self.lock()?;
        lock.mark_used();
        let folder = self.folder();
        let failed = || SourceError::failed(format!("making the mirror `{}`", folder.display()));
        git2::Repository::init_bare(&folder).map_err(failed())?;
        self.fetch_into(&folder, r#ref)?;
        let place = Place::of_gitdir(&folder);
        let commit = place.map_or(Ok(None), |it| commit_of(&it, r#ref))?;
        commit.ok_or_else(|| SourceError::NotFound(r#ref.to_owned()))
    }

    /// Content of a file of a commit that is here; `None` when there is no such file.
    pub fn read_file(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let folder = self.folder();
        let _lock = self.lock()?;
        let place = Place::of_gitdir(&folder)
            .ok_or_else(|| SourceError::NotARepository(folder.display().to_string()))?;
        let tree = tree_of(&place, commit)?;
        listing::read_file(&place, &folder, &tree, path)
    }

    fn fetch_into(&self, folder: &Path, r#ref: &str) -> Result<(), SourceError> {
        let url = self.address.url();
        let operation = format!("fetching `{ref}` of `{url}`");
        let call = Call { folder, operation, time_max: TIME_MAX, bytes_max: BYTES_MAX };
        let set_up = |git: &mut std::process::Command| {
            git.env("GIT_ALLOW_PROTOCOL", "https:ssh:file");
            git.args(["fetch", "--quiet", "--no-progress", "--depth=1", "--no-tags", "--force"]);
            git.args(["--no-recurse-submodules", "--no-write-fetch-head", "--end-of-options"]);
            // A path as a URL, as only that takes a depth.
            git.arg(if url.starts_with('/') { format!("file://{url}") } else { url.to_owned() });
            git.arg(format!("+{ref}:{}", kept_as(r#ref)));
        };
        let missing = || SourceError::NotFound(r#ref.to_owned());
        call.carry_out(set_up, |complaint| is_missing_ref(complaint).then(missing)).map(drop)
    }

    fn folder(&self) -> PathBuf {
        self.mirrors.join(&self.name)
    }

    fn lock(&self) -> Result<Lock, SourceError> {
        Lock::take(&self.mirrors, &self.name)
    }
}

/// Whether this is a whole commit id, which always stands for the same state.
#[must_use]
pub fn is_commit(r#ref: &str) -> bool {
    matches!(r#ref.len(), 40 | 64) && r#ref.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_ref(r#ref: &str) -> bool {
    !r#ref.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{ref}"))
}

fn kept_as(r#ref: &str) -> String {
    format!("{REFS}{}", Digest::of(r#ref.as_bytes()).hex())
}

fn commit_of(place: &Place, r#ref: &str) -> Result<Option<String>, SourceError> {
    let repository = place.open()?;
    let Ok(found) = repository.find_reference(&kept_as(r#ref)) else { return Ok(None) };
    let commit = found.peel_to_commit();
    let commit = commit.map_err(SourceError::failed(format!("reading `{ref}`")))?;
    Ok(Some(commit.id().to_string()))
}

fn tree_of(place: &Place, commit: &str) -> Result<String, SourceError> {
    let repository = place.open()?;
    let id = git2::Oid::from_str(commit);
    let tree = id.and_then(|it| repository.find_commit(it)).map(|it| it.tree_id());
    let tree = tree.map_err(SourceError::failed(format!("reading the commit `{commit}`")))?;
    Ok(tree.to_string())
}
