//! Removes git objects of dirty working trees that no run needs any more.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Odb, Oid};

use super::SourceError;
use crate::model::Timestamp;

/// Removes loose objects below `store` that no tree of `keep` reaches and that nobody has written (or
/// found written) since `unused_since`.
pub(super) fn prune(
    store: &Path,
    keep: &[String],
    unused_since: Timestamp,
) -> Result<usize, SourceError> {
    let folder = store.join("objects");
    if !folder.is_dir() {
        return Ok(0);
    }
    let failed = || SourceError::failed(format!("reading objects in `{}`", folder.display()));
    let objects = Odb::new().map_err(failed())?;
    objects.add_disk_alternate(&folder.to_string_lossy()).map_err(failed())?;
    let needed = reachable(&objects, keep);
    let mut removed = 0;
    for (id, path) in loose(&folder) {
        let is_doomed = !needed.contains(&id) && is_older(&path, unused_since);
        removed += usize::from(is_doomed && fs::remove_file(&path).is_ok());
    }
    Ok(removed)
}

/// What these trees consist of, as far as it is in the store. What a repository has itself is not, and
/// neither is what is below it.
fn reachable(objects: &Odb<'_>, trees: &[String]) -> HashSet<Oid> {
    let mut waiting: Vec<Oid> = trees.iter().filter_map(|it| Oid::from_str(it).ok()).collect();
    let mut reached = HashSet::new();
    while let Some(id) = waiting.pop() {
        let Ok(object) = objects.read(id) else { continue };
        if !reached.insert(id) {
            continue;
        }
        match object.kind() {
            ObjectType::Tree => waiting.extend(entries_of(object.data())),
            // A submodule with uncommitted changes.
            ObjectType::Commit => waiting.extend(tree_of(object.data())),
            ObjectType::Any | ObjectType::Blob | ObjectType::Tag => {}
        }
    }
    reached
}

/// Ids in a tree object: `<mode> <name>\0<20 bytes>`, again and again (gitformat-pack, gittutorial-2).
fn entries_of(mut tree: &[u8]) -> Vec<Oid> {
    let mut ids = Vec::new();
    while let Some(end) = tree.iter().position(|it| *it == 0) {
        let rest = tree.get(end + 1..).unwrap_or_default();
        let Some((id, next)) = rest.split_at_checked(20) else { break };
        ids.extend(Oid::from_bytes(id));
        tree = next;
    }
    ids
}

/// The tree of a commit object, which its first line names.
fn tree_of(commit: &[u8]) -> Option<Oid> {
    let line = commit.strip_prefix(b"tree ")?.get(..40)?;
    Oid::from_str(std::str::from_utf8(line).ok()?).ok()
}

/// Objects that are files of their own: `ab/cdef…`.
fn loose(folder: &Path) -> Vec<(Oid, PathBuf)> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let id_of = |start: &str, file: &fs::DirEntry| {
        let id = format!("{start}{}", file.file_name().to_str()?);
        let is_whole = id.len() == 40;
        Some((Oid::from_str(&id).ok().filter(|_| is_whole)?, file.path()))
    };
    let mut found = Vec::new();
    for part in entries(folder) {
        let name = part.file_name();
        let Some(start) = name.to_str().filter(|it| it.len() == 2) else { continue };
        found.extend(entries(&part.path()).filter_map(|file| id_of(start, &file)));
    }
    found
}

fn is_older(path: &Path, moment: Timestamp) -> bool {
    let modified = fs::metadata(path).and_then(|it| it.modified()).ok();
    let since_1970 = modified.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    since_1970.is_some_and(|it| it.as_millis() < u128::try_from(moment.0).unwrap_or(0))
}
