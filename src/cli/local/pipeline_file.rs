//! Finds the pipeline a person means, reads it and shows its problems.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::files::{Files, tidy};
use super::include::{Freshness, Includes};
use crate::cli::failure::{AlreadyShown, Usage};
use crate::cli::session::Session;
use crate::cli::view::paint::Paint;
use crate::cli::view::terminal;
use crate::pipeline::{Checked, check_bytes, file::Pipeline, name_of, unreadable};

/// The folder of pipelines, and the file that stands for it in a small repository.
const FOLDER: &str = "pipelines";
const SINGLE: &str = ".trunkline.yml";

const COMMIT_IT: &str = "commit it first, or leave `--committed` out";

/// The files among which pipelines are looked for: of the working tree, or of where a person stands.
#[must_use]
pub fn files(session: &Session) -> Files {
    let repository = crate::source::Repository::discover(&session.folder);
    let root = repository.map_or_else(|_| session.folder.clone(), |it| it.folder().to_owned());
    Files::on_disk(root)
}

/// The file of the pipeline that is meant: a path, a name, or nothing when there is only one.
pub fn find(from: &Files, folder: &Path, wanted: Option<&str>) -> Result<PathBuf, Usage> {
    let files = list(from);
    let Some(wanted) = wanted else { return only(from, files) };
    let is_path = wanted.contains('/') || is_yaml(Path::new(wanted));
    if is_path {
        let path = folder.join(wanted);
        let path = if from.are_committed() { tidy(&path) } else { path };
        return if from.has(&path) { Ok(path) } else { Err(no_such_file(from, folder, wanted)) };
    }
    let has_name = |it: &&PathBuf| it.file_stem().is_some_and(|stem| stem == wanted);
    let named =
        files.iter().find(has_name).or_else(|| files.iter().find(|it| is_called(from, it, wanted)));
    named.cloned().ok_or_else(|| no_such(from, &files, wanted))
}

/// All pipeline files of a repository, sorted.
#[must_use]
pub fn list(from: &Files) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let single = from.root().join(SINGLE);
    if from.has(&single) {
        files.push(single);
    }
    let others = from.list_folder(FOLDER).into_iter();
    files.extend(others.filter(|it| is_yaml(it) && from.has(it)));
    files.sort();
    files
}

/// Reads and checks a file; problems are shown, and errors end the command.
pub fn checked(
    session: &Session,
    (from, path): (&Files, &Path),
    freshness: Freshness,
) -> anyhow::Result<Pipeline> {
    let checked = read(session, (from, path), freshness);
    let mut err = std::io::stderr().lock();
    if session.output.json {
        if let Some(problems) = as_json(&checked) {
            writeln!(err, "{problems}")?;
        }
    } else {
        for diagnostic in &checked.diagnostics {
            let shown = diagnostic.render(&checked.sources);
            writeln!(err, "{}\n", terminal::safe(shown.trim_end(), Paint::default()))?;
        }
    }
    checked.pipeline.ok_or_else(|| AlreadyShown.into())
}

/// `{problems}`, and with an error what every failed command says; `None` when there is no problem.
fn as_json(checked: &Checked) -> Option<serde_json::Value> {
    let problems = &checked.diagnostics;
    if checked.pipeline.is_some() {
        return (!problems.is_empty()).then(|| serde_json::json!({ "problems": problems }));
    }
    let error = AlreadyShown.to_string();
    Some(serde_json::json!({ "error": error, "exit_code": 2, "problems": problems }))
}

/// Reads and checks a file, and that no other one of the repository has its name.
#[must_use]
pub fn read(session: &Session, (from, path): (&Files, &Path), freshness: Freshness) -> Checked {
    let name = shown(from, path);
    let bytes = match from.read(path) {
        Ok(bytes) => bytes,
        Err(error) => return unreadable(name, &error.to_string()),
    };
    let includes = Includes::new(from, &session.settings.state_folder, freshness);
    let mut checked = check_bytes(name, bytes, &|wanted| includes.load(wanted));
    let pipeline = checked.pipeline.as_ref().map(|it| it.name().to_owned());
    checked.warn_of_past(session.now());
    if let Some(other) = pipeline.and_then(|it| namesake(from, path, &it)) {
        checked.refuse_name_of(&shown(from, &other));
    }
    checked
}

/// Another pipeline file of the repository with this name of a pipeline.
fn namesake(from: &Files, path: &Path, name: &str) -> Option<PathBuf> {
    let files = list(from);
    let real = |it: &Path| if from.are_committed() { None } else { it.canonicalize().ok() };
    let is_it = |it: &PathBuf| it == path || real(it).is_some_and(|it| Some(it) == real(path));
    let others = files.iter().filter(|it| !is_it(it));
    let found = others.clone().find(|it| is_called(from, it, name)).cloned();
    found.filter(|_| files.iter().any(is_it))
}

/// The path as a person would write it: relative to the top of the repository where that is possible.
#[must_use]
pub fn shown(from: &Files, path: &Path) -> String {
    path.strip_prefix(from.root()).unwrap_or(path).display().to_string()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yml" || it == "yaml")
}

/// Whether the file says that this is its name.
fn is_called(from: &Files, path: &Path, name: &str) -> bool {
    let text = from.read(path).ok().and_then(|it| String::from_utf8(it).ok());
    text.is_some_and(|it| name_of(&shown(from, path), &it).as_deref() == Some(name))
}

fn only(from: &Files, files: Vec<PathBuf>) -> Result<PathBuf, Usage> {
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) if files.is_empty() && from.are_committed() => Err(Usage::new(
            format!("the last commit has no pipeline: neither `pipelines/*.yml` nor `{SINGLE}`"),
            COMMIT_IT,
        )),
        Err(files) if files.is_empty() => Err(none_in(from.root())),
        Err(files) => {
            let message = format!("there are several pipelines: {}", names(from, &files));
            Err(Usage::new(message, "name the one you mean"))
        }
    }
}

/// What is said about a folder without a pipeline.
pub fn none_in(root: &Path) -> Usage {
    let shown = root.display();
    let is_bare = root.join("HEAD").is_file() && root.join("objects").is_dir();
    if is_bare {
        let message =
            format!("`{shown}` is a bare repository: it has no files to read a pipeline from");
        return Usage::new(message, "clone it, or make a checkout: `git worktree add ../checkout`");
    }
    let message = format!("`{shown}` has no pipeline: neither `pipelines/*.yml` nor `{SINGLE}`");
    let help = format!("write one, such as `{SINGLE}`; the README shows ten lines that work");
    Usage::new(message, help)
}

fn no_such_file(from: &Files, folder: &Path, wanted: &str) -> Usage {
    if from.are_committed() {
        return Usage::new(format!("the last commit has no file `{wanted}`"), COMMIT_IT);
    }
    let help = format!("give a path relative to `{}`, or a name", folder.display());
    Usage::new(format!("there is no file `{wanted}`"), help)
}

fn no_such(from: &Files, files: &[PathBuf], wanted: &str) -> Usage {
    let place = if from.are_committed() { " in the last commit" } else { "" };
    let message = format!("there is no pipeline `{wanted}`{place}");
    if files.is_empty() {
        let help = "pipelines are looked for in `pipelines/*.yml` and `.trunkline.yml`";
        return Usage::new(message, help);
    }
    Usage::new(message, format!("known are {}", names(from, files)))
}

fn names(from: &Files, files: &[PathBuf]) -> String {
    let names = files.iter().map(|it| format!("`{}`", shown(from, it)));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for (path, text) in files {
            fs::write(folder.path().join(path), text).unwrap();
        }
        folder
    }

    fn found(files: &[(&str, &str)], wanted: Option<&str>) -> String {
        let folder = repository(files);
        let from = Files::on_disk(folder.path().to_owned());
        match find(&from, folder.path(), wanted) {
            Ok(path) => shown(&from, &path),
            Err(error) => format!("{error}; {}", error.help)
                .replace(&folder.path().display().to_string(), "<repository>"),
        }
    }

    #[test]
    fn the_only_pipeline_needs_no_name() {
        assert_eq!(found(&[("pipelines/ci.yml", "")], None), "pipelines/ci.yml");
        assert_eq!(found(&[(".trunkline.yml", "")], None), ".trunkline.yml");
    }

    #[test]
    fn several_pipelines_are_listed() {
        let files = [("pipelines/ci.yml", ""), ("pipelines/nightly.yaml", "")];
        assert_eq!(
            found(&files, None),
            "there are several pipelines: `pipelines/ci.yml`, `pipelines/nightly.yaml`; \
             name the one you mean"
        );
    }

    #[test]
    fn a_pipeline_is_found_by_its_file_or_its_name() {
        let files = [
            ("pipelines/ci.yml", "version: 1\nname: 'assistant' # app\n"),
            ("pipelines/x.yml", ""),
        ];
        assert_eq!(found(&files, Some("ci")), "pipelines/ci.yml");
        assert_eq!(found(&files, Some("assistant")), "pipelines/ci.yml");
        assert_eq!(found(&files, Some("pipelines/x.yml")), "pipelines/x.yml");
        assert_eq!(
            found(&files, Some("deploy")),
            "there is no pipeline `deploy`; known are `pipelines/ci.yml`, `pipelines/x.yml`"
        );
    }

    #[test]
    fn without_a_pipeline_the_error_says_where_they_are_looked_for() {
        assert_eq!(
            found(&[], None),
            "`<repository>` has no pipeline: neither `pipelines/*.yml` nor `.trunkline.yml`; \
             write one, such as `.trunkline.yml`; the README shows ten lines that work"
        );
    }
}
