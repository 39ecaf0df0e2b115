//! Submodules: finds the local clone of one, in the git folder of its parent or in the working tree.

use std::path::{Component, Path, PathBuf};

use super::SourceError;
use super::access::Place;
use super::snapshot::{MODE_SUBMODULE, submodule_commit};

/// Sets the entries of submodules to what their working trees are at.
pub(super) fn update_entries(
    index: &mut git2::Index,
    place: &Place,
    store: &Path,
) -> Result<(), SourceError> {
    let Some(workdir) = &place.workdir else { return Ok(()) };
    let entries: Vec<_> = index.iter().filter(|entry| entry.mode == MODE_SUBMODULE).collect();
    for mut entry in entries {
        let path = path_of(&entry.path);
        let Some(submodule) = Place::of_workdir(&workdir.join(path)) else { continue };
        let Some(commit) = submodule_commit(&submodule, store)? else { continue };
        if commit != entry.id {
            entry.id = commit;
            let failed = SourceError::failed(format!("reading submodule `{}`", path.display()));
            index.add(&entry).map_err(failed)?;
        }
    }
    Ok(())
}

/// The local clones in which the objects of a submodule may be. `declared` is the text of the
/// `.gitmodules` beside it.
pub(super) fn find_clones(parent: &Place, declared: &str, path: &Path) -> Vec<Place> {
    let names = declared_name(declared, path).into_iter();
    let folders = names.flat_map(|name| {
        let below = Path::new("modules").join(name);
        [parent.gitdir.join(&below), parent.common.join(below)]
    });
    let workdir = parent.workdir.as_deref().and_then(|it| Place::of_workdir(&it.join(path)));
    let mut clones: Vec<Place> = folders
        .filter_map(|folder| Place::of_gitdir(&folder))
        .map(|it| Place { workdir: folder_of(parent, path), ..it })
        .chain(workdir)
        .collect();
    clones.dedup();
    clones
}

/// The submodule's folder in the working tree, if it is there.
fn folder_of(parent: &Place, path: &Path) -> Option<PathBuf> {
    let folder = parent.workdir.as_deref()?.join(path);
    folder.is_dir().then_some(folder)
}

/// Name of the submodule at `path` in the text of a `.gitmodules`; `None` when it is not declared.
pub(super) fn declared_name(declared: &str, path: &Path) -> Option<PathBuf> {
    let mut name = None;
    for line in declared.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix("[submodule \"") {
            name = section.strip_suffix("\"]").map(PathBuf::from);
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            if key.trim() == "path" && Path::new(value) == path {
                // A name such as `../../x` would lead out of the git folder.
                return name
                    .filter(|it| it.components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
    None
}

/// A path as git stores it.
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
