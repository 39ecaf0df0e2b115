//! Digests of files, and of those that match globs.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// Globs that are asked of many paths. `*` and `?` do not match `/`, `**` does.
#[derive(Debug, Clone)]
pub struct Globs {
    set: GlobSet,
    /// As they are written: one that cannot be parsed stands for the path that is written like it.
    texts: Vec<String>,
}

impl Globs {
    /// These globs.
    #[must_use]
    pub fn new(globs: &[String]) -> Self {
        let mut builder = GlobSetBuilder::new();
        for glob in globs {
            if let Ok(glob) = GlobBuilder::new(tidy(glob)).literal_separator(true).build() {
                builder.add(glob);
            }
        }
        // Too many globs for one automaton: then only paths written out match, which is checked apart.
        let set = builder.build().unwrap_or_default();
        Self { set, texts: globs.iter().map(|it| tidy(it).to_owned()).collect() }
    }

    /// Whether a path, or the name of a branch or tag, matches one of them.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.set.is_match(text) || self.texts.iter().any(|it| it == text)
    }
}

/// One digest over the matching files, whatever the order of files and globs.
pub(super) fn digest(files: &[(String, String)], globs: &[String]) -> Digest {
    let globs = Globs::new(globs);
    digest_of(files.iter().filter(|(path, _)| globs.is_match(path)))
}

/// One digest over these files, whatever their order.
pub(super) fn digest_of<'a>(files: impl Iterator<Item = &'a (String, String)>) -> Digest {
    let mut wanted: Vec<_> = files.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut hash = Sha256::new();
    for (path, id) in wanted {
        for text in [path, id] {
            // The length first, so that no two lists of texts read the same.
            hash.update(text.len().to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    Digest::from_hash(&hash.finalize())
}

fn tidy(glob: &str) -> &str {
    glob.strip_prefix("./").unwrap_or(glob)
}
