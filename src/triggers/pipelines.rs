//! The pipelines of a commit, read from the mirror. No working tree is needed.

use std::path::Path;

use super::matching::{self, Match};
use crate::pipeline::check::Checked;
use crate::pipeline::{IncludeRef, SourceFile, check};
use crate::source::{Mirror, SourceError};
use crate::store::intake::looks::{BrokenFile, TrunkReading};

/// The folder of pipelines, and the file that stands for it in a small repository.
const FOLDER: &str = "pipelines";
const SINGLE: &str = ".trunkline.yml";
/// The largest file of a pipeline, and how many a repository may have.
const FILE_BYTES_MAX: usize = 1 << 20;
const FILES_MAX: usize = 100;
/// Broken files of a trunk that are kept, and bytes of what is wrong with each.
const BROKEN_MAX: usize = 5;
const PROBLEM_BYTES_MAX: usize = 4 << 10;

/// One pipeline file of a commit.
pub(super) struct Found {
    /// Its path.
    pub(super) file: String,
    /// What is in it.
    pub(super) checked: Checked,
}

impl Found {
    /// The first problem, as a sentence with its place.
    pub(super) fn problem(&self) -> Option<String> {
        let first = self.checked.diagnostics.iter().find(|it| it.is_error())?;
        let others = self.checked.diagnostics.iter().filter(|it| it.is_error()).count() - 1;
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        Some(format!("{}:{}:{}: {}{more}", first.file, first.line, first.column, first.message))
    }

    /// All problems as a person sees them at a terminal.
    pub(super) fn problems(&self) -> String {
        let errors = self.checked.diagnostics.iter().filter(|it| it.is_error());
        let shown = errors.map(|it| it.render(&self.checked.sources));
        shown.collect::<Vec<_>>().join("\n")
    }

    /// The first of them.
    fn first_shown(&self) -> Option<String> {
        let first = self.checked.diagnostics.iter().find(|it| it.is_error())?;
        let shown = first.render(&self.checked.sources);
        shown.get(..shown.floor_char_boundary(PROBLEM_BYTES_MAX)).map(str::to_owned)
    }

    /// The name of the pipeline: its own, or that of the file when it cannot be read.
    pub(super) fn name(&self) -> String {
        if let Some(pipeline) = &self.checked.pipeline {
            return pipeline.name().to_owned();
        }
        let file = self.file.rsplit('/').next().unwrap_or(&self.file);
        file.trim_start_matches('.').split('.').next().unwrap_or(file).to_owned()
    }
}

/// All pipelines of a commit. Blocks on the disk.
pub(super) fn read_all(mirror: &Mirror, commit: &str) -> Result<Vec<Found>, SourceError> {
    let mut files = vec![SINGLE.to_owned()];
    let extension = |it: &String| Path::new(it).extension().map(ToOwned::to_owned);
    let is_yaml = |it: &String| extension(it).is_some_and(|it| it == "yml" || it == "yaml");
    files.extend(mirror.list_folder(commit, FOLDER)?.into_iter().filter(is_yaml).take(FILES_MAX));
    let mut found = Vec::new();
    for file in files {
        let Some(bytes) = mirror.read_file(commit, &file, FILE_BYTES_MAX)? else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let source = SourceFile { name: file.clone(), text };
        let checked = check(source, &|wanted| include(mirror, commit, wanted));
        found.push(Found { file, checked });
    }
    Ok(found)
}

/// What these pipelines of a branch's newest commit say of the branch.
pub(super) fn reading_of(found: &[Found], branch: &str, commit: &str) -> TrunkReading {
    let r#ref = format!("refs/heads/{branch}");
    let mut reading = TrunkReading {
        branch: branch.to_owned(),
        commit: commit.to_owned(),
        ..TrunkReading::default()
    };
    for it in found {
        let Some(pipeline) = &it.checked.pipeline else {
            reading.pushed.push(it.name());
            let problem = it.first_shown().unwrap_or_default();
            reading.broken.push(BrokenFile { file: it.file.clone(), problem });
            continue;
        };
        let is_pushed =
            matching::push(pipeline.triggers().push.as_ref(), &r#ref, None) != Match::Unconcerned;
        let names = if is_pushed { &mut reading.pushed } else { &mut reading.others };
        names.push(pipeline.name().to_owned());
    }
    reading.broken.truncate(BROKEN_MAX);
    reading
}

fn include(mirror: &Mirror, commit: &str, wanted: &IncludeRef) -> Result<String, String> {
    if let Some(from) = &wanted.from {
        return Err(format!(
            "repository `{from}` cannot be reached from here yet; put `{}` into this repository and \
             leave `from` out",
            wanted.file
        ));
    }
    let path = wanted.file.strip_prefix("./").unwrap_or(&wanted.file);
    let bytes = mirror.read_file(commit, path, FILE_BYTES_MAX).map_err(|it| it.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("the repository has no file `{path}`"))?;
    String::from_utf8(bytes).map_err(|_| format!("`{path}` is no UTF-8 text"))
}
