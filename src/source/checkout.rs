//! Puts a tree on the disk, once for each tree, commit and owner: written beside its place and renamed,
//! so that it is complete or not there at all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::Place;
use super::listing::{Entry, Kind, Listing, Submodules};
use super::{Checkout, Snapshot, SourceError};
use earlier::Earlier;
use files::{Rights, Writer};
use lock::Lock;
use name::Name;
use rustix::fs::Timespec;
use uses::Uses;

mod name;
mod uses;
mod earlier;
mod files;
mod git_folder;
pub(super) mod lock;

/// Where containers see the folders of objects.
const OBJECTS_IN_CONTAINER: &str = "/trunkline-git";

/// File names that are named in one warning.
const NAMED_MAX: usize = 3;

/// The kernel's clock of files goes on every 1 to 10 ms. A filesystem that is coarser than this is not
/// waited for.
const TICK_MAX: Duration = Duration::from_millis(20);

/// Everything that a checkout depends on.
pub(super) struct Request<'a> {
    pub(super) place: &'a Place,
    pub(super) snapshot: &'a Snapshot,
    pub(super) objects: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) owner: Option<(u32, u32)>,
}

impl Request<'_> {
    /// Gives the checkout that was used last in this repository if it is the one that is asked for, and
    /// makes a new one else, also of a tree that was checked out before: see [`uses`].
    pub(super) fn carry_out(&self) -> Result<Checkout, SourceError> {
        // Whoever holds it decides, others of this repository wait here until the checkout is there.
        let uses = Uses::take(self.folder, self.place.folder())?;
        let last = uses.last();
        let wanted = Name::of(self.snapshot, self.owner);
        let name = last.iter().find(|it| it.is_same_but_for_turn(&wanted)).cloned();
        let name = name.unwrap_or_else(|| wanted.next_free_in(self.folder));
        let folder = self.folder.join(name.to_string());
        // It also tells the clean-up that the checkout was asked for just now.
        let lock = Lock::take(self.folder, &name.to_string())?;
        if !folder.exists() {
            self.make(&folder, &name, &last)?;
        }
        lock.mark_used();
        uses.record(&last, &name)?;
        let warnings = git_folder::read_warnings(&folder);
        Ok(Checkout { folder, objects: self.mounts(), warnings })
    }

    fn mounts(&self) -> Vec<(PathBuf, String)> {
        let folders = self.place.object_folders(self.objects).into_iter().enumerate();
        folders.map(|(nth, folder)| (folder, format!("{OBJECTS_IN_CONTAINER}/{nth}"))).collect()
    }

    fn make(&self, folder: &Path, name: &Name, last: &[Name]) -> Result<(), SourceError> {
        let part = self.folder.join(format!(".{name}.part"));
        // Left over by a process that was killed: nobody else is at it while we hold the lock.
        remove_folder(&part)?;
        let failed = || SourceError::failed(format!("making `{}`", folder.display()));
        fs::create_dir_all(&part).map_err(failed())?;
        self.fill(&part, Earlier::find(self, name, last))?;
        fs::rename(&part, folder).map_err(failed())
    }

    fn fill(&self, part: &Path, earlier: Option<Earlier>) -> Result<(), SourceError> {
        let tree = &self.snapshot.tree;
        let listing = Listing::of(self.place, self.objects, tree, Submodules::Enter)?;
        let mut warnings = submodule_warnings(&listing)?;
        let writer = Writer {
            root: part,
            store: self.objects,
            earlier,
            rights: Rights::of(self.owner),
            time: time_of(part)?,
        };
        let written = writer.write(&listing)?;
        warnings.extend(pointer_warning(&written.pointers));
        let git = git_folder::GitFolder {
            place: self.place,
            store: self.objects,
            snapshot: self.snapshot,
            listing: &listing,
            stats: &written.stats,
        };
        let mounts = self.mounts();
        let alternates: Vec<&str> = mounts.iter().map(|(_, path)| path.as_str()).collect();
        git.write(part, &alternates, &warnings)?;
        writer.finish(&listing)
    }
}

/// The time that written files get: that of the checkout, as git does it, and as exact as the filesystem
/// has it. (The time of the commit would be reproducible, but it can lie before that of build outputs
/// which a cache brings from an older revision, and build tools would take those for up to date. So could
/// the beginning of this second, and so could this tick of the kernel's clock: it is waited out.)
fn time_of(part: &Path) -> Result<Timespec, SourceError> {
    let failed = || SourceError::failed(format!("reading `{}`", part.display()));
    let folder = fs::File::open(part).map_err(failed())?;
    let time = || -> std::io::Result<Timespec> {
        let made = folder.metadata()?;
        Ok(Timespec { tv_sec: made.mtime(), tv_nsec: made.mtime_nsec() })
    };
    let this_tick = time().map_err(failed())?;
    for _ in 0..TICK_MAX.as_millis() {
        std::thread::sleep(Duration::from_millis(1));
        rustix::fs::futimens(&folder, &lock::NOW).map_err(|error| failed()(error.into()))?;
        let now = time().map_err(failed())?;
        if now != this_tick {
            return Ok(now);
        }
    }
    Ok(this_tick)
}

/// Removes a folder that may not exist.
pub(super) fn remove_folder(folder: &Path) -> Result<(), SourceError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SourceError::failed(format!("removing `{}`", folder.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A declared submodule that is absent is an error; one that git itself could not get is not.
fn submodule_warnings(listing: &Listing) -> Result<Vec<String>, SourceError> {
    let mut warnings = Vec::new();
    for Entry { path, kind, id, .. } in &listing.entries {
        let path = path.display().to_string();
        match kind {
            Kind::Submodule { is_here: false, is_declared: true } => {
                return Err(SourceError::MissingSubmodule { path, commit: id.to_string() });
            }
            Kind::Submodule { is_here: false, is_declared: false } => warnings.push(format!(
                "`{path}` is empty: it is a repository of its own that `.gitmodules` does not name"
            )),
            Kind::File
            | Kind::Executable
            | Kind::Link
            | Kind::Folder
            | Kind::Submodule { is_here: true, .. } => (),
        }
    }
    Ok(warnings)
}

fn pointer_warning(pointers: &[PathBuf]) -> Option<String> {
    if pointers.is_empty() {
        return None;
    }
    let mut names: Vec<_> =
        pointers.iter().take(NAMED_MAX).map(|path| format!("`{}`", path.display())).collect();
    if pointers.len() > NAMED_MAX {
        names.push(format!("{} more", pointers.len() - NAMED_MAX));
    }
    Some(format!("Git LFS pointers in place of their content: {}", names.join(", ")))
}
