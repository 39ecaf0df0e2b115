//! Files by content hash, on disk or in an object store. A blob is written under a temporary name
//! and renamed when it is whole and its digest is known, so whatever has a digest for a name is
//! complete.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio_util::io::StreamReader;

use super::BlobError;
use crate::model::{Digest, Timestamp};

mod verified;

use verified::Verified;

/// What is read and uploaded at a time: the memory that a `put` takes, twice.
const PART_BYTES: usize = 4 * 1024 * 1024;
const READ_BYTES: usize = 256 * 1024;
const STORED: &str = "sha256";
const TEMPORARY: &str = "tmp";

/// The store of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    folder: PathBuf,
}

/// A blob that is safely stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
}

impl Blobs {
    /// Opens (creates) the store in a folder.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        let opening = || format!("opening blob folder `{}`", folder.display());
        std::fs::create_dir_all(folder).map_err(|source| BlobError::storage(opening(), source))?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| BlobError::storage(opening(), source))?;
        Ok(Self { objects: Arc::new(objects), folder: folder.to_owned() })
    }

    /// Stores all bytes of `reader`; at most `limit_bytes`. Storing the same bytes twice stores
    /// them once, and makes them young again.
    pub async fn put(
        &self,
        mut reader: impl AsyncRead + Send + Unpin,
        limit_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        let temporary = Location::from(format!("{TEMPORARY}/{:032x}", fastrand::u128(..)));
        let upload = self.objects.put_multipart(&temporary).await;
        let mut upload =
            upload.map_err(|it| BlobError::storage("beginning to store a file", it))?;
        let blob = match copy(&mut reader, upload.as_mut(), limit_bytes).await {
            Ok(blob) => blob,
            Err(error) => {
                // What this leaves behind is swept later.
                upload.abort().await.ok();
                return Err(error);
            }
        };
        let storing = || format!("storing blob `{}`", blob.digest);
        upload.complete().await.map_err(|it| BlobError::storage(storing(), it))?;
        // Over the same bytes, if they are there: it heals a blob that a power failure tore, and
        // its new age keeps garbage collection off until its owner has written a row.
        let stored = location(&blob.digest);
        let renamed = self.objects.rename(&temporary, &stored).await;
        renamed.map_err(|it| BlobError::storage(storing(), it))?;
        Ok(blob)
    }

    /// Reads a blob; its digest is checked when the end is reached: the last read fails with
    /// [`std::io::ErrorKind::InvalidData`] when the bytes are not what their name says.
    pub async fn get(&self, digest: &Digest) -> Result<Pin<Box<dyn AsyncRead + Send>>, BlobError> {
        let found = self.objects.get(&location(digest)).await;
        let found = found.map_err(|error| not_found_or(error, "reading", digest))?;
        let reader: Pin<Box<dyn AsyncRead + Send>> = match found.payload {
            GetResultPayload::File(file, _) => {
                Box::pin(BufReader::with_capacity(READ_BYTES, tokio::fs::File::from_std(file)))
            }
            GetResultPayload::Stream(stream) => {
                Box::pin(StreamReader::new(stream.map_err(std::io::Error::from)))
            }
        };
        Ok(Box::pin(Verified::new(reader, digest.clone())))
    }

    /// Whether it is here.
    pub async fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.find(digest).await?.is_some())
    }

    /// The blob with this digest and the moment it was stored.
    pub async fn find(
        &self,
        digest: &Digest,
    ) -> Result<Option<(StoredBlob, Timestamp)>, BlobError> {
        match self.objects.head(&location(digest)).await {
            Ok(meta) => Ok(Some((
                StoredBlob { digest: digest.clone(), size_bytes: meta.size },
                Timestamp(meta.last_modified.timestamp_millis()),
            ))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(not_found_or(error, "looking for", digest)),
        }
    }

    /// Removes a blob. No error if it is gone.
    pub async fn delete(&self, digest: &Digest) -> Result<(), BlobError> {
        match self.objects.delete(&location(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(not_found_or(error, "removing", digest)),
        }
    }

    /// Removes a blob unless it was stored (again) at `before` or later, which may have happened
    /// after it was found to be garbage. Gives whether it was removed.
    pub async fn delete_garbage(
        &self,
        digest: &Digest,
        before: Timestamp,
    ) -> Result<bool, BlobError> {
        match self.find(digest).await? {
            Some((_, stored_at)) if stored_at < before => {
                self.delete(digest).await?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Every blob with its size and the moment it was stored (milliseconds since the epoch).
    pub async fn list(&self) -> Result<Vec<(StoredBlob, Timestamp)>, BlobError> {
        let stored = Location::from(STORED);
        let mut objects = self.objects.list(Some(&stored));
        let mut blobs = Vec::new();
        let listing = |it| BlobError::storage("listing blobs", it);
        while let Some(meta) = objects.try_next().await.map_err(listing)? {
            // Whatever else lies there is not ours to judge.
            if let Some(digest) = digest_at(&meta.location) {
                let stored_at = Timestamp(meta.last_modified.timestamp_millis());
                blobs.push((StoredBlob { digest, size_bytes: meta.size }, stored_at));
            }
        }
        Ok(blobs)
    }

    /// Removes what crashes have left of uploads that last wrote before this moment; gives how many.
    pub async fn sweep_temporary(&self, before: Timestamp) -> Result<u64, BlobError> {
        // Past the object store, which does not list files of unfinished uploads.
        let folder = self.folder.join(TEMPORARY);
        let sweep = tokio::task::spawn_blocking(move || sweep(&folder, before)).await;
        sweep
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|source| BlobError::storage("sweeping temporary files", source))
    }
}

/// Uploads what `reader` has, hashing it on the way.
async fn copy(
    reader: &mut (impl AsyncRead + Send + Unpin),
    upload: &mut dyn MultipartUpload,
    limit_bytes: u64,
) -> Result<StoredBlob, BlobError> {
    let mut hash = Sha256::new();
    let mut size_bytes = 0_u64;
    loop {
        let part = read_part(reader, &mut hash).await?;
        if part.is_empty() {
            return Ok(StoredBlob { digest: Digest::from_hash(&hash.finalize()), size_bytes });
        }
        size_bytes += part.len() as u64;
        if size_bytes > limit_bytes {
            return Err(BlobError::TooLarge { what: "the file".into(), limit_bytes });
        }
        let stored = upload.put_part(part.into()).await;
        stored.map_err(|source| BlobError::storage("storing a part of a file", source))?;
    }
}

/// A full part, or what is left.
async fn read_part(
    reader: &mut (impl AsyncRead + Send + Unpin),
    hash: &mut Sha256,
) -> Result<Vec<u8>, BlobError> {
    let mut part = Vec::new();
    let mut rest = reader.take(PART_BYTES as u64);
    loop {
        let before = part.len();
        part.reserve(READ_BYTES.min(PART_BYTES - before));
        let read = rest.read_buf(&mut part).await;
        let read = read.map_err(|source| BlobError::storage("reading what to store", source))?;
        if read == 0 {
            return Ok(part);
        }
        hash.update(part.get(before..).unwrap_or_default());
    }
}

fn sweep(folder: &Path, before: Timestamp) -> std::io::Result<u64> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        answer => answer?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        // One that is gone in the meantime was finished.
        let Ok(modified) = entry.metadata().and_then(|it| it.modified()) else { continue };
        let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        if Timestamp(modified) < before && std::fs::remove_file(entry.path()).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

/// `sha256/ab/cdef…`: no folder has more than 1/256 of the blobs.
fn location(digest: &Digest) -> Location {
    let (folder, file) = digest.hex().split_at_checked(2).unwrap_or((digest.hex(), ""));
    Location::from(format!("{STORED}/{folder}/{file}"))
}

fn digest_at(location: &Location) -> Option<Digest> {
    let mut parts = location.as_ref().split('/');
    let (stored, folder, file) = (parts.next()?, parts.next()?, parts.next()?);
    let is_place = stored == STORED && folder.len() == 2 && parts.next().is_none();
    is_place.then(|| Digest::parse(&format!("sha256:{folder}{file}")))?
}

fn not_found_or(error: object_store::Error, verb: &str, digest: &Digest) -> BlobError {
    if matches!(error, object_store::Error::NotFound { .. }) {
        return BlobError::NotFound(digest.to_string());
    }
    BlobError::storage(format!("{verb} blob `{digest}`"), error)
}

#[cfg(test)]
mod tests;
