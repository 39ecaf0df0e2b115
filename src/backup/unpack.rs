//! Reads a backup into a new state folder: beside it first, so that the folder is there whole or not at all. Where
//! machines share logs and blobs, these go to the shared folder in the same way.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use tar::{Archive, Entry};

use super::manifest::{End, FIRST, FORM, LAST};
use super::sum::Sum;
use super::{BLOBS, BackupError, LOGS, Manifest, Target};

/// The longest of the two texts that a backup says of itself.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unpacked {
    /// What it was.
    pub manifest: Manifest,
    /// Files of it.
    pub files: u64,
    /// Blobs that were damaged before they were saved.
    pub damaged: Vec<String>,
}

pub(super) fn unpack(file: &Path, to: &Target) -> Result<Unpacked, BackupError> {
    let is_taken = |it: &Path| fs::read_dir(it).is_ok_and(|mut it| it.next().is_some());
    let shared = to.shared.as_deref();
    let places = shared.iter().flat_map(|it| [it.join(BLOBS), it.join(LOGS)]);
    for place in places.chain([to.folder.clone()]) {
        if is_taken(&place) {
            return Err(BackupError::Taken(place.display().to_string()));
        }
    }
    let part = beside(&to.folder);
    let shared_part = shared.map(|it| beside(&it.join("state")));
    let unpacked = unpack_into(file, to, (&part, shared_part.as_deref()));
    for left in [Some(part), shared_part].into_iter().flatten() {
        let _it_may_be_gone = fs::remove_dir_all(left);
    }
    unpacked
}

fn beside(folder: &Path) -> PathBuf {
    let mut part = folder.as_os_str().to_owned();
    part.push(format!(".restoring-{}", std::process::id()));
    PathBuf::from(part)
}

fn unpack_into(
    file: &Path,
    to: &Target,
    (part, shared_part): (&Path, Option<&Path>),
) -> Result<Unpacked, BackupError> {
    for folder in [Some(part), shared_part].into_iter().flatten() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| BackupError::file(folder, error))?;
    }
    let unpacked = Unpacker { file, part, shared: shared_part }.unpack()?;
    settle(part).map_err(|error| BackupError::file(part, error))?;
    if let (Some(shared_part), Some(shared)) = (shared_part, &to.shared) {
        for name in [BLOBS, LOGS] {
            let target = shared.join(name);
            place(&shared_part.join(name), &target).map_err(|it| BackupError::file(&target, it))?;
        }
    }
    // An empty folder may be replaced.
    fs::rename(part, &to.folder).map_err(|error| BackupError::file(&to.folder, error))?;
    Ok(unpacked)
}

/// What older versions have saved too much and too little of: the name of the folder, under which containers of
/// the original would be taken for those of the copy, and folders that git wants and that are often empty.
fn settle(part: &Path) -> io::Result<()> {
    let instance = part.join("instance");
    if instance.exists() {
        fs::remove_file(instance)?;
    }
    let objects = part.join("objects");
    if objects.join("HEAD").exists() {
        fs::create_dir_all(objects.join("objects"))?;
        fs::create_dir_all(objects.join("refs"))?;
    }
    Ok(())
}

fn place(from: &Path, target: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(from, target)
}

/// What a file says that it is.
pub(super) fn manifest(file: &Path) -> Result<Manifest, BackupError> {
    let unpacker = Unpacker { file, part: Path::new(""), shared: None };
    let opened = File::open(file).map_err(|it| BackupError::file(file, it))?;
    let mut archive = Archive::new(BufReader::new(opened));
    let mut entries = archive.entries().map_err(|it| unpacker.torn(&it))?;
    let first = entries.next().ok_or_else(|| unpacker.not_whole("it is empty"))?;
    unpacker.text(FIRST, first.map_err(|it| unpacker.torn(&it))?)
}

struct Unpacker<'a> {
    file: &'a Path,
    part: &'a Path,
    shared: Option<&'a Path>,
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
        let (mut found, mut sum, mut damaged) = (End::default(), Sum::default(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(|it| self.torn(&it))?;
            let path = entry.path().map_err(|it| self.torn(&it))?.into_owned();
            if path == Path::new(LAST) {
                let end: End = self.text(LAST, entry)?;
                self.compare(&end, &End { sha256: sum.hex(), ..found.clone() }, &damaged)?;
                return Ok(Unpacked { manifest, files: found.files, damaged });
            }
            let target = self.target(&path)?;
            if entry.header().entry_type().is_dir() {
                fs::create_dir_all(&target).map_err(|it| BackupError::file(&target, it))?;
                continue;
            }
            let (bytes, is_as_named) = self.entry((&path, &target), entry, &mut sum)?;
            found.files += 1;
            found.bytes += bytes;
            damaged.extend((!is_as_named).then(|| path.display().to_string()));
        }
        Err(self.not_whole("its end is missing"))
    }

    /// A blob that is damaged in a backup that is as it was written was damaged before.
    fn compare(&self, end: &End, found: &End, damaged: &[String]) -> Result<(), BackupError> {
        if (end.files, end.bytes) != (found.files, found.bytes) {
            return Err(self.not_whole("files of it are missing"));
        }
        if end.sha256 == found.sha256 {
            return Ok(());
        }
        if let Some(name) = damaged.first() {
            return Err(self.not_whole(&format!("`{name}` is damaged")));
        }
        if end.sha256.is_empty() {
            return Ok(());
        }
        Err(self.not_whole("its files are not what was saved"))
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

    /// Only below the folder.
    fn target(&self, path: &Path) -> Result<PathBuf, BackupError> {
        if !path.components().all(|it| matches!(it, Component::Normal(_))) {
            return Err(self.stray(path));
        }
        let is_shared = path.starts_with(BLOBS) || path.starts_with(LOGS);
        Ok(self.shared.filter(|_| is_shared).unwrap_or(self.part).join(path))
    }

    /// Only files. Gives how long it is, and whether it is what its name says.
    fn entry(
        &self,
        (path, target): (&Path, &Path),
        entry: Entry<'_, impl Read>,
        sum: &mut Sum,
    ) -> Result<(u64, bool), BackupError> {
        if !entry.header().entry_type().is_file() {
            return Err(self.stray(path));
        }
        let failed = |error: io::Error| BackupError::file(target, error);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(target);
        let mut file = file.map_err(failed)?;
        let size = entry.header().size().map_err(|it| self.torn(&it))?;
        let mut summed = sum.of((path, size), entry);
        let copied = io::copy(&mut summed, &mut file).map_err(|it| self.torn(&it))?;
        if copied != size {
            return Err(self.not_whole("it ends in the middle of a file"));
        }
        file.sync_all().map_err(failed)?;
        Ok((copied, summed.has_own_name()))
    }

    fn stray(&self, path: &Path) -> BackupError {
        self.not_whole(&format!("`{}` does not belong there", path.display()))
    }

    fn torn(&self, error: &io::Error) -> BackupError {
        self.not_whole(&error.to_string())
    }

    fn not_whole(&self, reason: &str) -> BackupError {
        BackupError::NotWhole { path: self.file.display().to_string(), reason: reason.to_owned() }
    }
}
