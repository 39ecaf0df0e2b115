//! `trunkline check`: every problem of pipeline files at once.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::configuration::{self, CheckedFile};
use crate::cli::failure::Exit;
use crate::cli::local::files::Files;
use crate::cli::local::include::Freshness;
use crate::cli::local::pipeline_file;
use crate::cli::session::Session;
use crate::cli::view::format;
use crate::cli::view::paint::Paint;
use crate::pipeline::diagnostic::{Diagnostic, SourceFile};
use crate::pipeline::{Checked, Pipeline};

/// Arguments of `trunkline check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline check                        all pipelines of the repository
  trunkline check pipelines/ci.yml
  trunkline check --json | jq '.[].problems[].message'
  trunkline check --schema > pipelines/schema.json
  trunkline check --server-config /etc/trunkline/server.toml")]
pub struct CheckArgs {
    /// Files to check [default: `pipelines/*.yml` and `.trunkline.yml` of the repository]
    pub files: Vec<PathBuf>,
    /// Write the JSON schema of the format instead, for editors
    #[arg(long)]
    pub schema: bool,
    /// Check the configuration file of a server instead, and its gateway's file, as `serve` would read them here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "schema"])]
    pub server_config: Option<PathBuf>,
}

/// Checks the files.
pub fn execute(session: &Session, args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&crate::pipeline::schema())?;
        session.output.line(&schema)?;
        return Ok(Exit::Passed);
    }
    if let Some(path) = &args.server_config {
        return check_server(session, path);
    }
    let all = pipeline_file::files(session);
    let mut results = Vec::new();
    for file in &wanted(session, &all, args)? {
        let checked = pipeline_file::read(session, (&all, file), Freshness::Known);
        results.push((pipeline_file::shown(&all, file), checked));
    }
    if session.output.json {
        session.output.json(&results.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for (file, checked) in &results {
            session.output.line(&as_text(file, checked, session.output.paint))?;
        }
    }
    let all_fine = results.iter().all(|(_, checked)| checked.pipeline.is_some());
    Ok(if all_fine { Exit::Passed } else { Exit::Usage })
}

fn check_server(session: &Session, path: &Path) -> anyhow::Result<Exit> {
    let files = configuration::check(path, &session.environment)?;
    if session.output.json {
        let row = |it: &CheckedFile| json!({ "file": it.source.name, "problems": it.diagnostics });
        session.output.json(&files.iter().map(row).collect::<Vec<_>>())?;
    } else {
        for file in &files {
            session.output.line(&server_text(file, session.output.paint))?;
        }
    }
    let is_fine = files.iter().all(CheckedFile::is_fine);
    Ok(if is_fine { Exit::Passed } else { Exit::Usage })
}

fn server_text(checked: &CheckedFile, paint: Paint) -> String {
    let CheckedFile { source, diagnostics } = checked;
    let text = shown(diagnostics, std::slice::from_ref(source), paint);
    let (file, counts) = (&source.name, counts(diagnostics));
    let verdict = match (checked.is_fine(), counts.as_str()) {
        (true, "") => paint.green(&format!("✓ {file}: fine")),
        (true, counts) => paint.yellow(&format!("✓ {file}: {counts}")),
        (false, counts) => paint.red(&format!("✗ {file}: {counts}")),
    };
    text + &verdict
}

fn wanted(session: &Session, all: &Files, args: &CheckArgs) -> anyhow::Result<Vec<PathBuf>> {
    if !args.files.is_empty() {
        return Ok(args.files.iter().map(|it| session.folder.join(it)).collect());
    }
    let files = pipeline_file::list(all);
    if files.is_empty() {
        return Err(pipeline_file::none_in(all.root()).into());
    }
    Ok(files)
}

/// `[{file, pipeline, problems: [{code, severity, message, help, file, line, column, span}]}]`
fn as_json((file, checked): &(String, Checked)) -> serde_json::Value {
    json!({
        "file": file,
        "pipeline": checked.pipeline.as_ref().map(Pipeline::name),
        "problems": checked.diagnostics,
    })
}

fn as_text(file: &str, checked: &Checked, paint: Paint) -> String {
    let text = shown(&checked.diagnostics, &checked.sources, paint);
    let counts = counts(&checked.diagnostics);
    let verdict = match (&checked.pipeline, counts.as_str()) {
        (Some(pipeline), "") => {
            let stages = format::count(pipeline.stage_names().count() as u64, "stage");
            paint.green(&format!("✓ {file}: fine, {stages}"))
        }
        (Some(_), counts) => paint.yellow(&format!("✓ {file}: {counts}")),
        (None, counts) => paint.red(&format!("✗ {file}: {counts}")),
    };
    text + &verdict
}

fn shown(diagnostics: &[Diagnostic], sources: &[SourceFile], paint: Paint) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&colored(diagnostic, &diagnostic.render(sources), paint));
        text.push_str("\n\n");
    }
    text
}

/// `2 errors, 1 warning`
fn counts(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|it| it.is_error()).count();
    let mut counts = Vec::new();
    for (number, noun) in [(errors, "error"), (diagnostics.len() - errors, "warning")] {
        if number > 0 {
            counts.push(format::count(number as u64, noun));
        }
    }
    counts.join(", ")
}

/// The first line, which says what is wrong, in the colour of its severity.
fn colored(diagnostic: &Diagnostic, rendered: &str, paint: Paint) -> String {
    let rendered = rendered.trim_end();
    let (first, rest) = rendered.split_once('\n').unwrap_or((rendered, ""));
    let first = if diagnostic.is_error() { paint.red(first) } else { paint.yellow(first) };
    if rest.is_empty() { first } else { format!("{first}\n{rest}") }
}
