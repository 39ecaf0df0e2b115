//! Where pipeline files are read from: the working tree, or the last commit, in which nothing counts that
//! is not committed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::source::{Repository, Snapshot, SourceError};

/// The most that is read of a file: above the limit of the format, which the check tells.
const BYTES_MAX: u64 = 4 << 20;
/// Symbolic links that are followed to a file of a commit.
const LINKS_MAX: usize = 8;
/// How the listing of a commit marks a symbolic link.
const LINK: &str = "+link";

/// The files below the top of a repository.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    commit: Option<Commit>,
}

#[derive(Debug)]
struct Commit {
    repository: Repository,
    head: Snapshot,
    /// Paths, sorted, with what identifies their content.
    paths: Vec<(String, String)>,
}

impl Files {
    /// Those on the disk.
    #[must_use]
    pub fn on_disk(root: PathBuf) -> Self {
        Self { root, commit: None }
    }

    /// Those of a commit.
    pub fn of_commit(repository: &Repository, head: Snapshot) -> Result<Self, SourceError> {
        let paths = repository.list_files(&head, repository.own_objects())?;
        let commit = Commit { repository: repository.clone(), head, paths };
        Ok(Self { root: repository.folder().to_owned(), commit: Some(commit) })
    }

    /// The top.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether they are those of a commit.
    #[must_use]
    pub fn are_committed(&self) -> bool {
        self.commit.is_some()
    }

    /// Whether there is a file of this whole path, or a link to one.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        match &self.commit {
            None => path.is_file(),
            Some(commit) => commit.read(&self.root, path).is_ok(),
        }
    }

    /// Whole paths of what lies directly in a folder.
    #[must_use]
    pub fn list_folder(&self, folder: &str) -> Vec<PathBuf> {
        let Some(commit) = &self.commit else {
            let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
            return entries.map(|it| it.path()).collect();
        };
        let prefix = format!("{folder}/");
        let names = commit.paths.iter().filter_map(|(path, _)| path.strip_prefix(&prefix));
        let direct = names.filter(|it| !it.contains('/'));
        direct.map(|it| self.root.join(folder).join(it)).collect()
    }

    /// At most a little more than a pipeline file may have, so that the check says it is too large. A link
    /// in the repository may not lead out of it: problems are shown with the lines they are in, and a
    /// stranger's branch could name any file of this machine.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match &self.commit {
            None => read_from_disk(&self.root, path),
            Some(commit) => commit.read(&self.root, path),
        }
    }
}

impl Commit {
    fn read(&self, root: &Path, path: &Path) -> io::Result<Vec<u8>> {
        let outside = || io::Error::other("it lies outside of the repository");
        let mut inner = path.strip_prefix(root).ok().and_then(plain).ok_or_else(outside)?;
        for _ in 0..LINKS_MAX {
            let text = inner.to_string_lossy().into_owned();
            let place = self.paths.binary_search_by(|(it, _)| it.as_str().cmp(&text));
            let found = place.ok().and_then(|it| self.paths.get(it));
            let (_, id) = found.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
            let bytes = self.repository.read_file(&self.head, self.repository.own_objects(), &text);
            let bytes = bytes.map_err(io::Error::other)?;
            let bytes = bytes.ok_or_else(|| io::Error::other("it is no file"))?;
            if !id.ends_with(LINK) {
                return Ok(bytes);
            }
            let target = PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
            let from = inner.parent().unwrap_or(Path::new("")).join(target);
            let leads_out = "it links to a place outside of the repository";
            inner = plain(&from).ok_or_else(|| io::Error::other(leads_out))?;
        }
        Err(io::Error::other("it is a link to a link, too many times"))
    }
}

fn read_from_disk(root: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let real = path.canonicalize()?;
    if path.starts_with(root) && !real.starts_with(root.canonicalize()?) {
        return Err(io::Error::other("it links to a place outside of the repository"));
    }
    if !real.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The path without `.` and `..`; `None` when it leads out of where it begins.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => (),
            Component::ParentDir if plain.pop() => (),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// The path without `.` and `..`, wherever it begins.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    let inner = path.strip_prefix("/").ok().and_then(plain);
    inner.map_or_else(|| path.to_owned(), |it| Path::new("/").join(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_plain_or_leads_out() {
        let plain = |text: &str| plain(Path::new(text)).map(|it| it.display().to_string());
        assert_eq!(plain("a/./b/../c").as_deref(), Some("a/c"));
        assert_eq!(plain("a/../.."), None);
        assert_eq!(plain("/a"), None);
        assert_eq!(tidy(Path::new("/a/b/../c")), Path::new("/a/c"));
    }
}
