//! Keeps what is removed and what is copied apart: while a backup reads, nothing goes. Between processes, by a
//! lock on a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

const FILE: &str = "removal";

/// Held as long as it lives.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

impl Hold {
    /// Nothing is removed while it lives. Waits for a removal that is under way.
    pub fn to_read(state_folder: &Path) -> io::Result<Self> {
        let file = open(state_folder)?;
        file.lock_shared()?;
        Ok(Self { _file: file })
    }

    /// For whoever removes; `None` while somebody reads.
    pub fn to_remove(state_folder: &Path) -> io::Result<Option<Self>> {
        let file = open(state_folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn open(state_folder: &Path) -> io::Result<File> {
    let folder = state_folder.join("locks");
    std::fs::create_dir_all(&folder)?;
    OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_while_somebody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let reading =
            [Hold::to_read(folder.path()).unwrap(), Hold::to_read(folder.path()).unwrap()];
        assert!(Hold::to_remove(folder.path()).unwrap().is_none());
        drop(reading);
        assert!(Hold::to_remove(folder.path()).unwrap().is_some());
    }
}
