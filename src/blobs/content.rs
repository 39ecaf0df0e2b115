//! Files by content hash, on disk or in an object store.

use std::path::Path;

use tokio::io::AsyncRead;

use super::BlobError;
use crate::model::Digest;

/// The store of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {}

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
    pub fn open(_folder: &Path) -> Result<Self, BlobError> {
        Ok(Self {})
    }

    /// Stores all bytes of `reader`; at most `limit_bytes`. Storing the same bytes twice stores them once.
    pub async fn put(
        &self,
        _reader: impl AsyncRead + Send + Unpin,
        _limit_bytes: u64,
    ) -> Result<StoredBlob, BlobError> {
        unimplemented!()
    }

    /// Reads a blob; its digest is checked when the end is reached.
    pub async fn get(
        &self,
        _digest: &Digest,
    ) -> Result<std::pin::Pin<Box<dyn AsyncRead + Send>>, BlobError> {
        unimplemented!()
    }

    /// Whether it is here.
    pub async fn contains(&self, _digest: &Digest) -> Result<bool, BlobError> {
        unimplemented!()
    }

    /// Removes a blob. No error if it is gone.
    pub async fn delete(&self, _digest: &Digest) -> Result<(), BlobError> {
        unimplemented!()
    }

    /// Every blob with its size and the moment it was stored (milliseconds since the epoch).
    pub async fn list(&self) -> Result<Vec<(StoredBlob, crate::model::Timestamp)>, BlobError> {
        unimplemented!()
    }
}
