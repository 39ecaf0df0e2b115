//! Hashes on the way what is copied: all of a backup, and each blob by itself.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::BLOBS;

/// The sum of all files of a backup, with their names and sizes.
#[derive(Debug, Default)]
pub(super) struct Sum(Sha256);

impl Sum {
    /// The next file is read through what this gives.
    pub(super) fn of<R: Read>(&mut self, (name, size): (&Path, u64), inner: R) -> Summed<'_, R> {
        let text = name.to_string_lossy();
        self.0.update(text.as_bytes());
        self.0.update([0]);
        self.0.update(size.to_le_bytes());
        let name = blob_name(name);
        Summed { inner, all: &mut self.0, blob: name.map(|it| (it, Sha256::default())) }
    }

    pub(super) fn hex(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// A file that is hashed as it is read.
#[derive(Debug)]
pub(super) struct Summed<'a, R> {
    inner: R,
    all: &'a mut Sha256,
    blob: Option<(String, Sha256)>,
}

impl<R> Summed<'_, R> {
    /// After its end: whether it is no blob, or what its name says.
    pub(super) fn has_own_name(self) -> bool {
        self.blob.is_none_or(|(name, hash)| hex::encode(hash.finalize()) == name)
    }
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.all.update(read);
        if let Some((_, hash)) = &mut self.blob {
            hash.update(read);
        }
        Ok(count)
    }
}

/// `blobs/sha256/ab/cdef…` has the hash `abcdef…`.
fn blob_name(path: &Path) -> Option<String> {
    let rest = path.strip_prefix(BLOBS).ok()?.to_str()?;
    let name = rest.replace('/', "");
    (name.len() == 64).then_some(name)
}
