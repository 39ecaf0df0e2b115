//! The files of the checkout that was used last, for a new one to share. A checkout is never written to
//! again, so a file that is the same need not be written: it gets a second name. What cannot be shared,
//! for instance because the earlier checkout is removed meanwhile, is written.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::fs::Timespec;

use super::super::listing::{Entry, Kind, Listing, Submodules};
use super::Request;
use super::name::Name;

/// An earlier checkout.
pub(super) struct Earlier {
    folder: PathBuf,
    files: HashMap<PathBuf, (git2::Oid, Kind)>,
    /// Whether its files can be shared; else they only tell the time.
    has_same_owner: bool,
}

impl Earlier {
    /// One of those that were used last, of the same owner if there is one.
    pub(super) fn find(request: &Request<'_>, made: &Name, last: &[Name]) -> Option<Self> {
        let own = last.iter().find(|it| it.has_same_owner(made));
        let name = own.or(last.first())?;
        let (place, store) = (request.place, request.objects);
        let listing = Listing::of(place, store, name.tree(), Submodules::Enter).ok()?;
        Some(Self {
            folder: request.folder.join(name.to_string()),
            files: files_of(listing),
            has_same_owner: own.is_some(),
        })
    }

    /// Where the same file is that may be shared, if it is still there.
    pub(super) fn to_share(&self, entry: &Entry) -> Option<PathBuf> {
        self.same_as(entry).filter(|_| self.has_same_owner)
    }

    /// Since when the file is the same, if it must be written nevertheless.
    pub(super) fn time_of(&self, entry: &Entry) -> Option<Timespec> {
        let path = self.same_as(entry).filter(|_| !self.has_same_owner)?;
        let stat = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Timespec { tv_sec: stat.mtime(), tv_nsec: stat.mtime_nsec() })
    }

    fn same_as(&self, entry: &Entry) -> Option<PathBuf> {
        let same = self.files.get(&entry.path)?;
        (*same == (entry.id, entry.kind)).then(|| self.folder.join(&entry.path))
    }
}

fn files_of(listing: Listing) -> HashMap<PathBuf, (git2::Oid, Kind)> {
    let is_file = |entry: &Entry| matches!(entry.kind, Kind::File | Kind::Executable);
    let files = listing.entries.into_iter().filter(is_file);
    files.map(|entry| (entry.path, (entry.id, entry.kind))).collect()
}
