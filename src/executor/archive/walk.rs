//! Packs files of a folder of this machine. Symlinks are packed as such and never followed.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use tar::{Builder, EntryType, Header};

use crate::executor::TarStream;
use crate::executor::archive::{Pattern, bridge, finish_if};

/// The files of `root` that match, or `None` if there are none. Paths are relative to `root`.
pub(in crate::executor) async fn pack_folder(
    root: PathBuf,
    pattern: Pattern,
) -> io::Result<Option<TarStream>> {
    let chosen = bridge::start(move |writer, _| {
        let mut out = Builder::new(writer);
        let mut has_any = false;
        let is_chosen = |path: &Path, is_folder: bool| pattern.takes(path, is_folder);
        walk(&root, pattern.prefix(), &mut |file| {
            if is_chosen(file.path, file.metadata.is_dir()) {
                has_any = true;
                append(&mut out, &root, &file)?;
            }
            Ok(())
        })?;
        finish_if(out, has_any)
    });
    bridge::unless_empty(chosen).await
}

/// A file or folder on the way.
pub(in crate::executor) struct Visited<'a> {
    /// Relative to the root of the walk.
    pub(in crate::executor) path: &'a Path,
    pub(in crate::executor) metadata: fs::Metadata,
}

/// Visits `from` (relative to `root`) and all below it, names in order, folders before what is in them.
pub(in crate::executor) fn walk(
    root: &Path,
    from: &Path,
    visit: &mut dyn FnMut(Visited<'_>) -> io::Result<()>,
) -> io::Result<()> {
    if !has_no_link_above(root, from) {
        return Ok(());
    }
    let mut waiting = vec![from.to_owned()];
    while let Some(path) = waiting.pop() {
        let whole = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let metadata = match fs::symlink_metadata(&whole) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let is_folder = metadata.is_dir();
        visit(Visited { path: &path, metadata })?;
        if is_folder {
            let mut names = fs::read_dir(&whole)?
                .map(|entry| entry.map(|it| it.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort_unstable_by(|one, other| other.cmp(one));
            waiting.extend(names.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(())
}

/// Whether no folder above `path` is a symlink, which might lead out of `root`.
fn has_no_link_above(root: &Path, path: &Path) -> bool {
    let above = path.ancestors().skip(1).filter(|it| !it.as_os_str().is_empty());
    above
        .into_iter()
        .all(|it| fs::symlink_metadata(root.join(it)).is_ok_and(|metadata| !metadata.is_symlink()))
}

/// Adds one file, folder or symlink to an archive; of anything else only the entry.
pub(in crate::executor) fn append<W: Write>(
    out: &mut Builder<W>,
    root: &Path,
    file: &Visited<'_>,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(&file.metadata, tar::HeaderMode::Complete);
    let kind = file.metadata.file_type();
    if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        let target = fs::read_link(root.join(file.path))?;
        return out.append_link(&mut header, file.path, target);
    }
    if kind.is_dir() {
        header.set_size(0);
        return out.append_data(&mut header, file.path, io::empty());
    }
    if !kind.is_file() {
        header.set_entry_type(match kind {
            _ if kind.is_block_device() => EntryType::Block,
            _ if kind.is_char_device() => EntryType::Char,
            _ => EntryType::Fifo,
        });
        header.set_size(0);
        return out.append_data(&mut header, file.path, io::empty());
    }
    // The size of the header holds even if somebody still writes to the file.
    let opened = open_beneath(root, file.path)?;
    let size = file.metadata.size();
    out.append_data(&mut header, file.path, opened.take(size).chain(io::repeat(0)).take(size))
}

fn open_beneath(root: &Path, path: &Path) -> io::Result<File> {
    let folder = File::open(root)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(File::from(rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve)?))
}
