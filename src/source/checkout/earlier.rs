//! The files of the checkout that was used last, for a new one to share. A checkout is never written to
//! again, so a file that is the same need not be written: it gets a second name. What cannot be shared,
//! for instance because the earlier checkout is removed meanwhile, is written.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::listing::{Entry, Kind, Listing, Submodules};
use super::Request;
use super::lock::LOCKS;

/// Checkouts that are looked at; those of other repositories are among them.
const EXAMINED_MAX: usize = 64;

/// An earlier checkout.
pub(super) struct Earlier {
    folder: PathBuf,
    files: HashMap<PathBuf, (git2::Oid, Kind)>,
}

impl Earlier {
    /// The one that was used last, of those with the same owner that have a file of `listing`.
    ///
    /// Not any of them: files keep their times, and a build tool takes an output for up to date that is
    /// younger. What has changed since the last use must be new.
    pub(super) fn find(request: &Request<'_>, listing: &Listing) -> Option<Self> {
        let own = request.name();
        names_by_use(request.folder)
            .filter(|name| *name != own && owner_of(name) == owner_of(&own))
            .take(EXAMINED_MAX)
            .filter_map(|name| Self::read(request, &name))
            .find(|it| listing.entries.iter().any(|entry| it.same_as(entry).is_some()))
    }

    /// What is in the checkout of this name; `None` where its tree is of another repository.
    fn read(request: &Request<'_>, name: &str) -> Option<Self> {
        let tree = name.split('-').next()?;
        let listing = Listing::of(request.place, request.objects, tree, Submodules::Enter).ok()?;
        Some(Self { folder: request.folder.join(name), files: files_of(listing) })
    }

    /// Where the same file is, if the checkout was made completely.
    pub(super) fn same_as(&self, entry: &Entry) -> Option<PathBuf> {
        let same = self.files.get(&entry.path)?;
        (*same == (entry.id, entry.kind)).then(|| self.folder.join(&entry.path))
    }
}

fn files_of(listing: Listing) -> HashMap<PathBuf, (git2::Oid, Kind)> {
    let is_file = |entry: &Entry| matches!(entry.kind, Kind::File | Kind::Executable);
    let files = listing.entries.into_iter().filter(is_file);
    files.map(|entry| (entry.path, (entry.id, entry.kind))).collect()
}

/// Names of the checkouts that are there, the one that was used last first.
fn names_by_use(folder: &Path) -> impl Iterator<Item = String> {
    let locks = fs::read_dir(folder.join(LOCKS)).into_iter().flatten().flatten();
    let used_at = |lock: &fs::DirEntry| lock.metadata().and_then(|it| it.modified()).ok();
    let mut names: Vec<(SystemTime, String)> = locks
        .filter_map(|lock| Some((used_at(&lock)?, lock.file_name().into_string().ok()?)))
        .filter(|(_, name)| folder.join(name).is_dir())
        .collect();
    names.sort_unstable_by(|one, other| other.cmp(one));
    names.into_iter().map(|(_, name)| name)
}

/// What follows tree and commit in the name of a checkout.
fn owner_of(name: &str) -> Option<&str> {
    name.splitn(3, '-').nth(2)
}
