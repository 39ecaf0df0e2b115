//! The configuration file of a server, and its problems as a person sees them.

use std::path::{Path, PathBuf};

use super::GlobalArgs;
use super::failure::Usage;
use crate::config::file::{Gravity, Problem};
use crate::config::{DEFAULT_FILE, Environment, Layers};
use crate::gateway::settings::{self, CassetteMode, Settings};
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

/// A configuration file, or a gateway's, as text with problems.
pub struct CheckedFile {
    /// The text.
    pub source: SourceFile,
    /// All problems.
    pub diagnostics: Vec<Diagnostic>,
}

impl CheckedFile {
    /// Whether it can be used: what is wrong is no error.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Checks a file as `serve` would read it here, and the gateway's file that it names.
pub fn check(path: &Path, process: &Environment) -> anyhow::Result<Vec<CheckedFile>> {
    let layers = Layers::read(path, process)?;
    let source = source(&layers);
    let diagnostics = layers.problems.iter().map(|it| diagnostic(it, &source)).collect();
    let gateway = layers.environment.get("TRUNKLINE_GATEWAY");
    let gateway = gateway.map(|it| check_gateway(it, &layers.environment));
    Ok(std::iter::once(CheckedFile { source, diagnostics }).chain(gateway).collect())
}

/// Checks the file of the gateway: whether it can be read, and whether the keys of its providers are there.
fn check_gateway(path: &str, environment: &Environment) -> CheckedFile {
    let text = std::fs::read_to_string(path);
    let (text, read) = match text {
        Ok(text) => {
            let read = settings::read(&text);
            (text, read)
        }
        Err(error) => (String::new(), Err(error.to_string())),
    };
    let source = SourceFile { name: path.to_owned(), text };
    let problems = match read {
        Ok(gateway) => missing_keys(&gateway, &source, environment),
        Err(why) => vec![Problem {
            code: "config/wrong-gateway",
            gravity: Gravity::Error,
            message: format!("the gateway's file `{path}` is wrong: {why}"),
            help: Some("docs/gateway.md shows every setting".to_owned()),
            span: 0..0,
        }],
    };
    let diagnostics = problems.iter().map(|it| diagnostic(it, &source)).collect();
    CheckedFile { source, diagnostics }
}

/// Variables with keys of providers that are not set, of providers that have no other key.
fn missing_keys(
    gateway: &Settings,
    source: &SourceFile,
    environment: &Environment,
) -> Vec<Problem> {
    let stages_replay = gateway.stages.model_calls == CassetteMode::Replay;
    if gateway.cassette_mode == CassetteMode::Replay || (stages_replay && gateway.listen.is_none())
    {
        return Vec::new();
    }
    let is_set = |it: &String| environment.get(it).is_some();
    let mut problems = Vec::new();
    for provider in &gateway.providers {
        let (variables, files) = (&provider.key_variables, &provider.key_files);
        if !files.is_empty() || variables.iter().any(is_set) {
            continue;
        }
        let name = &provider.name;
        problems.extend(variables.iter().map(|it| Problem {
            code: "config/missing-key",
            gravity: Gravity::Warning,
            message: format!("`{it}`, with the key of the provider `{name}`, is not set here"),
            help: Some(
                "set it where `trunkline serve` runs; its calls are refused else".to_owned(),
            ),
            span: place_of(it, &source.text),
        }));
    }
    problems
}

/// Where the name of a variable stands in a file; its start, where it is written otherwise.
fn place_of(name: &str, text: &str) -> std::ops::Range<usize> {
    let found = text.find(&format!("\"{name}\""));
    found.map_or(0..0, |start| start..start + name.len() + 2)
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
