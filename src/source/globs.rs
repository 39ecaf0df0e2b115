//! Digests of the files that match globs.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// One digest over the matching files, whatever the order of files and globs.
pub(super) fn digest(files: &[(String, String)], globs: &[String]) -> Digest {
    let matcher = matcher(globs);
    let is_wanted =
        |path: &String| matcher.is_match(path) || globs.iter().any(|glob| tidy(glob) == path);
    let mut wanted: Vec<_> = files.iter().filter(|(path, _)| is_wanted(path)).collect();
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

/// Whether a path, or the name of a branch or tag, matches one of the globs.
pub(super) fn is_match(globs: &[String], text: &str) -> bool {
    matcher(globs).is_match(text) || globs.iter().any(|glob| tidy(glob) == text)
}

fn matcher(globs: &[String]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        if let Ok(glob) = GlobBuilder::new(tidy(glob)).literal_separator(true).build() {
            builder.add(glob);
        }
    }
    // Too many globs for one automaton: then only paths written out match, which is checked apart.
    builder.build().unwrap_or_default()
}

fn tidy(glob: &str) -> &str {
    glob.strip_prefix("./").unwrap_or(glob)
}
