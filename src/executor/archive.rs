//! Tar archives on their way in and out of a workspace: renamed, given to another owner, filtered, packed
//! from a folder. Everything streams; no archive is held in memory.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::executor::TarStream;

mod bridge;
mod ignore;
mod pattern;
mod walk;

pub(super) use bridge::{BlockingReader, start};
pub(super) use ignore::IgnoreFile;
pub(super) use pattern::Pattern;
pub use pattern::is_glob;
pub(super) use walk::{append as append_file, pack_folder, walk};

/// The text of the first file of a small archive.
pub(super) fn first_file(tar: &[u8]) -> Option<String> {
    let mut archive = Archive::new(tar);
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if entry.header().entry_type() == EntryType::Regular {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            return Some(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    None
}

/// Where an archive is unpacked.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Relative to the workspace, or to `/`.
    pub(super) directory: PathBuf,
    pub(super) owner: (u32, u32),
    /// Whether folders that the archive does not contain become entries too: whoever unpacks it then
    /// replaces a symlink by a folder, and does not write through it to another place.
    pub(super) closes_links: bool,
}

/// The archive with every path below a directory and every entry owned by `owner`. The folders above are
/// entries too, so that they get the same owner.
pub(super) fn moved_to(tar: TarStream, target: Target) -> TarStream {
    start(move |writer, handle| {
        let Target { directory, owner, closes_links } = target;
        let mut out = Builder::new(writer);
        let mut folders = HashSet::new();
        for folder in folders_above(&directory) {
            out.append_data(&mut folder_header(owner), &folder, io::empty())?;
            folders.insert(folder);
        }
        let mut archive = Archive::new(BlockingReader::new(handle, tar));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let inside = plain(&entry.path()?);
            if inside.as_os_str().is_empty() || is_special(entry.header().entry_type()) {
                continue;
            }
            let path = directory.join(inside);
            let parent = path.parent().unwrap_or(Path::new(""));
            for folder in folders_above(parent).into_iter().filter(|_| closes_links) {
                if !folders.contains(&folder) {
                    out.append_data(&mut folder_header(owner), &folder, io::empty())?;
                    folders.insert(folder);
                }
            }
            let mut header = entry.header().clone();
            header.set_uid(owner.0.into());
            header.set_gid(owner.1.into());
            let kind = header.entry_type();
            if closes_links && kind == EntryType::Directory {
                folders.insert(path.clone());
            }
            let link = entry.link_name()?.map(|link| {
                if kind == EntryType::Link {
                    directory.join(plain(&link))
                } else {
                    link.into_owned()
                }
            });
            append(&mut out, header, &path, (link.as_deref(), &mut entry))?;
        }
        out.finish()
    })
}

/// The path without `.`, and without what would lead up or to the root.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|it| matches!(it, Component::Normal(_))).collect()
}

/// Gets one file of the place that an archive was made of, as an archive.
pub(super) type Fetch = Box<dyn Fn(&Path) -> io::Result<Option<TarStream>> + Send>;

/// The entries of the archive that match, or `None` if there are none. The archive is what Docker makes of
/// the folder or file `from`: its paths begin with the last part of that. A hard link to a file that does not
/// match becomes a file of its own, which `fetch` gets.
pub(super) async fn selected(
    tar: TarStream,
    from: PathBuf,
    (pattern, fetch): (Pattern, Fetch),
) -> io::Result<Option<TarStream>> {
    let chosen = start(move |writer, handle| {
        let mut out = Builder::new(writer);
        let mut has_any = false;
        let mut alone = Vec::new();
        let mut archive = Archive::new(BlockingReader::new(handle.clone(), tar));
        let place = |path: &Path| {
            let rest: PathBuf = path.components().skip(1).collect();
            if rest.as_os_str().is_empty() { from.clone() } else { from.join(rest) }
        };
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = place(&entry.path()?);
            let header = entry.header().clone();
            if !pattern.takes(&path, header.entry_type() == EntryType::Directory) {
                continue;
            }
            has_any = true;
            let mut link = entry.link_name()?.map(std::borrow::Cow::into_owned);
            if header.entry_type() == EntryType::Link {
                link = link.as_deref().map(place);
                if !link.as_deref().is_some_and(|it| pattern.takes(it, false)) {
                    alone.push(path);
                    continue;
                }
            }
            append(&mut out, header, &path, (link.as_deref(), &mut entry))?;
        }
        for path in alone {
            let Some(tar) = fetch(&path)? else { continue };
            append_file_of(&mut out, &path, BlockingReader::new(handle.clone(), tar))?;
        }
        finish_if(out, has_any)
    });
    bridge::unless_empty(chosen).await
}

fn append_file_of<W: Write>(
    out: &mut Builder<W>,
    path: &Path,
    tar: BlockingReader,
) -> io::Result<()> {
    for entry in Archive::new(tar).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            append(out, entry.header().clone(), path, (None, &mut entry))?;
        }
    }
    Ok(())
}

/// An archive that sets the owner of the folder into which it is unpacked.
pub(super) fn empty_folder(owner: (u32, u32)) -> TarStream {
    start(move |writer, _| {
        let mut out = Builder::new(writer);
        out.append_data(&mut folder_header(owner), ".", io::empty())?;
        out.finish()
    })
}

/// Ends the archive, or leaves it without a byte: two empty blocks would look like an archive.
fn finish_if<W: Write>(mut out: Builder<W>, has_any: bool) -> io::Result<()> {
    if has_any {
        return out.finish();
    }
    std::mem::forget(out); // its drop would write the end
    Ok(())
}

fn append<W: Write, R: Read>(
    out: &mut Builder<W>,
    mut header: Header,
    path: &Path,
    (link, entry): (Option<&Path>, &mut Entry<'_, R>),
) -> io::Result<()> {
    match (header.entry_type(), link) {
        (EntryType::Symlink | EntryType::Link, Some(link)) => {
            header.set_size(0);
            out.append_link(&mut header, path, link)
        }
        (EntryType::Directory, _) => {
            header.set_size(0);
            out.append_data(&mut header, path, io::empty())
        }
        (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(entry.size());
            out.append_data(&mut header, path, entry)
        }
        // Only the entry: whoever reads the archive may say that it is not kept.
        (kind, _) if is_special(kind) => {
            header.set_size(0);
            out.append_data(&mut header, path, io::empty())
        }
        _ => Ok(()),
    }
}

/// Devices, FIFOs and (as FIFOs) sockets: they mean nothing elsewhere.
fn is_special(kind: EntryType) -> bool {
    matches!(kind, EntryType::Char | EntryType::Block | EntryType::Fifo)
}

fn folders_above(directory: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        directory.ancestors().filter(|it| !it.as_os_str().is_empty()).map(Path::to_owned).collect();
    folders.reverse();
    folders
}

fn folder_header(owner: (u32, u32)) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_uid(owner.0.into());
    header.set_gid(owner.1.into());
    header.set_size(0);
    header
}

/// Unpacks an archive below a folder of this machine; nothing is written outside of it. Symlinks that are
/// in the way of a folder make room for it.
pub(super) async fn unpack(tar: TarStream, folder: PathBuf) -> io::Result<()> {
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let mut archive = Archive::new(BlockingReader::new(handle, tar));
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(false);
        archive.set_overwrite(true);
        // Folders last, as one of them may not be writable.
        let mut folders = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let (path, kind) = (plain(&entry.path()?), entry.header().entry_type());
            let is_folder = kind == EntryType::Directory;
            clear_links(&folder, if is_folder { Some(&path) } else { path.parent() })?;
            if is_folder {
                std::fs::create_dir_all(folder.join(&path))?;
                folders.push(entry);
            } else if !is_special(kind) {
                entry.unpack_in(&folder)?;
            }
        }
        folders.iter_mut().rev().try_for_each(|it| it.unpack_in(&folder).map(drop))
    });
    work.await.map_err(io::Error::other)?
}

/// Removes symlinks on the way to a folder below `root`. On the way from `/` they are the machine's own.
fn clear_links(root: &Path, below: Option<&Path>) -> io::Result<()> {
    if root == Path::new("/") {
        return Ok(());
    }
    for folder in below.map(folders_above).unwrap_or_default() {
        let place = root.join(folder);
        if std::fs::symlink_metadata(&place).is_ok_and(|it| it.is_symlink()) {
            std::fs::remove_file(&place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
