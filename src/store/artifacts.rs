//! The table `artifacts`: who refers to which blob, and until when.

use super::{Store, StoreError};
use crate::model::{AttemptName, Digest, RunId, Timestamp};

/// One row of `artifacts`.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRow {
    /// The attempt that made it.
    pub attempt: AttemptName,
    /// Key of the stage.
    pub stage_key: String,
    /// The declared path or glob.
    pub path: String,
    /// Content.
    pub digest: Digest,
    /// Size of the archive.
    pub size_bytes: i64,
    /// Files in it.
    pub files: i64,
    /// When it may be removed; not while its run is unfinished.
    pub expires_at: Timestamp,
}

impl Store {
    /// Adds rows; one that is there already is left as it is.
    pub async fn insert_artifacts(&self, _rows: &[ArtifactRow]) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Artifacts of a run, by stage and path.
    pub async fn list_artifacts(&self, _run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        unimplemented!()
    }

    /// Removes rows whose time is over and whose run has finished; gives how many.
    pub async fn delete_expired_artifacts(&self, _now: Timestamp) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Every digest that an artifact, a cache entry or a reusable result refers to.
    pub async fn list_referenced_blobs(&self) -> Result<Vec<Digest>, StoreError> {
        unimplemented!()
    }
}
