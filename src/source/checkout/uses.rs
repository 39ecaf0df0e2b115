//! Which checkouts of a repository were used last, so that times never go back. A build tool takes an output
//! for up to date that is younger than its source, and a cache brings outputs of the last use. So a
//! file must be new in every use whose content is not that of the use before: when a tree is used again
//! after another one, its old checkout will not do, and a new one is made that shares what the two have
//! in common. (It may still be mounted by others and share files with more, so it is not changed.)

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::name::Name;
use crate::model::Digest;
use crate::source::SourceError;

/// Where the records lie, in the folder of checkouts: one file for each repository.
const USES: &str = ".uses";

/// The record of one repository, locked until it is dropped.
pub(super) struct Uses {
    folder: PathBuf,
    path: PathBuf,
    file: File,
}

impl Uses {
    /// Waits until nobody else makes a checkout of this repository.
    pub(super) fn take(folder: &Path, repository: &Path) -> Result<Self, SourceError> {
        let key = Digest::of(repository.as_os_str().as_bytes());
        let path = folder.join(USES).join(key.hex());
        let failed = || SourceError::failed(format!("locking `{}`", path.display()));
        fs::create_dir_all(folder.join(USES)).map_err(failed())?;
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(failed())?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
            .map_err(|error| failed()(error.into()))?;
        Ok(Self { folder: folder.to_owned(), path, file })
    }

    /// The checkouts of the revision that was used last, one for each owner, as far as they are there.
    /// A line without its end was not written whole, and does not count.
    pub(super) fn last(&self) -> Vec<Name> {
        let mut text = String::new();
        if let Err(error) = (&self.file).read_to_string(&mut text) {
            tracing::warn!(path = %self.path.display(), %error, "unreadable, so all files are new");
            return Vec::new();
        }
        let lines = text.split_inclusive('\n').filter_map(|it| it.strip_suffix('\n'));
        lines.filter(|it| self.folder.join(it).is_dir()).filter_map(Name::parse).collect()
    }

    /// Records that this one is used now, after those.
    pub(super) fn record(&self, last: &[Name], used: &Name) -> Result<(), SourceError> {
        if last.contains(used) {
            return Ok(());
        }
        let others = last.iter().filter(|it| it.is_of_same_revision(used));
        let text: String = others.chain([used]).map(|it| format!("{it}\n")).collect();
        let mut file = &self.file;
        file.rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(SourceError::failed(format!("writing `{}`", self.path.display())))
    }
}
