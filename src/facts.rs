//! What expressions see of a revision, whoever started the run: a person at a terminal or a delivery.

use std::collections::BTreeMap;
use std::path::Path;

use crate::pipeline::context::GitContext;
use crate::pipeline::file::Pipeline;
use crate::source::{Repository, Snapshot, SourceError, digest_of_globs};

/// A revision, and where it is read from.
#[derive(Debug, Clone, Copy)]
pub struct Revision<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Objects that are not in the repository.
    pub objects: &'a Path,
    /// The revision.
    pub snapshot: &'a Snapshot,
}

impl Revision<'_> {
    /// How it is named; `ref` instead of the snapshot's own.
    #[must_use]
    pub fn git(&self, r#ref: Option<&str>) -> GitContext {
        let snapshot = self.snapshot;
        let full = r#ref.unwrap_or(&snapshot.r#ref);
        GitContext {
            sha: snapshot.commit.clone(),
            branch: full.strip_prefix("refs/heads/").unwrap_or_default().to_owned(),
            tag: full.strip_prefix("refs/tags/").unwrap_or_default().to_owned(),
            r#ref: full.to_owned(),
            message: snapshot.title.clone(),
            author: snapshot.author.clone(),
            dirty: snapshot.dirty,
        }
    }

    /// The answers of all `hash(…)` of a pipeline.
    pub fn hashes(&self, pipeline: &Pipeline) -> Result<BTreeMap<String, String>, SourceError> {
        if pipeline.hash_calls().is_empty() {
            return Ok(BTreeMap::new());
        }
        let files = self.repository.list_files(self.snapshot, self.objects)?;
        Ok(hashes_of(&files, pipeline))
    }
}

/// The answers of all `hash(…)` of a pipeline over these files.
#[must_use]
pub fn hashes_of(files: &[(String, String)], pipeline: &Pipeline) -> BTreeMap<String, String> {
    let hash = |globs: Vec<String>| {
        let digest = digest_of_globs(files, &globs);
        (globs.join("\n"), digest.hex().to_owned())
    };
    pipeline.hash_calls().into_iter().map(hash).collect()
}
