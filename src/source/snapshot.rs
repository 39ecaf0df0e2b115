//! Takes the state of a repository: its last commit, or its working tree written as a git tree.

use std::path::{Path, PathBuf};

use git2::{Delta, IndexEntryExtendedFlag};

use super::access::Place;
use super::{Snapshot, SourceError, submodules};

/// Mode of a submodule in the index and in trees.
pub(super) const MODE_SUBMODULE: u32 = 0o160_000;

/// The last commit.
pub(super) fn of_head(place: &Place) -> Result<Snapshot, SourceError> {
    let repository = place.open()?;
    let head = Head::of(&repository)?;
    let tree = head.tree().unwrap_or(git2::Oid::from_str(EMPTY_TREE).map_err(reading("HEAD"))?);
    Ok(head.into_snapshot(tree, false))
}

/// Id of the tree without entries, which every repository has.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The working tree; objects that are missing in the repository are written to `store`.
pub(super) fn of_working_tree(place: &Place, store: &Path) -> Result<Snapshot, SourceError> {
    if place.workdir.is_none() {
        return of_head(place);
    }
    let repository = place.open_with(store)?;
    let head = Head::of(&repository)?;
    let tree = write_working_tree(&repository, place, store)?;
    let is_dirty = match head.tree() {
        Some(committed) => committed != tree,
        None => tree.to_string() != EMPTY_TREE,
    };
    Ok(head.into_snapshot(tree, is_dirty))
}

/// The id that a submodule's entry gets: its commit, or one made up for what is not committed in it.
pub(super) fn submodule_commit(
    place: &Place,
    store: &Path,
) -> Result<Option<git2::Oid>, SourceError> {
    let repository = place.open_with(store)?;
    let head = Head::of(&repository)?;
    let Some(commit) = &head.commit else { return Ok(None) };
    let tree = write_working_tree(&repository, place, store)?;
    if tree == commit.tree_id() {
        return Ok(Some(commit.id()));
    }
    let failed = || reading("a submodule");
    let tree = repository.find_tree(tree).map_err(failed())?;
    // The same content must give the same commit, so nothing of the moment is in it.
    let author = git2::Signature::new("trunkline", "trunkline@localhost", &commit.time())
        .map_err(failed())?;
    let title = "Uncommitted changes";
    repository.commit(None, &author, &author, title, &tree, &[commit]).map(Some).map_err(failed())
}

/// Starts from the index, whose stat data tells what has not changed, and brings it up to date in
/// memory.
fn write_working_tree(
    repository: &git2::Repository,
    place: &Place,
    store: &Path,
) -> Result<git2::Oid, SourceError> {
    let mut index = repository.index().map_err(reading("the index"))?;
    let mut differences = list_differences(repository, &index)?;
    // Removals first: a file may have made room for a folder of the same name.
    differences.sort_by_key(|(action, _)| *action);
    for (action, path) in differences {
        match action {
            Action::Remove => remove(&mut index, &path),
            Action::Add => index.add_path(&path),
        }
        .map_err(reading(&path.display().to_string()))?;
    }
    submodules::update_entries(&mut index, place, store)?;
    index.write_tree().map_err(SourceError::failed("writing the working tree's git tree"))
}

/// What makes an entry of the index like the working tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Remove,
    Add,
}

fn list_differences(
    repository: &git2::Repository,
    index: &git2::Index,
) -> Result<Vec<(Action, PathBuf)>, SourceError> {
    let mut options = git2::DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true);
    options.include_typechange(true).ignore_submodules(true).include_unreadable(true);
    let diff = repository
        .diff_index_to_workdir(Some(index), Some(&mut options))
        .map_err(reading("the working tree"))?;
    let mut actions = Vec::new();
    for delta in diff.deltas() {
        let file = delta.new_file();
        let Some(path) = file.path().or_else(|| delta.old_file().path()) else { continue };
        if let Some(action) = action_for(delta.status(), index, path, repository)? {
            actions.push((action, path.to_owned()));
        }
    }
    Ok(actions)
}

fn action_for(
    status: Delta,
    index: &git2::Index,
    path: &Path,
    repository: &git2::Repository,
) -> Result<Option<Action>, SourceError> {
    let is_on_disk = || {
        repository.workdir().is_some_and(|workdir| workdir.join(path).symlink_metadata().is_ok())
    };
    Ok(match status {
        Delta::Unmodified | Delta::Ignored => None,
        Delta::Deleted => (!stays_when_absent(index, path)).then_some(Action::Remove),
        Delta::Unreadable => {
            return Err(reading(&path.display().to_string())("it cannot be opened"));
        }
        Delta::Conflicted if !is_on_disk() => Some(Action::Remove),
        // A folder: a repository of its own that nobody has made a submodule.
        Delta::Untracked if path.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            tracing::warn!(path = %path.display(), "left out: a repository, but no submodule");
            None
        }
        Delta::Added
        | Delta::Modified
        | Delta::Renamed
        | Delta::Copied
        | Delta::Untracked
        | Delta::Typechange
        | Delta::Conflicted => Some(Action::Add),
    })
}

/// Submodules that are not cloned and files outside of a sparse checkout are not deleted.
fn stays_when_absent(index: &git2::Index, path: &Path) -> bool {
    index.get_path(path, 0).is_some_and(|entry| {
        entry.mode == MODE_SUBMODULE
            || entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
    })
}

fn remove(index: &mut git2::Index, path: &Path) -> Result<(), git2::Error> {
    if index.get_path(path, 0).is_some() {
        return index.remove(path, 0);
    }
    index.conflict_remove(path)
}

fn reading<E: ToString>(what: &str) -> impl FnOnce(E) -> SourceError {
    SourceError::failed(format!("reading `{what}`"))
}

/// What `HEAD` points to.
struct Head<'a> {
    commit: Option<git2::Commit<'a>>,
    branch: String,
}

impl<'a> Head<'a> {
    fn of(repository: &'a git2::Repository) -> Result<Self, SourceError> {
        let reference = repository.find_reference("HEAD").map_err(reading("HEAD"))?;
        let branch = reference.symbolic_target_bytes().unwrap_or_default();
        let branch = String::from_utf8_lossy(branch).into_owned();
        let commit = match repository.head() {
            Ok(head) => Some(head.peel_to_commit().map_err(reading("HEAD"))?),
            Err(error) if error.code() == git2::ErrorCode::UnbornBranch => None,
            Err(error) => return Err(reading("HEAD")(error)),
        };
        Ok(Self { commit, branch })
    }

    fn tree(&self) -> Option<git2::Oid> {
        self.commit.as_ref().map(git2::Commit::tree_id)
    }

    fn into_snapshot(self, tree: git2::Oid, dirty: bool) -> Snapshot {
        let commit = self.commit.as_ref();
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Snapshot {
            commit: commit.map(|it| it.id().to_string()).unwrap_or_default(),
            tree: tree.to_string(),
            title: text(commit.and_then(|it| it.summary_bytes())),
            author: commit.map(|it| text(Some(it.author().name_bytes()))).unwrap_or_default(),
            r#ref: self.branch,
            dirty,
        }
    }
}
