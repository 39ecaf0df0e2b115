//! What differs in the content of two revisions: the digests of their releases, and prompts line by line.

use std::path::PathBuf;

use super::change::{self, Part, PartKind};
use super::release::{ReleaseChange, ReleaseDigests};
use crate::pipeline::plan::Release;
use crate::source::{FileDiff, Repository, SourceError};

/// What differs in the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentChange {
    /// The digests of what would be released; `None` when the pipeline names no release.
    pub release: Option<ReleaseChange>,
    /// Prompts that differ, line by line, by path; what is long is cut.
    pub prompts: Vec<FileDiff>,
}

/// One of two revisions.
pub(super) struct Side {
    pub(super) tree: String,
    pub(super) release: Option<Release>,
}

/// Reads both. It blocks.
pub(super) struct Reader {
    pub(super) repository: Repository,
    pub(super) objects: PathBuf,
}

impl Reader {
    /// What differs in the files, where there is something to compare with, and in their content.
    pub(super) fn read(
        &self,
        now: &Side,
        before: Option<&Side>,
    ) -> Result<(Option<Vec<Part>>, ContentChange), SourceError> {
        let release = match self.digests(now)? {
            Some(digests) => {
                let before = before.map(|it| self.digests(it)).transpose()?.flatten();
                Some(ReleaseChange { now: digests, before })
            }
            None => None,
        };
        let Some(before) = before else {
            return Ok((None, ContentChange { release, prompts: Vec::new() }));
        };
        let trees = (before.tree.as_str(), now.tree.as_str());
        let files = self.repository.compare(&self.objects, trees)?;
        let parts = change::sorted(files, now.release.as_ref());
        let prompts = parts.iter().filter(|it| it.kind == PartKind::Prompts);
        let paths: Vec<_> = prompts.flat_map(|it| &it.files).map(|it| it.path.clone()).collect();
        let prompts = self.repository.diff(&self.objects, trees, &paths)?;
        Ok((Some(parts), ContentChange { release, prompts }))
    }

    fn digests(&self, side: &Side) -> Result<Option<ReleaseDigests>, SourceError> {
        let Some(release) = &side.release else { return Ok(None) };
        let files = self.repository.list_files_of_tree(&self.objects, &side.tree)?;
        Ok(Some(ReleaseDigests::of(files, release)))
    }
}
