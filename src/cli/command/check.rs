//! `trunkline check`: every problem of pipeline files at once.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::failure::Exit;
use crate::cli::local::include::Freshness;
use crate::cli::local::pipeline_file;
use crate::cli::output::Paint;
use crate::cli::session::Session;
use crate::cli::view::format;
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::{Checked, Pipeline};

/// Arguments of `trunkline check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline check                        all pipelines of the repository
  trunkline check pipelines/ci.yml
  trunkline check --json | jq '.[].problems[].message'
  trunkline check --schema > pipelines/schema.json")]
pub struct CheckArgs {
    /// Files to check [default: `pipelines/*.yml` and `.trunkline.yml` of the repository]
    pub files: Vec<PathBuf>,
    /// Write the JSON schema of the format instead, for editors
    #[arg(long)]
    pub schema: bool,
}

/// Checks the files.
pub fn execute(session: &Session, args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&crate::pipeline::schema())?;
        session.output.line(&schema)?;
        return Ok(Exit::Passed);
    }
    let root = pipeline_file::root(session);
    let files = files(session, args)?;
    let mut results = Vec::new();
    for file in &files {
        let checked = pipeline_file::read(session, file, Freshness::Known);
        results.push((pipeline_file::shown(&root, file), checked));
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

fn files(session: &Session, args: &CheckArgs) -> anyhow::Result<Vec<PathBuf>> {
    if !args.files.is_empty() {
        return Ok(args.files.iter().map(|it| session.folder.join(it)).collect());
    }
    let root = pipeline_file::root(session);
    let files = pipeline_file::list(&root);
    if files.is_empty() {
        return Err(pipeline_file::none_in(&root).into());
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
    let mut text = String::new();
    for diagnostic in &checked.diagnostics {
        text.push_str(&colored(diagnostic, &diagnostic.render(&checked.sources), paint));
        text.push_str("\n\n");
    }
    let errors = checked.diagnostics.iter().filter(|it| it.is_error()).count();
    let warnings = checked.diagnostics.len() - errors;
    let mut counts = Vec::new();
    for (number, noun) in [(errors, "error"), (warnings, "warning")] {
        if number > 0 {
            counts.push(format::count(number as u64, noun));
        }
    }
    let verdict = match (&checked.pipeline, counts.as_slice()) {
        (Some(pipeline), []) => {
            let stages = format::count(pipeline.stage_names().count() as u64, "stage");
            paint.green(&format!("✓ {file}: fine, {stages}"))
        }
        (Some(_), counts) => paint.yellow(&format!("✓ {file}: {}", counts.join(", "))),
        (None, counts) => paint.red(&format!("✗ {file}: {}", counts.join(", "))),
    };
    text + &verdict
}

/// The first line, which says what is wrong, in the colour of its severity.
fn colored(diagnostic: &Diagnostic, rendered: &str, paint: Paint) -> String {
    let rendered = rendered.trim_end();
    let (first, rest) = rendered.split_once('\n').unwrap_or((rendered, ""));
    let first = if diagnostic.is_error() { paint.red(first) } else { paint.yellow(first) };
    if rest.is_empty() { first } else { format!("{first}\n{rest}") }
}
