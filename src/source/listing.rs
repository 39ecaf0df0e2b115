//! Lists the files of a git tree, those of its submodules included.

use std::path::{Path, PathBuf};

use git2::ObjectType;

use super::SourceError;
use super::access::Place;
use super::submodules::{declared_name, find_clones, path_of};

/// Repositories in repositories: more than anybody has.
const SUBMODULE_DEPTH_MAX: usize = 16;

/// All that a tree holds, in git's order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Where objects come from: the repository first, then its submodules.
    pub(super) places: Vec<Place>,
}

/// One path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) id: git2::Oid,
    /// Index in [`Listing::places`].
    pub(super) place: usize,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Executable,
    Link,
    Folder,
    /// A submodule: a folder whose content follows, if it is wanted and here.
    Submodule {
        is_declared: bool,
        is_here: bool,
    },
}

/// Whether the content of submodules is listed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submodules {
    Enter,
    Skip,
}

impl Listing {
    /// Lists a tree.
    pub(super) fn of(
        place: &Place,
        store: &Path,
        tree: &str,
        submodules: Submodules,
    ) -> Result<Self, SourceError> {
        let repository = place.open_with(store)?;
        let tree = find_tree(&repository, tree)?;
        let mut walk =
            Walk { listing: Self::default(), store, submodules, depth: SUBMODULE_DEPTH_MAX };
        walk.enter_repository(place, &repository, &tree, Path::new(""))?;
        Ok(walk.listing)
    }
}

/// The tree with this id.
pub(super) fn find_tree<'a>(
    repository: &'a git2::Repository,
    tree: &str,
) -> Result<git2::Tree<'a>, SourceError> {
    git2::Oid::from_str(tree)
        .and_then(|id| repository.find_tree(id))
        .map_err(|_| SourceError::NotFound(tree.to_owned()))
}

/// Content of a file of a tree.
pub(super) fn read_file(
    place: &Place,
    store: &Path,
    tree: &str,
    path: &str,
) -> Result<Option<Vec<u8>>, SourceError> {
    let repository = place.open_with(store)?;
    let tree = find_tree(&repository, tree)?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
    if entry.kind() != Some(ObjectType::Blob) {
        return Ok(None);
    }
    let blob = repository.find_blob(entry.id()).map_err(reading(Path::new(path)))?;
    Ok(Some(blob.content().to_vec()))
}

/// Paths and what identifies the content of each.
pub(super) fn list_files(
    place: &Place,
    store: &Path,
    tree: &str,
) -> Result<Vec<(String, String)>, SourceError> {
    let listing = Listing::of(place, store, tree, Submodules::Enter)?;
    let mut files: Vec<_> = listing
        .entries
        .iter()
        .filter_map(|entry| {
            let suffix = match entry.kind {
                Kind::File | Kind::Submodule { is_here: false, .. } => "",
                Kind::Executable => "+x",
                Kind::Link => "+link",
                Kind::Folder | Kind::Submodule { is_here: true, .. } => return None,
            };
            Some((entry.path.to_string_lossy().into_owned(), format!("{}{suffix}", entry.id)))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// The state of a descent into a tree.
struct Walk<'a> {
    listing: Listing,
    store: &'a Path,
    submodules: Submodules,
    /// How many repositories deep it may still go.
    depth: usize,
}

impl Walk<'_> {
    fn enter_repository(
        &mut self,
        place: &Place,
        repository: &git2::Repository,
        tree: &git2::Tree<'_>,
        prefix: &Path,
    ) -> Result<(), SourceError> {
        let declared = tree
            .get_name(".gitmodules")
            .and_then(|entry| repository.find_blob(entry.id()).ok())
            .map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
        let inside = Inside {
            place: self.listing.places.len(),
            repository,
            declared: declared.as_deref().unwrap_or_default(),
            prefix,
        };
        self.listing.places.push(place.clone());
        self.list(&inside, tree, Path::new(""))
    }

    /// Lists one folder; `folder` is its path in its own repository.
    fn list(
        &mut self,
        inside: &Inside<'_>,
        tree: &git2::Tree<'_>,
        folder: &Path,
    ) -> Result<(), SourceError> {
        for entry in tree {
            let name = entry.name_bytes();
            let path = folder.join(path_of(name));
            if !is_safe(name) {
                return Err(reading(&path)("the name is not allowed in a git tree"));
            }
            let id = entry.id();
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    self.push(inside, &path, Kind::Folder, id);
                    let below = inside.repository.find_tree(id).map_err(reading(&path))?;
                    self.list(inside, &below, &path)?;
                }
                Some(ObjectType::Commit) => self.list_submodule(inside, &path, id)?,
                Some(ObjectType::Blob | ObjectType::Tag | ObjectType::Any) | None => {
                    self.push(inside, &path, kind_of(entry.filemode()), id);
                }
            }
        }
        Ok(())
    }

    fn list_submodule(
        &mut self,
        inside: &Inside<'_>,
        path: &Path,
        commit: git2::Oid,
    ) -> Result<(), SourceError> {
        let is_declared = declared_name(inside.declared, path).is_some();
        let parent = self.listing.places.get(inside.place).cloned();
        let clones = match (self.submodules, parent) {
            (Submodules::Enter, Some(parent)) if self.depth > 0 => {
                find_clones(&parent, inside.declared, path)
            }
            (Submodules::Enter | Submodules::Skip, _) => Vec::new(),
        };
        for clone in clones {
            let repository = clone.open_with(self.store)?;
            let Ok(found) = repository.find_commit(commit) else { continue };
            let tree = found.tree().map_err(reading(path))?;
            self.push(inside, path, Kind::Submodule { is_declared, is_here: true }, commit);
            self.depth -= 1;
            let outcome =
                self.enter_repository(&clone, &repository, &tree, &inside.prefix.join(path));
            self.depth += 1;
            return outcome;
        }
        self.push(inside, path, Kind::Submodule { is_declared, is_here: false }, commit);
        Ok(())
    }

    fn push(&mut self, inside: &Inside<'_>, path: &Path, kind: Kind, id: git2::Oid) {
        let path = inside.prefix.join(path);
        self.listing.entries.push(Entry { path, kind, id, place: inside.place });
    }
}

/// The repository that a walk is in.
struct Inside<'a> {
    place: usize,
    repository: &'a git2::Repository,
    /// Text of its `.gitmodules`.
    declared: &'a str,
    /// Where it lies in the outermost one.
    prefix: &'a Path,
}

fn kind_of(mode: i32) -> Kind {
    match mode {
        0o120_000 => Kind::Link,
        _ if mode & 0o100 != 0 => Kind::Executable,
        _ => Kind::File,
    }
}

/// Whether a name can be written without leading somewhere else or into `.git`.
fn is_safe(name: &[u8]) -> bool {
    let is_special = name.is_empty() || name == b"." || name == b"..";
    !is_special && !name.contains(&b'/') && !name.eq_ignore_ascii_case(b".git")
}

fn reading<E: ToString>(path: &Path) -> impl FnOnce(E) -> SourceError {
    SourceError::failed(format!("reading `{}`", path.display()))
}
