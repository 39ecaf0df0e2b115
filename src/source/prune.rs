//! Removes checkouts that nobody asks for any more.

use std::fs;
use std::path::Path;

use super::SourceError;
use super::checkout::lock::{LOCKS, Lock};
use super::checkout::remove_folder;
use crate::model::Timestamp;

/// Removes what was last used before `unused_since`, but for trees to keep.
pub(super) fn prune(
    folder: &Path,
    keep: &[String],
    unused_since: Timestamp,
) -> Result<usize, SourceError> {
    let Ok(locks) = fs::read_dir(folder.join(LOCKS)) else { return Ok(0) };
    let mut removed = 0;
    for lock in locks.flatten() {
        let name = lock.file_name().to_string_lossy().into_owned();
        let is_kept = keep.iter().any(|tree| name.split('-').next() == Some(tree));
        // A look without the lock first: most are in use, and one that is being made is locked long.
        if !is_kept && is_older(&lock, unused_since) {
            removed += usize::from(remove(folder, &name, unused_since)?);
        }
    }
    Ok(removed)
}

fn is_older(lock: &fs::DirEntry, moment: Timestamp) -> bool {
    let modified = lock.metadata().ok().and_then(|it| it.modified().ok());
    let since_1970 = modified.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    since_1970.is_some_and(|it| it.as_millis() < u128::try_from(moment.0).unwrap_or(0))
}

fn remove(folder: &Path, name: &str, unused_since: Timestamp) -> Result<bool, SourceError> {
    let lock = Lock::take(folder, name)?;
    if lock.last_used().is_none_or(|moment| moment >= unused_since) {
        return Ok(false);
    }
    // Renamed first, so that a half removed checkout is never taken for a whole one.
    let doomed = folder.join(format!(".{name}.part"));
    remove_folder(&doomed)?;
    let was_there = fs::rename(folder.join(name), &doomed).is_ok();
    remove_folder(&doomed)?;
    lock.remove();
    Ok(was_there)
}
