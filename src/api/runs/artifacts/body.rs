//! Artifacts as clients see them.

use crate::blobs::{Listing, MemberKind};
use crate::desk::artifacts::RunArtifacts;
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
    pub(super) fn of(all: &RunArtifacts, row: &ArtifactRow) -> Self {
        Self {
            stage_key: row.stage_key.clone(),
            attempt: row.attempt.attempt,
            path: row.path.clone(),
            digest: row.digest.to_string(),
            size_bytes: row.size_bytes,
            unpacked_bytes: all.unpacked_bytes(row),
            files: row.files,
            expires_at: row.expires_at.0,
        }
    }
}

/// What is in an archive.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ArtifactFilesBody {
    /// What is in it, in its order.
    items: Vec<ArtifactFileBody>,
    /// Whether that is all; a large archive is not read to its end.
    is_whole: bool,
}

/// Something in an archive.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ArtifactFileBody {
    /// Its path.
    path: String,
    /// `file`, `folder` or `link`.
    kind: &'static str,
    /// Its size.
    size_bytes: u64,
}

impl From<Listing> for ArtifactFilesBody {
    fn from(listing: Listing) -> Self {
        let items = listing.entries.into_iter().map(|it| ArtifactFileBody {
            path: it.path,
            kind: match it.kind {
                MemberKind::File => "file",
                MemberKind::Folder => "folder",
                MemberKind::Link => "link",
            },
            size_bytes: it.size_bytes,
        });
        Self { items: items.collect(), is_whole: listing.is_whole }
    }
}
