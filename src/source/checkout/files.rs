//! Writes the files of a tree, some threads at once, but for those that an earlier checkout has.
//! Symbolic links come last, so that nothing is ever written through one.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::super::SourceError;
use super::super::listing::{Entry, Kind, Listing};
use super::earlier::Earlier;

/// More threads do not make a disk faster.
const THREADS_MAX: usize = 4;

/// Files that a thread takes at once.
const BATCH: usize = 32;

/// A Git LFS pointer file begins so and is short: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.
const POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const POINTER_MAX_BYTES: usize = 1024;

/// Id of the file without content.
const EMPTY_BLOB: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// Who may do what with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// The files are ours, and that is fine.
    Ours,
    /// They are given to this user and group.
    GivenTo(u32, u32),
    /// They ought to be another's, which we cannot do: everybody may write.
    Everybody,
}

impl Rights {
    pub(super) fn of(owner: Option<(u32, u32)>) -> Self {
        let me = rustix::process::geteuid();
        match owner {
            Some((uid, gid)) if me.is_root() => Self::GivenTo(uid, gid),
            Some((uid, _)) if uid != me.as_raw() => Self::Everybody,
            Some(_) | None => Self::Ours,
        }
    }

    fn mode(self, is_executable: bool) -> u32 {
        match (self, is_executable) {
            (Self::Everybody, true) => 0o777,
            (Self::Everybody, false) => 0o666,
            (Self::Ours | Self::GivenTo(..), true) => 0o755,
            (Self::Ours | Self::GivenTo(..), false) => 0o644,
        }
    }
}

/// Writes into one folder.
pub(super) struct Writer<'a> {
    pub(super) root: &'a Path,
    pub(super) store: &'a Path,
    /// Whose files are taken where they are the same.
    pub(super) earlier: Option<Earlier>,
    pub(super) rights: Rights,
    /// Time of all that is written and not known from an earlier checkout.
    pub(super) time: Timespec,
}

/// What came of writing.
#[derive(Default)]
pub(super) struct Written {
    /// The file's facts on the disk, by index in the listing.
    pub(super) stats: Vec<(usize, fs::Metadata)>,
    /// Paths of Git LFS pointers.
    pub(super) pointers: Vec<PathBuf>,
}

impl Writer<'_> {
    /// Writes folders, files and links.
    pub(super) fn write(&self, listing: &Listing) -> Result<Written, SourceError> {
        for entry in &listing.entries {
            if matches!(entry.kind, Kind::Folder | Kind::Submodule { .. }) {
                fs::create_dir(self.root.join(&entry.path)).map_err(writing(&entry.path))?;
            }
        }
        let is_file = |kind| matches!(kind, Kind::File | Kind::Executable);
        let mut written = self.write_some(listing, is_file)?;
        let links = self.write_some(listing, |kind| kind == Kind::Link)?;
        written.stats.extend(links.stats);
        written.stats.sort_unstable_by_key(|(nth, _)| *nth);
        written.pointers.sort_unstable();
        Ok(written)
    }

    /// Writes the entries of some kinds, in several threads when that is worth it.
    fn write_some(
        &self,
        listing: &Listing,
        is_wanted: impl Fn(Kind) -> bool,
    ) -> Result<Written, SourceError> {
        let wanted: Vec<usize> = (0..)
            .zip(&listing.entries)
            .filter(|(_, entry)| is_wanted(entry.kind))
            .map(|(nth, _)| nth)
            .collect();
        let batches: Vec<&[usize]> = wanted.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let available = thread::available_parallelism().map_or(1, usize::from);
        let threads = available.min(THREADS_MAX).min(batches.len()).max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| self.write_batches(listing, &batches, &next)))
                .collect();
            let mut all = Written::default();
            for worker in workers {
                let stopped = |_| SourceError::failed("writing files")("a thread has stopped");
                let part = worker.join().map_err(stopped)??;
                all.stats.extend(part.stats);
                all.pointers.extend(part.pointers);
            }
            Ok(all)
        })
    }

    /// What one thread does: takes the next batch until there is none.
    fn write_batches(
        &self,
        listing: &Listing,
        batches: &[&[usize]],
        next: &AtomicUsize,
    ) -> Result<Written, SourceError> {
        let repositories: Vec<git2::Repository> = listing
            .places
            .iter()
            .map(|place| place.open_with(self.store))
            .collect::<Result<_, _>>()?;
        let mut written = Written::default();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for nth in *batch {
                let Some(entry) = listing.entries.get(*nth) else { continue };
                let Some(repository) = repositories.get(entry.place) else { continue };
                let outcome = self.write_entry(repository, entry, &mut written.pointers);
                let stat = outcome.inspect_err(|_| {
                    // The others need not go on.
                    next.store(batches.len(), Ordering::Relaxed);
                })?;
                written.stats.push((*nth, stat));
            }
        }
        Ok(written)
    }

    fn write_entry(
        &self,
        repository: &git2::Repository,
        entry: &Entry,
        pointers: &mut Vec<PathBuf>,
    ) -> Result<fs::Metadata, SourceError> {
        let path = self.root.join(&entry.path);
        if let Some(stat) = self.share_file(entry, &path) {
            if is_pointer_file(&path, stat.len()).map_err(writing(&entry.path))? {
                pointers.push(entry.path.clone());
            }
            return Ok(stat);
        }
        let blob = repository.find_blob(entry.id).map_err(writing(&entry.path))?;
        let content = blob.content();
        if is_pointer(content) {
            pointers.push(entry.path.clone());
        }
        match entry.kind {
            Kind::Link => self.write_link(&path, content),
            Kind::File | Kind::Executable | Kind::Folder | Kind::Submodule { .. } => {
                self.write_file(&path, content, entry)
            }
        }
        .map_err(writing(&entry.path))
    }

    /// Gives a file of an earlier checkout a second name here; `None` when it must be written.
    fn share_file(&self, entry: &Entry, path: &Path) -> Option<fs::Metadata> {
        fs::hard_link(self.earlier.as_ref()?.to_share(entry)?, path).ok()?;
        match fs::symlink_metadata(path) {
            Ok(stat) if self.is_as_written(entry, &stat) => Some(stat),
            Ok(_) | Err(_) => {
                // Should it stay, writing the file fails and tells why.
                fs::remove_file(path).ok();
                None
            }
        }
    }

    /// Whether somebody else has left it alone. A file without content is what is left of one that was
    /// written shortly before the machine lost its power.
    fn is_as_written(&self, entry: &Entry, stat: &fs::Metadata) -> bool {
        let owner = match self.rights {
            Rights::GivenTo(uid, gid) => (uid, gid),
            Rights::Ours | Rights::Everybody => (stat.uid(), stat.gid()),
        };
        stat.is_file()
            && stat.mode() & 0o7777 == self.rights.mode(entry.kind == Kind::Executable)
            && (stat.uid(), stat.gid()) == owner
            && (stat.len() > 0 || entry.id.to_string() == EMPTY_BLOB)
    }

    fn write_file(&self, path: &Path, content: &[u8], entry: &Entry) -> io::Result<fs::Metadata> {
        let is_executable = entry.kind == Kind::Executable;
        let known = self.earlier.as_ref().and_then(|it| it.time_of(entry));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(self.rights.mode(is_executable)))?;
        if let Rights::GivenTo(uid, gid) = self.rights {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        rustix::fs::futimens(&file, &times(known.unwrap_or(self.time)))?;
        file.metadata()
    }

    fn write_link(&self, path: &Path, target: &[u8]) -> io::Result<fs::Metadata> {
        std::os::unix::fs::symlink(OsStr::from_bytes(target), path)?;
        if let Rights::GivenTo(uid, gid) = self.rights {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
        }
        rustix::fs::utimensat(CWD, path, &times(self.time), AtFlags::SYMLINK_NOFOLLOW)?;
        fs::symlink_metadata(path)
    }

    /// Rights and times of folders (after their content, which changes their times) and of all that
    /// is in `.git`.
    pub(super) fn finish(&self, listing: &Listing) -> Result<(), SourceError> {
        self.finish_all(&self.root.join(".git"))?;
        let folders = listing
            .entries
            .iter()
            .rev()
            .filter(|entry| matches!(entry.kind, Kind::Folder | Kind::Submodule { .. }));
        for folder in folders {
            self.finish_one(&self.root.join(&folder.path)).map_err(writing(&folder.path))?;
        }
        self.finish_one(self.root).map_err(writing(self.root))?;
        // Git reads every file that is not older than the index, as it may have changed since.
        let index = self.root.join(".git/index");
        let later = Timespec { tv_sec: self.time.tv_sec.saturating_add(1), ..self.time };
        let times = times(later);
        rustix::fs::utimensat(CWD, &index, &times, AtFlags::empty()).map_err(writing(&index))
    }

    fn finish_all(&self, path: &Path) -> Result<(), SourceError> {
        let failed = || writing(path);
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(failed())? {
                self.finish_all(&entry.map_err(failed())?.path())?;
            }
        }
        self.finish_one(path).map_err(failed())
    }

    fn finish_one(&self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let mode = self.rights.mode(file.metadata()?.is_dir());
        file.set_permissions(Permissions::from_mode(mode))?;
        if let Rights::GivenTo(uid, gid) = self.rights {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        rustix::fs::futimens(&file, &times(self.time))?;
        Ok(())
    }
}

fn is_pointer(content: &[u8]) -> bool {
    content.len() < POINTER_MAX_BYTES && content.starts_with(POINTER_START)
}

fn is_pointer_file(path: &Path, size_bytes: u64) -> io::Result<bool> {
    let may_be = size_bytes < POINTER_MAX_BYTES as u64 && size_bytes >= POINTER_START.len() as u64;
    Ok(may_be && is_pointer(&fs::read(path)?))
}

fn times(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

/// The facts that git keeps of a file to see whether it has changed. As in git, 32 bits are enough.
pub(super) fn index_entry(entry: &git2::IndexEntry, stat: &fs::Metadata) -> git2::IndexEntry {
    let time = |seconds: i64, nanoseconds: i64| {
        git2::IndexTime::new(truncated(seconds).cast_signed(), truncated(nanoseconds))
    };
    git2::IndexEntry {
        ctime: time(stat.ctime(), stat.ctime_nsec()),
        mtime: time(stat.mtime(), stat.mtime_nsec()),
        dev: truncated(stat.dev().cast_signed()),
        ino: truncated(stat.ino().cast_signed()),
        uid: stat.uid(),
        gid: stat.gid(),
        file_size: truncated(stat.size().cast_signed()),
        path: entry.path.clone(),
        ..*entry
    }
}

fn truncated(number: i64) -> u32 {
    u32::try_from(number & i64::from(u32::MAX)).unwrap_or_default()
}

fn writing<E: ToString>(path: &Path) -> impl FnOnce(E) -> SourceError {
    SourceError::failed(format!("writing `{}`", path.display()))
}
