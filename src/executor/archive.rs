//! Tar archives on their way in and out of a workspace: renamed, given to another owner, filtered, packed
//! from a folder. Everything streams; no archive is held in memory.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::executor::TarStream;

mod bridge;
mod ignore;
mod pattern;
mod walk;

pub(super) use bridge::{BlockingReader, start};
pub(super) use ignore::IgnoreFile;
pub(super) use pattern::Pattern;
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

/// The archive with every path below `directory` and every entry owned by `owner`. The folders above are
/// entries too, so that they get the same owner.
pub(super) fn moved_to(tar: TarStream, directory: PathBuf, owner: (u32, u32)) -> TarStream {
    start(move |writer, handle| {
        let mut out = Builder::new(writer);
        for folder in folders_above(&directory) {
            let mut header = folder_header(owner);
            out.append_data(&mut header, folder, io::empty())?;
        }
        let mut archive = Archive::new(BlockingReader::new(handle, tar));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let inside = entry.path()?.into_owned();
            if inside.as_os_str().is_empty() || inside == Path::new(".") {
                continue;
            }
            let mut header = entry.header().clone();
            header.set_uid(owner.0.into());
            header.set_gid(owner.1.into());
            let is_hard_link = header.entry_type() == EntryType::Link;
            let link = entry
                .link_name()?
                .map(|link| if is_hard_link { directory.join(link) } else { link.into_owned() });
            append(&mut out, header, &directory.join(inside), (link.as_deref(), &mut entry))?;
        }
        out.finish()
    })
}

/// The entries of the archive that match, or `None` if there are none. The archive is what Docker makes of
/// the folder or file `from`: its paths begin with the last part of that.
pub(super) async fn selected(
    tar: TarStream,
    from: PathBuf,
    pattern: Pattern,
) -> io::Result<Option<TarStream>> {
    let chosen = start(move |writer, handle| {
        let mut out = Builder::new(writer);
        let mut has_any = false;
        let mut archive = Archive::new(BlockingReader::new(handle, tar));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let rest: PathBuf = entry.path()?.components().skip(1).collect();
            let path = if rest.as_os_str().is_empty() { from.clone() } else { from.join(rest) };
            let is_folder = entry.header().entry_type() == EntryType::Directory;
            if !pattern.takes(&path, is_folder) {
                continue;
            }
            has_any = true;
            let header = entry.header().clone();
            let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
            append(&mut out, header, &path, (link.as_deref(), &mut entry))?;
        }
        finish_if(out, has_any)
    });
    bridge::unless_empty(chosen).await
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
        // Devices, FIFOs and sockets mean nothing elsewhere.
        _ => Ok(()),
    }
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

/// Unpacks an archive below a folder of this machine; nothing is written outside of it.
pub(super) async fn unpack(tar: TarStream, folder: PathBuf) -> io::Result<()> {
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let mut archive = Archive::new(BlockingReader::new(handle, tar));
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(false);
        archive.set_overwrite(true);
        archive.unpack(&folder)
    });
    work.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
