//! Which paths differ from a base, and which base a local run takes.

mod diff;

pub(super) use diff::diff;
pub use diff::{DiffLine, FileDiff, Hunk, LineKind};

use std::collections::BTreeSet;
use std::path::Path;

use super::access::Place;
use super::listing::{find_tree, list_files};
use super::{Snapshot, SourceError};

/// Files that are compared line by line.
const COMPARED_MAX: usize = 2000;
/// Larger files count as binary.
const COUNTED_BYTES_MAX: i64 = 1 << 20;
/// Files that are tried as the other end of a rename.
const RENAMES_MAX: usize = 200;

/// Paths that differ from the merge base with `base`.
pub(super) fn changed_paths(
    place: &Place,
    store: &Path,
    snapshot: &Snapshot,
    base: &str,
) -> Result<Option<Vec<String>>, SourceError> {
    let repository = place.open_with(store)?;
    let Some(base) = merge_base(&repository, &snapshot.commit, base) else { return Ok(None) };
    let failed = || SourceError::failed(format!("comparing with `{base}`"));
    let old = repository.find_commit(base).and_then(|it| it.tree()).map_err(failed())?;
    let new = find_tree(&repository, &snapshot.tree)?;
    let diff = repository.diff_tree_to_tree(Some(&old), Some(&new), None).map_err(failed())?;
    let mut paths = BTreeSet::new();
    let mut is_submodule_changed = false;
    for delta in diff.deltas() {
        for file in [delta.old_file(), delta.new_file()] {
            is_submodule_changed |= file.mode() == git2::FileMode::Commit;
            paths.extend(file.path().map(|path| path.to_string_lossy().into_owned()));
        }
    }
    if is_submodule_changed {
        let old = list_files(place, store, &old.id().to_string())?;
        let new = list_files(place, store, &snapshot.tree)?;
        let (old, new): (BTreeSet<_>, BTreeSet<_>) =
            (old.into_iter().collect(), new.into_iter().collect());
        paths.extend(old.symmetric_difference(&new).map(|(path, _)| path.clone()));
    }
    Ok(Some(paths.into_iter().collect()))
}

/// A changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Its path; of the new one when it was renamed.
    pub path: String,
    /// Lines that are new.
    pub added: u64,
    /// Lines that are gone.
    pub removed: u64,
    /// Whether its lines cannot be counted: no text, or too large.
    pub is_binary: bool,
}

/// Files that differ between two trees, by path, and by how many lines.
pub(super) fn compare(
    place: &Place,
    store: &Path,
    (old, new): (&str, &str),
) -> Result<Vec<FileStat>, SourceError> {
    let repository = place.open_with(store)?;
    let failed = || SourceError::failed(format!("comparing `{old}` with `{new}`"));
    let diff = diff_of(&repository, (old, new), 0)?;
    let mut files = Vec::new();
    for place in 0..diff.deltas().len().min(COMPARED_MAX) {
        let Some(delta) = diff.get_delta(place) else { continue };
        let path = path_of(&delta);
        let patch = git2::Patch::from_diff(&diff, place).map_err(failed())?;
        let lines = patch.as_ref().map(git2::Patch::line_stats).transpose().map_err(failed())?;
        let is_binary = patch.is_none_or(|it| it.delta().flags().is_binary());
        let (_, added, removed) = lines.unwrap_or_default();
        files.push(FileStat { path, added: added as u64, removed: removed as u64, is_binary });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// How two trees differ, with renames, and so many lines around what differs.
fn diff_of<'a>(
    repository: &'a git2::Repository,
    (old, new): (&str, &str),
    context_lines: u32,
) -> Result<git2::Diff<'a>, SourceError> {
    let failed = || SourceError::failed(format!("comparing `{old}` with `{new}`"));
    let (old, new) = (find_tree(repository, old)?, find_tree(repository, new)?);
    let mut options = git2::DiffOptions::new();
    options.context_lines(context_lines).max_size(COUNTED_BYTES_MAX);
    let diff = repository.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options));
    let mut diff = diff.map_err(failed())?;
    diff.find_similar(Some(git2::DiffFindOptions::new().renames(true).rename_limit(RENAMES_MAX)))
        .map_err(failed())?;
    Ok(diff)
}

/// Where a changed file is; where it was, when it is gone.
fn path_of(delta: &git2::DiffDelta<'_>) -> String {
    let path = delta.new_file().path().or(delta.old_file().path());
    path.map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The commit to compare with, or `None` when one of the two is not there or they have none in common.
fn merge_base(repository: &git2::Repository, commit: &str, base: &str) -> Option<git2::Oid> {
    let commit = git2::Oid::from_str(commit).ok()?;
    repository.merge_base(commit, find_commit(repository, base)?).ok()
}

fn find_commit(repository: &git2::Repository, name: &str) -> Option<git2::Oid> {
    Some(repository.revparse_single(name).ok()?.peel_to_commit().ok()?.id())
}

/// The base of a local run.
pub(super) fn default_base(place: &Place, snapshot: &Snapshot) -> Option<String> {
    let repository = place.open().ok()?;
    let head = git2::Oid::from_str(&snapshot.commit).ok()?;
    let upstream = repository
        .branch_upstream_name(&snapshot.r#ref)
        .ok()
        .and_then(|name| name.as_str().ok().map(ToOwned::to_owned));
    let trunks = ["refs/remotes/origin/main", "refs/remotes/origin/master"];
    let local_trunks = ["refs/heads/main", "refs/heads/master"];
    let others = local_trunks.into_iter().filter(|name| *name != snapshot.r#ref);
    let named = upstream.into_iter().chain(trunks.into_iter().chain(others).map(ToOwned::to_owned));
    for name in named {
        let Some(base) = merge_base(&repository, &snapshot.commit, &name) else { continue };
        // Compared with itself a clean revision has no changes, and all conditions would be false.
        if snapshot.dirty || base != head {
            return Some(name);
        }
    }
    let before = format!("{head}{}", if snapshot.dirty { "" } else { "~1" });
    find_commit(&repository, &before).map(|_| before)
}
