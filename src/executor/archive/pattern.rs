//! Which files of a workspace a pattern names.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::executor::ExecutorError;

/// A glob, or the path of a file or folder; a folder means all below it.
#[derive(Debug, Clone)]
pub(in crate::executor) struct Pattern {
    /// The longest leading part without a wildcard.
    prefix: PathBuf,
    /// `None`: the prefix is all there is.
    glob: Option<GlobMatcher>,
    is_absolute: bool,
}

/// Whether a declared path is a glob, which may match nothing; else it names one file or folder.
#[must_use]
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

impl Pattern {
    /// Fails for a glob that cannot be read, and for a path that climbs out with `..`.
    pub(in crate::executor) fn parse(text: &str) -> Result<Self, ExecutorError> {
        let invalid = |reason: &str| {
            ExecutorError::Rejected(format!(
                "`{text}` is not a path or glob of a workspace: {reason}"
            ))
        };
        let is_absolute = text.starts_with('/');
        let mut parts = Vec::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                Component::ParentDir => return Err(invalid("`..` leads out of it")),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        let Some(first_wild) = parts.iter().position(|part| is_glob(part)) else {
            return Ok(Self { prefix: parts.iter().collect(), glob: None, is_absolute });
        };
        let glob = GlobBuilder::new(&parts.join("/"))
            .literal_separator(true)
            .build()
            .map_err(|error| invalid(&error.kind().to_string()))?;
        let prefix = parts.iter().take(first_wild).collect();
        Ok(Self { prefix, glob: Some(glob.compile_matcher()), is_absolute })
    }

    /// Where to look: relative to the workspace, or to `/` for an absolute pattern.
    pub(in crate::executor) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(in crate::executor) fn is_absolute(&self) -> bool {
        self.is_absolute
    }

    /// Whether the file or folder at `path` (relative like the prefix) is meant. A folder that only lies
    /// on the way to what is meant is not.
    pub(in crate::executor) fn takes(&self, path: &Path, is_folder: bool) -> bool {
        if path.as_os_str().is_empty() {
            return false; // the workspace itself, which `*` matches
        }
        let Some(glob) = &self.glob else {
            return path.starts_with(&self.prefix);
        };
        if glob.is_match(path) {
            // `**` matches folders on the way as well; those come with the files in them.
            return !is_folder || !self.ends_wild();
        }
        path.ancestors()
            .skip(1)
            .any(|above| !above.as_os_str().is_empty() && glob.is_match(above) && !self.ends_wild())
    }

    /// Whether the glob's last part can match any name, so that it speaks of files at every depth.
    fn ends_wild(&self) -> bool {
        self.glob.as_ref().is_some_and(|it| it.glob().glob().ends_with("**"))
    }
}

#[cfg(test)]
mod tests;
