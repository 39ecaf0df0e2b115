//! The configuration file of a server, and its problems as a person sees them.

use std::path::{Path, PathBuf};

use super::GlobalArgs;
use super::failure::Usage;
use crate::config::file::{Gravity, Problem};
use crate::config::{DEFAULT_FILE, Environment, Layers};
use crate::pipeline::diagnostic::{Diagnostic, Severity, SourceFile, Span};

/// When a command reads the configuration file of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Always, for it works on the database of a server.
    Always,
    /// Where a person names it.
    WhereNamed,
    /// Never: `--config` names another file.
    Never,
}

/// The environment as a command sees it: completed by the configuration file, where there is one for it.
pub fn environment(
    process: Environment,
    global: &GlobalArgs,
    reads: Reads,
) -> anyhow::Result<Environment> {
    let is_read = match reads {
        Reads::Always => true,
        Reads::WhereNamed => global.config.is_some(),
        Reads::Never => false,
    };
    if !is_read {
        return Ok(process);
    }
    let Some(path) = file(&process, global) else { return Ok(process.with_files()?) };
    let layers = Layers::read(&path, &process)?;
    if layers.is_usable() {
        return Ok(layers.environment.with_files()?);
    }
    let source = source(&layers);
    let errors = layers.problems.iter().filter(|it| it.gravity == Gravity::Error);
    let shown = errors.map(|it| diagnostic(it, &source).render(std::slice::from_ref(&source)));
    let shown = shown.collect::<Vec<_>>().join("\n");
    let message = format!("the configuration file has problems\n\n{}\n", shown.trim_end());
    let help = format!("`trunkline check --server-config {}` shows warnings too", path.display());
    Err(Usage::new(message, help).into())
}

/// What is named, else the default one if that is there.
fn file(process: &Environment, global: &GlobalArgs) -> Option<PathBuf> {
    let named = global.config.clone().or_else(|| process.config_file());
    named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|it| it.exists()))
}

/// A configuration file as text with problems.
pub struct CheckedFile {
    /// The text.
    pub source: SourceFile,
    /// All problems.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a file as `serve` would read it here.
pub fn check(path: &Path, process: &Environment) -> anyhow::Result<CheckedFile> {
    let layers = Layers::read(path, process)?;
    let source = source(&layers);
    let diagnostics = layers.problems.iter().map(|it| diagnostic(it, &source)).collect();
    Ok(CheckedFile { source, diagnostics })
}

fn source(layers: &Layers) -> SourceFile {
    SourceFile { name: layers.path.display().to_string(), text: layers.text.clone() }
}

fn diagnostic(problem: &Problem, source: &SourceFile) -> Diagnostic {
    let before = source.text.get(..problem.span.start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Diagnostic {
        code: problem.code,
        severity: match problem.gravity {
            Gravity::Error => Severity::Error,
            Gravity::Warning => Severity::Warning,
        },
        message: problem.message.clone(),
        help: problem.help.clone(),
        file: source.name.clone(),
        span: Span { start: problem.span.start, len: problem.span.len() },
        line,
        column,
    }
}
