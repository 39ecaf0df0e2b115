//! From text to a checked pipeline: reads the file, what it includes, and what only shows when all
//! stages are known. Every problem is reported, not only the first.

use std::collections::BTreeMap;
use std::string::FromUtf8Error;

use super::diagnostic::{Diagnostic, Place, Severity, SourceFile, Span};
use super::file::stage::MOST_STAGES;
use super::file::top::{self, Top};
use super::file::{Pipeline, scalar};
use super::reading::Reading;
use super::yaml::{self, Node, Value};
use crate::model::Timestamp;

mod artifacts;
mod include;
mod needs;
mod references;
mod substitute;
mod surroundings;

#[cfg(test)]
mod tests;

/// A file that another one wants to include.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct IncludeRef {
    /// The repository; `None` for the one of the pipeline.
    pub from: Option<String>,
    /// Tag, branch or commit of that repository.
    pub r#ref: Option<String>,
    /// Path in the repository.
    pub file: String,
    /// SHA-256 of the text in hexadecimal digits; checked by [`check`].
    pub sha256: Option<String>,
}

/// A pipeline file and everything that was found in it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The pipeline, unless there is an error.
    pub pipeline: Option<Pipeline>,
    /// Every problem, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The file and what it includes.
    pub sources: Vec<SourceFile>,
}

/// Checks the bytes of a pipeline file, which may not even be text.
pub fn check_bytes(
    name: String,
    bytes: Vec<u8>,
    load: &dyn Fn(&IncludeRef) -> Result<String, String>,
) -> Checked {
    match String::from_utf8(bytes) {
        Ok(text) => check(SourceFile { name, text }, load),
        Err(error) => not_text(name, &error),
    }
}

/// What is said about a file that cannot be read at all.
pub fn unreadable(name: String, reason: &str) -> Checked {
    let reading = Reading::default();
    let message = format!("`{name}` cannot be read: {reason}");
    let source = reading.add_source(SourceFile { name, text: String::new() });
    let place = reading.place(source, 0, 0);
    reading.error("pipeline/unreadable", place, message, "check the path and its permissions");
    refused(reading)
}

fn not_text(name: String, error: &FromUtf8Error) -> Checked {
    let reading = Reading::default();
    let (bytes, offset) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let text = String::from_utf8_lossy(bytes).into_owned();
    let source = reading.add_source(SourceFile { name, text });
    let place = reading.place(source, offset, offset + char::REPLACEMENT_CHARACTER.len_utf8());
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("the byte 0x{byte:02X} at offset {offset} is not UTF-8 text");
    let help = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "the file is UTF-16: save it as UTF-8"
    } else {
        "save the file as UTF-8"
    };
    reading.error("yaml/not-utf8", place, message, help);
    refused(reading)
}

fn refused(reading: Reading) -> Checked {
    let (sources, diagnostics, _) = reading.into_parts();
    Checked { pipeline: None, diagnostics, sources }
}

impl Checked {
    /// Refuses a pipeline whose name another file has too, as runs are told apart by it.
    pub fn refuse_name_of(&mut self, other: &str) {
        let Some(pipeline) = self.pipeline.take() else { return };
        let Pipeline { name, name_place, .. } = &pipeline;
        let message =
            format!("`{other}` is called `{name}` too, and pipelines are told apart by name");
        let help = "give one of the two another `name`";
        self.add(Severity::Error, "pipeline/duplicate-name", *name_place, (message, help));
    }

    /// Warns of what was allowed until a day that is over at `now`.
    pub fn warn_of_past(&mut self, now: Timestamp) {
        let Some(pipeline) = self.pipeline.take() else { return };
        for stage in &pipeline.stages {
            let until = stage.allow_failure.as_ref().and_then(|it| it.until);
            let Some(place) = stage.until_place.filter(|_| until.is_some_and(|it| it <= now))
            else {
                continue;
            };
            let message = format!(
                "this day is over: a failure of stage `{}` fails the run again",
                stage.name
            );
            let help = "repair what fails and remove `allow_failure`, or write a later day";
            self.add(Severity::Warning, "pipeline/allowance-over", place, (message, help));
        }
        self.diagnostics.sort_by(Diagnostic::order);
        self.pipeline = Some(pipeline);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: Place,
        (message, help): (String, &str),
    ) {
        let file = self.sources.get(place.source).map(|it| it.name.clone()).unwrap_or_default();
        self.diagnostics.push(Diagnostic {
            code,
            severity,
            message,
            help: Some(help.to_owned()),
            file,
            span: Span { start: place.start, len: place.len },
            line: place.line,
            column: place.column,
        });
    }
}

/// The name of the pipeline in a file, without checking more than that it is YAML.
pub fn name_of(path: &str, text: &str) -> Option<String> {
    let quiet = Reading::default();
    let tree = yaml::parse(text, 0, &quiet)?;
    let Value::Mapping(entries) = &tree.value else { return None };
    let name = entries.iter().find(|it| it.key == "name").and_then(|it| scalar::text(&it.value));
    Some(name.map_or_else(|| stem_of(path), str::to_owned))
}

/// Checks a pipeline file. `load` gives the text of an included file, or why it cannot.
pub fn check(root: SourceFile, load: &dyn Fn(&IncludeRef) -> Result<String, String>) -> Checked {
    let reading = Reading::default();
    let (stem, text) = (stem_of(&root.name), root.text.clone());
    let source = reading.add_source(root);
    let tree = yaml::parse(&text, source, &reading);
    let found = tree.and_then(|it| read(&it, stem, load, &reading));
    let has_errors = reading.has_errors();
    let (sources, diagnostics, occurrences) = reading.into_parts();
    let pipeline = found.filter(|_| !has_errors).map(|pipeline| Pipeline {
        occurrences,
        source_names: sources.iter().map(|it| it.name.clone()).collect(),
        ..pipeline
    });
    Checked { pipeline, diagnostics, sources }
}

fn read(
    tree: &Node,
    stem: String,
    load: &dyn Fn(&IncludeRef) -> Result<String, String>,
    reading: &Reading,
) -> Option<Pipeline> {
    let top = top::read(tree, reading)?;
    let merged = include::merge(&top.body, load, reading);
    let inputs: Vec<&str> = top.triggers.manual.inputs.keys().map(String::as_str).collect();
    needs::check(&merged, reading);
    references::check(&merged, &inputs, reading);
    artifacts::check(&merged, reading);
    surroundings::check(&merged, top.timeout, reading);
    check_count(&merged, reading);
    let Top { name, team, triggers, timeout, release, budget, concurrency, .. } = top;
    Some(Pipeline {
        name_place: name.as_ref().map_or(tree.place.beginning(), |it| it.place),
        name: name.map_or(stem, |it| it.name),
        team,
        triggers,
        timeout,
        release,
        budget,
        concurrency,
        stages: merged.stages,
        occurrences: Vec::new(),
        source_names: Vec::new(),
    })
}

/// The name of a pipeline that does not name itself: that of its file.
fn stem_of(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = file.trim_start_matches('.').split('.').next().unwrap_or_default().to_lowercase();
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = stem.chars().map(keep).take(63).collect();
    if scalar::is_name(&name) { name } else { "pipeline".to_owned() }
}

fn check_count(merged: &include::Merged, reading: &Reading) {
    let cells = |matrix: &super::file::stage::matrix::Matrix| {
        let cells = matrix.axes.iter().map(|(_, values)| values.len());
        cells.fold(1_usize, usize::saturating_mul).saturating_add(matrix.include.len())
    };
    let mut total = 0;
    for stage in &merged.stages {
        let before = total;
        total += stage.matrix.as_ref().map_or(1, cells);
        if before <= MOST_STAGES && total > MOST_STAGES {
            let message = format!(
                "with stage `{}` the pipeline has more than {MOST_STAGES} stages, counting the cells of matrices",
                stage.name
            );
            let help = "split the pipeline, or do more in one stage";
            reading.error("pipeline/limit", stage.place, message, help);
        }
    }
}

/// Names of all stages, of those too that could not be read.
type Names = BTreeMap<String, Place>;
