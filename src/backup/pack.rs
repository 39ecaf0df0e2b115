//! Writes a backup: a tar file, as what is in it is compressed already, or compresses well by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::manifest::{End, FIRST, LAST};
use super::sum::Sum;
use super::{BLOBS, Backup, BackupError, KEY_FILE, LOGS, Manifest, Snapshot};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Packed {
    /// What it is.
    pub manifest: Manifest,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// To a file beside it first: what has the name is whole.
pub(super) fn pack(
    backup: &Backup,
    snapshot: &Snapshot,
    manifest: &Manifest,
    target: &Path,
) -> Result<Packed, BackupError> {
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = write(backup, (snapshot, manifest), &part);
    let written = written.and_then(|end| {
        fs::rename(&part, target).map_err(|it| BackupError::file(target, it))?;
        Ok(Packed { manifest: manifest.clone(), files: end.files, bytes: end.bytes })
    });
    if written.is_err() {
        let _it_may_not_be_there = fs::remove_file(&part);
    }
    written
}

fn write(
    backup: &Backup,
    (snapshot, manifest): (&Snapshot, &Manifest),
    part: &Path,
) -> Result<End, BackupError> {
    let failed = |error: io::Error| BackupError::file(part, error);
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(part);
    let file = file.map_err(failed)?;
    let tar = Builder::new(BufWriter::new(file));
    let mut packer = Packer { tar, end: End::default(), sum: Sum::default() };
    packer.text(FIRST, manifest).map_err(failed)?;
    packer.file(snapshot.name, &snapshot.path)?;
    if let Some(keys) = &backup.keys {
        packer.file(KEY_FILE, keys)?;
    }
    // Not the name of the folder: a copy must not take the containers of the original for its own.
    for (name, parent) in
        [(BLOBS, &backup.files), (LOGS, &backup.files), ("objects", &backup.folder)]
    {
        packer.folder(name, &parent.join(name))?;
    }
    let end = End { sha256: std::mem::take(&mut packer.sum).hex(), ..packer.end.clone() };
    packer.text(LAST, &end).map_err(failed)?;
    let writer = packer.tar.into_inner().map_err(failed)?;
    let file = writer.into_inner().map_err(|it| failed(it.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(end)
}

struct Packer {
    tar: Builder<BufWriter<File>>,
    end: End,
    sum: Sum,
}

impl Packer {
    fn text(&mut self, name: &str, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        let mut header = header(text.len() as u64);
        self.tar.append_data(&mut header, name, text.as_slice())
    }

    /// As long as it is now: a log may grow meanwhile. What is gone was not needed.
    fn file(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let failed = |error: io::Error| BackupError::file(path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let size = file.metadata().map_err(failed)?.len();
        let mut summed = self.sum.of((Path::new(name), size), file.take(size));
        self.tar.append_data(&mut header(size), name, &mut summed).map_err(failed)?;
        if !summed.has_own_name() {
            tracing::warn!(path = %path.display(), "the blob is damaged here already");
        }
        self.end.files += 1;
        self.end.bytes += size;
        Ok(())
    }

    fn folder(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let failed = |error: io::Error| BackupError::file(path, error);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        // By itself: git knows a repository by folders that may be empty.
        let mut own = header(0);
        own.set_entry_type(EntryType::Directory);
        own.set_mode(0o700);
        own.set_cksum();
        self.tar.append_data(&mut own, format!("{name}/"), io::empty()).map_err(failed)?;
        // The index of a log first: then the log is at least as long as its index says.
        entries.sort_by_key(|it| {
            let name = it.file_name();
            (Path::new(&name).extension().is_some_and(|it| it == "log"), name)
        });
        for entry in entries {
            let Ok(own) = entry.file_name().into_string() else { continue };
            let name = format!("{name}/{own}");
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.folder(&name, &entry.path())?;
            } else if kind.is_file() {
                self.file(&name, &entry.path())?;
            }
        }
        Ok(())
    }
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_cksum();
    header
}
