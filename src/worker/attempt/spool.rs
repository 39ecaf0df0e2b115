//! A tar archive between a workspace and the blob store: looked through before it is kept, so that what
//! could not be unpacked, or would lead out of a workspace, does not get in.

use std::collections::HashSet;
use std::io::{self, Seek as _};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, Entry};
use tokio::io::AsyncWriteExt as _;

use crate::executor::TarStream;

/// Where containers see their workspace: links to places below it stay inside.
const WORKSPACE: &str = "/workspace";

/// Which symlinks may be in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::worker) enum Links {
    /// Those that stay in the workspace.
    Inside,
    /// Those, and absolute ones, which lead into an image: a virtual environment has some. The first entry
    /// is what was asked for, and may not be one.
    InsideOrAbsolute,
    /// All: the archive is relative to `/`.
    All,
}

impl Links {
    fn of_first(self) -> Self {
        match self {
            Self::Inside | Self::InsideOrAbsolute => Self::Inside,
            Self::All => Self::All,
        }
    }
}

/// Something of a workspace that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::worker) struct LeftOut {
    pub(in crate::worker) path: PathBuf,
    /// Why, as the end of a sentence.
    pub(in crate::worker) reason: String,
}

/// What is in an archive. Folders do not count.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::worker) struct Content {
    /// Files and links.
    pub(in crate::worker) files: u64,
    /// Their sizes.
    pub(in crate::worker) bytes: u64,
}

/// A tar archive in an unnamed temporary file, which is gone with this process.
#[derive(Debug)]
pub(in crate::worker) struct Spool {
    pub(in crate::worker) file: tokio::fs::File,
    pub(in crate::worker) content: Content,
    pub(in crate::worker) left_out: Vec<LeftOut>,
}

impl Spool {
    pub(in crate::worker) async fn fill(
        state_folder: &Path,
        mut tar: TarStream,
        links: Links,
    ) -> io::Result<Self> {
        let folder: PathBuf = state_folder.join("tmp");
        tokio::fs::create_dir_all(&folder).await?;
        let mut file = unnamed(&folder).await?;
        tokio::io::copy(&mut tar, &mut file).await?;
        file.flush().await?;
        let file = file.into_std().await;
        let spare = unnamed(&folder).await?.into_std().await;
        let look = move || look_through(file, spare, links);
        let (file, content, left_out) =
            tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??;
        Ok(Self { file: tokio::fs::File::from_std(file), content, left_out })
    }
}

async fn unnamed(folder: &Path) -> io::Result<tokio::fs::File> {
    let path = folder.join(format!("spool-{:016x}", fastrand::u64(..)));
    let mut options = tokio::fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path).await?;
    tokio::fs::remove_file(&path).await?;
    Ok(file)
}

/// Counts the files and finds what may not be in the archive. Only if there is something is the archive
/// written anew, to `spare`.
fn look_through(
    mut file: std::fs::File,
    spare: std::fs::File,
    links: Links,
) -> io::Result<(std::fs::File, Content, Vec<LeftOut>)> {
    let (mut content, mut left_out) = (Content::default(), Vec::new());
    file.rewind()?;
    for (place, entry) in Archive::new(&file).entries_with_seek()?.enumerate() {
        let entry = entry?;
        let links = if place == 0 { links.of_first() } else { links };
        match objection(&entry, links)? {
            Some(reason) => left_out.push(LeftOut { path: entry.path()?.into_owned(), reason }),
            None if entry.header().entry_type().is_dir() => (),
            None => {
                content.files += 1;
                content.bytes += entry.size();
            }
        }
    }
    file.rewind()?;
    if left_out.is_empty() {
        return Ok((file, content, left_out));
    }
    let doomed: HashSet<&Path> = left_out.iter().map(|it| it.path.as_path()).collect();
    let mut out = Builder::new(spare);
    for entry in Archive::new(&file).entries()? {
        let mut entry = entry?;
        if !doomed.contains(entry.path()?.as_ref()) {
            copy(&mut out, &mut entry)?;
        }
    }
    let mut spare = out.into_inner()?;
    spare.rewind()?;
    Ok((spare, content, left_out))
}

fn copy(out: &mut Builder<std::fs::File>, entry: &mut Entry<'_, &std::fs::File>) -> io::Result<()> {
    let (mut header, path) = (entry.header().clone(), entry.path()?.into_owned());
    match entry.link_name()?.map(std::borrow::Cow::into_owned) {
        Some(link) => out.append_link(&mut header, path, link),
        None => out.append_data(&mut header, path, entry),
    }
}

fn objection<R: io::Read>(entry: &Entry<'_, R>, links: Links) -> io::Result<Option<String>> {
    let kind = entry.header().entry_type();
    if kind.is_character_special() || kind.is_block_special() {
        return Ok(Some("is a device".to_owned()));
    }
    if kind.is_fifo() {
        return Ok(Some("is a FIFO or socket".to_owned()));
    }
    if !kind.is_symlink() {
        return Ok(None);
    }
    let target = entry.link_name()?.unwrap_or_default();
    let leads_out = leads_out(&entry.path()?, &target, links);
    Ok(leads_out.then(|| format!("links to `{}`, outside of the workspace", target.display())))
}

/// Whether a link leads out of the workspace, by what is written in it.
fn leads_out(link: &Path, target: &Path, links: Links) -> bool {
    if links == Links::All || (links == Links::InsideOrAbsolute && target.is_absolute()) {
        return false;
    }
    let folder = link.parent().unwrap_or(Path::new(""));
    let (start, way) = match target.strip_prefix(WORKSPACE) {
        Ok(below) => (0, below),
        Err(_) if target.is_absolute() => return true,
        Err(_) => (folder.components().count(), target),
    };
    let step = |depth: usize, part: Component<'_>| match part {
        Component::ParentDir => depth.checked_sub(1),
        Component::Normal(_) => Some(depth + 1),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => Some(depth),
    };
    way.components().try_fold(start, step).is_none()
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    fn is_out(link: &str, target: &str) -> bool {
        leads_out(Path::new(link), Path::new(target), Links::Inside)
    }

    #[test]
    fn a_link_may_go_anywhere_in_the_workspace() {
        for target in ["b", "../b", "./x/../../b", "/workspace/b", "/workspace"] {
            assert!(!is_out("out/a", target), "{target}");
        }
    }

    #[test]
    fn a_link_may_not_leave_the_workspace_on_any_way() {
        for target in ["../../b", "/etc/shadow", "x/../../../b", "/workspace/../etc", "/workspaces"]
        {
            assert!(is_out("out/a", target), "{target}");
        }
        assert!(is_out("a", ".."));
    }

    #[test]
    fn a_cache_keeps_absolute_links_and_an_absolute_path_all() {
        let leads_out = |target, links| leads_out(Path::new("a"), Path::new(target), links);
        assert!(!leads_out("/usr/bin/python3", Links::InsideOrAbsolute));
        assert!(leads_out("../b", Links::InsideOrAbsolute));
        assert!(!leads_out("../b", Links::All));
    }

    #[tokio::test]
    async fn what_may_not_be_in_an_archive_is_left_out_of_it() {
        let mut out = Builder::new(Vec::new());
        let mut add = |path: &str, kind, target: Option<&str>, text: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            match target {
                Some(target) => out.append_link(&mut header, path, target).unwrap(),
                None => out.append_data(&mut header, path, text.as_bytes()).unwrap(),
            }
        };
        add("out/first", EntryType::Regular, None, "1");
        add("out/shadow", EntryType::Symlink, Some("../../../etc/shadow"), "");
        add("out/pipe", EntryType::Fifo, None, "");
        add("out/disk", EntryType::Block, None, "");
        add("out/near", EntryType::Symlink, Some("first"), "");
        add("out/same", EntryType::Link, Some("out/first"), "");
        add("out/last", EntryType::Regular, None, "2");
        let tar: TarStream = Box::pin(io::Cursor::new(out.into_inner().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::fill(folder.path(), tar, Links::Inside).await.unwrap();
        assert_eq!((spool.content.files, spool.content.bytes), (4, 2));
        let left_out: Vec<_> = spool
            .left_out
            .iter()
            .map(|it| format!("{} {}", it.path.display(), it.reason))
            .collect();
        assert_eq!(
            left_out,
            [
                "out/shadow links to `../../../etc/shadow`, outside of the workspace",
                "out/pipe is a FIFO or socket",
                "out/disk is a device"
            ]
        );
        let file = spool.file.into_std().await;
        let mut archive = Archive::new(file);
        let names = archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().into_owned());
        let names: Vec<_> = names.map(|it| it.display().to_string()).collect();
        assert_eq!(names, ["out/first", "out/near", "out/same", "out/last"]);
    }
}
