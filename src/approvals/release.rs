//! What a run would release, as digests: one for each part that the pipeline names, and one over all. Pure.

use std::collections::BTreeMap;

use super::change::{PartKind, Sorter};
use crate::model::Digest;
use crate::pipeline::plan::Release;
use crate::source::digest_of_files;

/// A release: the digest over its parts, and those of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDigests {
    /// Over all parts.
    pub whole: Digest,
    /// Of each part that the pipeline names.
    pub parts: BTreeMap<PartKind, Digest>,
}

/// A release beside that of the run that is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseChange {
    /// What this run would release.
    pub now: ReleaseDigests,
    /// What the other one would; `None` when there is no other, or its pipeline named no release.
    pub before: Option<ReleaseDigests>,
}

/// A part of a release then and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartChange<'a> {
    /// Which part.
    pub kind: PartKind,
    /// Its digest; `None` when the pipeline no longer names it.
    pub now: Option<&'a Digest>,
    /// What it was; `None` when the pipeline did not name it.
    pub before: Option<&'a Digest>,
}

impl PartChange<'_> {
    /// Whether it is not what it was.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.now != self.before
    }
}

impl ReleaseDigests {
    /// Over the files of a tree: paths, and what identifies the content of each. A file belongs to one part,
    /// the narrowest.
    pub(super) fn of(files: Vec<(String, String)>, release: &Release) -> Self {
        let sorter = Sorter::new(Some(release));
        let named = named(release).into_iter().map(|it| (it, Vec::new()));
        let mut by_part: BTreeMap<PartKind, Vec<(String, String)>> = named.collect();
        for file in files {
            if let Some(part) = by_part.get_mut(&sorter.part_of(&file.0)) {
                part.push(file);
            }
        }
        let digests = by_part.iter().map(|(kind, files)| (*kind, digest_of_files(files)));
        let parts: BTreeMap<_, _> = digests.collect();
        let lines: Vec<_> =
            parts.iter().map(|(kind, it)| (kind.as_str().to_owned(), it.to_string())).collect();
        Self { whole: digest_of_files(&lines), parts }
    }
}

impl ReleaseChange {
    /// The parts of both, in the order they are shown.
    #[must_use]
    pub fn parts(&self) -> Vec<PartChange<'_>> {
        let before = self.before.as_ref().map(|it| &it.parts);
        let part = |kind: PartKind| PartChange {
            kind,
            now: self.now.parts.get(&kind),
            before: before.and_then(|it| it.get(&kind)),
        };
        let all = PartKind::ALL.into_iter().map(part);
        all.filter(|it| it.now.is_some() || it.before.is_some()).collect()
    }
}

/// The parts that a pipeline names.
fn named(release: &Release) -> Vec<PartKind> {
    let is_named = |it: &PartKind| match it {
        PartKind::Code => !release.code.is_empty(),
        PartKind::Infra => !release.infra.is_empty(),
        PartKind::Prompts => !release.prompts.is_empty(),
        PartKind::Models => release.models.is_some(),
        PartKind::Indexes => release.indexes.is_some(),
        PartKind::Other => false,
    };
    PartKind::ALL.into_iter().filter(is_named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            code: vec!["src/**".to_owned()],
            infra: Vec::new(),
            prompts: vec!["src/prompts/**".to_owned()],
            models: Some("models.lock".to_owned()),
            indexes: None,
        }
    }

    fn digests(files: &[(&str, &str)]) -> ReleaseDigests {
        let files = files.iter().map(|(path, id)| ((*path).to_owned(), (*id).to_owned()));
        ReleaseDigests::of(files.collect(), &release())
    }

    const FILES: [(&str, &str); 4] =
        [("README.md", "1"), ("models.lock", "2"), ("src/a.py", "3"), ("src/prompts/a.md", "4")];

    fn with(path: &str, id: &'static str) -> ReleaseDigests {
        digests(&FILES.map(|(it, old)| (it, if it == path { id } else { old })))
    }

    fn changed(now: ReleaseDigests) -> Vec<&'static str> {
        let change = ReleaseChange { now, before: Some(digests(&FILES)) };
        let parts = change.parts();
        parts.iter().filter(|it| it.is_changed()).map(|it| it.kind.as_str()).collect()
    }

    #[test]
    fn a_file_changes_its_own_part_and_the_whole() {
        let before = digests(&FILES);
        for (path, part) in
            [("src/a.py", "code"), ("src/prompts/a.md", "prompts"), ("models.lock", "models")]
        {
            let now = with(path, "9");
            assert_ne!(now.whole, before.whole, "{path}");
            assert_eq!(changed(now), [part], "{path}");
        }
    }

    #[test]
    fn what_is_not_released_changes_nothing() {
        assert_eq!(with("README.md", "9"), digests(&FILES));
        let mut turned = FILES;
        turned.reverse();
        assert_eq!(digests(&turned), digests(&FILES));
    }

    #[test]
    fn only_named_parts_have_a_digest() {
        let kinds: Vec<_> = digests(&[]).parts.into_keys().collect();
        assert_eq!(kinds, [PartKind::Code, PartKind::Prompts, PartKind::Models]);
    }

    #[test]
    fn a_moved_file_is_a_change() {
        let moved =
            FILES.map(|(path, id)| if path == "src/a.py" { ("src/b.py", id) } else { (path, id) });
        assert_eq!(changed(digests(&moved)), ["code"]);
    }
}
