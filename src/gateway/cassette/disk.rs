//! The file of a cassette: one process at a time reads and replaces it, and it is always whole.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another process is waited for: longer than the largest file takes.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size_bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        let (place, changed) = ((file.dev(), file.ino()), (file.mtime(), file.mtime_nsec()));
        Self { place, size_bytes: file.size(), changed }
    }
}

/// A file that is this process's own until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// Waits for other processes; makes an empty file where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let begun = Instant::now();
        loop {
            let file = options.open(path)?;
            let is_locked = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                // There are file systems without locks.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    true
                }
                Err(TryLockError::Error(error)) => return Err(error),
            };
            // Whoever had it may have put another file in its place.
            if is_locked && is_at(path, &file)? {
                return Ok(Self { path: path.to_owned(), file });
            }
            if begun.elapsed() >= LOCK_WAIT {
                let message = "another process holds it";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// The text, if the file is not as it was at that time.
    pub(super) fn read_if_not(&self, known: Option<Stamp>) -> io::Result<Option<(String, Stamp)>> {
        let stamp = Stamp::of(&self.file.metadata()?);
        if known == Some(stamp) {
            return Ok(None);
        }
        let mut text = String::new();
        (&self.file).read_to_string(&mut text)?;
        Ok(Some((text, stamp)))
    }

    /// Writes a new file beside the old one, and puts it in its place.
    pub(super) fn replace(self, text: &str) -> io::Result<Stamp> {
        let new = self.path.with_extension("jsonl.new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        let stamp = Stamp::of(&file.metadata()?);
        fs::rename(new, &self.path)?;
        Ok(stamp)
    }
}

fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The text of a file; nothing, where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<(String, Stamp)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stamp = Stamp::of(&file.metadata()?);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Some((text, stamp)))
}

/// Adds to the end of a file.
pub(super) fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_at_a_time_though_it_is_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/a.jsonl");
        let first = Held::open(&path).unwrap();
        let wants = path.clone();
        let other = std::thread::spawn(move || {
            let held = Held::open(&wants).unwrap();
            let text = held.read_if_not(None).unwrap().unwrap().0;
            held.replace(&format!("{text}second\n")).unwrap();
        });
        let stamp = first.replace("first\n").unwrap();
        other.join().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nsecond\n");

        let held = Held::open(&path).unwrap();
        let (_, now) = held.read_if_not(Some(stamp)).unwrap().unwrap();
        assert!(held.read_if_not(Some(now)).unwrap().is_none());
        assert!(read(&folder.path().join("none.jsonl")).unwrap().is_none());
    }
}
