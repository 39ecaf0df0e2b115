//! Where a repository lies on the disk, and how it is opened: by its parts, so that ownership does not
//! matter, and with a second folder that takes all writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::SourceError;

/// Alternates may have alternates; git follows five.
const ALTERNATES_DEPTH_MAX: usize = 5;

/// A repository on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Folder with `HEAD` and the index.
    pub(super) gitdir: PathBuf,
    /// Folder with refs and objects; not `gitdir` in a linked worktree.
    pub(super) common: PathBuf,
    /// Top of the working tree; `None` when bare.
    pub(super) workdir: Option<PathBuf>,
}

impl Place {
    /// The repository that a folder lies in.
    pub(super) fn find(folder: &Path) -> Option<Self> {
        let folder = fs::canonicalize(folder).ok()?;
        folder.ancestors().find_map(|ancestor| {
            Self::of_workdir(ancestor).or_else(|| {
                let is_inside_workdir = ancestor.file_name().is_some_and(|name| name == ".git");
                Self::of_gitdir(ancestor).filter(|_| !is_inside_workdir)
            })
        })
    }

    /// The repository whose working tree has its top here.
    pub(super) fn of_workdir(workdir: &Path) -> Option<Self> {
        let entry = workdir.join(".git");
        let gitdir = match fs::read_to_string(&entry) {
            Ok(text) => workdir.join(text.strip_prefix("gitdir:")?.trim()),
            Err(_) => entry,
        };
        let place = Self::of_gitdir(&gitdir)?;
        Some(Self { workdir: Some(workdir.to_owned()), ..place })
    }

    /// The repository with this folder, as a bare one.
    pub(super) fn of_gitdir(gitdir: &Path) -> Option<Self> {
        let gitdir = fs::canonicalize(gitdir).ok()?;
        let common = match fs::read_to_string(gitdir.join("commondir")) {
            Ok(text) => fs::canonicalize(gitdir.join(text.trim())).ok()?,
            Err(_) => gitdir.clone(),
        };
        let is_repository = gitdir.join("HEAD").symlink_metadata().is_ok()
            && common.join("objects").is_dir()
            && common.join("refs").is_dir();
        is_repository.then_some(Self { gitdir, common, workdir: None })
    }

    pub(super) fn folder(&self) -> &Path {
        self.workdir.as_deref().unwrap_or(&self.gitdir)
    }

    /// Opens it to read.
    pub(super) fn open(&self) -> Result<git2::Repository, SourceError> {
        prepare_library();
        let failed = || SourceError::failed(format!("opening `{}`", self.folder().display()));
        // Not `open`: that refuses what another user owns.
        let repository = git2::Repository::open_bare(&self.gitdir).map_err(failed())?;
        if let Some(workdir) = &self.workdir {
            repository.set_workdir(workdir, false).map_err(failed())?;
        }
        Ok(repository)
    }

    /// Opens it so that objects are read from both and written to `store` only.
    pub(super) fn open_with(&self, store: &Path) -> Result<git2::Repository, SourceError> {
        let repository = self.open()?;
        make_store(store)?;
        let failed = || SourceError::failed(format!("opening objects in `{}`", store.display()));
        let writable = git2::Repository::open_bare(store).map_err(failed())?;
        let objects = writable.odb().map_err(failed())?;
        let own = self.common.join("objects");
        objects.add_disk_alternate(&own.to_string_lossy()).map_err(failed())?;
        repository.set_odb(&objects).map_err(failed())?;
        Ok(repository)
    }

    /// All folders that objects of this repository are read from: its own, the store's, and alternates.
    pub(super) fn object_folders(&self, store: &Path) -> Vec<PathBuf> {
        let mut folders = vec![self.common.join("objects"), store.join("objects")];
        add_alternates(&self.common.join("objects"), &mut folders, ALTERNATES_DEPTH_MAX);
        folders
    }
}

fn add_alternates(objects: &Path, folders: &mut Vec<PathBuf>, depth: usize) {
    let text = fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Ok(folder) = fs::canonicalize(objects.join(line)) else { continue };
        if depth > 0 && !folders.contains(&folder) {
            folders.push(folder.clone());
            add_alternates(&folder, folders, depth - 1);
        }
    }
}

/// Makes a folder that git takes for a repository, as only a repository's objects can be written to.
fn make_store(store: &Path) -> Result<(), SourceError> {
    let head = store.join("HEAD");
    if head.exists() {
        return Ok(());
    }
    let failed = || SourceError::failed(format!("making the folder `{}`", store.display()));
    fs::create_dir_all(store.join("objects")).map_err(failed())?;
    fs::create_dir_all(store.join("refs")).map_err(failed())?;
    // Whoever else does this at the same moment writes the same.
    let part = store.join(format!(".HEAD-{}-{:x}", std::process::id(), fastrand::u64(..)));
    fs::write(&part, "ref: refs/heads/none\n").map_err(failed())?;
    fs::rename(&part, &head).map_err(failed())
}

/// Settings of the git library that hold for the process.
fn prepare_library() {
    static ONCE: Once = Once::new();
    // zlib's checksum is enough for what is only read, and git itself does no more.
    ONCE.call_once(|| git2::opts::strict_hash_verification(false));
}
