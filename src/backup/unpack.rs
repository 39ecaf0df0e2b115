//! Reads a backup into a new state folder: beside it first, so that the folder is there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use tar::{Archive, Entry};

use super::manifest::{End, FIRST, FORM, LAST};
use super::{BackupError, Manifest};

/// The longest of the two texts that a backup says of itself.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unpacked {
    /// What it was.
    pub manifest: Manifest,
    /// Files of it.
    pub files: u64,
}

pub(super) fn unpack(file: &Path, folder: &Path) -> Result<Unpacked, BackupError> {
    if fs::read_dir(folder).is_ok_and(|mut it| it.next().is_some()) {
        return Err(BackupError::Taken(folder.display().to_string()));
    }
    let mut part = folder.as_os_str().to_owned();
    part.push(format!(".restoring-{}", std::process::id()));
    let part = PathBuf::from(part);
    let failed = |error: io::Error| BackupError::file(&part, error);
    DirBuilder::new().recursive(true).mode(0o700).create(&part).map_err(failed)?;
    let unpacked = Unpacker { file, part: &part }.unpack();
    let unpacked = unpacked.and_then(|it| {
        // An empty folder may be replaced.
        fs::rename(&part, folder).map_err(|error| BackupError::file(folder, error))?;
        Ok(it)
    });
    if unpacked.is_err() {
        let _it_may_be_gone = fs::remove_dir_all(&part);
    }
    unpacked
}

/// What a file says that it is.
pub(super) fn manifest(file: &Path) -> Result<Manifest, BackupError> {
    let unpacker = Unpacker { file, part: Path::new("") };
    let opened = File::open(file).map_err(|it| BackupError::file(file, it))?;
    let mut archive = Archive::new(BufReader::new(opened));
    let mut entries = archive.entries().map_err(|it| unpacker.torn(&it))?;
    let first = entries.next().ok_or_else(|| unpacker.not_whole("it is empty"))?;
    unpacker.text(FIRST, first.map_err(|it| unpacker.torn(&it))?)
}

struct Unpacker<'a> {
    file: &'a Path,
    part: &'a Path,
}

impl Unpacker<'_> {
    fn unpack(&self) -> Result<Unpacked, BackupError> {
        let opened = File::open(self.file).map_err(|it| BackupError::file(self.file, it))?;
        let mut archive = Archive::new(BufReader::new(opened));
        let mut entries = archive.entries().map_err(|it| self.torn(&it))?;
        let first = entries.next().ok_or_else(|| self.not_whole("it is empty"))?;
        let manifest: Manifest = self.text(FIRST, first.map_err(|it| self.torn(&it))?)?;
        if manifest.form > FORM {
            let form = manifest.form;
            return Err(
                self.not_whole(&format!("version `{form}` of it is newer than this program"))
            );
        }
        let mut found = End::default();
        for entry in entries {
            let entry = entry.map_err(|it| self.torn(&it))?;
            let path = entry.path().map_err(|it| self.torn(&it))?.into_owned();
            if path == Path::new(LAST) {
                let end: End = self.text(LAST, entry)?;
                if end != found {
                    return Err(self.not_whole("files of it are missing"));
                }
                return Ok(Unpacked { manifest, files: found.files });
            }
            found.files += 1;
            found.bytes += self.entry(&path, entry)?;
        }
        Err(self.not_whole("its end is missing"))
    }

    fn text<T: DeserializeOwned>(
        &self,
        name: &str,
        entry: Entry<'_, impl Read>,
    ) -> Result<T, BackupError> {
        let is_it = entry.path().is_ok_and(|it| *it == *Path::new(name));
        if !is_it {
            return Err(self.not_whole(&format!("it does not begin with `{name}`")));
        }
        let read = serde_json::from_reader(entry.take(TEXT_BYTES_MAX));
        read.map_err(|error| self.not_whole(&format!("`{name}` cannot be read: {error}")))
    }

    /// Only files, and only below the folder.
    fn entry(&self, path: &Path, mut entry: Entry<'_, impl Read>) -> Result<u64, BackupError> {
        let is_plain = path.components().all(|it| matches!(it, Component::Normal(_)));
        if !is_plain || !entry.header().entry_type().is_file() {
            return Err(self.not_whole(&format!("`{}` does not belong there", path.display())));
        }
        let target = self.part.join(path);
        let failed = |error: io::Error| BackupError::file(&target, error);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&target);
        let mut file = file.map_err(failed)?;
        let size = entry.header().size().map_err(|it| self.torn(&it))?;
        let copied = io::copy(&mut entry, &mut file).map_err(|it| self.torn(&it))?;
        if copied != size {
            return Err(self.not_whole("it ends in the middle of a file"));
        }
        file.sync_all().map_err(failed)?;
        Ok(copied)
    }

    fn torn(&self, error: &io::Error) -> BackupError {
        self.not_whole(&error.to_string())
    }

    fn not_whole(&self, reason: &str) -> BackupError {
        BackupError::NotWhole { path: self.file.display().to_string(), reason: reason.to_owned() }
    }
}
