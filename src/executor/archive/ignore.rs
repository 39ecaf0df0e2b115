//! `.dockerignore`: which files of a build context stay behind. The last rule that matches a path decides,
//! and a rule for a folder holds for what is in it (Docker's documentation, "dockerignore file").

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::executor::ExecutorError;

/// The rules of one file.
#[derive(Debug, Default)]
pub(in crate::executor) struct IgnoreFile {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    glob: GlobMatcher,
    /// Begins with `!`: takes back what was ignored before.
    is_exception: bool,
}

impl IgnoreFile {
    /// Fails with the line that cannot be read.
    pub(in crate::executor) fn parse(text: &str) -> Result<Self, ExecutorError> {
        let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        Ok(Self { rules: lines.map(Rule::parse).collect::<Result<_, _>>()? })
    }

    pub(in crate::executor) fn ignores(&self, path: &Path) -> bool {
        let decides = |rule: &&Rule| path.ancestors().any(|it| rule.glob.is_match(it));
        self.rules.iter().rev().find(decides).is_some_and(|rule| !rule.is_exception)
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, ExecutorError> {
        let (is_exception, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, line),
        };
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
            ExecutorError::Rejected(format!("`.dockerignore`: `{line}`: {}", error.kind()))
        })?;
        Ok(Self { glob: glob.compile_matcher(), is_exception })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_matching_rule_decides() {
        let text = "# build output\ntarget\n**/*.log\n!keep.log\ndocs/*\n!docs/api\n";
        let ignored = IgnoreFile::parse(text).unwrap();
        let left = ["target/a", "x/y.log", "docs/a.md", "target"];
        let kept = ["keep.log", "docs/api/a.md", "src/main.rs", "docs"];
        assert!(left.iter().all(|it| ignored.ignores(Path::new(it))));
        assert!(!kept.iter().any(|it| ignored.ignores(Path::new(it))));
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_named() {
        let error = IgnoreFile::parse("a\n[b\n").unwrap_err();
        insta::assert_snapshot!(error, @"`.dockerignore`: `[b`: unclosed character class; missing ']'");
    }
}
