//! One lock file for each checkout: held while it is made or removed, and its time says when the
//! checkout was last asked for.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::model::Timestamp;
use crate::source::SourceError;

/// Where the lock files lie, in the folder of checkouts.
pub(in crate::source) const LOCKS: &str = ".locks";

/// That something was changed at this moment, by the clock that the kernel has for files.
pub(super) const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// A held lock, also against other threads of this process. Freed when dropped.
pub(in crate::source) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits for the lock of the checkout `name`.
    pub(in crate::source) fn take(folder: &Path, name: &str) -> Result<Self, SourceError> {
        let path = folder.join(LOCKS).join(name);
        let failed = || SourceError::failed(format!("locking `{}`", path.display()));
        loop {
            let file = match open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    fs::create_dir_all(folder.join(LOCKS)).map_err(failed())?;
                    open(&path).map_err(failed())?
                }
                other => other.map_err(failed())?,
            };
            rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
                .map_err(|error| failed()(error.into()))?;
            // The clean-up may have removed the file while we waited; then others lock another one.
            if is_same_file(&file, &path) {
                return Ok(Self { file, path });
            }
        }
    }

    /// Records that the checkout was asked for just now.
    pub(in crate::source) fn mark_used(&self) {
        if let Err(error) = rustix::fs::futimens(&self.file, &NOW) {
            tracing::warn!(path = %self.path.display(), %error, "cannot record the use");
        }
    }

    /// When the checkout was last asked for.
    pub(in crate::source) fn last_used(&self) -> Option<Timestamp> {
        let metadata = self.file.metadata().ok()?;
        Some(Timestamp(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000))
    }

    /// Removes the lock file, for a checkout that is no more.
    pub(in crate::source) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the lock");
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (named.dev(), named.ino())
}
