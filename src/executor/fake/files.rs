//! Imagined files, and archives of them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt as _;

use crate::executor::archive::{self, Pattern};
use crate::executor::fake::Files;
use crate::executor::{ExecutorError, TarStream, control};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FakeFile {
    pub(super) mode: u32,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Link(PathBuf),
}

impl FakeFile {
    pub(super) fn written(bytes: Vec<u8>) -> Self {
        Self { mode: 0o644, content: Content::Bytes(bytes) }
    }
}

fn failed(error: &io::Error) -> ExecutorError {
    ExecutorError::Infra { operation: "imagining files".to_owned(), reason: error.to_string() }
}

/// The files of a checkout on disk.
pub(super) fn read_checkout(folder: &Path) -> Result<Files, ExecutorError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut files = Files::new();
    let read = archive::walk(folder, Path::new(""), &mut |file| {
        let whole = folder.join(file.path);
        let content = if file.metadata.is_symlink() {
            Content::Link(std::fs::read_link(whole)?)
        } else if file.metadata.is_file() {
            Content::Bytes(std::fs::read(whole)?)
        } else {
            return Ok(());
        };
        let mode = file.metadata.permissions().mode() & 0o777;
        files.insert(file.path.to_owned(), FakeFile { mode, content });
        Ok(())
    });
    read.map_err(|error| control::failed("reading", folder, &error))?;
    Ok(files)
}

pub(super) async fn read_archive(
    mut tar: TarStream,
    directory: &Path,
) -> Result<Files, ExecutorError> {
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes).await.map_err(|error| failed(&error))?;
    let read = || {
        let mut files = Files::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries()? {
            let mut entry = entry?;
            let path: PathBuf = directory.join(entry.path()?).components().collect();
            let mode = entry.header().mode()? & 0o777;
            let content = match entry.link_name()? {
                Some(target) => Content::Link(target.into_owned()),
                None if entry.header().entry_type().is_file() => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content)?;
                    Content::Bytes(content)
                }
                None => continue,
            };
            files.insert(path, FakeFile { mode, content });
        }
        Ok(files)
    };
    read().map_err(|error: io::Error| failed(&error))
}

pub(super) fn pack(files: &Files, pattern: &str) -> Result<Option<TarStream>, ExecutorError> {
    let pattern = Pattern::parse(pattern)?;
    let mut out = tar::Builder::new(Vec::new());
    let mut has_any = false;
    for (path, file) in files.iter().filter(|(path, _)| pattern.takes(path, false)) {
        has_any = true;
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let added = match &file.content {
            Content::Bytes(bytes) => {
                header.set_size(bytes.len() as u64);
                out.append_data(&mut header, path, bytes.as_slice())
            }
            Content::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                out.append_link(&mut header, path, target)
            }
        };
        added.map_err(|error| failed(&error))?;
    }
    let bytes = out.into_inner().map_err(|error| failed(&error))?;
    Ok(has_any.then(|| Box::pin(io::Cursor::new(bytes)) as TarStream))
}
