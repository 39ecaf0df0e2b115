//! Artifacts as clients see them.

use crate::engine::{ArtifactRef, Run};
use crate::store::artifacts::ArtifactRow;

/// Files that a stage handed on.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ArtifactBody {
    /// Key of the stage.
    stage_key: String,
    /// The attempt that made it.
    attempt: u32,
    /// The declared path or glob.
    path: String,
    /// Digest of the archive.
    digest: String,
    /// Size of the archive.
    size_bytes: i64,
    /// Size of the files in it; null where an older version did not write it down.
    unpacked_bytes: Option<u64>,
    /// Files in it.
    files: i64,
    /// Until when it is kept, in milliseconds since 1970-01-01 UTC.
    expires_at: i64,
}

impl ArtifactBody {
    pub(super) fn of(run: &Run, row: &ArtifactRow) -> Self {
        Self {
            stage_key: row.stage_key.clone(),
            attempt: row.attempt.attempt,
            path: row.path.clone(),
            digest: row.digest.to_string(),
            size_bytes: row.size_bytes,
            unpacked_bytes: find(run, row).and_then(|it| it.unpacked_bytes),
            files: row.files,
            expires_at: row.expires_at.0,
        }
    }
}

/// What the run says of an artifact; the table knows only the size of its archive.
fn find<'a>(run: &'a Run, row: &ArtifactRow) -> Option<&'a ArtifactRef> {
    let stage = run.stage(row.attempt.stage)?;
    let outcomes = stage.attempts.iter().filter_map(|it| it.outcome.as_ref());
    let mut refs = outcomes.chain(stage.reused_outcome.as_deref()).flat_map(|it| &it.artifacts);
    refs.find(|it| it.path == row.path && it.digest == row.digest)
}
